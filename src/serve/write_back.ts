/**
 * Bytes of a file that were stored past the calls, and how they are written back where lines of
 * them may be in a cache: slice by slice, with other work in between.
 *
 * Invariants:
 * - a byte is listed from the store on until it was written back; `all` is done when those that
 *   were listed when it began are, and the fence after them;
 * - a slice is looked up when it is written: what has moved was written back by who moved it.
 */
import { HoldfastError } from '../base/errors.js'
import type { LayoutVolume } from '../layout/volume.js'
import { DirtyRanges } from './dirty_ranges.js'

/** What is written back in one turn of the event loop. */
export const SLICE_BYTES = 8 << 20

export class WriteBack {
  readonly #volume: LayoutVolume
  /** Writes back what there is of file bytes [from, to). */
  readonly #write: (from: number, to: number) => void
  readonly #dirty = new DirtyRanges()
  /** What `all` has still to write back. */
  #leaving: DirtyRanges | null = null
  #running: Promise<void> | null = null

  constructor(volume: LayoutVolume, write: (from: number, to: number) => void) {
    this.#volume = volume
    this.#write = write
  }

  /** Whether anything is listed. */
  get dirty(): boolean {
    return this.#dirty.count > 0 || this.#leaving !== null
  }

  add(offset: number, length: number): void {
    this.#dirty.add(offset, length)
  }

  /** It is durable by other means. */
  clear(): void {
    this.#dirty.clear()
  }

  touches(from: number, to: number): boolean {
    return this.#dirty.touches(from, to) || this.#leaving?.touches(from, to) === true
  }

  /** What is listed of [from, to) is written back now. It stays listed. */
  now(from: number, to: number): void {
    for (const ranges of [this.#dirty, this.#leaving]) {
      for (let i = 0; i < (ranges?.count ?? 0); i++) {
        const [first, end] = [Math.max(from, ranges!.from(i)), Math.min(to, ranges!.to(i))]
        if (first < end) this.#write(first, end)
      }
    }
  }

  /** All that is listed now is written back and fenced when it resolves. */
  async all(): Promise<void> {
    while (this.#running !== null) await this.#running
    const { region } = this.#volume
    if (region.persistence !== 'flush') {
      this.#dirty.clear()
      if (region.persistence === 'fence') region.fence()
      return
    }
    if (this.#dirty.count === 0) return
    const running = this.#slices()
    if (this.#leaving === null) return running
    this.#running = running.finally(() => (this.#running = null))
    return this.#running
  }

  async #slices(): Promise<void> {
    const leaving = (this.#leaving = this.#dirty.moved())
    try {
      let left = SLICE_BYTES
      for (let i = 0; i < leaving.count; i++) {
        for (let from = leaving.from(i), to; from < leaving.to(i); from = to) {
          if (left === 0) {
            await this.#turn()
            left = SLICE_BYTES
          }
          to = Math.min(leaving.to(i), from + left)
          this.#write(from, to)
          left -= to - from
        }
      }
      this.#volume.region.fence()
    } finally {
      this.#leaving = null
    }
  }

  async #turn(): Promise<void> {
    await this.#volume.waiting.turn()
    if (this.#volume.closed) throw new HoldfastError('EIO', 'the volume was closed meanwhile')
  }
}
