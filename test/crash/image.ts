/**
 * The image in which crash states are built: changed by stores, brought back by undo, never copied.
 */
import { native } from '../../src/native/native.js'
import type { TracedRegion } from '../../src/region/traced_region.js'
import { LINE } from './medium.js'

/** Keeps what each line was before it was first changed, and puts it back. */
export class Undo {
  readonly #region: TracedRegion
  readonly #saved = new Map<number, Uint8Array>()

  constructor(region: TracedRegion) {
    this.#region = region
  }

  save(offset: number, length: number): void {
    for (let at = offset - (offset % LINE); at < offset + length; at += LINE) {
      if (!this.#saved.has(at)) this.#saved.set(at, this.#region.u8.slice(at, at + LINE))
    }
  }

  revert(): void {
    for (const [at, bytes] of this.#saved) this.#region.u8.set(bytes, at)
    this.#saved.clear()
  }
}

/**
 * A hash of a whole image that changes line by line: 64 bits, the XOR over all lines of a hash of
 * place and content. Two images with one hash are taken for one.
 */
export class ImageHash {
  readonly #region: TracedRegion
  readonly #low: Uint32Array
  readonly #high: Uint32Array
  #sumLow = 0
  #sumHigh = 0

  constructor(region: TracedRegion) {
    this.#region = region
    const lines = region.byteLength / LINE
    this.#low = new Uint32Array(lines)
    this.#high = new Uint32Array(lines)
    for (let line = 0; line < lines; line++) this.update(line * LINE, LINE)
  }

  /** The image as it stands changed in this range for good. */
  update(offset: number, length: number): void {
    const first = Math.floor(offset / LINE)
    const last = Math.floor((offset + length - 1) / LINE)
    for (let line = first; line <= last; line++) {
      const low = this.#hash(line, 1)
      const high = this.#hash(line, 2)
      this.#sumLow ^= this.#low[line]! ^ low
      this.#sumHigh ^= this.#high[line]! ^ high
      this.#low[line] = low
      this.#high[line] = high
    }
  }

  /** The hash of the image with these lines as they are now, as a number below 2^53. */
  with(lines: Iterable<number>): number {
    let low = this.#sumLow
    let high = this.#sumHigh
    for (const line of lines) {
      low ^= this.#low[line]! ^ this.#hash(line, 1)
      high ^= this.#high[line]! ^ this.#hash(line, 2)
    }
    return (high & 0x1f_ffff) * 0x1_0000_0000 + (low >>> 0)
  }

  #hash(line: number, seed: number): number {
    const content = native.crc32c(this.#region.memory, line * LINE, LINE, seed)
    // Mixed with its place, so that lines that change places are another image.
    let h = Math.imul(
      content ^ Math.imul(line + 1, seed === 1 ? 0x9e3779b1 : 0x85ebca6b),
      0xc2b2ae35,
    )
    h ^= h >>> 15
    h = Math.imul(h, seed === 1 ? 0x27d4eb2f : 0x165667b1)
    return (h ^ (h >>> 13)) >>> 0
  }
}
