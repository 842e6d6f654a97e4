/**
 * The connection of a client to its server, made again when it is lost.
 *
 *     connecting → alive → lost → connecting …      and, once: closed
 *
 * Invariants:
 * - a call is made in one session and answered in it. What is safe to be asked again is, in the
 *   next one; anything else that was under way when the connection was lost is ECONNRESET: it may
 *   have been carried out or not;
 * - whoever depends on the session is told that it is lost before a new one begins, and has taken
 *   up again what it had before another call is made in the new one (`Follower`);
 * - nobody waits for a server that is silent: neither for its first word, nor, in an attempt to
 *   find it again, for longer than there is patience.
 */
import type { ByteStream } from '../base/byte_stream.js'
import { HoldfastError } from '../base/errors.js'
import type { Timers } from '../base/timers.js'
import { Caller, type CallOptions } from '../control/caller.js'
import { PROTOCOL_VERSION, PROTOCOL_VERSION_MIN } from '../control/limits.js'
import type { Notice } from '../control/message.js'
import type { SessionSecret } from '../control/session_secret.js'
import type { ResultOf, Verb } from '../control/verb.js'
import { VERBS } from '../control/verbs/index.js'
import { interruptible } from './interruptible.js'

/** A stream to a server, once both ends know who they are. */
export interface Greeting {
  readonly stream: ByteStream
  /** Shows the server who this is, before anything else; what comes of it. */
  readonly identify?: (caller: Caller) => Promise<SessionSecret>
}

export interface LinkOptions {
  readonly timers: Timers
  /** Where the server is, for texts. */
  readonly where: string
  readonly connect: (signal: AbortSignal) => Promise<Greeting>
  readonly name: string
  readonly umask: number
  /** Milliseconds that a lost server is looked for; 0: it is not. */
  readonly patience: number
  readonly random: () => number
}

export type Hello = ResultOf<typeof VERBS.hello>

/** What a session is to its client. */
export interface Alive {
  readonly caller: Caller
  readonly hello: Hello
  /** Of a remote session. */
  readonly secret: SessionSecret | null
}

/** Who depends on a session. */
export interface Follower {
  /** The session is over: nothing of it is good any more. */
  lost(error: HoldfastError): void
  /** A new one has begun: takes up in it what there was. Failures are its own affair. */
  again(alive: Alive): Promise<void>
  /** Calls are made in the new one from now on. */
  begun(): void
  notice(notice: Notice): void
  /** No other will come; `own`: nobody wants one. */
  closed(error: HoldfastError, own: boolean): void
}

/** Milliseconds between two attempts: at first, and at most. */
const BACKOFF_MIN = 20
const BACKOFF_MAX = 5000
const KEEPALIVES = 3
/** Milliseconds that an attempt may take, at least and at most; a server may hang as it is made. */
const ATTEMPT_MIN = 100
const ATTEMPT_MAX = 10_000

export class Link {
  readonly options: LinkOptions
  readonly #follower: Follower
  #alive: Alive | null = null
  #closed: HoldfastError | null = null
  /** Those who wait for the next session, or its end. */
  #waiting: (() => void)[] = []
  readonly #stop = new AbortController()
  #stopKeepalive = () => {}

  private constructor(options: LinkOptions, follower: Follower) {
    this.options = options
    this.#follower = follower
  }

  /** Connects once: what prevents it is thrown. */
  static async connect(
    options: LinkOptions,
    follower: Follower,
    signal?: AbortSignal,
  ): Promise<Link> {
    const link = new Link(options, follower)
    const stop = () => link.#stop.abort(signal!.reason)
    if (signal?.aborted === true) stop()
    signal?.addEventListener('abort', stop)
    try {
      link.#begin(await link.#attempt(ATTEMPT_MAX))
      return link
    } finally {
      signal?.removeEventListener('abort', stop)
    }
  }

  /** The session, null while there is none. */
  /** Whether the server lets it ask in anybody's name; false as long as it has not said so. */
  get privileged(): boolean {
    return this.#alive?.hello.privileged === true
  }

  get alive(): Alive | null {
    return this.#alive
  }

  /** No session will come any more. */
  get closed(): boolean {
    return this.#closed !== null
  }

