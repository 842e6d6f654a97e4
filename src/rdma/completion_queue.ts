/**
 * Completion queues: how work that ended is told.
 *
 * Invariants:
 * - a queue never overflows: it has room for all work that its queue pairs can have, and the place
 *   of a piece of work in its queue pair is free again only when its completion was taken;
 * - completions of one queue of a queue pair come in the order in which its work was posted.
 */
import { assert } from '../base/errors.js'
import type { QueuePair } from './queue_pair.js'

/** As ibv_wc_status names them. */
export type Status =
  | 'SUCCESS'
  /** What came was longer than what it was for. */
  | 'LOC_LEN_ERR'
  /** Local memory that this may not be done with, or that is not there any more. */
  | 'LOC_PROT_ERR'
  /** The queue pair had failed, or was closed, before this was done. */
  | 'WR_FLUSH_ERR'
  /** The peer sent something else than was asked for. */
  | 'BAD_RESP_ERR'
  /** The peer took the request for invalid. */
  | 'REM_INV_REQ_ERR'
  /** The peer's memory: no such STag, rights, or bounds. */
  | 'REM_ACCESS_ERR'
  /** The peer could not do it: no receive posted, one too short, or a failure of its own. */
  | 'REM_OP_ERR'
  /** The connection was lost while this was under way. */
  | 'RETRY_EXC_ERR'
  /** A failure that has nothing to do with this work. */
  | 'FATAL_ERR'

export type CompletionOp =
  | 'send'
  | 'write'
  | 'read'
  | 'immediate'
  | 'fetchAdd'
  | 'compareSwap'
  | 'localInvalidate'
  | 'receive'

/** What became of one piece of work (ibv_wc). */
export class Completion {
  /** As it was posted. */
  id: unknown = null
  status: Status = 'SUCCESS'
  op: CompletionOp = 'send'
  /** Bytes that came: of a receive, a read, an atomic. */
  bytes = 0
  /**
   * Of a receive, the Immediate Data that came with it or alone: its first four bytes, where verbs
   * have theirs, and its last four. Null: none.
   */
  immediate: number | null = null
  immediateLow = 0
  /** Of a receive: the STag that the peer's message invalidated; 0: none. */
  invalidated = 0
  /** Of a receive: the sender asked for an event. */
  solicited = false
  /** Of a receive without memory of its own: the message. Null: it had, or none came. */
  message: Uint8Array | null = null
  /** Why, where there is more to say than the status does. */
  detail = ''
  qp!: QueuePair

  take(other: Completion): void {
    this.id = other.id
    this.status = other.status
    this.op = other.op
    this.bytes = other.bytes
    this.immediate = other.immediate
    this.immediateLow = other.immediateLow
    this.invalidated = other.invalidated
    this.solicited = other.solicited
    this.message = other.message
    this.detail = other.detail
    this.qp = other.qp
  }
}

/** Completions that a queue makes at first. */
const LENGTH_LEAST = 4

type Listener = (queue: CompletionQueue) => void

export class CompletionQueue implements AsyncIterable<Completion> {
  /**
   * Called when there are completions to take, after all that one turn brought: instead of waiting.
   */
  listener: Listener | null = null
  #ring: Completion[] = []
  #first = 0
  #count = 0
  /** What its queue pairs may have at most. */
  #reserved = 0
  #told = true
  readonly #waiters: { readonly wake: () => void; readonly solicited: boolean }[] = []

  /** Completions that wait to be taken. */
  get length(): number {
    return this.#count
  }

  /**
   * Takes completions, at most as many as there are objects in `into`: they are filled. Returns how
   * many (ibv_poll_cq).
   */
  poll(into: readonly Completion[]): number {
    const count = Math.min(into.length, this.#count)
    for (let i = 0; i < count; i++) this.#takeInto(into[i]!)
    return count
  }

  /** One completion, in an object of its own; null: there is none. */
  take(): Completion | null {
    if (this.#count === 0) return null
    const completion = new Completion()
    this.#takeInto(completion)
    return completion
  }

  /**
   * Resolves when there is something to take. `solicited`: only for what its sender wanted an event
   * for, and for failures (ibv_req_notify_cq).
   */
  wait({ solicited = false }: { readonly solicited?: boolean } = {}): Promise<void> {
    if (solicited ? this.#hasEvent : this.#count > 0) return Promise.resolve()
    return new Promise((wake) => this.#waiters.push({ wake, solicited }))
  }

  /** Completions as they come, for ever. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Completion, never> {
    for (;;) {
      const completion = this.take()
      if (completion === null) await this.wait()
      else yield completion
    }
  }

  /** Room for a queue pair, or without it. */
  reserve(work: number): void {
    this.#reserved += work
  }

  /** It is long as long as many wait in it: one that is idle takes next to nothing. */
  #grow(): void {
    const ring: Completion[] = []
    for (let i = 0; i < this.#count; i++) ring.push(this.#at(i))
    const wanted = Math.min(this.#reserved, Math.max(LENGTH_LEAST, 2 * ring.length))
    while (ring.length < wanted) ring.push(new Completion())
    this.#ring = ring
    this.#first = 0
  }

  /** The next one, for the queue pair to fill. */
  add(): Completion {
    assert(this.#count < this.#reserved, 'a completion queue has room for all work')
    if (this.#count === this.#ring.length) this.#grow()
    const completion = this.#at(this.#count++)
    completion.message = null
    completion.bytes = 0
    completion.immediate = null
    completion.immediateLow = 0
    completion.invalidated = 0
    completion.solicited = false
    completion.detail = ''
    this.#told = false
    return completion
  }

  /** Those that were added are whole: whoever waits for them is told. */
  tell(): void {
    if (this.#told) return
    this.#told = true
    if (this.#waiters.length > 0) this.#wake()
    this.listener?.(this)
  }

  /** Whether one is there that `solicited` waits for. */
  get #hasEvent(): boolean {
    for (let i = 0; i < this.#count; i++) {
      const { solicited, status } = this.#at(i)
      if (solicited || status !== 'SUCCESS') return true
    }
    return false
  }

  #wake(): void {
    const event = this.#hasEvent
    const waiters = this.#waiters.splice(0)
    for (const waiter of waiters) {
      if (!waiter.solicited || event) waiter.wake()
      else this.#waiters.push(waiter)
    }
  }

  #at(index: number): Completion {
    return this.#ring[(this.#first + index) % this.#ring.length]!
  }

  #takeInto(completion: Completion): void {
    const first = this.#at(0)
    completion.take(first)
    first.id = null
    first.message = null
    this.#first = (this.#first + 1) % this.#ring.length
    this.#count--
    completion.qp.taken(completion.op === 'receive')
  }
}
