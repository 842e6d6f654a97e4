/**
 * Calls that have come and wait for others of their session to be done, in their order.
 *
 * Invariants:
 * - there are so many at most, of so many bytes: `full` says that one more is not to be kept;
 * - the time that a call was given runs while it waits: one whose time is over is told of, once,
 *   and is not begun.
 */
import type { Timers } from '../base/timers.js'
import { DEFERRED_BYTES_MAX, DEFERRED_MAX } from './limits.js'

interface Deferred {
  readonly id: number
  readonly message: Uint8Array
  readonly came: number
  readonly stop: (() => void) | null
}

export class DeferredCalls {
  readonly #timers: Timers
  #all: Deferred[] = []
  #bytes = 0

  constructor(timers: Timers) {
    this.#timers = timers
  }

  get length(): number {
    return this.#all.length
  }

  get full(): boolean {
    return this.#all.length >= DEFERRED_MAX || this.#bytes >= DEFERRED_BYTES_MAX
  }

  /** `limit`: milliseconds that it may take, 0: no limit; `late` is called after those. */
  push(id: number, message: Uint8Array, limit: number, late: () => void): void {
    const over = () => this.take(id) && late()
    const stop = limit > 0 ? this.#timers.after(limit, over) : null
    this.#all.push({ id, message, came: this.#timers.now(), stop })
    this.#bytes += message.length
  }

  /** The first, and the milliseconds that it has waited. */
  shift(): { readonly message: Uint8Array; readonly waited: number } {
    const first = this.#all[0]!
    this.#remove(0)
    return { message: first.message, waited: this.#timers.now() - first.came }
  }

  /** It is given up; false: it does not wait here. */
  take(id: number): boolean {
    const at = this.#all.findIndex((one) => one.id === id)
    if (at >= 0) this.#remove(at)
    return at >= 0
  }

  /** None of them is begun any more. */
  clear(): void {
    for (const { stop } of this.#all) stop?.()
    this.#all = []
    this.#bytes = 0
  }

  #remove(at: number): void {
    const [{ message, stop }] = this.#all.splice(at, 1) as [Deferred]
    stop?.()
    this.#bytes -= message.length
  }
}
