/** Time that passes when a test says so. */
import type { Timers } from '../../src/base/timers.js'

export class FakeTimers implements Timers {
  #now = 1_000
  readonly #due: { at: number; run: () => void }[] = []
  /** What has come in and nobody has looked at: looked at in the next turn. */
  readonly input: (() => void)[] = []

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now
  }

  after(milliseconds: number, run: () => void): () => void {
    const timer = { at: this.#now + milliseconds, run }
    this.#due.push(timer)
    return () => {
      const i = this.#due.indexOf(timer)
      if (i >= 0) this.#due.splice(i, 1)
    }
  }

  async turn(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve))
    for (const look of this.input.splice(0)) look()
  }

  /** Timers that are waited for. */
  get waiting(): number {
    return this.#due.length
  }

  /** Lets time pass, each timer at its own. */
  async pass(milliseconds: number): Promise<void> {
    const end = this.#now + milliseconds
    for (;;) {
      const next = this.#due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#due.splice(this.#due.indexOf(next), 1)
      this.#now = Math.max(this.#now, next.at)
      next.run()
      await idle()
    }
    this.#now = end
    await idle()
  }

  /** The loop stands still for a time: what was due meanwhile runs when that is over. */
  stand(milliseconds: number): void {
    this.#now += milliseconds
    const due = this.#due.filter(({ at }) => at <= this.#now).sort((a, b) => a.at - b.at)
    for (const timer of due) {
      this.#due.splice(this.#due.indexOf(timer), 1)
      timer.run()
    }
  }
}

/** All that can go on without time has gone on. */
export async function idle(): Promise<void> {
  for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** How a promise stands, without waiting for it. */
export interface Outcome<T> {
  settled: boolean
  value?: T
  error?: unknown
}

export function outcomeOf<T>(promise: Promise<T>): Outcome<T> {
  const outcome: Outcome<T> = { settled: false }
  promise.then(
    (value) => Object.assign(outcome, { settled: true, value }),
    (error: unknown) => Object.assign(outcome, { settled: true, error }),
  )
  return outcome
}
