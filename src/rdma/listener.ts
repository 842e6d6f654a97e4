/**
 * Connections that come: each is set up to its Request, which a program then accepts or rejects.
 *
 * Invariants:
 * - connections that say nothing take no more than a place, for a few seconds;
 * - what a program does not answer is rejected after as long as an initiator waits.
 */
import type { ByteStream, StreamListener } from '../base/byte_stream.js'
import { HoldfastError } from '../base/errors.js'
import type { Device } from './device.js'
import { accept, awaitRequest, reject, Relay, REPLY_MILLISECONDS } from './establish.js'
import type { QueuePair } from './queue_pair.js'
import { privateDataOf, setupOf, type Offer } from './setup.js'
import type { MpaSetup } from './wire/mpa.js'

export interface AcceptOptions extends Offer {
  /** What the peer is told with the Reply. */
  readonly privateData?: Uint8Array
}

const BACKLOG = 128
/** A peer that was rejected is not waited for longer. */
const LEAVE_MILLISECONDS = 2000

/** A connection that somebody wants. */
export class ConnectionRequest {
  /** The other end: '127.0.0.1:40022'. */
  readonly peer: string
  /** What it said. */
  readonly privateData: Uint8Array
  /** What it asked for. */
  readonly setup: MpaSetup
  readonly #listener: Listener
  readonly #stream: ByteStream
  readonly #relay: Relay
  readonly #cancel: () => void
  #answered = false

  constructor(listener: Listener, stream: ByteStream, relay: Relay, setup: MpaSetup) {
    this.peer = stream.peer
    this.privateData = setup.privateData
    this.setup = setup
    this.#listener = listener
    this.#stream = stream
    this.#relay = relay
    const { timers } = listener.device
    this.#cancel = timers.after(REPLY_MILLISECONDS, () => this.reject())
  }

  /** Whether it still waits for an answer. */
  get pending(): boolean {
    return !this.#answered
  }

  /**
   * Takes the connection for a queue pair. EPROTO when the two cannot agree (the peer is rejected),
   * ECONNRESET when it has gone meanwhile. The queue pair may send when it is `established`.
   */
  accept(qp: QueuePair, options: AcceptOptions = {}): void {
    const setup = setupOf(options)
    const privateData = privateDataOf(options.privateData, this.setup.enhanced !== null)
    this.#demandPending()
    qp.claim()
    this.#answer()
    const stream = this.#stream
    try {
      const agreed = accept(stream, this.setup, setup, privateData)
      qp.peerPrivateData = this.privateData
      this.#listener.device.begin(qp, stream, this.#relay, agreed, false)
    } catch (error) {
      qp.unclaim()
      this.#listener.leave(stream, this.#relay)
      throw error
    }
    this.#listener.release(stream)
  }

  /** Does not take it; the private data may say why. Once is enough. */
  reject(privateData?: Uint8Array): void {
    if (this.#answered) return
    const said = privateDataOf(privateData, this.setup.enhanced !== null)
    this.#answer()
    try {
      reject(this.#stream, this.setup, said)
    } catch {
      // It has gone by itself.
    }
    this.#listener.leave(this.#stream, this.#relay)
  }

  #demandPending(): void {
    if (this.#answered) throw new HoldfastError('EINVAL', 'this request was answered before')
  }

  #answer(): void {
    this.#answered = true
    this.#cancel()
  }
}

export class Listener implements AsyncIterable<ConnectionRequest> {
  readonly host: string
  readonly port: number
  readonly device: Device
  /** The device forgets it. */
  onClosed: (() => void) | null = null
  /** What went wrong with connections before they were requests: for logs. */
  onFailure: ((peer: string, error: Error) => void) | null = null
  readonly #streams: StreamListener
  /** Of the device: streams that are no queue pair's yet. */
  readonly #open: Set<ByteStream>
  readonly #own = new Set<ByteStream>()
  readonly #backlog: number
  /** What closes each stream whose peer was rejected, and has not closed it. */
  readonly #leaving = new Set<() => void>()
  /** What ends the waiting for each Request: to Node many listeners of one signal are a leak. */
  readonly #awaited = new Set<AbortController>()
  readonly #waiting: ConnectionRequest[] = []
  /** Those that wait for an answer, whether a program has taken them or not. */
  readonly #unanswered = new Map<ByteStream, ConnectionRequest>()
  #wake: (() => void) | null = null
  #closed = false

