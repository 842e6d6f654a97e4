/**
 * Bytes of a file that were stored past the calls and are not durable yet. A store adds to them in
 * a few instructions, and they are bounded: past some ranges they are one, with what is between.
 */

/** Ranges that are kept apart. */
const RANGES_MAX = 32

export class DirtyRanges {
  /** Offset in the file, and the one after the last, of each. Made by the first store. */
  #bounds: Float64Array | null = null
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Of one of them, by its number. */
  from(index: number): number {
    return this.#bounds![2 * index]!
  }

  to(index: number): number {
    return this.#bounds![2 * index + 1]!
  }

  add(offset: number, length: number): void {
    const bounds = (this.#bounds ??= new Float64Array(2 * RANGES_MAX))
    const end = offset + length
    // Stores mostly go on where one was before.
    for (let i = this.#count - 1; i >= 0; i--) {
      if (offset > bounds[2 * i + 1]! || end < bounds[2 * i]!) continue
      if (offset < bounds[2 * i]!) bounds[2 * i] = offset
      if (end > bounds[2 * i + 1]!) bounds[2 * i + 1] = end
      return
    }
    if (this.#count === RANGES_MAX) return this.#merge(bounds, offset, end)
    bounds[2 * this.#count] = offset
    bounds[2 * this.#count + 1] = end
    this.#count++
  }

  #merge(bounds: Float64Array, offset: number, end: number): void {
    let [from, to] = [offset, end]
    for (let i = 0; i < this.#count; i++) {
      if (bounds[2 * i]! < from) from = bounds[2 * i]!
      if (bounds[2 * i + 1]! > to) to = bounds[2 * i + 1]!
    }
    bounds[0] = from
    bounds[1] = to
    this.#count = 1
  }

  /** Whether any of [from, to) is among them, or may be. */
  touches(from: number, to: number): boolean {
    for (let i = 0; i < this.#count; i++) if (this.from(i) < to && this.to(i) > from) return true
    return false
  }

  clear(): void {
    this.#count = 0
  }

  /** All of them go to another list. */
  moved(): DirtyRanges {
    const other = new DirtyRanges()
    other.#bounds = this.#bounds
    other.#count = this.#count
    this.#bounds = null
    this.#count = 0
    return other
  }
}
