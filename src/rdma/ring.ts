/**
 * A queue of objects that are made once, and used over and over. It grows, up to a limit, by
 * doubling: one that is never used costs nothing.
 */
import { assert } from '../base/errors.js'

/** Objects that are made at first. */
const LENGTH_LEAST = 2

export class Ring<T> {
  readonly max: number
  length = 0
  readonly #make: () => T
  #items: T[] = []
  #first = 0

  constructor(max: number, make: () => T) {
    this.max = max
    this.#make = make
  }

  /** The one at a place counted from the oldest. */
  at(index: number): T {
    return this.#items[(this.#first + index) % this.#items.length]!
  }

  /** The next one behind all others, as it was left when it was last used. */
  push(): T {
    if (this.length === this.#items.length) this.#grow()
    return this.at(this.length++)
  }

  /** The one that was pushed last is not wanted. */
  pop(): void {
    assert(this.length > 0, 'only what is there is taken')
    this.length--
  }

  /** The oldest is done with. */
  shift(): void {
    assert(this.length > 0, 'only what is there is taken')
    this.#first = (this.#first + 1) % this.#items.length
    this.length--
  }

  #grow(): void {
    assert(this.length < this.max, 'no queue is longer than its limit')
    const items: T[] = []
    for (let i = 0; i < this.length; i++) items.push(this.at(i))
    const wanted = Math.min(this.max, Math.max(LENGTH_LEAST, 2 * this.length))
    while (items.length < wanted) items.push(this.#make())
    this.#items = items
    this.#first = 0
  }
}
