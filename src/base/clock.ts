/** Where time and chance come from: parameters, so that a whole system runs from a seed. */
import { randomFillSync } from 'node:crypto'
import { Prng } from './prng.js'

export interface Clock {
  /** Takes the time of now into `seconds` and `nanoseconds` (CLOCK_REALTIME). No allocation. */
  read(): void
  /** Whole seconds since 1970, of the last `read`. */
  seconds: number
  /** 0 to 999 999 999, of the last `read`. */
  nanoseconds: number
}

export interface Entropy {
  fill(bytes: Uint8Array): void
}

/** Milliseconds that the two clocks may differ by, before the wall clock is believed. */
const DRIFT_MS = 20
/** They are compared at every 16th reading. */
const LOOK_MASK = 15

/**
 * The machine's clock: wall time in nanoseconds, as the monotonic clock since a moment at which
 * both were read. When the wall clock is set, the two drift apart by more than a millisecond counts
 * for, and are read anew.
 */
export class SystemClock implements Clock {
  seconds = 0
  nanoseconds = 0

  /** Wall time at which the monotonic clock was zero. */
  #origin = performance.timeOrigin
  #reads = 0

  read(): void {
    if ((this.#reads++ & LOOK_MASK) === 0) this.#lookAtWall()
    const now = this.#origin + performance.now()
    const seconds = Math.floor(now / 1000)
    this.seconds = seconds
    this.nanoseconds = Math.min(999_999_999, Math.floor((now - seconds * 1000) * 1e6))
  }

  #lookAtWall(): void {
    const apart = Date.now() - (this.#origin + performance.now())
    if (Math.abs(apart) > DRIFT_MS) this.#origin += apart
  }
}

/** A clock for tests: advances by a step a reading. */
export class SteppedClock implements Clock {
  seconds: number
  nanoseconds = 0
  readonly #step: number

  constructor(seconds = 1_700_000_000, stepNanoseconds = 1000) {
    this.seconds = seconds
    this.#step = stepNanoseconds
  }

  read(): void {
    this.nanoseconds += this.#step
    if (this.nanoseconds >= 1_000_000_000) {
      this.nanoseconds -= 1_000_000_000
      this.seconds++
    }
  }
}

export const systemEntropy: Entropy = { fill: (bytes) => void randomFillSync(bytes) }

export function seededEntropy(seed: number): Entropy {
  const prng = new Prng(seed)
  return { fill: (bytes) => prng.fill(bytes) }
}
