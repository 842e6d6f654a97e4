/**
 * Numbers that a server tells of itself, in Prometheus' text format 0.0.4.
 *
 *     const calls = registry.counter('holdfast_calls_total', 'Calls, by verb.', { verb: 'read' })
 *     calls.add(1)
 *
 * Invariants:
 * - counting allocates nothing: each number stands in a Float64Array, and labels are said once,
 *   when a metric is made;
 * - a name has one type and one help text; a name with the same labels is one metric, made once;
 * - a counter never goes down.
 */
import { assert } from '../base/errors.js'

export type Labels = Readonly<Record<string, string>>

type Type = 'counter' | 'gauge' | 'histogram'

/** Label values are this program's words, never a client's: each is kept for ever. */
const METRICS_MAX = 10_000
const NAME = /^[a-z][a-z0-9_]*$/

interface Metric {
  /** Appends its lines. */
  write(name: string, lines: string[]): void
}

export class Counter implements Metric {
  readonly #value = new Float64Array(1)
  readonly #labels: string

  constructor(labels: string) {
    this.#labels = labels
  }

  add(count: number): void {
    this.#value[0]! += count
  }

  get value(): number {
    return this.#value[0]!
  }

  write(name: string, lines: string[]): void {
    lines.push(sample(name, this.#labels, this.value))
  }
}

export class Gauge implements Metric {
  readonly #value = new Float64Array(1)
  readonly #labels: string

  constructor(labels: string) {
    this.#labels = labels
  }

  set(value: number): void {
    this.#value[0] = value
  }

  add(count: number): void {
    this.#value[0]! += count
  }

  get value(): number {
    return this.#value[0]!
  }

  write(name: string, lines: string[]): void {
    lines.push(sample(name, this.#labels, this.value))
  }
}

/** A number that something else keeps: asked when it is told. */
class Asked implements Metric {
  readonly #labels: string
  readonly #ask: () => number

  constructor(labels: string, ask: () => number) {
    this.#labels = labels
    this.#ask = ask
  }

  write(name: string, lines: string[]): void {
    lines.push(sample(name, this.#labels, this.#ask()))
  }
}

/** How many observations were up to each bound, and beyond. */
export class Histogram implements Metric {
  readonly #labels: string
  readonly #bounds: Float64Array
  /** One for each bound, one for what is beyond, and the sum. */
  readonly #counts: Float64Array

  constructor(labels: string, bounds: readonly number[]) {
    assert(
      bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]!),
      'the bounds of a histogram go up',
    )
    this.#labels = labels
    this.#bounds = Float64Array.from(bounds)
    this.#counts = new Float64Array(bounds.length + 2)
  }

  observe(value: number): void {
    const bounds = this.#bounds
    let at = 0
    while (at < bounds.length && value > bounds[at]!) at++
    this.#counts[at]!++
    this.#counts[bounds.length + 1]! += value
  }

  get count(): number {
    return this.#counts.subarray(0, -1).reduce((sum, count) => sum + count, 0)
  }

  get sum(): number {
    return this.#counts[this.#counts.length - 1]!
  }

  write(name: string, lines: string[]): void {
    let count = 0
    const line = (bound: string) => {
      const labels = joined(this.#labels, `le="${bound}"`)
      lines.push(sample(`${name}_bucket`, labels, count))
    }
    this.#bounds.forEach((bound, i) => {
      count += this.#counts[i]!
      line(numberText(bound))
    })
    count += this.#counts[this.#bounds.length]!
    line('+Inf')
    lines.push(sample(`${name}_sum`, this.#labels, this.sum))
    lines.push(sample(`${name}_count`, this.#labels, count))
  }
}

interface Family {
  readonly type: Type
  readonly help: string
  readonly metrics: Map<string, Metric>
}

export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

export class Registry {
  readonly #families = new Map<string, Family>()
  #count = 0

  counter(name: string, help: string, labels: Labels = {}): Counter {
    assert(name.endsWith('_total'), `the name of a counter, ${name}, ends with _total`)
    return this.#add(name, 'counter', help, labels, (text) => new Counter(text))
  }

  gauge(name: string, help: string, labels: Labels = {}): Gauge {
    return this.#add(name, 'gauge', help, labels, (text) => new Gauge(text))
  }

  histogram(name: string, help: string, bounds: readonly number[], labels: Labels = {}): Histogram {
    return this.#add(name, 'histogram', help, labels, (text) => new Histogram(text, bounds))
  }

  /** A gauge, or a counter by its name, whose number is asked for. */
  asked(name: string, help: string, ask: () => number, labels: Labels = {}): void {
    const type = name.endsWith('_total') ? 'counter' : 'gauge'
    this.#add(name, type, help, labels, (text) => new Asked(text, ask))
  }

  text(): string {
    const lines: string[] = []
    for (const [name, { type, help, metrics }] of this.#families) {
      lines.push(`# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}`)
      lines.push(`# TYPE ${name} ${type}`)
      for (const metric of metrics.values()) metric.write(name, lines)
    }
    return lines.map((line) => `${line}\n`).join('')
  }

  #add<M extends Metric>(
    name: string,
    type: Type,
    help: string,
    labels: Labels,
    make: (labels: string) => M,
  ): M {
    assert(NAME.test(name), `'${name}' is the name of a metric`)
    const family = this.#families.get(name) ?? { type, help, metrics: new Map<string, Metric>() }
    assert(family.type === type && family.help === help, `${name} has one type and one help`)
    const text = labelText(labels)
    assert(!family.metrics.has(text), `there is one ${name} with {${text}}`)
    assert(++this.#count <= METRICS_MAX, `there are at most ${METRICS_MAX} metrics`)
    const metric = make(text)
    family.metrics.set(text, metric)
    this.#families.set(name, family)
    return metric
  }
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

function labelText(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => {
    assert(NAME.test(name) && name !== 'le', `'${name}' is the name of a label`)
    return `${name}="${value.replace(/[\\"\n]/g, (char) => ESCAPES[char]!)}"`
  })
  return parts.join(',')
}

const joined = (labels: string, more: string) => (labels === '' ? more : `${labels},${more}`)

const sample = (name: string, labels: string, value: number) =>
  `${name}${labels === '' ? '' : `{${labels}}`} ${numberText(value)}`

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}