  /** The session, or the next one. ECONNRESET when none comes; EINTR for who gives up. */
  async session(signal?: AbortSignal): Promise<Alive> {
    while (this.#alive === null) {
      if (this.#closed !== null) throw again(this.#closed)
      const next = new Promise<void>((resolve) => this.#waiting.push(resolve))
      await interruptible(next, signal)
    }
    return this.#alive
  }

  /** A call; `safe`: it may be made again when its connection is lost. */
  async call<A, R>(verb: Verb<A, R>, args: A, options: CallOptions = {}, safe = false): Promise<R> {
    for (;;) {
      const { caller } = this.#alive ?? (await this.session(options.signal))
      try {
        return await caller.call(verb, args, options)
      } catch (error) {
        const lost = caller.ended && (error as HoldfastError).code === 'ECONNRESET'
        if (!lost || !safe || this.#closed !== null) throw error
      }
    }
  }

  /** Ends the session, and begins no other. What was sent is on its way. */
  close(): void {
    const alive = this.#alive
    this.#finish(new HoldfastError('ECONNRESET', 'the client was closed'), true)
    alive?.caller.close()
  }

  // ---- sessions --------------------------------------------------------------------------------

  /**
   * Begins a session, and with `resume` has taken up in it what there was. ETIMEDOUT when it does
   * not begin in so many milliseconds, or a server of which there was one then is silent.
   */
  async #attempt(milliseconds: number, resume = false): Promise<Alive> {
    const { timers, where, patience } = this.options
    const attempt = new AbortController()
    const stopped = () => attempt.abort(this.#stop.signal.reason)
    const silent = () =>
      attempt.abort(new HoldfastError('ETIMEDOUT', `${where}: the server does not answer`))
    let cancel = timers.after(milliseconds, silent)
    this.#stop.signal.addEventListener('abort', stopped)
    if (this.#stop.signal.aborted) stopped()
    let cut = () => {}
    try {
      const { caller, identify } = await this.#reach(attempt.signal)
      cut = () => caller.abort()
      attempt.signal.addEventListener('abort', cut)
      if (attempt.signal.aborted) cut()
      const secret = identify === undefined ? null : await identify(caller)
      const alive = { caller, hello: await this.#greet(caller), secret }
      cancel()
      if (!resume) return alive
      // However much there is to be taken up, as long as the server goes on.
      const limit = Math.min(ATTEMPT_MAX, patience)
      const look = () => {
        const left = limit - (timers.now() - caller.heard)
        if (left <= 0) silent()
        else cancel = timers.after(left, look)
      }
      look()
      await this.#follower.again(alive)
      if (caller.ended) throw new HoldfastError('ECONNRESET', `${where}: it was lost again`)
      return alive
    } catch (error) {
      cut()
      attempt.signal.throwIfAborted()
      throw error
    } finally {
      cancel()
      this.#stop.signal.removeEventListener('abort', stopped)
    }
  }

  async #reach(signal: AbortSignal): Promise<{ caller: Caller; identify: Greeting['identify'] }> {
    signal.throwIfAborted()
    const { stream, identify } = await this.options.connect(signal)
    const caller: Caller = new Caller(stream, this.options.timers, {
      notice: (notice) => this.#notice(caller, notice),
      ended: (error) => this.#lost(caller, error),
    })
    return { caller, identify }
  }

  #greet(caller: Caller): Promise<Hello> {
    const { name, umask } = this.options
    const versions = { version: PROTOCOL_VERSION, versionMin: PROTOCOL_VERSION_MIN }
    return caller.call(VERBS.hello, { ...versions, capabilities: 0, name, umask })
  }

  #begin(alive: Alive): void {
    this.#alive = alive
    this.#keepAlive(alive)
    for (const wake of this.#waiting.splice(0)) wake()
  }

  #resume(alive: Alive): void {
    this.#begin(alive)
    // What the program does then is its own affair, and no failure of the session.
    queueMicrotask(() => this.#follower.begun())
  }

  #notice(caller: Caller, notice: Notice): void {
    if (notice.name === 'ended' && !notice.body.stops && this.#alive?.caller === caller) {
      this.#finish(
        new HoldfastError('ECONNRESET', `the server has ended the session: ${notice.body.why}`),
      )
    }
    this.#follower.notice(notice)
  }

  #lost(caller: Caller, error: Error | null): void {
    if (this.#alive?.caller !== caller) return
    this.#alive = null
    this.#stopKeepalive()
    if (this.#closed !== null) return
    const why = error === null ? 'the server has closed the connection' : error.message
    const lost = new HoldfastError('ECONNRESET', `${this.options.where}: ${why}`)
    this.#follower.lost(lost)
    if (this.options.patience === 0) this.#finish(lost)
    else void this.#reconnect(lost)
  }

  /** Looks for the server until it is there, or patience is over. */
  async #reconnect(lost: HoldfastError): Promise<void> {
    const { timers, patience, random, where } = this.options
    const end = timers.now() + patience
    let last: unknown = lost
    for (let wait = BACKOFF_MIN; timers.now() < end; wait = Math.min(BACKOFF_MAX, 2 * wait)) {
      // Not all at once: each waits between a half and all of it.
      await this.#pause(Math.min(wait * (0.5 + random() / 2), end - timers.now()))
      if (this.#closed !== null) return
      const left = Math.max(ATTEMPT_MIN, end - timers.now())
      try {
        return this.#resume(await this.#attempt(Math.min(ATTEMPT_MAX, left), true))
      } catch (error) {
        last = error
        if (this.#closed !== null) return
        // Who is not let in now is not let in later.
        if ((error as HoldfastError).code === 'EACCES') break
      }
    }
    const why = last instanceof Error ? last.message : String(last)
    this.#finish(new HoldfastError('ECONNRESET', `${where} is gone: ${why}`))
  }

  #pause(milliseconds: number): Promise<void> {
    const { timers } = this.options
    const { signal } = this.#stop
    return new Promise((resolve) => {
      const done = () => {
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = timers.after(milliseconds, done)
      signal.addEventListener('abort', done)
    })
  }

  #finish(error: HoldfastError, own = false): void {
    if (this.#closed !== null) return
    this.#closed = error
    this.#alive = null
    this.#stopKeepalive()
    this.#stop.abort(error)
    for (const wake of this.#waiting.splice(0)) wake()
    this.#follower.closed(error, own)
  }

  /** Says that this end is there, and looks whether the other one is. */
  #keepAlive({ caller, hello }: Alive): void {
    const { timers } = this.options
    const { keepalive } = hello
    if (keepalive === 0) return
    const look = () => {
      this.#stopKeepalive = timers.after(keepalive, look)
      if (timers.now() - caller.heard > KEEPALIVES * keepalive) {
        caller.abort(new HoldfastError('ETIMEDOUT', `nothing came for ${KEEPALIVES} keepalives`))
        return
      }
      caller.call(VERBS.ping, {}).catch(() => {})
    }
    this.#stopKeepalive = timers.after(keepalive, look)
  }
}

/** An error once more: each who gets it has a stack of their own. */
const again = ({ code, detail }: HoldfastError) => new HoldfastError(code, detail)
