/** Receives that a program posted: where messages of the peer go, in the order of both. */
import type { Completion, CompletionQueue, Status } from './completion_queue.js'
import type { QueuePair } from './queue_pair.js'
import { PostedReceive, type ReceiveWork } from './work.js'
import { WorkQueue } from './work_queue.js'

export class ReceiveQueue extends WorkQueue<ReceiveWork, PostedReceive> {
  constructor(qp: QueuePair, cq: CompletionQueue, max: number) {
    super(qp, cq, max, () => new PostedReceive())
  }

  /** The one that the next message goes to; null: none is posted. */
  get current(): PostedReceive | null {
    return this.ring.length > 0 ? this.ring.at(0) : null
  }

  /** The current one is done. Returns its completion, to be filled further. */
  complete(status: Status, bytes: number): Completion {
    const receive = this.ring.at(0)
    const completion = this.cq.add()
    completion.id = receive.id
    completion.status = status
    completion.op = 'receive'
    completion.bytes = bytes
    completion.qp = this.qp
    completion.message = receive.made?.subarray(0, bytes) ?? null
    receive.clear()
    this.ring.shift()
    return completion
  }

  /** All that is left fails. */
  flush(): void {
    while (this.ring.length > 0) this.complete('WR_FLUSH_ERR', 0)
  }
}
