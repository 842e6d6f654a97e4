/**
 * A software RNIC: memory regions and queue pairs that share their STags, buffers and limits.
 *
 * Everything that is not the protocol is passed in: streams, time, randomness.
 */
import type { ByteStream, StreamListener, Transport } from '../base/byte_stream.js'
import { HoldfastError } from '../base/errors.js'
import { systemTimers, type Timers } from '../base/timers.js'
import { tcp } from '../native/tcp.js'
import { CompletionQueue } from './completion_queue.js'
import { initiate, Relay } from './establish.js'
import { Listener } from './listener.js'
import { ProtectionDomain } from './memory_region.js'
import { QueuePair, type QueuePairHost, type QueuePairOptions } from './queue_pair.js'
import { SendBuffer } from './send_buffer.js'
import { privateDataOf, setupOf, type Offer } from './setup.js'
import { STAGING_BYTES } from './shared.js'
import { Stags } from './stags.js'

export interface DeviceOptions {
  /** TCP unless given. */
  readonly transport?: Transport
  readonly timers?: Timers
  /** Fills bytes that nobody can guess. */
  readonly entropy?: (bytes: Uint32Array) => void
  /**
   * Without CRC, payloads of so many bytes are sent from where they are, and received to where they
   * go; shorter ones are copied. 4096 to be sent, and 16 384 to come, unless given.
   */
  readonly copyBelow?: number
  /** Connections at a time, those that are being set up among them. */
  readonly maxConnections?: number
}

export interface ConnectOptions extends Offer {
  readonly host: string
  readonly port: number
  /** What the peer is told with the Request: at most 508 bytes, and 192 to be understood by all. */
  readonly privateData?: Uint8Array
  readonly signal?: AbortSignal
}

export interface ListenOptions {
  /** 127.0.0.1 unless given: other hosts are let in by who names an address of the network. */
  readonly host?: string
  /** 0: one that is free. */
  readonly port?: number
  /** Connections that are being set up at a time, and Requests that wait to be answered. */
  readonly backlog?: number
  /** Milliseconds after which a peer that acknowledges nothing is gone; a minute unless given. */
  readonly silence?: number
}

const MAX_CONNECTIONS = 4096
/** Shorter payloads are sooner copied than named in a call. */
const SEND_COPY_BELOW = 4096
const RECEIVE_COPY_BELOW = 16 << 10
export const HOST_DEFAULT = '127.0.0.1'

export class Device implements QueuePairHost {
  readonly timers: Timers
  readonly stags: Stags
  readonly sendBuffer = new SendBuffer()
  parkedBytes = 0
  readonly sendCopyBelow: number
  readonly receiveCopyBelow: number
  readonly staging = new Uint8Array(STAGING_BYTES)
  readonly maxConnections: number
  readonly #transport: Transport
  readonly #listeners = new Set<Listener>()
  readonly #connected = new Set<QueuePair>()
  /** What ends connections that are being made from here. */
  readonly #attempts = new Set<AbortController>()
  /** Streams that came in, and are no queue pair's yet. */
  readonly #streams = new Set<ByteStream>()
  #soon: QueuePair[] = []
  #closed = false

  constructor(options: DeviceOptions = {}) {
    const { transport = tcp, timers = systemTimers, maxConnections = MAX_CONNECTIONS } = options
    const entropy = options.entropy ?? ((words: Uint32Array) => crypto.getRandomValues(words))
    const key = new Uint32Array(2)
    entropy(key)
    this.#transport = transport
    this.sendCopyBelow = options.copyBelow ?? SEND_COPY_BELOW
    this.receiveCopyBelow = options.copyBelow ?? RECEIVE_COPY_BELOW
    this.timers = timers
    this.maxConnections = maxConnections
    this.stags = new Stags(key)
  }

  /** Connections that are open, or being set up. */
  get connections(): number {
    return this.#connected.size + this.#attempts.size + this.#streams.size
  }

  protectionDomain(): ProtectionDomain {
    return new ProtectionDomain(this.stags)
  }

  completionQueue(): CompletionQueue {
    return new CompletionQueue()
  }

  queuePair(domain: ProtectionDomain, options: QueuePairOptions): QueuePair {
    return new QueuePair(this, domain, options)
  }

