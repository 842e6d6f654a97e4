/**
 * What is done in several turns and is to be of one moment: changes and new holds wait for it.
 *
 * Invariants:
 * - one at a time;
 * - all that waited for one goes before the next begins, so that no request waits for two of them
 *   in a row, however many there are;
 * - who cannot wait has it finished, or is refused.
 */
import { assert, type HoldfastError } from '../base/errors.js'
import type { Timers } from '../base/timers.js'

/** How a request stands to what is done alone. */
export interface Standing {
  /** It goes on meanwhile: it changes nothing, or is what is done alone. */
  readonly beside: () => boolean
  /** It is to be alone itself: what has waited goes first. */
  readonly last: boolean
}

/** Of changes and new holds. */
export const BEHIND: Standing = { beside: () => false, last: false }
/** Of what changes nothing. */
export const BESIDE: Standing = { beside: () => true, last: false }

/** What is done alone, as who cannot wait for it sees it. */
export interface InTurns {
  /** Does the rest of it at once. */
  finish(): void
  /** Undoes it. */
  giveUp(): void
}

export class Alone {
  readonly #timers: Timers
  /** What waits looks again. */
  readonly #wake: () => void
  #now: InTurns | null = null
  /** When that began, and the milliseconds that others had been alone before. */
  #since = 0
  #before = 0
  /** Requests that wait for it. */
  #waiting = 0
  /** Why nobody may be alone any more. */
  #refusal: HoldfastError | null = null

  constructor(timers: Timers, wake: () => void) {
    this.#timers = timers
    this.#wake = wake
  }

  /** Somebody is alone now. */
  get taken(): boolean {
    return this.#now !== null
  }

  /** Milliseconds in all that changes had to wait. */
  get total(): number {
    return this.#before + (this.#now === null ? 0 : this.#timers.now() - this.#since)
  }

  /** From here on changes wait, until `end`. */
  begin(one: InTurns): void {
    assert(this.#now === null, 'one is alone')
    if (this.#refusal !== null) throw this.#refusal
    this.#now = one
    this.#since = this.#timers.now()
  }

  end(): void {
    if (this.#now === null) return
    this.#before = this.total
    this.#now = null
    this.#wake()
  }

  /** What is done alone is done at once, for a change that does not wait; false: nothing is. */
  finish(): boolean {
    if (this.#now === null) return false
    this.#now.finish()
    return true
  }

  /** What is done alone is given up, and nothing is from now on: it is refused with `why`. */
  refuse(why: HoldfastError): void {
    this.#refusal = why
    this.#now?.giveUp()
  }

  /** Whether a request that stands so has to wait. */
  keeps({ beside, last }: Standing): boolean {
    if (this.#now === null && !(last && this.#waiting > 0)) return false
    return !beside()
  }

  /** Waits with `until` (what has a condition come true); `keeps` is asked again afterwards. */
  async pass(standing: Standing, until: (done: () => boolean) => Promise<unknown>): Promise<void> {
    const one = standing.last ? 0 : 1
    this.#waiting += one
    try {
      await until(() => !this.keeps(standing))
    } finally {
      this.#waiting -= one
      // Who is to be alone next goes on after what was waiting has been tried.
      if (one > 0 && this.#waiting === 0) this.#wake()
    }
  }
}
