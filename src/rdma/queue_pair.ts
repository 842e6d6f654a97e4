/**
 * A queue pair: work that is posted to a connection, and receives for what its peer sends.
 *
 *     idle → connecting → connected → closed
 *
 * Receives may be posted from the beginning, so that the first message finds one.
 */
import { HoldfastError } from '../base/errors.js'
import type { ByteStream } from '../base/byte_stream.js'
import type { CompletionQueue } from './completion_queue.js'
import { Connection, type ConnectionEvents, type End } from './connection.js'
import type { MemoryRegion, ProtectionDomain } from './memory_region.js'
import { ReceiveQueue } from './receive_queue.js'
import { SendQueue } from './send_queue.js'
import type { Agreed } from './setup.js'
import type { Shared } from './shared.js'
import type { ReceiveWork, Work } from './work.js'

export interface QueuePairOptions {
  readonly sendCq: CompletionQueue
  /** The same as for what is sent unless given. */
  readonly receiveCq?: CompletionQueue
  /** Work, and receives, that are posted and not taken from their completion queue. */
  readonly maxSend?: number
  readonly maxReceive?: number
  /**
   * Milliseconds that a message of the peer may wait for a receive, while nothing else is taken
   * from him: back pressure. 0, as the RFCs have it: such a message ends the connection. More than
   * 60 000 the TCP of a sender that finds no room does not wait.
   */
  readonly receivePatience?: number
}

const MAX_SEND = 256
const MAX_RECEIVE = 256
export const QUEUE_MAX = 1 << 16
/** A timer has no more. */
const PATIENCE_MAX = 2 ** 31 - 1

export type QueuePairState = 'idle' | 'connecting' | 'connected' | 'closed'

/** What a device does for its queue pairs. */
export interface QueuePairHost extends Shared {
  /** Calls `turn` once what runs now has ended. */
  soon(qp: QueuePair): void
}

export class QueuePair {
  readonly domain: ProtectionDomain
  readonly receivePatience: number
  /** Resolves when its connection has ended, or was given up. Never rejects. */
  readonly closed: Promise<End>
  /** What the peer said when it connected, or accepted. */
  peerPrivateData: Uint8Array = new Uint8Array(0)
  /** Called when a peer's message has invalidated a region. */
  onInvalidate: ((region: MemoryRegion) => void) | null = null
  /** The device forgets it. */
  onClosed: (() => void) | null = null
  readonly #host: QueuePairHost
  readonly #work: SendQueue
  readonly #receives: ReceiveQueue
  #state: QueuePairState = 'idle'
  #connection: Connection | null = null
  #resolveClosed!: (end: End) => void
  #resolveEstablished!: () => void
  /** Resolves when this side may send, as a responder not before it has heard of the initiator. */
  readonly established: Promise<void>
  #scheduled = false
  #detached = false
  readonly #sinkStag: number

