/**
 * Something for some of the holds, by slot. Not a Map: the slot that was given back last is the one
 * that is taken next, and a Map that holds many others keeps what was deleted under a key in that
 * key's chain until it grows: 100 000 holds made taking one 60 times as slow.
 */
export class BySlot<T> {
  /** How many there are. */
  size = 0
  readonly #values: (T | undefined)[] = []

  get(slot: number): T | undefined {
    return this.#values[slot]
  }

  set(slot: number, value: T): void {
    while (this.#values.length < slot) this.#values.push(undefined)
    if (this.#values[slot] === undefined) this.size++
    this.#values[slot] = value
  }

  delete(slot: number): void {
    if (this.#values[slot] === undefined) return
    this.#values[slot] = undefined
    this.size--
  }

  /** Each with its slot. */
  *entries(): Generator<[slot: number, value: T]> {
    for (const [slot, value] of this.#values.entries()) if (value !== undefined) yield [slot, value]
  }

  /** All of them, by slot. */
  *values(): Generator<T> {
    for (const value of this.#values) if (value !== undefined) yield value
  }
}
