/**
 * What one end asks of the other, and what must come of it: the model of one direction.
 *
 * Invariants (RFC 5040, 5.5; the ordering of one stream):
 * - Writes are placed in the order in which they were posted, each byte once, and nothing else is;
 * - Reads and Atomics are served in the order in which they were posted, after all Writes before
 *   them were placed;
 * - a fenced piece of work is seen by the peer when all Reads and Atomics before it have completed;
 * - what a Read brings is what was there when it was served.
 */
import assert from 'node:assert/strict'
import type { ErrorCode } from '../../src/rdma/wire/terminate.js'
import type { Status } from '../../src/rdma/completion_queue.js'
import type { MemoryRegion } from '../../src/rdma/memory_region.js'
import type { Work } from '../../src/rdma/work.js'
import type { LocalMemory, Offered } from './simulated_memory.js'

export interface Op {
  readonly index: number
  readonly op: Work['op']
  readonly fence: boolean
  readonly signaled: boolean
  readonly solicited: boolean
  readonly local: LocalMemory | null
  /** What is sent, or written. */
  readonly content: Uint8Array
  readonly region: Offered | null
  readonly offset: number
  /** Of a Read: bytes. */
  readonly length: number
  /** An atomic: what becomes of a word. */
  readonly change: ((before: bigint) => bigint) | null
  readonly immediate: readonly [number, number] | null
  readonly invalidates: number
  /** It cannot succeed: with it, this direction ends. */
  readonly bad: boolean
  /** Local memory is why. */
  readonly unfit: boolean
  /** A region of this side that ends with it. */
  readonly ends: MemoryRegion | null
  /** Bytes placed, or served; of an atomic 8 when it was done. */
  done: number
  /** Of a Read: what was served so far. Of an atomic: what was there. */
  readonly served: Uint8Array
  status: Status | null
}

const places = ({ op }: Op) => op === 'write' || op === 'writeImmediate'
const asks = ({ op }: Op) => op === 'read' || op === 'fetchAdd' || op === 'compareSwap'
export const messages = ({ op }: Op) =>
  op === 'send' || op === 'immediate' || op === 'writeImmediate'

const toPlace = (op: Op) => (places(op) ? op.content.length : 0)
const toServe = (op: Op) => (asks(op) ? op.length : 0)

export class Flow {
  readonly ops: Op[] = []
  /** Those that complete a receive, in order. */
  readonly messages: Op[] = []
  /** Errors that the peer may find in it. */
  readonly allowed: ErrorCode[] = []
  /** One that it must find is among them. */
  certain = false
  /** Local memory may go while it is needed. */
  mayLose = false
  /** Completions are taken now, wherever they are. */
  drain: () => void = () => {}
  #placing = 0
  #serving = 0
  /** Messages that came before any that was posted: of an RTR. */
  extra = 0

  add(op: Op): void {
    this.ops.push(op)
    if (messages(op)) this.messages.push(op)
    if (op.bad) this.certain = true
  }

  allow(...errors: readonly ErrorCode[]): void {
    this.allowed.push(...errors)
  }

  stored(region: Offered, offset: number, bytes: Uint8Array): void {
    const op = this.#next(this.#placing, toPlace)
    const asked = this.#next(this.#serving, toServe)
    if (
      asked !== null &&
      asked.change !== null &&
      asked.region === region &&
      asked.offset === offset
    ) {
      return this.#changed(asked, bytes)
    }
    assert.ok(op !== null && op.region === region, 'what is written was posted to be written there')
    assert.equal(offset, op.offset + op.done, 'Writes are placed in order')
    const end = op.done + bytes.length
    assert.ok(end <= op.content.length && !op.bad, 'no more is written than was posted')
    const same = Buffer.compare(bytes, op.content.subarray(op.done, end)) === 0
    assert.ok(same, `bytes ${op.done} to ${end} of Write ${op.index} are those that were posted`)
    this.#demandFences(op)
    region.shadow.set(bytes, offset)
    op.done = end
    this.#placing = op.index
  }

