/**
 * A connected peer, as most programs want one: each operation is a promise, and messages are
 * iterated over. Queue pairs are below it, and do the work.
 *
 * Invariants:
 * - operations are begun in the order of the calls, however many wait for room;
 * - messages that were not taken fill the receives, and no more: then nothing is taken from the
 *   peer, until one is, or patience ends;
 * - each promise settles once: with its result, or with why there is none.
 */
import { HoldfastError, type ErrorCode } from '../base/errors.js'
import type { Completion, CompletionQueue, Status } from './completion_queue.js'
import type { ConnectOptions, Device } from './device.js'
import type { AcceptOptions, ConnectionRequest } from './listener.js'
import type { End } from './connection.js'
import type { Local } from './local.js'
import type { ProtectionDomain } from './memory_region.js'
import type { QueuePair } from './queue_pair.js'
import { Ring } from './ring.js'
import type { Work } from './work.js'

export interface PeerOptions {
  /** Whose regions the peer may reach: one of its own unless given. */
  readonly domain?: ProtectionDomain
  /** Operations under way at a time; others wait for their turn. 1024 unless given. */
  readonly maxSend?: number
  /** Messages that are kept until they are taken, and their bytes. 16 of 16 KiB unless given. */
  readonly messages?: number
  readonly messageBytes?: number
  /** Milliseconds that the peer waits while nobody takes its messages. 30 000 unless given. */
  readonly receivePatience?: number
}

export interface Message {
  readonly bytes: Uint8Array
  /** Immediate Data: its first four bytes, and its last. Null: none came. */
  readonly immediate: number | null
  readonly immediateLow: number
  /** The STag of this side that it invalidated; 0: none. */
  readonly invalidated: number
  /** The sender asked for an event. */
  readonly solicited: boolean
}

export interface ReadItem {
  readonly rkey: number
  readonly address: number | bigint
  /** How many bytes, or where they go. */
  readonly length?: number
  readonly into?: Local
}

export interface SendOptions {
  /** An STag of the peer that ends when it gets the message. */
  readonly invalidate?: number
  readonly solicited?: boolean
}

const MAX_SEND = 1024
const MESSAGES = 16
const MESSAGE_BYTES = 16 << 10
const PATIENCE_MILLISECONDS = 30_000
/** What a Read of no bytes names: nobody looks, but Chelsio's hardware refuses 0. */
const NOWHERE = { stag: 1, address: 0 }
/** Operations that wait for room; a program that has more does not wait for any. */
const WAITING_MAX = 1 << 16

/** An operation that failed, with the status that verbs have for it. */
export class WorkError extends HoldfastError {
  readonly status: Status

  constructor(op: string, status: Status, detail: string, end: End | null) {
    const why = [detail, end === null || end.detail === detail ? '' : end.detail]
    const text = why.filter((part) => part !== '').join('; ')
    super(codeOf(status), `${op}: ${status}${text === '' ? '' : `: ${text}`}`)
    this.status = status
  }
}

function codeOf(status: Status): ErrorCode {
  if (status === 'REM_ACCESS_ERR') return 'EACCES'
  if (status === 'LOC_PROT_ERR' || status === 'LOC_LEN_ERR') return 'EINVAL'
  if (status === 'REM_INV_REQ_ERR' || status === 'BAD_RESP_ERR') return 'EPROTO'
  if (status === 'REM_OP_ERR') return 'EIO'
  return 'ECONNRESET'
}

/** Somebody waits for an operation. */
class Pending {
  readonly op: string
  readonly resolve: () => void
  readonly reject: (error: Error) => void

  constructor(op: string, resolve: () => void, reject: (error: Error) => void) {
    this.op = op
    this.resolve = resolve
    this.reject = reject
  }
}

/** An operation that waits for room. */
interface Waiting {
  work: Work | null
  pending: Pending | null
}

const NO_BYTES = new Uint8Array(0)
const ORDER = new DataView(new ArrayBuffer(8))

export class Peer {
  readonly qp: QueuePair
  /** Resolves when the connection has ended. Never rejects. */
  readonly closed: Promise<End>
  readonly #cq: CompletionQueue
  readonly #waiting = new Ring<Waiting>(WAITING_MAX, () => ({ work: null, pending: null }))
  readonly #inbox: Message[] = []
  readonly #messageBytes: number
  #end: End | null = null
  #closing = false
  #wakeReader: (() => void) | null = null

