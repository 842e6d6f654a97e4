/**
 * The control of the power-off test: a file with DAX that is mapped as no region is, without
 * MAP_SYNC, and written to with the same flushes and fences.
 *
 * Its blocks are allocated and unwritten. At the first store to each page the filesystem notes in
 * its journal, in memory, that the page is written; MAP_SYNC means that this note is durable before
 * the store is done. Without it pages whose stores were flushed and fenced read as zeros after the
 * power cut. If this file never lost any, the test would show nothing of MAP_SYNC.
 */
import { closeSync, constants, existsSync, openSync, readSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { native, MapFlag, type MemoryId } from '../../../src/native/native.js'

const PAGE = 4096
/** Below 2 MiB, so that no huge page makes one note of all. */
const PAGES = 400

function pathBeside(region: string): string {
  return join(dirname(region), 'control')
}

export class Control {
  readonly #memory: MemoryId
  #written = 0

  constructor(region: string) {
    const path = pathBeside(region)
    if (existsSync(path)) rmSync(path)
    const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
    native.fallocate(fd, 0, PAGES * PAGE)
    this.#memory = native.reserve(PAGES * PAGE)
    native.map(this.#memory, 0, fd, 0, PAGES * PAGE, MapFlag.read | MapFlag.write)
    closeSync(fd)
  }

  /** Writes the next page, flushed and fenced. */
  write(): void {
    if (this.#written === PAGES) return
    const offset = this.#written++ * PAGE
    native.store8(this.#memory, offset, this.#written, 0)
    native.flush(this.#memory, offset, 8)
    native.fence()
  }

  /** Of the first `pages` pages those that a power cut has taken away. */
  static lost(region: string, pages: number): number {
    // The file itself was never made durable.
    if (!existsSync(pathBeside(region))) return Math.min(pages, PAGES)
    const fd = openSync(pathBeside(region), 'r')
    const bytes = Buffer.alloc(PAGES * PAGE)
    readSync(fd, bytes, 0, bytes.length, 0)
    closeSync(fd)
    let lost = 0
    for (let page = 0; page < Math.min(pages, PAGES); page++) {
      if (bytes.readUInt32LE(page * PAGE) !== page + 1) lost++
    }
    return lost
  }
}
