/**
 * A socket that listens: takes connections as they come, and rests when the kernel can give none.
 *
 * Invariant: an accepted socket has its stream before its poll calls back.
 */
import type { Acceptor, ByteStream } from '../base/byte_stream.js'
import { systemTimers } from '../base/timers.js'
import { native } from './native.js'
import type { SocketStream } from './socket_stream.js'
import type { PollId, Ready } from './sockets.js'

/** Connections taken in one turn of the event loop; the others come in the next. */
const ACCEPTS_A_TURN = 64
/** For so long none is taken after the kernel had no descriptor or no memory for one. */
const REST_MILLISECONDS = 100

/** The next connection of a listener; null when there is none now. */
export type Accept = (listener: PollId, ready: Ready) => SocketStream | null

export class SocketListener implements Acceptor {
  protected readonly poll: PollId
  readonly #accept: Accept
  readonly #accepted: (stream: ByteStream) => void
  #accepting = true
  /** Ends the rest that is taken. */
  #endRest: (() => void) | null = null
  #closed = false

  constructor(
    listen: (ready: Ready) => PollId,
    accept: Accept,
    accepted: (stream: ByteStream) => void,
  ) {
    this.#accept = accept
    this.#accepted = accepted
    this.poll = listen(() => this.#ready())
    this.#watch()
  }

  accepting(wanted: boolean): void {
    this.#accepting = wanted
    this.#watch()
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#endRest?.()
    native.closePoll(this.poll)
  }

  #takes(): boolean {
    return this.#accepting && this.#endRest === null && !this.#closed
  }

  #watch(): void {
    if (!this.#closed) native.watch(this.poll, this.#takes(), false)
  }

  #ready(): void {
    for (let i = 0; i < ACCEPTS_A_TURN && this.#takes(); i++) {
      const stream = this.#next()
      if (stream === null) return
      this.#accepted(stream)
    }
  }

  #next(): SocketStream | null {
    let stream: SocketStream | null = null
    try {
      stream = this.#accept(this.poll, (readable, writable) => stream!.ready(readable, writable))
      return stream
    } catch (error) {
      if (!('errno' in (error as object))) throw error
      this.#rest()
      return null
    }
  }

  /** Without it, the connection that waits would be asked for again and again. */
  #rest(): void {
    this.#endRest = systemTimers.after(REST_MILLISECONDS, () => {
      this.#endRest = null
      this.#watch()
    })
    this.#watch()
  }
}
