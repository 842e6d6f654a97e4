/**
 * The answering end of a channel: calls are carried out as they come, each is answered once.
 *
 * Invariants:
 * - what a handler throws is its answer; what is no HoldfastError is a bug of ours, told as EIO,
 *   and the session lives on;
 * - a malformed call is answered EPROTO, a few times; then, or when it is not even a call, the
 *   channel ends; nothing of it has reached a handler;
 * - so many calls are under way at most, and so much waits to be sent: calls that come beyond that
 *   wait here in their order, so many of them; more are answered EAGAIN, or, when it is answers
 *   that are not taken, left with who sends them;
 * - a sign of life, a return with the commit before it, and a cancellation never wait behind
 *   calls: each is dealt with as it comes (CONTRACT: a return never queues behind anything);
 * - once it is closed nothing is begun that was not.
 */
import type { ByteStream } from '../base/byte_stream.js'
import { assert, HoldfastError } from '../base/errors.js'
import type { Timers } from '../base/timers.js'
import { Channel, MARK_BYTES } from './channel.js'
import {
  CALLS_MAX,
  EVENT_BYTES_MAX,
  GREETING_BYTES_MAX,
  MESSAGE_BYTES_MAX,
  STRIKES_MAX,
} from './limits.js'
import { DeferredCalls } from './deferred.js'
import {
  Kind,
  readCallHead,
  writeFailure,
  writeNotice,
  writeReply,
  type CallHead,
  type NoticeBody,
} from './message.js'
import type { NoticeName } from './notices.js'
import type { ArgsOf, ResultOf, Verb } from './verb.js'
import { VERBS, type VerbName } from './verbs/index.js'
import { malformed, XdrReader, XdrWriter } from './xdr.js'

/** A call that is being carried out. */
export interface CallContext {
  readonly id: number
  readonly as: CallHead['as']
  /** Aborted when it is given up, its time is over, or the session ends. */
  readonly signal: AbortSignal
}

type Handled<V extends VerbName> = ResultOf<(typeof VERBS)[V]>

/** What carries verbs out, for a session: one function a verb. */
export type Handlers<S> = {
  readonly [V in VerbName]: (
    session: S,
    args: ArgsOf<(typeof VERBS)[V]>,
    call: CallContext,
  ) => Handled<V> | Promise<Handled<V>>
}

export interface AnswererEvents {
  /** Bytes have come, or were taken: the other end is there. */
  heard?(): void
  /** How long a call took (milliseconds of this thread, then in all), and how it ended. */
  answered?(verb: VerbName, running: number, total: number, error: HoldfastError | null): void
  /** A handler has failed in a way that it must not. */
  bug(verb: VerbName, error: unknown): void
  /** A descriptor that went along with a message is to be closed. */
  spare(fd: number): void
  /** No call comes any more. Once. */
  ended(error: Error | null): void
}

const verbs = new Map<number, VerbName>(
  Object.entries(VERBS).map(([name, { number }]) => [number, name as VerbName]),
)

/** What is dealt with when it comes, whatever is under way: it frees others. */
const { ping, layoutReturn, layoutCommit, commit, deregister } = VERBS
const URGENT: ReadonlySet<number> = new Set(
  [ping, layoutReturn, layoutCommit, commit, deregister].map(({ number }) => number),
)

/** Calls that waited and are begun before others have their turn. */
const CALLS_A_TURN = 64

const TIME_OVER = 'the time that the call was given is over'

/** Used by one message at a time: each is sent before the next is written. */
const out = new XdrWriter(MESSAGE_BYTES_MAX)

class Under implements CallContext {
  readonly id: number
  readonly as: CallHead['as']
  readonly #timers: Timers
  /** Made for who asks: most calls are answered at once, and making it takes longer than that. */
  #controller: AbortController | null = null
  #aborted = false
  #stop: (() => void) | null = null
  timedOut = false

  constructor(timers: Timers, { id, as }: CallHead) {
    this.#timers = timers
    this.id = id
    this.as = as
  }

  get signal(): AbortSignal {
    if (this.#controller === null) {
      this.#controller = new AbortController()
      if (this.#aborted) this.#controller.abort()
    }
    return this.#controller.signal
  }

  limit(milliseconds: number): void {
    this.#stop = this.#timers.after(milliseconds, () => {
      this.timedOut = true
      this.abort()
    })
  }

  abort(): void {
    this.#aborted = true
    this.#controller?.abort()
  }

  done(): void {
    this.#stop?.()
  }
}

export class Answerer<S> {
  readonly channel: Channel
  /** Takes messages in place of it, until the other end has said who it is. */
  gate: ((message: Uint8Array) => void) | null = null
  readonly #session: S
  readonly #handlers: Handlers<S>
  readonly #timers: Timers
  readonly #events: AnswererEvents
  readonly #under = new Map<number, Under>()
  readonly #deferred: DeferredCalls
  #resuming = false
  #closing = false
  #strikes = 0
  #dropped = 0
  #ended = false

