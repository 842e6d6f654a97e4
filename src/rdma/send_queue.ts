/**
 * What a program posted to be sent, and what became of it.
 *
 *     completed … | front … waits for what is before it, or a response … | next … posted | end
 *
 * Invariants:
 * - work begins, and completes, in the order in which it was posted;
 * - Reads and Atomics that await a response are at most ORD, and their responses come in the order
 *   of the requests;
 * - Writes and Sends are done when all of their bytes were handed to the stream.
 */
import type { CompletionQueue, Status } from './completion_queue.js'
import type { QueuePair } from './queue_pair.js'
import type { Segment } from './segment.js'
import { Opcode, Queue, ReadRequest } from './wire/ddp.js'
import { word } from './wire/header.js'
import { PostedWork, WorkState, type Work } from './work.js'
import { WorkQueue } from './work_queue.js'

export class SendQueue extends WorkQueue<Work, PostedWork> {
  /** Ordinal numbers of all work ever posted: the oldest not completed, and the next to begin. */
  #front = 0
  #next = 0
  /** The oldest that awaits a response, or where one may be; and how many do. */
  #oldest = 0
  awaiting = 0
  /** RTRs that are Reads, of no bytes: their responses come before all others. */
  readyReads = 0
  #handed = 0

  constructor(qp: QueuePair, cq: CompletionQueue, max: number) {
    super(qp, cq, max, () => new PostedWork())
  }

  get idle(): boolean {
    return this.ring.length === 0
  }

  /** The work that is to begin next, or is under way; null: there is none. */
  get current(): PostedWork | null {
    const at = this.#next - this.#front
    return at < this.ring.length ? this.ring.at(at) : null
  }

  /** The current one is built, up to a position of the stream. */
  built(end: number): void {
    const work = this.current!
    work.end = end
    work.state = WorkState.built
    if (work.responds) this.awaiting++
    this.#next++
  }

  /** The oldest that awaits a response; null: none does. */
  get oldestAwaiting(): PostedWork | null {
    if (this.awaiting === 0) return null
    for (let at = Math.max(this.#oldest, this.#front); ; at++) {
      const work = this.ring.at(at - this.#front)
      if (!work.responds || work.state === WorkState.done) continue
      this.#oldest = at
      return work
    }
  }

  /** Its response has come, all of it. */
  responded(work: PostedWork): void {
    work.state = WorkState.done
    work.region?.invalidate()
    this.awaiting--
    this.handed(this.#handed)
  }

  /** The current one was done without a byte. */
  doneAtOnce(): void {
    this.current!.state = WorkState.done
    this.#next++
    this.handed(this.#handed)
  }

  /** The stream has taken its bytes up to a position: what is done so is told. */
  handed(position: number): void {
    this.#handed = position
    while (this.ring.length > 0 && this.#next > this.#front) {
      const work = this.ring.at(0)
      if (work.state !== WorkState.done) {
        if (work.responds || work.end > position) return
        work.state = WorkState.done
      }
      this.#complete(work, 'SUCCESS', '')
    }
  }

  /** The work that a peer blames, by the headers of its segment; null: it has completed. */
  blamed(segment: Segment): PostedWork | null {
    for (let i = 0; i < this.ring.length; i++) {
      const work = this.ring.at(i)
      if (work.state === WorkState.posted) return null
      if (isBlamed(work, segment)) return work
    }
    return null
  }

  /** The oldest that was begun; null: none was. */
  get begun(): PostedWork | null {
    const first = this.ring.length > 0 ? this.ring.at(0) : null
    return first === null || first.state === WorkState.posted ? null : first
  }

  /** All that is left fails: one of it with a status of its own. */
  flush(blamed: PostedWork | null, status: Status, detail: string): void {
    while (this.ring.length > 0) {
      const work = this.ring.at(0)
      if (work === blamed) this.#complete(work, status, detail)
      else this.#complete(work, 'WR_FLUSH_ERR', '')
    }
    this.awaiting = 0
    this.#next = this.#front
  }

  #complete(work: PostedWork, status: Status, detail: string): void {
    if (work.signaled || status !== 'SUCCESS') {
      const completion = this.cq.add()
      completion.id = work.id
      completion.status = status
      completion.op = work.op === 'writeImmediate' ? 'write' : work.op
      completion.bytes = status === 'SUCCESS' && work.responds ? work.length : 0
      completion.detail = detail
      completion.qp = this.qp
    } else {
      this.taken()
    }
    work.id = null
    work.local = []
    work.region = null
    this.ring.shift()
    this.#front++
    if (this.#next < this.#front) this.#next = this.#front
  }
}

function isBlamed(work: PostedWork, segment: Segment): boolean {
  const { tagged, qn, msn, stag, toHigh, toLow, opcode, payload, payloadLength, bytes } = segment
  if (tagged) {
    const writes = opcode === Opcode.write && work.op.startsWith('write')
    if (!writes || work.stag !== stag) return false
    const from = (toHigh - work.toHigh) * 2 ** 32 + (toLow - work.toLow)
    return from >= 0 && from < work.length
  }
  if (work.responds !== (qn === Queue.request)) return false
  if (opcode !== Opcode.readRequest || payloadLength < ReadRequest.size) return work.msn === msn
  // Linux's siw has the length of a Read where its number is; where it goes, it has right.
  const { sinkStag, sinkTo } = ReadRequest.at
  const sink = word(bytes, payload + sinkStag) === work.sinkStag
  const high = word(bytes, payload + sinkTo) === work.sinkHigh
  return sink && high && word(bytes, payload + sinkTo + 4) === work.sinkLow
}