  /**
   * Connects a queue pair. ECONNREFUSED: nobody listens there, or (a RejectedError, with what the
   * peer said) it does not want the connection; ETIMEDOUT; EPROTO; ECONNABORTED: the queue pair was
   * closed meanwhile; or the signal's reason.
   */
  async connect(qp: QueuePair, options: ConnectOptions): Promise<void> {
    const { host, port, signal } = options
    this.demandOpen()
    this.demandRoom()
    const setup = setupOf(options)
    const privateData = privateDataOf(options.privateData, setup.revision === 2)
    qp.claim()
    const attempt = new AbortController()
    const aborted = () => attempt.abort(signal!.reason)
    if (signal?.aborted === true) aborted()
    signal?.addEventListener('abort', aborted)
    const why = 'the queue pair was closed while it was being connected'
    qp.onClosed = () => attempt.abort(new HoldfastError('ECONNABORTED', why))
    this.#attempts.add(attempt)
    let stream: ByteStream | null = null
    try {
      stream = await this.#transport.connect(host, port, attempt.signal)
      attempt.signal.throwIfAborted()
      const relay = new Relay()
      stream.attach(relay)
      const offer = { options: setup, privateData, timers: this.timers, signal: attempt.signal }
      const { agreed, privateData: answer } = await initiate(stream, relay, offer)
      attempt.signal.throwIfAborted()
      qp.peerPrivateData = answer
      this.begin(qp, stream, relay, agreed, true)
    } catch (error) {
      qp.unclaim()
      if (attempt.signal.aborted) stream?.abort()
      else stream?.close()
      throw error
    } finally {
      signal?.removeEventListener('abort', aborted)
      this.#attempts.delete(attempt)
      this.#limit()
    }
  }

  /** Takes connections: they come as requests, to be accepted or rejected one by one. */
  async listen(options: ListenOptions = {}): Promise<Listener> {
    const { host = HOST_DEFAULT, port = 0, backlog, silence } = options
    this.demandOpen()
    let accepted: (stream: ByteStream) => void = () => {}
    const taken = (stream: ByteStream) => accepted(stream)
    const streams = await this.#transport.listen(host, port, taken, silence)
    if (this.#closed) streams.close()
    this.demandOpen()
    const listener = this.#listener(streams, backlog)
    accepted = (stream) => listener.take(stream)
    return listener
  }

  #listener(streams: StreamListener, backlog?: number): Listener {
    const listener = new Listener(this, streams, this.#streams, backlog)
    this.#listeners.add(listener)
    listener.onClosed = () => this.#listeners.delete(listener)
    return listener
  }

  /** Full operation of a queue pair begins. */
  begin(
    qp: QueuePair,
    stream: ByteStream,
    relay: Relay,
    agreed: Parameters<QueuePair['start']>[1],
    initiator: boolean,
  ): void {
    this.#connected.add(qp)
    qp.onClosed = () => {
      this.#connected.delete(qp)
      this.#limit()
    }
    const connection = qp.start(stream, agreed, initiator)
    relay.target = connection
    stream.reading(true)
    connection.start()
  }

  /** There are more connections, or fewer. */
  #limit(): void {
    for (const listener of this.#listeners) listener.limit()
  }

  demandOpen(): void {
    if (this.#closed) throw deviceClosed()
  }

  /** EAGAIN when there are as many connections as there may be. */
  demandRoom(): void {
    if (this.connections < this.maxConnections) return
    const detail = `${this.connections} connections are open, and no more are allowed`
    throw new HoldfastError('EAGAIN', detail)
  }

  /**
   * Has a queue pair's turn once what runs now has ended: what it posts meanwhile goes together.
   */
  soon(qp: QueuePair): void {
    this.#soon.push(qp)
    if (this.#soon.length === 1) queueMicrotask(this.#turns)
  }

  readonly #turns = (): void => {
    const turns = this.#soon
    this.#soon = []
    let done = 0
    try {
      while (done < turns.length) turns[done++]!.turn()
    } finally {
      // Whose completions somebody does not take well is not to be paid for by the others.
      for (; done < turns.length; done++) this.soon(turns[done]!)
    }
  }

  /** Ends all connections at once, and takes none any more. */
  close(): void {
    this.#closed = true
    for (const listener of [...this.#listeners]) listener.close()
    for (const attempt of this.#attempts) attempt.abort(deviceClosed())
    this.#abortAll([...this.#connected])
  }

  /** Who does not take well that one ends is told so when all have. */
  #abortAll([first, ...others]: QueuePair[]): void {
    try {
      first?.abort('the device was closed')
    } finally {
      if (others.length > 0) this.#abortAll(others)
    }
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

const deviceClosed = () => new HoldfastError('EBADF', 'the device was closed')
