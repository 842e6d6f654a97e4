/**
 * A connected socket as a stream of bytes: what those of all kinds share.
 *
 * Invariants:
 *  - an error of the connection is the same for ever: each call that comes later throws it again,
 *    though the kernel tells it once and says "end" afterwards. What had come before is received
 *    first;
 *  - `readable` is not called any more once the end or the error was received: nothing can follow;
 *  - the kernel is asked to watch only for what would be told.
 */
import type { ByteStream, Parts, StreamEvents } from '../base/byte_stream.js'
import { ERRNO, HoldfastError, type ErrorCode } from '../base/errors.js'
import { native } from './native.js'
import type { PollId } from './sockets.js'

/** The code of an error, where it is one of the operating system's. */
export function codeOf(error: unknown): ErrorCode | undefined {
  const code = (error as NodeJS.ErrnoException).code
  return code !== undefined && code in ERRNO ? (code as ErrorCode) : undefined
}

const LOST: Partial<Record<ErrorCode, string>> = {
  ECONNRESET: 'was reset by the peer',
  EPIPE: 'is closed by the peer, which takes nothing more',
  ETIMEDOUT: 'was given up, as the peer does not answer; look whether it is there',
}

export class SocketStream implements ByteStream {
  readonly peer: string
  protected readonly poll: PollId
  #events: StreamEvents | null = null
  #reading = true
  /** A `send` was short: `writable` is to be called. */
  #full = false
  /** The end or an error was received. */
  #over = false
  /** Nothing more is sent. */
  #finished = false
  #failure: HoldfastError | null = null
  #closed = false

  constructor(poll: PollId, peer: string) {
    this.poll = poll
    this.peer = peer
  }

  get segmentBytes(): number | null {
    return null
  }

  get room(): number {
    return this.#closed || this.#full ? 0 : native.roomToSend(this.poll)
  }

  attach(events: StreamEvents): void {
    this.#events = events
    this.#watch()
  }

  send(bytes: Uint8Array, start: number, length: number): number {
    this.maySend()
    try {
      return this.taken(native.send(this.poll, bytes, start, length), length)
    } catch (error) {
      throw this.failed(error)
    }
  }

  sendParts(parts: Parts, count: number): number {
    this.maySend()
    try {
      return this.taken(native.sendParts(this.poll, parts, count), bytesOf(parts, count))
    } catch (error) {
      throw this.failed(error)
    }
  }

  protected maySend(): void {
    this.#mustBeOpen()
    if (this.#failure !== null) throw this.#failure
    if (this.#finished)
      throw new HoldfastError('EPIPE', `the stream to ${this.peer} was ended here`)
  }

  protected taken(taken: number, length: number): number {
    if (taken < length && !this.#full) {
      this.#full = true
      this.#watch()
    }
    return taken
  }

  receive(bytes: Uint8Array, start: number, length: number): number {
    this.#mustBeOpen()
    let got = -1
    try {
      got = this.receiveNow(bytes, start, length)
    } catch (error) {
      this.#lost(error)
    }
    return this.#got(got, length)
  }

  receiveParts(parts: Parts, count: number): number {
    this.#mustBeOpen()
    let got = -1
    try {
      got = this.receivePartsNow(parts, count)
    } catch (error) {
      this.#lost(error)
    }
    return this.#got(got, bytesOf(parts, count))
  }

  protected receiveNow(bytes: Uint8Array, start: number, length: number): number {
    return native.receive(this.poll, bytes, start, length)
  }

  protected receivePartsNow(parts: Parts, count: number): number {
    return native.receiveParts(this.poll, parts, count)
  }

  /** The connection has failed, or the caller, who is told. */
  #lost(error: unknown): void {
    const thrown = this.failed(error)
    if (thrown !== this.#failure) throw thrown
  }

  #got(got: number, length: number): number {
    if (got > 0 || length === 0) return got
    if (got < 0 || this.#failure !== null) this.#receivedAll()
    if (this.#failure !== null) throw this.#failure
    return got
  }

  reading(wanted: boolean): void {
    if (this.#reading === wanted) return
    this.#reading = wanted
    this.#watch()
  }

  end(): void {
    if (this.#closed || this.#finished) return
    this.#finished = true
    native.endSocket(this.poll)
  }

  close(): void {
    this.closeNow(false)
  }

  abort(): void {
    this.closeNow(true)
  }

  protected get closed(): boolean {
    return this.#closed
  }

  /** The poll's callback. */
  ready(readable: boolean, writable: boolean): void {
    if (readable && this.#wantsReadable()) this.#events?.readable()
    if (!writable || !this.#full || this.#closed) return
    this.#full = false
    this.#watch()
    this.#events?.writable()
  }

  protected closeNow(reset: boolean): void {
    if (this.#closed) return
    this.#closed = true
    this.#events = null
    native.closeSocket(this.poll, reset)
  }

  #wantsReadable(): boolean {
    return this.#reading && !this.#over && !this.#closed
  }

  #watch(): void {
    if (this.#closed || this.#events === null) return
    native.watch(this.poll, this.#wantsReadable(), this.#full)
  }

  #receivedAll(): void {
    this.#over = true
    this.#watch()
  }

  protected failed(error: unknown): unknown {
    const code = codeOf(error)
    // A range that does not fit, and the like: the caller's, not the connection's.
    if (code === undefined) return error
    const what = LOST[code] ?? `failed: ${ERRNO[code][1]}`
    this.#failure = new HoldfastError(code, `the connection with ${this.peer} ${what}`, {
      syscall: String((error as NodeJS.ErrnoException).syscall),
      cause: error,
    })
    return this.#failure
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new HoldfastError('EBADF', `the stream to ${this.peer} is closed`)
  }
}

function bytesOf(parts: Parts, count: number): number {
  let sum = 0
  for (let i = 0; i < count; i++) sum += parts[3 * i + 2] as number
  return sum
}