  constructor(host: QueuePairHost, domain: ProtectionDomain, options: QueuePairOptions) {
    const { sendCq, receiveCq = sendCq, maxSend = MAX_SEND, maxReceive = MAX_RECEIVE } = options
    demandDepth('maxSend', maxSend)
    demandDepth('maxReceive', maxReceive)
    this.#host = host
    this.domain = domain
    this.receivePatience = options.receivePatience ?? 0
    demandPatience(this.receivePatience)
    this.#work = new SendQueue(this, sendCq, maxSend)
    this.#receives = new ReceiveQueue(this, receiveCq, maxReceive)
    this.#sinkStag = host.stags.next()
    this.closed = new Promise((resolve) => (this.#resolveClosed = resolve))
    this.established = new Promise((resolve) => (this.#resolveEstablished = resolve))
  }

  get state(): QueuePairState {
    return this.#state
  }

  /** What the two ends agreed on; null: not connected yet. */
  get agreed(): Agreed | null {
    return this.#connection?.agreed ?? null
  }

  /** Work that may be posted now, and receives. */
  get sendRoom(): number {
    return this.#work.room
  }

  get receiveRoom(): number {
    return this.#receives.room
  }

  /** What it took to move what was moved: bytes, and calls of the stream. */
  get counters() {
    const { transmitter, received = 0, receives = 0 } = this.#connection ?? {}
    const { handed = 0, sends = 0 } = transmitter ?? {}
    return { sentBytes: handed, sends, receivedBytes: received, receives }
  }

  // ---- work ------------------------------------------------------------------------------------

  /**
   * Posts work. ENOMEM when `maxSend` of it was posted whose completions were not taken; ENOTCONN
   * before it is connected; EOPNOTSUPP what would wait for ever, as the peer serves none. After the
   * end of the connection it fails with WR_FLUSH_ERR.
   */
  postSend(work: Work): void {
    if (this.#state === 'idle' || this.#state === 'connecting') {
      throw new HoldfastError('ENOTCONN', 'work for a queue pair that is not connected')
    }
    if (this.#work.room === 0) throw full('work', this.#work.max)
    this.#demandServed(work.op)
    this.#attach()
    this.#work.post(work)
    this.#schedule()
  }

  /** Posts a receive. ENOMEM when `maxReceive` were posted whose completions were not taken. */
  postReceive(work: ReceiveWork): void {
    if (this.#receives.room === 0) throw full('receives', this.#receives.max)
    this.#attach()
    this.#receives.post(work)
    if (this.#state === 'closed' || this.#connection?.parked === true) this.#schedule()
  }

  #demandServed(op: Work['op']): void {
    if (this.agreed?.ord !== 0) return
    if (op !== 'read' && op !== 'fetchAdd' && op !== 'compareSwap') return
    const detail = `${op}: the two ends agreed on no Reads and Atomics from here (ORD 0)`
    throw new HoldfastError('EOPNOTSUPP', `${detail}; connect with ord, and accept with ird`)
  }

  /** What was posted in this turn of the event loop is sent together. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#host.soon(this)
  }

  turn(): void {
    this.#scheduled = false
    if (this.#state === 'closed') return this.#flush()
    this.#connection?.resume()
    this.#connection?.turn()
  }

  #flush(): void {
    this.#work.flush(null, 'WR_FLUSH_ERR', '')
    this.#receives.flush()
    this.#work.cq.tell()
    this.#receives.cq.tell()
    this.#detach()
  }

  /** A completion of its was taken. */
  taken(receive: boolean): void {
    if (receive) this.#receives.taken()
    else this.#work.taken()
    this.#detach()
  }

  /** Its completion queues have room for it again: also what comes after the end is told. */
  #attach(): void {
    if (!this.#detached) return
    this.#detached = false
    this.#work.cq.reserve(this.#work.max)
    this.#receives.cq.reserve(this.#receives.max)
  }

  /** Its completion queues need no room for it any more. */
  #detach(): void {
    if (this.#detached || this.#state !== 'closed') return
    if (this.#work.outstanding > 0 || this.#receives.outstanding > 0) return
    this.#detached = true
    this.#work.cq.reserve(-this.#work.max)
    this.#receives.cq.reserve(-this.#receives.max)
  }

  // ---- the connection --------------------------------------------------------------------------

  /** It is being connected: nobody else connects it. EISCONN when it is, or was. */
  claim(): void {
    if (this.#state !== 'idle') {
      throw new HoldfastError('EISCONN', `a queue pair that is ${this.#state}; make a new one`)
    }
    this.#state = 'connecting'
  }

  /** Connecting it has failed: it may be tried again. */
  unclaim(): void {
    this.onClosed = null
    if (this.#state === 'connecting') this.#state = 'idle'
  }

  /** The two ends have agreed: full operation begins. Returns what the stream's events go to. */
  start(stream: ByteStream, agreed: Agreed, initiator: boolean): Connection {
    const options = {
      stream,
      agreed,
      initiator,
      work: this.#work,
      receives: this.#receives,
      domain: this.domain,
      shared: this.#host,
      sinkStag: this.#sinkStag,
      receivePatience: this.receivePatience,
    }
    this.#state = 'connected'
    this.#connection = new Connection(options, this.#events)
    if (initiator) this.#resolveEstablished()
    return this.#connection
  }

  /** Ends the connection in order, when all work that was posted is done. */
  disconnect(): Promise<End> {
    if (this.#connection === null) this.abort()
    else this.#connection.close()
    return this.closed
  }

  /** Ends the connection at once: the peer sees a reset. */
  abort(detail = 'this side gave the connection up'): void {
    if (this.#connection !== null) {
      this.#connection.abort(detail)
      this.#connection.turn()
    } else if (this.#state !== 'closed') {
      this.#ended({ cause: 'aborted', detail, error: null })
      this.#flush()
    }
  }

  [Symbol.dispose](): void {
    this.abort()
  }

  readonly #events: ConnectionEvents = {
    opened: () => this.#resolveEstablished(),
    invalidated: (region) => this.onInvalidate?.(region),
    ended: (end) => this.#ended(end),
  }

  #ended(end: End): void {
    this.#state = 'closed'
    this.#resolveClosed(end)
    this.#resolveEstablished()
    this.onClosed?.()
    this.#detach()
  }
}

function demandDepth(what: string, depth: number): void {
  if (Number.isInteger(depth) && depth >= 1 && depth <= QUEUE_MAX) return
  throw new HoldfastError('EINVAL', `${what} is ${depth}; pass 1 to ${QUEUE_MAX}`)
}

function demandPatience(milliseconds: number): void {
  if (Number.isInteger(milliseconds) && milliseconds >= 0 && milliseconds <= PATIENCE_MAX) return
  const detail = `receivePatience is ${milliseconds}; pass milliseconds, 0 to ${PATIENCE_MAX}`
  throw new HoldfastError('EINVAL', detail)
}

const full = (what: string, max: number) =>
  new HoldfastError('ENOMEM', `${max} ${what} were posted; take their completions first`)