  constructor(
    stream: ByteStream,
    timers: Timers,
    session: S,
    handlers: Handlers<S>,
    events: AnswererEvents,
    messageBytes = GREETING_BYTES_MAX,
  ) {
    this.#session = session
    this.#handlers = handlers
    this.#timers = timers
    this.#events = events
    this.#deferred = new DeferredCalls(timers)
    const channelEvents = {
      message: (bytes: Uint8Array) => this.#message(bytes),
      ended: (error: Error | null) => this.#end(error),
      drained: () => this.#drained(),
      spare: (fd: number) => events.spare(fd),
      moved: () => events.heard?.(),
    }
    this.channel = new Channel(stream, timers, channelEvents, messageBytes)
  }

  /** The other end has said who it is: it may send all that there is. */
  greeted(): void {
    this.channel.messageBytes = MESSAGE_BYTES_MAX
  }

  /** Calls under way, without those that wait for them. */
  get calls(): number {
    return this.#under.size
  }

  /** Answers wait because they are not taken. */
  get #unread(): boolean {
    return this.channel.backlog > EVENT_BYTES_MAX
  }

  /** What is urgent is begun: not for who asks for ever, and takes or waits for nothing. */
  get #mayHurry(): boolean {
    return this.channel.backlog <= 2 * EVENT_BYTES_MAX && this.#under.size < 2 * CALLS_MAX
  }

  /** Nothing but what is urgent is begun now. */
  get #busy(): boolean {
    return this.#under.size >= CALLS_MAX || this.#unread
  }

  /** Tells something that has to be known. */
  tell<N extends NoticeName>(name: N, body: NoticeBody<N>): void {
    if (this.#ended) return
    out.reset(MARK_BYTES)
    writeNotice(out, name, body)
    this.channel.send(out.bytes)
  }

  /** Tells an event, unless the other end is too slow for events: then it learns that. */
  tellEvent<N extends NoticeName>(name: N, body: NoticeBody<N>): void {
    if (this.channel.backlog > EVENT_BYTES_MAX) this.#dropped++
    else this.tell(name, body)
  }

  /** Gives up what is under way, and ends when all that was told is on its way. */
  close(): void {
    this.#closing = true
    this.#deferred.clear()
    for (const call of this.#under.values()) call.abort()
    this.channel.close()
  }

  abort(why: Error | null = null): void {
    this.channel.abort(why)
  }

  // ---- calls -----------------------------------------------------------------------------------

  #message(bytes: Uint8Array): void {
    if (this.gate !== null) return this.gate(bytes)
    const from = new XdrReader(bytes)
    const kind = from.u32()
    const id = from.u32()
    if (kind === Kind.cancel) {
      from.end()
      return this.#cancel(id)
    }
    if (kind !== Kind.call) throw malformed(`kind ${kind} from a client`)
    if (!this.#busy && this.#deferred.length === 0) return this.#begin(from, id, 0)
    const head = headOf(bytes)
    if (URGENT.has(head.verb) && this.#mayHurry) this.#begin(from, id, 0)
    else this.#defer(bytes, id, head.limit)
  }

  /** `waited`: milliseconds since it came. */
  #begin(from: XdrReader, id: number, waited: number): void {
    const call = this.#look(from, id)
    if (call !== null) this.#run(call.verb, call.args, id, call.head, waited)
  }

  #cancel(id: number): void {
    if (!this.#deferred.take(id)) return this.#under.get(id)?.abort()
    this.#fail(id, new HoldfastError('EINTR', 'it was given up before it was begun'))
  }

  /** Keeps a call for later; EAGAIN for one too many. */
  #defer(bytes: Uint8Array, id: number, limit: number): void {
    if (this.#deferred.full && !this.#unread) {
      const waiting = `${this.#under.size + this.#deferred.length} calls of the session`
      return this.#fail(id, new HoldfastError('EAGAIN', `${waiting} are not done: wait for some`))
    }
    const late = () => this.#fail(id, new HoldfastError('ETIMEDOUT', TIME_OVER))
    this.#deferred.push(id, bytes, limit, late)
    // Who takes no answers is not given more of them: what it sends stays with it.
    if (this.#deferred.full && this.#unread) this.channel.reading(false)
  }

  /** What is asked for; null: it was malformed, and has been answered. */
  #look(from: XdrReader, id: number) {
    try {
      const head = readCallHead(from, id)
      const verb = verbs.get(head.verb)
      if (verb === undefined) {
        const detail = `verb ${head.verb}, which this server does not have`
        throw new HoldfastError('EOPNOTSUPP', detail)
      }
      const { title, inNameOf } = VERBS[verb]
      if (head.as !== undefined && !inNameOf) {
        const detail = `${title} goes by the rights of its session: leave out in whose name it is`
        throw new HoldfastError('EINVAL', detail)
      }
      const args: unknown = VERBS[verb].args.read(from)
      from.end()
      if (this.#under.has(id)) throw malformed(`call ${id}, which is under way`)
      return { verb, args, head }
    } catch (error) {
      if (!(error instanceof HoldfastError) || ++this.#strikes > STRIKES_MAX) throw error
      this.#fail(id, error)
      return null
    }
  }

  #run(verb: VerbName, args: unknown, id: number, head: CallHead, waited: number): void {
    const begun = this.#timers.now()
    const under = new Under(this.#timers, head)
    let result: unknown
    try {
      // The handler of a verb takes the arguments of that verb.
      const handler = this.#handlers[verb] as (
        session: S,
        args: unknown,
        call: CallContext,
      ) => unknown
      result = handler(this.#session, args, under)
    } catch (error) {
      const failure = this.#failure(verb, error, under)
      this.#fail(id, failure)
      const took = this.#timers.now() - begun
      this.#events.answered?.(verb, took, took, failure)
      return
    }
    const ran = this.#timers.now() - begun
    if (!(result instanceof Promise)) {
      this.#answer(verb, id, result)
      this.#events.answered?.(verb, ran, ran, null)
      return
    }
    this.#under.set(id, under)
    if (head.limit > 0) under.limit(Math.max(0, head.limit - waited))
    void this.#await(verb, id, under, result, ran, begun)
  }

  async #await(
    verb: VerbName,
    id: number,
    under: Under,
    result: Promise<unknown>,
    ran: number,
    begun: number,
  ): Promise<void> {
    let failure: HoldfastError | null = null
    let value: unknown
    try {
      value = await result
    } catch (error) {
      failure = this.#failure(verb, error, under)
    }
    under.done()
    this.#under.delete(id)
    if (failure === null) this.#answer(verb, id, value)
    else this.#fail(id, failure)
    this.#events.answered?.(verb, ran, this.#timers.now() - begun, failure)
    this.#resume()
  }

  #failure(verb: VerbName, error: unknown, under: Under): HoldfastError {
    if (error instanceof HoldfastError) {
      if (!under.timedOut || error.code !== 'EINTR') return error
      return new HoldfastError('ETIMEDOUT', TIME_OVER)
    }
    this.#events.bug(verb, error)
    return new HoldfastError('EIO', 'the server has failed; its log says how')
  }

  #answer(verb: VerbName, id: number, value: unknown): void {
    if (this.#ended) return
    try {
      out.reset(MARK_BYTES)
      writeReply(out, id, VERBS[verb].result as Verb['result'], value)
      assert(out.length <= MARK_BYTES + MESSAGE_BYTES_MAX, 'an answer fits into a message')
    } catch (error) {
      this.#events.bug(verb, error)
      return this.#fail(id, new HoldfastError('EIO', 'its answer is beyond the protocol'))
    }
    this.#send()
  }

  #fail(id: number, error: HoldfastError): void {
    if (this.#ended) return
    out.reset(MARK_BYTES)
    writeFailure(out, id, error)
    this.#send()
  }

  #send(): void {
    this.channel.send(out.bytes)
  }

  #drained(): void {
    if (this.#dropped > 0) {
      const events = this.#dropped
      this.#dropped = 0
      this.tell('lost', { events })
    }
    this.#resume()
  }

  /** Begins what waits, as far as may be, some in a turn; takes more when there is room for it. */
  #resume(): void {
    if (this.#resuming || this.#closing) return
    for (let count = 0; count < CALLS_A_TURN && !this.#ended; count++) {
      if (this.#deferred.length === 0 || this.#busy) break
      this.#beginNext()
    }
    if (this.#ended) return
    if (this.#deferred.length > 0 && !this.#busy) void this.#resumeLater()
    else if (!this.#deferred.full || !this.#unread) this.channel.reading(true)
  }

  async #resumeLater(): Promise<void> {
    this.#resuming = true
    await this.#timers.turn()
    this.#resuming = false
    this.#resume()
  }

  #beginNext(): void {
    const { message, waited } = this.#deferred.shift()
    const from = new XdrReader(message)
    from.u32()
    try {
      this.#begin(from, from.u32(), waited)
    } catch (error) {
      this.channel.abort(error as Error)
    }
  }

  #end(error: Error | null): void {
    this.#ended = true
    this.#deferred.clear()
    for (const call of this.#under.values()) call.abort()
    this.#events.ended(error)
  }
}

/** What a call says of itself; a malformed one is nothing in particular, until its turn comes. */
function headOf(message: Uint8Array): { readonly verb: number; readonly limit: number } {
  const from = new XdrReader(message)
  from.u32()
  try {
    return readCallHead(from, from.u32())
  } catch {
    return { verb: -1, limit: 0 }
  }
}
