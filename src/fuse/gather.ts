/** Where the bytes of a READ are, as the reply to it takes them: the header goes before. */
import type { BytePlaces } from '../base/places.js'

/** A hole is as long as it likes, of zeros that are there once. */
const ZEROS = new Uint8Array(1 << 16)
/** Parts of one call, the header's among them (IOV_MAX). */
const PARTS_MAX = 1024

export class Gather implements BytePlaces {
  /** Three elements each: where, an offset there, a length. The first is the header's. */
  readonly parts: (number | Uint8Array)[] = [0, 0, 0]
  count = 1
  memory = 0

  begin(memory: number): void {
    this.memory = memory
    this.count = 1
  }

  /** All of it is one run of the memory. */
  get whole(): boolean {
    return this.count === 2 && this.parts[3] === this.memory
  }

  get offset(): number {
    return this.parts[4] as number
  }

  /** More parts than one call takes. */
  get tooMany(): boolean {
    return this.count > PARTS_MAX
  }

  stored(offset: number, length: number): void {
    const { parts } = this
    const last = 3 * (this.count - 1)
    const joins = parts[last] === this.memory && this.count > 1
    if (joins && (parts[last + 1] as number) + (parts[last + 2] as number) === offset) {
      parts[last + 2] = (parts[last + 2] as number) + length
    } else this.#add(this.memory, offset, length)
  }

  hole(length: number): void {
    for (let left = length; left > 0; left -= ZEROS.length) {
      this.#add(ZEROS, 0, Math.min(left, ZEROS.length))
    }
  }

  #add(where: number | Uint8Array, offset: number, length: number): void {
    const at = 3 * this.count++
    this.parts[at] = where
    this.parts[at + 1] = offset
    this.parts[at + 2] = length
  }
}
