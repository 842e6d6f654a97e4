/**
 * Where the next free run outside a range of the region is, asked for again and again while the
 * range is emptied.
 *
 * Invariants:
 * - what was looked at in vain is not looked at again until blocks outside the range become free:
 *   a step of many costs what it finds, not what the volume has;
 * - outside the range nothing is free of `#none` blocks or more in a row, and nothing of `#length`
 *   or more before block `#before`.
 */

/** The first free run of `count` blocks of [from, end); 0 when there is none. */
export type FindRun = (count: number, from: number, end: number) => number

export class RunsOutside {
  readonly #find: FindRun
  #from = 0
  #to = 0
  #none = Infinity
  #length = Infinity
  #before = 0
  /** Where the run found begins. */
  start = 0

  constructor(find: FindRun) {
    this.#find = find
  }

  /**
   * Finds a run that has no block of [from, to): the first of `count` blocks, else a shorter one,
   * half as long each time. Returns its length; 0: there is none.
   */
  find(from: number, to: number, count: number): number {
    if (from !== this.#from || to !== this.#to) this.#forget(from, to)
    for (let n = count; n > 0; n = n >>> 1) {
      if (n >= this.#none) continue
      const first = n >= this.#length ? this.#before : 0
      this.start = this.#find(n, first, from) || this.#find(n, Math.max(first, to), Infinity)
      if (this.start === 0) {
        this.#none = n
        continue
      }
      this.#length = n
      this.#before = this.start
      return n
    }
    return 0
  }

  /** Blocks [start, start + count) are free again. */
  freed(start: number, count: number): void {
    if (start < this.#from || start + count > this.#to) this.#forget(this.#from, this.#to)
  }

  #forget(from: number, to: number): void {
    this.#from = from
    this.#to = to
    this.#none = Infinity
    this.#length = Infinity
    this.#before = 0
  }
}
