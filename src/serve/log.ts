/**
 * The log of a server: one line an event, for machines (JSON) or for a person.
 *
 * Invariants:
 * - an event's name is a constant of this program; what others say (names, ids, errors) is in the
 *   fields, each shown in one line with control characters escaped, and cut at a bound;
 * - a hostile client cannot fill a disk: lines of one event come in a burst and then one at a time,
 *   what was left out is counted and said; so are all lines together.
 */
import type { Timers } from '../base/timers.js'
import { HoldfastError } from '../base/errors.js'

export const LEVELS = ['error', 'warn', 'info', 'debug'] as const
export type Level = (typeof LEVELS)[number]
export const LOG_FORMATS = ['json', 'text'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

export type Field = string | number | boolean | null | undefined | readonly string[] | Error
export type Fields = Readonly<Record<string, Field>>

/** Characters of a field that are shown, and of a list. */
export const FIELD_CHARACTERS_MAX = 512
const LIST_MAX = 16

export interface LogOptions {
  readonly level?: Level
  readonly format?: LogFormat
  readonly timers: Timers
  /** Takes one line with its newline. */
  write(line: string): void
  /** Lines of one event that come at once; after them, one for each `everyMs`. */
  readonly burst?: number
  readonly everyMs?: number
  /** The same of all events together. */
  readonly burstOfAll?: number
  readonly everyMsOfAll?: number
}

/** Lines that may be written: refilled as time passes. */
class Allowance {
  readonly #most: number
  readonly #everyMs: number
  #left: number
  #at: number

  constructor(most: number, everyMs: number, now: number) {
    this.#most = most
    this.#everyMs = everyMs
    this.#left = most
    this.#at = now
  }

  refill(now: number): void {
    this.#left = Math.min(this.#most, this.#left + (now - this.#at) / this.#everyMs)
    this.#at = now
  }

  get any(): boolean {
    return this.#left >= 1
  }

  take(): void {
    this.#left--
  }
}

interface Kept {
  readonly level: Level
  readonly allowance: Allowance
  leftOut: number
}

export class Log {
  readonly #options: LogOptions
  readonly #most: number
  readonly #format: LogFormat
  readonly #events = new Map<string, Kept>()
  readonly #all: Allowance
  #cancel: (() => void) | null = null

  constructor(options: LogOptions) {
    this.#options = options
    this.#most = LEVELS.indexOf(options.level ?? 'info')
    this.#format = options.format ?? 'json'
    const { burstOfAll = 1000, everyMsOfAll = 50, timers } = options
    this.#all = new Allowance(burstOfAll, everyMsOfAll, timers.now())
  }

  error(event: string, fields: Fields = {}): void {
    this.#log('error', event, fields)
  }

  warn(event: string, fields: Fields = {}): void {
    this.#log('warn', event, fields)
  }

  info(event: string, fields: Fields = {}): void {
    this.#log('info', event, fields)
  }

  debug(event: string, fields: Fields = {}): void {
    this.#log('debug', event, fields)
  }

  /** Says what was left out so far, and takes its timer away. */
  close(): void {
    this.#cancel?.()
    this.#cancel = null
    for (const [event, kept] of this.#events) this.#sayLeftOut(event, kept)
  }

  #log(level: Level, event: string, fields: Fields): void {
    if (LEVELS.indexOf(level) > this.#most) return
    const now = this.#options.timers.now()
    const kept = this.#keptOf(level, event, now)
    kept.allowance.refill(now)
    this.#all.refill(now)
    if (!kept.allowance.any || !this.#all.any) {
      kept.leftOut++
      this.#sayLater()
      return
    }
    kept.allowance.take()
    this.#all.take()
    const leftOut = kept.leftOut === 0 ? {} : { leftOut: kept.leftOut }
    kept.leftOut = 0
    this.#write(level, event, { ...fields, ...leftOut })
  }

  /** Names of events are constants: there are as many as lines of code that log. */
  #keptOf(level: Level, event: string, now: number): Kept {
    const name = `${level} ${event}`
    let kept = this.#events.get(name)
    if (kept === undefined) {
      const { burst = 20, everyMs = 1000 } = this.#options
      kept = { level, allowance: new Allowance(burst, everyMs, now), leftOut: 0 }
      this.#events.set(name, kept)
    }
    return kept
  }

  /** Also when nothing more of the event comes, it is said that it came. */
  #sayLater(): void {
    const { everyMs = 1000, timers } = this.#options
    this.#cancel ??= timers.after(10 * everyMs, () => {
      this.#cancel = null
      for (const [event, kept] of this.#events) this.#sayLeftOut(event, kept)
    })
  }

  #sayLeftOut(name: string, kept: Kept): void {
    if (kept.leftOut === 0) return
    const { leftOut, level } = kept
    kept.leftOut = 0
    this.#write(level, name.slice(level.length + 1), { leftOut })
  }

  #write(level: Level, event: string, fields: Fields): void {
    const time = new Date(this.#options.timers.wall()).toISOString()
    const shown = Object.entries(fields).filter(([, value]) => value !== undefined)
    const line = (this.#format === 'json' ? jsonLine : textLine)(time, level, event, shown)
    this.#options.write(`${line}\n`)
  }
}

type Shown = ReadonlyArray<readonly [string, Field]>

function jsonLine(time: string, level: Level, event: string, fields: Shown): string {
  const values: Record<string, unknown> = { time, level, event }
  for (const [name, value] of fields) {
    // A field does not take the place of what every line has.
    const key = name in values ? `${name}_` : name
    if (value instanceof Error) Object.assign(values, errorFields(key, value))
    else if (Array.isArray(value)) values[key] = value.slice(0, LIST_MAX).map(cut)
    else values[key] = typeof value === 'string' ? cut(value) : value
  }
  return escapeControls(JSON.stringify(values))
}

function textLine(time: string, level: Level, event: string, fields: Shown): string {
  const parts = fields.map(([name, value]) => `${name}=${fieldText(value)}`)
  return [time, level.padEnd(5), event, ...parts].join(' ')
}

function fieldText(value: Field): string {
  if (value instanceof Error) return fieldText(errorText(value))
  if (Array.isArray(value)) return value.slice(0, LIST_MAX).map(fieldText).join(',')
  if (typeof value !== 'string') return String(value)
  const text = cut(value)
  return /^[\w./:@+-]+$/.test(text) ? text : escapeControls(JSON.stringify(text))
}

function errorFields(key: string, error: Error): Record<string, string> {
  const { code } = error as NodeJS.ErrnoException
  return { [key]: cut(errorText(error)), ...(code === undefined ? {} : { [`${key}Code`]: code }) }
}

/** Of the world's errors the sentence; of a bug of ours where it happened, too. */
function errorText(error: Error): string {
  return error instanceof HoldfastError ? error.message : (error.stack ?? String(error))
}

function cut(text: string): string {
  if (text.length <= FIELD_CHARACTERS_MAX) return text
  return `${text.slice(0, FIELD_CHARACTERS_MAX)}… (${text.length} characters)`
}

/**
 * JSON escapes what is below a space. Terminals and viewers of logs act on more: C1 controls, marks
 * of direction, line and paragraph separators.
 */
function escapeControls(json: string): string {
  return json.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
    [...Array(char.length).keys()]
      .map((i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join(''),
  )
}
