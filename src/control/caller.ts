/**
 * The asking end of a channel: calls, their replies, notices.
 *
 * Invariants:
 * - each call settles once: with its result, the error that the other end answers, or ECONNRESET
 *   when the channel ends first; then it may have been carried out or not;
 * - a call that is given up (its signal) is told to the other end, and settles with its answer.
 */
import type { ByteStream } from '../base/byte_stream.js'
import { AssertionError, HoldfastError } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'
import type { Timers } from '../base/timers.js'
import { Channel, MARK_BYTES } from './channel.js'
import { Kind, readNotice, readResult, writeCallHead, type Notice } from './message.js'
import type { Schema } from './schema.js'
import type { Verb } from './verb.js'
import { malformed, XdrReader, XdrWriter } from './xdr.js'

const ID_MAX = 0xffff_ffff

export interface CallOptions {
  /** Who asks, of who may say so. */
  readonly as?: Credentials | undefined
  /** Milliseconds that the other end may take: then it answers ETIMEDOUT. */
  readonly limit?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Told of the progress of a long call. */
  readonly onProgress?: ((moved: number) => void) | undefined
}

class Pending {
  /** When it was asked (`Timers.now`). */
  readonly since: number
  readonly result: Schema<unknown>
  readonly options: CallOptions
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  giveUp: (() => void) | null = null

  constructor(
    since: number,
    result: Schema<unknown>,
    options: CallOptions,
    resolve: (value: unknown) => void,
    reject: (error: unknown) => void,
  ) {
    this.since = since
    this.result = result
    this.options = options
    this.resolve = resolve
    this.reject = reject
  }

  settled(): void {
    if (this.giveUp !== null) this.options.signal?.removeEventListener('abort', this.giveUp)
  }
}

export interface CallerEvents {
  notice(notice: Notice): void
  /** No call is answered any more. Once. */
  ended(error: Error | null): void
}

/** The id that comes after another, of a call that is not under way. */
export function idAfter(last: number, pending: { has(id: number): boolean }): number {
  let id = last
  do id = id === ID_MAX ? 1 : id + 1
  while (pending.has(id))
  return id
}

export class Caller {
  readonly channel: Channel
  /** Takes messages in place of it, until both ends have said who they are. */
  gate: ((message: Uint8Array) => void) | null = null
  /** Called when it ends, for who waits behind the gate. */
  onEnd: (() => void) | null = null
  readonly #events: CallerEvents
  readonly #timers: Timers
  readonly #pending = new Map<number, Pending>()
  readonly #out = new XdrWriter()
  #id = 0
  #end: { readonly error: Error | null } | null = null
  /** When something last came (`Timers.now`). */
  heard: number

  constructor(stream: ByteStream, timers: Timers, events: CallerEvents) {
    this.#events = events
    this.#timers = timers
    this.heard = timers.now()
    this.channel = new Channel(stream, timers, {
      message: (bytes) => this.#message(bytes),
      ended: (error) => this.#ended(error),
      // An answer that is long may take its time.
      moved: () => (this.heard = timers.now()),
      // One that goes along with a call stays its caller's.
      spare: () => {},
    })
  }

  get ended(): boolean {
    return this.#end !== null
  }

  /** Calls that are under way. */
  get pending(): number {
    return this.#pending.size
  }

  call<A, R>(verb: Verb<A, R>, args: A, options: CallOptions = {}): Promise<R> {
    return new Promise((resolve, reject) => {
      if (this.#end !== null) return reject(this.#gone())
      const { signal } = options
      if (signal?.aborted === true) {
        return reject(new HoldfastError('EINTR', 'the call was given up'))
      }
      const id = this.#nextId()
      this.#write(verb, id, args, options)
      const take = resolve as (value: unknown) => void
      const pending = new Pending(this.#timers.now(), verb.result, options, take, reject)
      this.#pending.set(id, pending)
      if (signal !== undefined) {
        pending.giveUp = () => this.#cancel(id)
        signal.addEventListener('abort', pending.giveUp, { once: true })
      }
      this.channel.send(this.#out.bytes)
    })
  }

  /** Gives up the calls that are under way for so many milliseconds at least. */
  giveUp(milliseconds: number): void {
    const latest = this.#timers.now() - milliseconds
    for (const [id, { since }] of [...this.#pending]) if (since <= latest) this.#cancel(id)
  }

  /** Ends the channel, in order or at once. */
  close(): void {
    this.channel.close()
  }

  abort(why: Error | null = null): void {
    this.channel.abort(why)
  }

  #write(verb: Verb, id: number, args: unknown, { limit = 0, as }: CallOptions): void {
    const out = this.#out
    out.reset(MARK_BYTES)
    try {
      writeCallHead(out, id, Math.ceil(limit), as, verb.number)
      verb.args.write(out, args)
    } catch (error) {
      if (!(error instanceof AssertionError)) throw error
      const detail = `an argument of ${verb.title} cannot be sent: ${error.invariant}`
      throw new HoldfastError('EINVAL', detail, { cause: error })
    }
  }

  #nextId(): number {
    return (this.#id = idAfter(this.#id, this.#pending))
  }

  #cancel(id: number): void {
    if (this.#end !== null || !this.#pending.has(id)) return
    this.#out.reset(MARK_BYTES)
    this.#out.u32(Kind.cancel)
    this.#out.u32(id)
    this.channel.send(this.#out.bytes)
  }

  #message(bytes: Uint8Array): void {
    if (this.gate !== null) return this.gate(bytes)
    const from = new XdrReader(bytes)
    const kind = from.u32()
    if (kind === Kind.reply) return this.#reply(from.u32(), from)
    if (kind !== Kind.notice) throw malformed(`kind ${kind} from a server`)
    const notice = readNotice(from)
    if (notice === null) return
    if (notice.name !== 'progress') return this.#events.notice(notice)
    const { call, moved } = notice.body
    this.#pending.get(call)?.options.onProgress?.(moved)
  }

  #reply(id: number, from: XdrReader): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) throw malformed('a reply that nobody waits for')
    this.#pending.delete(id)
    pending.settled()
    let value: unknown
    try {
      value = readResult(from, pending.result)
    } catch (error) {
      return pending.reject(error)
    }
    pending.resolve(value)
  }

  #ended(error: Error | null): void {
    this.#end = { error }
    for (const pending of this.#pending.values()) {
      pending.settled()
      pending.reject(this.#gone())
    }
    this.#pending.clear()
    this.onEnd?.()
    this.#events.ended(error)
  }

  #gone(): HoldfastError {
    const why = this.#end?.error ?? null
    if (why === null) return new HoldfastError('ECONNRESET', 'the server has closed the connection')
    return new HoldfastError('ECONNRESET', why.message, { cause: why })
  }
}