  constructor(device: Device, streams: StreamListener, open: Set<ByteStream>, backlog = BACKLOG) {
    this.device = device
    this.host = streams.host
    this.port = streams.port
    this.#streams = streams
    this.#open = open
    this.#backlog = backlog
  }

  /** The next request; null: the listener was closed. */
  async next(): Promise<ConnectionRequest | null> {
    for (;;) {
      const request = this.#waiting.shift()
      if (request?.pending === true) return request
      if (request !== undefined) continue
      if (this.#closed) return null
      await new Promise<void>((resolve) => {
        const before = this.#wake
        this.#wake = () => {
          before?.()
          resolve()
        }
      })
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<ConnectionRequest, void> {
    for (let request = await this.next(); request !== null; request = await this.next()) {
      yield request
    }
  }

  /** A new stream. */
  take(stream: ByteStream): void {
    const relay = new Relay()
    stream.attach(relay)
    this.#own.add(stream)
    this.#open.add(stream)
    this.limit()
    this.#request(stream, relay).catch((error: unknown) => {
      stream.abort()
      this.release(stream)
      this.onFailure?.(stream.peer, error as Error)
    })
  }

  async #request(stream: ByteStream, relay: Relay): Promise<void> {
    const setup = await this.#awaitRequest(stream, relay)
    if (this.#closed) throw listenerClosed()
    const request = new ConnectionRequest(this, stream, relay, setup)
    this.#unanswered.set(stream, request)
    this.#waiting.push(request)
    this.#tell()
  }

  async #awaitRequest(stream: ByteStream, relay: Relay): Promise<MpaSetup> {
    const awaited = new AbortController()
    const { signal } = awaited
    this.#awaited.add(awaited)
    try {
      return await awaitRequest(stream, relay, { timers: this.device.timers, signal })
    } finally {
      this.#awaited.delete(awaited)
    }
  }

  /** A stream is no request any more. */
  release(stream: ByteStream): void {
    this.#own.delete(stream)
    this.#open.delete(stream)
    this.#unanswered.delete(stream)
    this.limit()
  }

  /**
   * A peer was rejected: the stream ends when the peer has ended it, for a while. Linux's siw does
   * not read a Reply any more when the end of the stream comes right behind it.
   */
  leave(stream: ByteStream, relay: Relay): void {
    this.release(stream)
    const close = () => {
      cancel()
      relay.target = null
      stream.close()
      this.#leaving.delete(close)
    }
    const cancel = this.device.timers.after(LEAVE_MILLISECONDS, close)
    if (this.#closed || this.#leaving.size >= this.#backlog) return close()
    this.#leaving.add(close)
    const readable = () => {
      if (hasEnded(stream)) close()
    }
    relay.target = { readable, writable: () => {} }
    stream.reading(true)
  }

  /** As many as are allowed are set up at a time: others wait with the kernel. */
  limit(): void {
    if (this.#closed) return
    const { connections, maxConnections } = this.device
    this.#streams.accepting(this.#own.size < this.#backlog && connections < maxConnections)
  }

  #tell(): void {
    const wake = this.#wake
    this.#wake = null
    wake?.()
  }

  /** Takes no more; requests that were not answered are rejected. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#streams.close()
    for (const request of [...this.#unanswered.values()]) request.reject()
    for (const awaited of this.#awaited) awaited.abort(listenerClosed())
    for (const stream of this.#own) stream.abort()
    for (const close of this.#leaving) close()
    this.#tell()
    this.onClosed?.()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

const ignored = new Uint8Array(1024)

/** Takes of what a peer says that nobody listens to; whether it has ended. */
function hasEnded(stream: ByteStream): boolean {
  try {
    return stream.receive(ignored, 0, ignored.length) < 0
  } catch {
    return true
  }
}

const listenerClosed = () => new HoldfastError('ECONNABORTED', 'the listener was closed')
