/** Receives that a program posted: where messages of the peer go, in the order of both. */
import type { Completion, CompletionQueue, Status } from './completion_queue.js'
import type { QueuePair } from './queue_pair.js'
import { Ring } from './ring.js'
import { PostedReceive, type ReceiveWork } from './work.js'

export class ReceiveQueue {
  readonly cq: CompletionQueue
  readonly #qp: QueuePair
  readonly #ring: Ring<PostedReceive>
  /** Posted, and not taken from the completion queue. */
  #outstanding = 0

  constructor(qp: QueuePair, cq: CompletionQueue, max: number) {
    this.#qp = qp
    this.cq = cq
    this.#ring = new Ring(max, () => new PostedReceive())
    cq.reserve(max)
  }

  get max(): number {
    return this.#ring.max
  }

  get room(): number {
    return this.#ring.max - this.#outstanding
  }

  get outstanding(): number {
    return this.#outstanding
  }

  /** There is room. */
  post(work: ReceiveWork): void {
    const posted = this.#ring.push()
    try {
      posted.fill(work)
    } catch (error) {
      this.#ring.length--
      throw error
    }
    this.#outstanding++
  }

  /** The one that the next message goes to; null: none is posted. */
  get current(): PostedReceive | null {
    return this.#ring.length > 0 ? this.#ring.at(0) : null
  }

  /** The current one is done. Returns its completion, to be filled further. */
  complete(status: Status, bytes: number): Completion {
    const receive = this.#ring.at(0)
    const completion = this.cq.add()
    completion.id = receive.id
    completion.status = status
    completion.op = 'receive'
    completion.bytes = bytes
    completion.qp = this.#qp
    receive.id = null
    receive.into = []
    this.#ring.shift()
    return completion
  }

  /** All that is left fails. */
  flush(): void {
    while (this.#ring.length > 0) this.complete('WR_FLUSH_ERR', 0)
  }

  taken(): void {
    this.#outstanding--
  }
}
