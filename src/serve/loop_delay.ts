/**
 * How long what comes in waits for the event loop, with garbage collection counted apart.
 *
 * A timer looks every `periodMs` how late it is: that is what a request would have waited that came
 * when the timer was due. Node's own monitorEventLoopDelay() sees the same, with two differences
 * that matter for p99.9:
 * - a loop that stands still for 100 ms is one sample there. Here it is all those that the timer
 *   would have taken meanwhile (100 ms, 90 ms, … 10 ms), or the worst would be the rarest;
 * - it does not know which of it was garbage collection. Pauses come from a PerformanceObserver,
 *   one or two turns of the loop after they end; so a sample waits `SETTLE_TICKS` before it is
 *   counted, without the part of its time that pauses had.
 *
 * Timers of Node keep to whole milliseconds: what is below 1 ms is how they are, no delay.
 */
import {
  constants,
  createHistogram,
  PerformanceObserver,
  type PerformanceEntry,
} from 'node:perf_hooks'
import type { Timers } from '../base/timers.js'
import type { Histogram, Registry } from './metrics.js'

export const LOOP_PERIOD_MS = 10
const SETTLE_TICKS = 4
/** Samples that stand for one long delay, and pauses that are remembered. */
const SAMPLES_MAX = 10_000
const PAUSES_MAX = 4096
const NS_IN_MS = 1e6
/** Seconds. */
const BOUNDS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5]

export interface Quantiles {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

/** Of type 'gc': with its kind, which the types of Node leave out. */
interface Collection extends PerformanceEntry {
  readonly detail: { readonly kind: number }
}

interface Pause {
  readonly start: number
  readonly end: number
}

/** A distribution with three significant digits. */
class Distribution {
  readonly #histogram = createHistogram()

  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * NS_IN_MS)))
  }

  reset(): void {
    this.#histogram.reset()
  }

  quantiles(): Quantiles {
    const histogram = this.#histogram
    const at = (percent: number) =>
      histogram.count === 0 ? 0 : histogram.percentile(percent) / NS_IN_MS
    const [p50Ms, p99Ms, p999Ms, maxMs] = [at(50), at(99), at(99.9), at(100)]
    return { count: histogram.count, p50Ms, p99Ms, p999Ms, maxMs }
  }
}

/** Kinds of collections, by Node's numbers. */
const KINDS = new Map([
  [constants.NODE_PERFORMANCE_GC_MINOR, 'minor'],
  [constants.NODE_PERFORMANCE_GC_MAJOR, 'major'],
  [constants.NODE_PERFORMANCE_GC_INCREMENTAL, 'incremental'],
  [constants.NODE_PERFORMANCE_GC_WEAKCB, 'weak'],
])
const KIND_NAMES = [...KINDS.values(), 'other']

export class LoopDelay {
  readonly #timers: Timers
  readonly #periodMs: number
  readonly #delays: Histogram
  readonly #pauses: ReadonlyMap<string, Histogram>
  readonly #delay = new Distribution()
  readonly #gc = new Distribution()
  /** When samples were due and when they came, oldest first. */
  readonly #pending: { readonly due: number; readonly came: number }[] = []
  /** In the order of their starts. */
  #recent: Pause[] = []
  #cancel: (() => void) | null = null
  #observer: PerformanceObserver | null = null

  constructor(timers: Timers, registry: Registry, periodMs = LOOP_PERIOD_MS) {
    this.#timers = timers
    this.#periodMs = periodMs
    this.#delays = registry.histogram(
      'holdfast_event_loop_delay_seconds',
      'How long what comes in waits for the event loop, without garbage collection.',
      BOUNDS,
    )
    const pauses = 'holdfast_gc_pause_seconds'
    this.#pauses = new Map(
      KIND_NAMES.map((kind) => [
        kind,
        registry.histogram(pauses, 'Pauses of garbage collection.', BOUNDS, { kind }),
      ]),
    )
  }

  start(): void {
    this.#arm()
  }

  /** Starts, and watches the collections of this thread. */
  watch(): void {
    this.start()
    this.#observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries() as Collection[]) {
        this.paused(entry.startTime, entry.duration, KINDS.get(entry.detail.kind))
      }
    })
    this.#observer.observe({ entryTypes: ['gc'] })
  }

  close(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#observer?.disconnect()
    this.#settle(0)
  }

  /** A collection: when it began, by the clock of the timers, and how long it took. */
  paused(start: number, ms: number, kind = 'other'): void {
    this.#gc.record(ms)
    ;(this.#pauses.get(kind) ?? this.#pauses.get('other')!).observe(ms / 1000)
    // One inside another ends first, and is told of first.
    let at = this.#recent.length
    while (at > 0 && this.#recent[at - 1]!.start > start) at--
    this.#recent.splice(at, 0, { start, end: start + ms })
    if (this.#recent.length > PAUSES_MAX) this.#recent.shift()
  }

  /** Since the last reset: delays without collections, and collections. */
  summary(): { readonly delay: Quantiles; readonly gc: Quantiles } {
    return { delay: this.#delay.quantiles(), gc: this.#gc.quantiles() }
  }

  reset(): void {
    this.#settle(0)
    this.#delay.reset()
    this.#gc.reset()
  }

  #arm(): void {
    const due = this.#timers.now() + this.#periodMs
    this.#cancel = this.#timers.after(this.#periodMs, () => {
      this.#pending.push({ due, came: this.#timers.now() })
      this.#settle(SETTLE_TICKS)
      this.#arm()
    })
  }

  /** Counts all samples but the newest `left`, and forgets pauses that ended before the others. */
  #settle(left: number): void {
    while (this.#pending.length > left) {
      const { due, came } = this.#pending.shift()!
      this.#count(due, came)
    }
    const oldest = this.#pending[0]?.due ?? this.#timers.now()
    if (this.#recent.length > 0 && this.#recent[0]!.end < oldest) {
      this.#recent = this.#recent.filter(({ end }) => end >= oldest)
    }
  }

  /** What each request would have waited that came while the loop stood still. */
  #count(due: number, came: number): void {
    const step = Math.max(this.#periodMs, (came - due) / SAMPLES_MAX)
    this.#record(due, came)
    for (let at = due + step; at < came; at += step) this.#record(at, came)
  }

  #record(from: number, to: number): void {
    const ms = Math.max(0, to - from - this.#collected(from, to))
    this.#delay.record(ms)
    this.#delays.observe(ms / 1000)
  }

  /** How much of a time was collection. */
  #collected(from: number, to: number): number {
    let at = from
    let ms = 0
    for (const { start, end } of this.#recent) {
      const begin = Math.max(at, start)
      const until = Math.min(end, to)
      if (until <= begin) continue
      ms += until - begin
      at = until
    }
    return ms
  }
}
