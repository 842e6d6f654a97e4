/**
 * Transfers under way: memory of the region that was handed to the kernel, or to a device, to be
 * read, and is read later than the call that looked it up.
 *
 * A transfer is no hold, and in nobody's way: the file may be truncated, cloned and moved. What it
 * reads from stays as it is until it ends: blocks that leave their file wait in limbo.
 */
import { BLOCK_BYTES } from '../base/limits.js'
import type { OpenInode } from '../volume/open_inodes.js'
import type { LayoutVolume } from './volume.js'

export class Transfer implements Disposable {
  /**
   * Where the bytes are, in file order: [file offset, region offset, length]. Holes are left out.
   */
  readonly runs: readonly (readonly [offset: number, regionOffset: number, length: number])[]
  readonly #volume: LayoutVolume
  #ended = false

  /** Inside a call: bytes [offset, offset + length) of a file, as far as it has them. */
  constructor(volume: LayoutVolume, open: OpenInode, offset: number, length: number) {
    this.#volume = volume
    const { inodes, limbo, frames } = volume.core
    volume.work.settle(open.number)
    limbo.prepare()
    const end = Math.min(offset + length, inodes.size(inodes.get(open.number)))
    const runs: [number, number, number][] = []
    const [from, to] = [Math.floor(offset / BLOCK_BYTES), Math.ceil(end / BLOCK_BYTES)]
    volume.holding.eachRun(open.number, from, to, (block, count, fileBlock) => {
      const first = Math.max(offset, fileBlock * BLOCK_BYTES)
      const last = Math.min(end, (fileBlock + count) * BLOCK_BYTES)
      runs.push([first, block * BLOCK_BYTES + (first - fileBlock * BLOCK_BYTES), last - first])
    })
    // What leaves the file under it must find room in limbo.
    volume.holding.reserve(runs.length)
    for (const [, at, n] of runs) {
      const block = Math.floor(at / BLOCK_BYTES)
      frames.add(block, Math.ceil((at + n) / BLOCK_BYTES) - block)
    }
    volume.transfers.add(this)
    for (const [, at, n] of runs) volume.core.beforeRead(at, n)
    this.runs = runs
  }

  /** Nobody reads there any more. Once is enough. */
  end(): void {
    if (this.#ended || this.#volume.closed) return
    this.#volume.enterHolds(() => {
      this.#ended = true
      this.#volume.transfers.delete(this)
      this.#volume.holding.reserve(-this.runs.length)
      const { frames, limbo } = this.#volume.core
      for (const [, at, length] of this.runs) {
        const block = Math.floor(at / BLOCK_BYTES)
        const count = Math.ceil((at + length) / BLOCK_BYTES) - block
        frames.drop(block, count)
        limbo.lift(this.#volume.work, block, count)
      }
    })
  }

  [Symbol.dispose](): void {
    this.end()
  }
}