  #changed(op: Op, bytes: Uint8Array): void {
    this.#demandServed(op)
    const { shadow } = op.region!
    const view = new DataView(shadow.buffer, shadow.byteOffset)
    op.served.set(shadow.subarray(op.offset, op.offset + 8))
    const before = view.getBigUint64(op.offset, true)
    view.setBigUint64(op.offset, op.change!(before), true)
    const now = shadow.subarray(op.offset, op.offset + 8)
    assert.equal(Buffer.compare(bytes, now), 0, `atomic ${op.index} changes the word as it says`)
    op.done = 8
  }

  fetched(region: Offered, offset: number, bytes: Uint8Array): void {
    const op = this.#next(this.#serving, toServe)
    assert.ok(op?.op === 'read' && op.region === region, 'what is read was asked for')
    assert.equal(offset, op.offset + op.done, 'a Read is served in order')
    assert.ok(op.done + bytes.length <= op.length && !op.bad, 'no more is read than was asked for')
    this.#demandServed(op)
    op.served.set(bytes, op.done)
    op.done += bytes.length
  }

  /** All that was posted before it is where it belongs. */
  #demandServed(op: Op): void {
    this.#serving = op.index
    this.demandPlaced(op)
    this.#demandFences(op)
  }

  /** All Writes before it are placed. */
  demandPlaced(op: Op): void {
    for (; this.#placing < op.index; this.#placing++) {
      const before = this.ops[this.#placing]!
      const whole = before.done === toPlace(before) || !places(before)
      assert.ok(whole, `Write ${before.index} is placed before ${op.op} ${op.index} is seen`)
    }
  }

  /** What was posted before a fence, and answers, has completed. */
  #demandFences(op: Op): void {
    for (; this.#fenced <= op.index; this.#fenced++) {
      if (!this.ops[this.#fenced]!.fence) continue
      this.drain()
      for (let i = 0; i < this.#fenced; i++) {
        const before = this.ops[i]!
        const over = !asks(before) || before.status !== null || this.#silent(before)
        assert.ok(over, `${before.op} ${i} has completed before a fence lets ${op.index} go`)
      }
    }
  }
  #fenced = 0

  /** Its success is not told; that it was served is all that can be known. */
  #silent(op: Op): boolean {
    return !op.signaled && op.done === toServe(op)
  }

  #next(from: number, wanted: (op: Op) => number): Op | null {
    for (let i = from; i < this.ops.length; i++) {
      const op = this.ops[i]!
      if (op.done < wanted(op)) return op
      // Nothing is seen of what is behind it; only what is asked for is answered later.
      if (op.bad && (!asks(op) || wanted === toServe)) return null
    }
    return null
  }

  /** Its completion was taken. */
  completed(op: Op, status: Status): void {
    assert.equal(op.status, null, `${op.op} ${op.index} completes once`)
    assert.ok(op.signaled || status !== 'SUCCESS', 'an unsignaled success is not told')
    op.status = status
    for (let i = op.index - 1; i >= 0 && this.#told < i; i--) {
      const { status: its, signaled, op: name } = this.ops[i]!
      if (its !== null) break
      assert.ok(!signaled, `${name} ${i} completes before ${op.index}`)
      assert.equal(this.failed, false, `${name} ${i} fails behind one that has failed`)
    }
    for (let i = op.index + 1; i < this.ops.length; i++) {
      assert.equal(this.ops[i]!.status, null, 'completions come in the order of the work')
    }
    this.#told = op.index
    assert.ok(status !== 'LOC_PROT_ERR' || op.unfit || this.mayLose, 'its memory was there')
    if (status !== 'SUCCESS') this.failed = true
    else this.#demandSuccess(op)
  }
  #told = -1
  failed = false

  #demandSuccess(op: Op): void {
    assert.ok(!this.failed, 'nothing succeeds behind what has failed')
    assert.ok(!op.unfit && !(op.bad && asks(op)), `${op.op} ${op.index} cannot succeed`)
    if (op.ends !== null) assert.equal(op.ends.valid, false, 'a region has ended with its work')
    if (!asks(op)) return
    assert.equal(op.done, op.length, `${op.op} ${op.index} was served`)
    this.demandPlaced(op)
    assert.equal(Buffer.compare(op.local!.content(), op.served), 0, 'it brings what was there')
  }

  /** Whether all that was posted has ended, as far as that is told. */
  get over(): boolean {
    return this.ops.every(({ status, signaled }) => status !== null || !signaled)
  }
}
