/**
 * A queue pair as a stream of bytes: each Send carries what comes next of it. For protocols that
 * want a stream and no buffers of their own.
 *
 * Invariants:
 * - no Send is longer than SEND_BYTES, which is what both ends have receives for;
 * - what was received and not taken fills the receives, and no more: then the peer waits;
 * - events come as those of a socket do: `readable` again and again while there is something.
 */
import type { ByteStream, StreamEvents } from '../base/byte_stream.js'
import { HoldfastError } from '../base/errors.js'
import type { Completion, CompletionQueue } from './completion_queue.js'
import type { End } from './connection.js'
import type { Device } from './device.js'
import type { ProtectionDomain } from './memory_region.js'
import type { QueuePair } from './queue_pair.js'

/** Bytes of one Send. */
export const SEND_BYTES = 2048
const RECEIVES = 4
const SENDS = 32
/** Milliseconds that the peer waits while nothing is taken: longer TCP does not wait. */
const PATIENCE_MILLISECONDS = 60_000

/** What came in one Send. */
interface Arrived {
  readonly buffer: Uint8Array
  /** Bytes taken of it, and bytes in it. */
  from: number
  readonly to: number
}

export class SendStream implements ByteStream {
  readonly qp: QueuePair
  readonly #device: Device
  readonly #cq: CompletionQueue
  #peer: string
  #events: StreamEvents | null = null
  readonly #arrived: Arrived[] = []
  #end: End | null = null
  #endTold = false
  #reading = true
  #short = false
  #signalled = false
  #closed = false

  /** `domain`: one of its own unless given, with nothing in it that the peer could reach. */
  constructor(device: Device, peer: string, domain: ProtectionDomain = device.protectionDomain()) {
    this.#device = device
    this.#peer = peer
    this.#cq = device.completionQueue()
    this.#cq.listener = () => this.#take()
    this.qp = device.queuePair(domain, {
      sendCq: this.#cq,
      maxSend: SENDS,
      maxReceive: RECEIVES,
      receivePatience: PATIENCE_MILLISECONDS,
    })
    for (let i = 0; i < RECEIVES; i++) this.#post(new Uint8Array(SEND_BYTES))
    void this.qp.closed.then((end) => this.#ended(end))
  }

  get peer(): string {
    return this.#peer
  }

  get segmentBytes(): null {
    return null
  }

  get room(): number {
    return this.#end === null ? this.qp.sendRoom * SEND_BYTES : 0
  }

  attach(events: StreamEvents): void {
    this.#events = events
    this.#signal()
  }

  send(bytes: Uint8Array, start: number, length: number): number {
    this.#demandAlive()
    let taken = 0
    while (taken < length && this.qp.sendRoom > 0) {
      const from = start + taken
      const count = Math.min(SEND_BYTES, length - taken)
      this.qp.postSend({ op: 'send', local: bytes.slice(from, from + count) })
      taken += count
    }
    this.#short ||= taken < length
    return taken
  }

  receive(bytes: Uint8Array, start: number, length: number): number {
    let taken = 0
    while (taken < length && this.#arrived.length > 0) {
      const first = this.#arrived[0]!
      const count = Math.min(length - taken, first.to - first.from)
      bytes.set(first.buffer.subarray(first.from, first.from + count), start + taken)
      first.from += count
      taken += count
      if (first.from < first.to) break
      this.#arrived.shift()
      if (this.#end === null) this.#post(first.buffer)
    }
    if (taken > 0 || length === 0) return taken
    if (this.#end === null) return 0
    this.#endTold = true
    this.#demandAlive()
    return -1
  }

  reading(wanted: boolean): void {
    this.#reading = wanted
    if (wanted) this.#signal()
  }

  /** A connection of this kind has no half: it ends. */
  end(): void {
    void this.qp.disconnect()
  }

  close(): void {
    this.#closed = true
    void this.qp.disconnect()
  }

  abort(): void {
    this.#closed = true
    this.qp.abort()
  }

  /** ECONNRESET when the connection was lost. */
  #demandAlive(): void {
    if (this.#end === null) return
    const { cause, detail } = this.#end
    if (cause === 'disconnected' || cause === 'aborted') return
    throw new HoldfastError('ECONNRESET', `${this.peer}: ${cause}: ${detail}`)
  }

  #take(): void {
    for (let one = this.#cq.take(); one !== null; one = this.#cq.take()) this.#completed(one)
    if (this.#short && this.#end === null && this.qp.sendRoom > 0) {
      this.#short = false
      if (!this.#closed) this.#events?.writable()
    }
  }

  #completed({ op, id, status, bytes }: Completion): void {
    if (op !== 'receive' || status !== 'SUCCESS') return
    const buffer = id as Uint8Array
    if (bytes === 0) return this.#post(buffer)
    this.#arrived.push({ buffer, from: 0, to: bytes })
    this.#signal()
  }

  #post(buffer: Uint8Array): void {
    this.qp.postReceive({ id: buffer, into: buffer })
  }

  #ended(end: End): void {
    this.#end = end
    this.#signal()
  }

  get #tellable(): boolean {
    if (!this.#reading || this.#closed || this.#events === null) return false
    return this.#arrived.length > 0 || (this.#end !== null && !this.#endTold)
  }

  /** Calls `readable` while there is something, others in between. */
  #signal(): void {
    if (this.#signalled || !this.#tellable) return
    this.#signalled = true
    queueMicrotask(() => {
      if (this.#tellable) this.#events!.readable()
      if (!this.#tellable) {
        this.#signalled = false
        return
      }
      void this.#device.timers.turn().then(() => {
        this.#signalled = false
        this.#signal()
      })
    })
  }
}