  constructor(device: Device, options: PeerOptions = {}) {
    const { domain = device.protectionDomain(), maxSend = MAX_SEND } = options
    const { messages = MESSAGES, messageBytes = MESSAGE_BYTES } = options
    const { receivePatience = PATIENCE_MILLISECONDS } = options
    this.#cq = device.completionQueue()
    this.#cq.listener = () => this.#take()
    const depth = { maxSend, maxReceive: Math.max(1, messages) }
    this.qp = device.queuePair(domain, { sendCq: this.#cq, ...depth, receivePatience })
    this.#messageBytes = messageBytes
    for (let i = 0; i < messages; i++) this.#post()
    this.closed = this.qp.closed.then((end) => this.#ended(end))
  }

  get domain(): ProtectionDomain {
    return this.qp.domain
  }

  /** What the peer said when it connected, or accepted. */
  get privateData(): Uint8Array {
    return this.qp.peerPrivateData
  }

  // ---- one-sided -------------------------------------------------------------------------------

  /** Reads memory of the peer: `length` bytes, or as many as `into` has, which it returns then. */
  async read(rkey: number, address: number | bigint, length: number): Promise<Uint8Array>
  async read<L extends Local>(rkey: number, address: number | bigint, into: L): Promise<L>
  async read(rkey: number, address: number | bigint, what: number | Local): Promise<Local> {
    const local = typeof what === 'number' ? new Uint8Array(what) : what
    await this.#do({ op: 'read', local, remote: { stag: rkey, address } })
    return local
  }

  /** Reads many places, as far as the peer serves them at once; in the order of the list. */
  async readMany(items: readonly ReadItem[]): Promise<Local[]> {
    const reads = items.map(({ rkey, address, length = 0, into = new Uint8Array(length) }) =>
      this.read(rkey, address, into),
    )
    return Promise.all(reads)
  }

  /**
   * Writes memory of the peer. It resolves when the bytes are on their way, and may be changed
   * here: `placed` resolves when they are there.
   */
  write(rkey: number, address: number | bigint, local: Local): Promise<void> {
    return this.#do({ op: 'write', local, remote: { stag: rkey, address } })
  }

  /** Resolves when all that was written before is in the memory of the peer: a Read of no bytes. */
  placed(): Promise<void> {
    return this.#do({ op: 'read', local: [], remote: NOWHERE })
  }

  /** Adds to an aligned word of the peer, modulo 2^64; what was there before. */
  async fetchAdd(rkey: number, address: number | bigint, add: number | bigint): Promise<bigint> {
    const local = new Uint8Array(8)
    await this.#do({ op: 'fetchAdd', local, add, remote: { stag: rkey, address } })
    return wordOf(local)
  }

  /** Replaces an aligned word of the peer if it is what is expected; what was there before. */
  async compareSwap(
    rkey: number,
    address: number | bigint,
    compare: number | bigint,
    swap: number | bigint,
  ): Promise<bigint> {
    const local = new Uint8Array(8)
    await this.#do({ op: 'compareSwap', local, compare, swap, remote: { stag: rkey, address } })
    return wordOf(local)
  }

  // ---- messages --------------------------------------------------------------------------------

  /** Sends a message. It resolves when it is on its way. */
  send(local: Local, options: SendOptions = {}): Promise<void> {
    return this.#do({ op: 'send', local, ...options })
  }

  /** The next message; null: the peer has closed the connection. ECONNRESET when it was lost. */
  async receive(): Promise<Message | null> {
    while (this.#inbox.length === 0) {
      if (this.#end !== null) return this.#lastWord(this.#end)
      await new Promise<void>((resolve) => {
        const before = this.#wakeReader
        this.#wakeReader = () => {
          before?.()
          resolve()
        }
      })
    }
    const message = this.#inbox.shift()!
    if (this.#end === null) this.#post()
    return message
  }

  /** Messages as they come, until the connection is closed. */
  async *messages(): AsyncGenerator<Message, void> {
    for (let one = await this.receive(); one !== null; one = await this.receive()) yield one
  }

  /** Ends the connection in order, when all that was begun is done. */
  close(): Promise<End> {
    this.#closing = true
    if (this.#waiting.length === 0) void this.qp.disconnect()
    return this.closed
  }

  /** Ends it at once. */
  abort(): void {
    this.qp.abort()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  // ---- work ------------------------------------------------------------------------------------

  #do(work: Work): Promise<void> {
    return new Promise((resolve, reject) => {
      const pending = new Pending(work.op, resolve, reject)
      if (this.#end !== null || this.#closing) return this.#fail(pending, 'WR_FLUSH_ERR', '')
      if (this.qp.sendRoom > 0 && this.#waiting.length === 0) return this.#begin(work, pending)
      if (this.#waiting.length < WAITING_MAX) {
        Object.assign(this.#waiting.push(), { work, pending })
        return
      }
      const detail = `${WAITING_MAX} operations wait; await some of them first`
      reject(new HoldfastError('EAGAIN', detail))
    })
  }

  #begin(work: Work, pending: Pending): void {
    try {
      this.qp.postSend({ ...work, id: pending })
    } catch (error) {
      pending.reject(error as Error)
    }
  }

  #fail(pending: Pending, status: Status, detail: string): void {
    pending.reject(new WorkError(pending.op, status, detail, this.#end))
  }

  #take(): void {
    for (let one = this.#cq.take(); one !== null; one = this.#cq.take()) {
      if (one.op === 'receive') this.#takeMessage(one)
      else this.#settle(one)
    }
    if (this.#waiting.length === 0) return
    while (this.#waiting.length > 0 && this.qp.sendRoom > 0) {
      const { work, pending } = this.#firstWaiting()
      this.#begin(work, pending)
    }
    if (this.#closing && this.#waiting.length === 0) void this.qp.disconnect()
  }

  #firstWaiting() {
    const first = this.#waiting.at(0)
    const taken = { work: first.work!, pending: first.pending! }
    first.work = first.pending = null
    this.#waiting.shift()
    return taken
  }

  #settle({ id, status, detail }: Completion): void {
    const pending = id as Pending
    if (status === 'SUCCESS') return pending.resolve()
    // Why the connection has ended is known when it has.
    void this.qp.closed.then((end) => {
      pending.reject(new WorkError(pending.op, status, detail, end))
    })
  }

  #takeMessage({ status, message, ...rest }: Completion): void {
    if (status !== 'SUCCESS') return
    const { immediate, immediateLow, invalidated, solicited } = rest
    // One that came in many segments has more memory behind it than it has bytes.
    const whole = message === null || message.buffer.byteLength === message.length
    const bytes = whole ? (message ?? NO_BYTES) : message.slice()
    this.#inbox.push({ bytes, immediate, immediateLow, invalidated, solicited })
    this.#wake()
  }

  #post(): void {
    this.qp.postReceive({ length: this.#messageBytes })
  }

  #wake(): void {
    const wake = this.#wakeReader
    this.#wakeReader = null
    wake?.()
  }

  #ended(end: End): End {
    this.#end = end
    while (this.#waiting.length > 0) this.#fail(this.#firstWaiting().pending, 'WR_FLUSH_ERR', '')
    this.#wake()
    return end
  }

  #lastWord({ cause, detail }: End): null {
    if (cause === 'disconnected' || cause === 'aborted') return null
    throw new HoldfastError('ECONNRESET', `${cause}: ${detail}`)
  }
}

/** A number as this machine has it. */
function wordOf(bytes: Uint8Array): bigint {
  for (let i = 0; i < 8; i++) ORDER.setUint8(i, bytes[i]!)
  return ORDER.getBigUint64(0, true)
}

/** Connects to a peer. As Device.connect. */
export async function connectPeer(
  device: Device,
  options: ConnectOptions & PeerOptions,
): Promise<Peer> {
  const peer = new Peer(device, options)
  try {
    await device.connect(peer.qp, options)
    return peer
  } catch (error) {
    peer.abort()
    throw error
  }
}

/**
 * Takes a connection. It may be sent to at once: what is posted waits until the peer has spoken.
 */
export function acceptPeer(
  device: Device,
  request: ConnectionRequest,
  options: AcceptOptions & PeerOptions = {},
): Peer {
  const peer = new Peer(device, options)
  try {
    request.accept(peer.qp, options)
    return peer
  } catch (error) {
    peer.abort()
    throw error
  }
}
