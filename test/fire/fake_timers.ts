/** Time that stands still until it is told to go on. */
import type { Timers } from '../../src/base/timers.js'

interface Alarm {
  readonly at: number
  readonly run: () => void
}

export class FakeTimers implements Timers {
  #now = 0
  readonly #alarms = new Set<Alarm>()
  /** What has come in and was not dealt with yet. */
  onTurn: () => void = () => {}

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now
  }

  after(milliseconds: number, run: () => void): () => void {
    const alarm = { at: this.#now + milliseconds, run }
    this.#alarms.add(alarm)
    return () => this.#alarms.delete(alarm)
  }

  turn(): Promise<void> {
    this.onTurn()
    return Promise.resolve()
  }

  /** Everything that is due until then happens, in order. */
  advance(milliseconds: number): void {
    const end = this.#now + milliseconds
    for (;;) {
      let next: Alarm | undefined
      for (const alarm of this.#alarms) {
        if (alarm.at <= end && (next === undefined || alarm.at < next.at)) next = alarm
      }
      if (next === undefined) break
      this.#alarms.delete(next)
      this.#now = next.at
      next.run()
    }
    this.#now = end
  }
}
