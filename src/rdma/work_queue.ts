/**
 * Work that was posted and is not done, oldest first; and how much more may be posted.
 *
 * Invariant: work counts from when it is posted until its completion was taken, so that its
 * completion queue has room for all of it.
 */
import type { CompletionQueue } from './completion_queue.js'
import type { QueuePair } from './queue_pair.js'
import { Ring } from './ring.js'

/** One object of a queue, filled again and again. */
interface Posted<Work> {
  /** Throws for what cannot be meant. */
  fill(work: Work): void
}

export class WorkQueue<Work, P extends Posted<Work>> {
  readonly cq: CompletionQueue
  protected readonly qp: QueuePair
  protected readonly ring: Ring<P>
  #outstanding = 0

  constructor(qp: QueuePair, cq: CompletionQueue, max: number, make: () => P) {
    this.qp = qp
    this.cq = cq
    this.ring = new Ring(max, make)
    cq.reserve(max)
  }

  get max(): number {
    return this.ring.max
  }

  /** Work that may be posted now. */
  get room(): number {
    return this.ring.max - this.#outstanding
  }

  /** Posted, and not taken from the completion queue. */
  get outstanding(): number {
    return this.#outstanding
  }

  /** There is room. */
  post(work: Work): void {
    const posted = this.ring.push()
    try {
      posted.fill(work)
    } catch (error) {
      this.ring.pop()
      throw error
    }
    this.#outstanding++
  }

  /** A completion was taken, or there is none to be taken. */
  taken(): void {
    this.#outstanding--
  }
}
