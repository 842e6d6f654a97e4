/**
 * Two files of pages that are stamped one after the other, each stamp flushed and fenced, beside
 * the regions of the power-off test:
 *
 * - a file of a volume, mapped by `map` and written back by `persist`: no stamp may be missing;
 * - the control: a file of the same filesystem with DAX that is mapped as no region is, without
 *   MAP_SYNC. Its blocks are allocated and unwritten. At the first store to each page the
 *   filesystem notes in its journal, in memory, that the page is written; MAP_SYNC means that this
 *   note is durable before the store is done. Without it pages whose stores were flushed and fenced
 *   read as zeros after the power cut. If this file never lost any, the test would show nothing.
 */
import { closeSync, constants, existsSync, openSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { native, MapFlag, type MemoryId } from '../../../src/native/native.js'
import type { FileMapping } from '../../../src/base/mapping.js'
import { createVolume, openVolume } from '../../../src/layout/embedded.js'

const PAGE = 4096
/** Below 2 MiB, so that no huge page makes one note of all. */
const PAGES = 400
const VOLUME_BYTES = 8 << 20
const FILE = '/stamps'

const controlBeside = (region: string) => join(dirname(region), 'control')
const volumeBeside = (region: string) => join(dirname(region), 'mapped.hf')

/** Of the first `pages` pages those without their stamp. */
function missing(bytes: Uint8Array, pages: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let lost = 0
  for (let page = 0; page < Math.min(pages, PAGES); page++) {
    if (view.getUint32(page * PAGE, true) !== page + 1) lost++
  }
  return lost
}

export class Stamps {
  readonly #control: MemoryId
  readonly #mapping: FileMapping
  readonly #words: Uint32Array
  #written = 0

  /** Makes both files beside a region. */
  constructor(region: string) {
    const control = controlBeside(region)
    const volume = volumeBeside(region)
    for (const path of [control, volume]) if (existsSync(path)) rmSync(path)
    const fd = openSync(control, constants.O_RDWR | constants.O_CREAT, 0o600)
    native.fallocate(fd, 0, PAGES * PAGE)
    this.#control = native.reserve(PAGES * PAGE)
    native.map(this.#control, 0, fd, 0, PAGES * PAGE, MapFlag.read | MapFlag.write)
    closeSync(fd)
    createVolume(volume, VOLUME_BYTES)
    const file = openVolume(volume).open(FILE, 'w+')
    file.truncate(PAGES * PAGE)
    this.#mapping = file.map({ write: true })
    this.#words = new Uint32Array(this.#mapping.buffer)
  }

  /** Stamps the next page of both. */
  next(): void {
    if (this.#written === PAGES) return
    const offset = this.#written++ * PAGE
    native.store8(this.#control, offset, this.#written, 0)
    native.flush(this.#control, offset, 8)
    native.fence()
    this.#words[offset / 4] = this.#written
    this.#mapping.persist(offset, 4)
  }

  /** Of the first `pages` stamps: those that the mapped file has lost, and those of the control. */
  static lost(region: string, pages: number): { mapped: number; control: number } {
    const volume = openVolume(volumeBeside(region))
    const mapped = missing(volume.readFile(FILE), pages)
    volume.close()
    const control = controlBeside(region)
    // The file itself may never have become durable.
    const bytes = existsSync(control) ? readFileSync(control) : new Uint8Array(PAGES * PAGE)
    return { mapped, control: missing(bytes, pages) }
  }
}
