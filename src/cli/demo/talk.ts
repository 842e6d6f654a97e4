/** What the demo and its processes say to each other: one object of JSON a line. */
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { HoldInfo } from '../../base/layout.js'

/** A failure in another process, as far as it crosses. */
export interface Failure {
  readonly code: string | undefined
  readonly message: string
  readonly holds: readonly HoldInfo[]
}

interface Line {
  readonly id?: number
  readonly ask?: string
  readonly args?: unknown
  readonly result?: unknown
  readonly failure?: Failure
  readonly event?: string
}

/** What another process answered in the place of a result. */
export class Refused extends Error {
  override readonly name = 'Refused'
  readonly code: string | undefined
  readonly holds: readonly HoldInfo[]

  constructor({ code, message, holds }: Failure) {
    super(message)
    this.code = code
    this.holds = holds
  }
}

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** The side that asks. */
export class Asker {
  readonly #name: string
  readonly #output: Writable
  readonly #pending = new Map<number, Pending>()
  readonly #events = new Map<string, unknown[]>()
  readonly #waiting = new Map<string, Pending>()
  #next = 0
  #over = false

  constructor(name: string, input: Readable, output: Writable) {
    this.#name = name
    this.#output = output
    output.on('error', () => {}) // its end is told by its input
    createInterface({ input })
      .on('line', (line) => this.#take(JSON.parse(line) as Line))
      .on('close', () => this.#lose())
  }

  ask<T>(ask: string, args: unknown = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#lost())
      const id = this.#next++
      this.#pending.set(id, { resolve: resolve as (value: unknown) => void, reject })
      this.#output.write(`${JSON.stringify({ id, ask, args })}\n`)
    })
  }

  /** The next event of a name, also one that came before. */
  event<T>(name: string): Promise<T> {
    const came = this.#events.get(name)?.shift()
    if (came !== undefined) return Promise.resolve(came as T)
    return new Promise((resolve, reject) => {
      if (this.#over) return reject(this.#lost())
      this.#waiting.set(name, { resolve: resolve as (value: unknown) => void, reject })
    })
  }

  #take({ id, result, failure, event }: Line): void {
    if (event !== undefined) {
      const waiting = this.#waiting.get(event)
      if (waiting === undefined) {
        this.#events.set(event, [...(this.#events.get(event) ?? []), result ?? null])
        return
      }
      this.#waiting.delete(event)
      return waiting.resolve(result)
    }
    const pending = this.#pending.get(id!)
    this.#pending.delete(id!)
    if (failure === undefined) pending?.resolve(result)
    else pending?.reject(new Refused(failure))
  }

  #lost(): Error {
    return new Error(`${this.#name} has ended, and was not to`)
  }

  #lose(): void {
    this.#over = true
    for (const pending of [...this.#pending.values(), ...this.#waiting.values()]) {
      pending.reject(this.#lost())
    }
  }
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- both sides are of one build
export type Answers = Readonly<Record<string, (args: any) => unknown>>

const say = (line: Line) => process.stdout.write(`${JSON.stringify(line)}\n`)

/** Tells the side that asks of something that it did not ask for. */
export const tell = (event: string, result: unknown = null) => say({ event, result })

/** The side that answers: until the other one is gone. */
export function answer(answers: Answers): void {
  createInterface({ input: process.stdin })
    .on('line', (line) => void one(answers, JSON.parse(line) as Line))
    .on('close', () => process.exit(0))
}

async function one(answers: Answers, { id, ask, args }: Line): Promise<void> {
  try {
    say({ id: id!, result: (await answers[ask!]!(args)) ?? null })
  } catch (error) {
    const { code, message, holds = [] } = error as Error & Partial<Failure>
    say({ id: id!, failure: { code, message, holds } })
  }
}
