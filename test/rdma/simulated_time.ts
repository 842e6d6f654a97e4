/**
 * Time that passes when there is nothing else to do, from one event to the next.
 *
 * Invariant: an event runs when all that the one before set off has run, promises too; events of
 * one moment in the order in which they were asked for.
 */
import type { Timers } from '../../src/base/timers.js'

interface Event {
  readonly at: number
  readonly order: number
  readonly run: () => void
  readonly timer: boolean
  cancelled: boolean
}

export class SimulatedTime implements Timers {
  /** Timers that are waited for. */
  timers = 0
  #now = 0
  #order = 0
  /** A heap: the next one first. */
  readonly #events: Event[] = []

  now(): number {
    return this.#now
  }

  wall(): number {
    return 1_700_000_000_000 + this.#now
  }

  after(milliseconds: number, run: () => void): () => void {
    this.timers++
    const event = this.#add(milliseconds, run, true)
    return () => {
      if (event.cancelled) return
      event.cancelled = true
      this.timers--
    }
  }

  turn(): Promise<void> {
    return new Promise((resolve) => this.later(0, resolve))
  }

  /** What is no timer of a program, but the world's. */
  later(milliseconds: number, run: () => void): void {
    this.#add(milliseconds, run, false)
  }

  /** Lets time pass until something holds, so long at most; returns whether it does. */
  async until(done: () => boolean, milliseconds: number): Promise<boolean> {
    const end = this.#now + milliseconds
    for (;;) {
      await settled()
      if (done()) return true
      const next = this.#events[0]
      if (next === undefined || next.at > end) break
      this.#pop()
      if (next.cancelled) continue
      next.cancelled = true
      if (next.timer) this.timers--
      this.#now = next.at
      next.run()
    }
    this.#now = end
    return false
  }

  async pass(milliseconds: number): Promise<void> {
    await this.until(() => false, milliseconds)
  }

  #add(milliseconds: number, run: () => void, timer: boolean): Event {
    const at = this.#now + milliseconds
    const event: Event = { at, order: this.#order++, run, timer, cancelled: false }
    const events = this.#events
    let i = events.push(event) - 1
    for (let up = (i - 1) >> 1; i > 0 && before(event, events[up]!); up = (i - 1) >> 1) {
      events[i] = events[up]!
      i = up
    }
    events[i] = event
    return event
  }

  #pop(): void {
    const events = this.#events
    const last = events.pop()!
    const count = events.length
    if (count === 0) return
    let i = 0
    for (let down = 1; down < count; down = 2 * i + 1) {
      if (down + 1 < count && before(events[down + 1]!, events[down]!)) down++
      if (!before(events[down]!, last)) break
      events[i] = events[down]!
      i = down
    }
    events[i] = last
  }
}

const before = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order)

/** All that can go on without time has gone on. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve))
