/**
 * A program of our own that does what a test calls: `start` here, `serve` (serve.ts) in the
 * program. It is ready when `start` returns.
 */
import { fileURLToPath } from 'node:url'
import { decode, encode, type Said } from './channel.js'
import { Program, type Programs, type StartOptions } from './program.js'

interface Pending {
  resolve(value: unknown): void
  reject(error: Error): void
}

/** A call that failed in the program. */
export class CallError extends Error {
  readonly code: string | undefined

  constructor(call: string, said: NonNullable<Said['error']>) {
    super(`${call}: ${said.message}`)
    this.code = said.code
    if (said.stack !== undefined) this.stack = `${this.message}\n${said.stack}`
  }
}

export class Actor extends Program {
  readonly #calls = new Map<number, { readonly call: string } & Pending>()
  readonly #events = new Map<string, unknown[]>()
  readonly #waiters = new Map<string, Pending[]>()
  #next = 1
  #gone = false

  constructor(name: string, command: readonly string[], options: StartOptions) {
    super(name, command, options)
    void this.closed.then(() => this.#lose())
  }

  /** Starts a module next to the caller's: `start(programs, import.meta.url, './client.js')`. */
  static async start(
    programs: Programs,
    base: string,
    module: string,
    options: StartOptions & { readonly name?: string; readonly args?: readonly string[] } = {},
  ): Promise<Actor> {
    const { name = module.replace(/^.*\/|\.js$/g, ''), args = [] } = options
    const file = fileURLToPath(new URL(module, base))
    const actor = programs.add(new Actor(name, [process.execPath, file, ...args], options))
    await actor.event('ready')
    return actor
  }

  /** Has it do something; what came of it. */

  call<T = unknown>(call: string, args: unknown = {}): Promise<T> {
    if (this.#gone) return Promise.reject(this.lost())
    const id = this.#next++
    this.write(encode({ id, call, args }))
    return new Promise((resolve, reject) => {
      this.#calls.set(id, { call, resolve: resolve as (value: unknown) => void, reject })
    })
  }

  /** The next event of a name, also one that came before. */

  event<T = unknown>(name: string): Promise<T> {
    const came = this.#events.get(name)
    if (came !== undefined && came.length > 0) return Promise.resolve(came.shift() as T)
    if (this.#gone) return Promise.reject(this.lost())
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters.get(name) ?? []
      this.#waiters.set(name, waiters)
      waiters.push({ resolve: resolve as (value: unknown) => void, reject })
    })
  }

  protected override take(line: string): void {
    if (!line.startsWith('{')) {
      this.errors += `${line}\n`
      return
    }
    const { id, result, error, event, value } = decode(line) as Said
    if (event !== undefined) return this.#happened(event, value)
    const pending = this.#calls.get(id!)
    if (pending === undefined) throw new Error(`${this.name} answers ${line}, which nobody asked`)
    this.#calls.delete(id!)
    if (error === undefined) pending.resolve(result)
    else pending.reject(new CallError(`${this.name}: ${pending.call}`, error))
  }

  #happened(event: string, value: unknown): void {
    const waiter = this.#waiters.get(event)?.shift()
    if (waiter !== undefined) return waiter.resolve(value)
    const came = this.#events.get(event) ?? []
    this.#events.set(event, came)
    came.push(value)
  }

  #lose(): void {
    this.#gone = true
    const waiting = [...this.#calls.values(), ...[...this.#waiters.values()].flat()]
    this.#calls.clear()
    this.#waiters.clear()
    for (const pending of waiting) pending.reject(this.lost())
  }
}
