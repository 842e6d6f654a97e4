/**
 * Read and Atomic Requests of the peer that are not answered yet.
 *
 * Invariants:
 * - there are at most IRD of them;
 * - they are answered in the order in which they came, and an Atomic changes memory when its turn
 *   is, so that a Read before it does not see it, and one behind it does;
 * - what they name is looked up when their response is made, for each segment of it anew.
 */
import { ProtocolError } from './protocol_error.js'
import { Ring } from './ring.js'
import type { Segment } from './segment.js'
import { AtomicRequest, Opcode, ReadRequest, UntaggedHeader } from './wire/ddp.js'
import { word } from './wire/header.js'
import { DdpError, RdmapError } from './wire/terminate.js'

const HEADER_BYTES = UntaggedHeader.size + AtomicRequest.size

/** AOpCodes (RFC 7306, 5.2.1). */
const FETCH_ADD = 0
const COMPARE_SWAP = 2

export class InboundRequest {
  atomic = false
  sinkStag = 0
  sinkHigh = 0
  sinkLow = 0
  length = 0
  /** What is fetched, or changed. */
  stag = 0
  toHigh = 0
  toLow = 0
  operation: 0 | 2 = FETCH_ADD
  requestId = 0
  /** Data, mask, compare, compareMask, low halves first. */
  readonly change = new Uint32Array(8)
  /** Its headers, for a Terminate that blames it. */
  readonly headers = new Uint8Array(HEADER_BYTES)
  headerBytes = 0

  /** Throws a ProtocolError for an atomic that there is none of. */
  read(segment: Segment): void {
    const { bytes, start, length, payload } = segment
    this.atomic = segment.opcode === Opcode.atomicRequest
    this.headerBytes = length
    this.headers.set(bytes.subarray(start, start + length))
    if (this.atomic) this.#readAtomic(bytes, payload)
    else this.#readRead(bytes, payload)
  }

  #readRead(bytes: Uint8Array, at: number): void {
    const fields = ReadRequest.at
    this.sinkStag = word(bytes, at + fields.sinkStag)
    this.sinkHigh = word(bytes, at + fields.sinkTo)
    this.sinkLow = word(bytes, at + fields.sinkTo + 4)
    this.length = word(bytes, at + fields.length)
    this.stag = word(bytes, at + fields.sourceStag)
    this.toHigh = word(bytes, at + fields.sourceTo)
    this.toLow = word(bytes, at + fields.sourceTo + 4)
  }

  #readAtomic(bytes: Uint8Array, at: number): void {
    const fields = AtomicRequest.at
    const operation = word(bytes, at + fields.operation) & 0x0f
    if (operation !== FETCH_ADD && operation !== COMPARE_SWAP) {
      throw new ProtocolError(RdmapError.unexpectedOpcode, `AOpCode ${operation}`)
    }
    this.operation = operation
    this.requestId = word(bytes, at + fields.requestId)
    this.stag = word(bytes, at + fields.stag)
    this.toHigh = word(bytes, at + fields.to)
    this.toLow = word(bytes, at + fields.to + 4)
    this.length = 8
    this.#putWord(0, bytes, at + fields.data)
    this.#putWord(2, bytes, at + fields.mask)
    this.#putWord(4, bytes, at + fields.compare)
    this.#putWord(6, bytes, at + fields.compareMask)
  }

  #putWord(index: number, bytes: Uint8Array, at: number): void {
    this.change[index] = word(bytes, at + 4)
    this.change[index + 1] = word(bytes, at)
  }
}

export class InboundRequests {
  readonly #ring: Ring<InboundRequest>
  readonly #ird: number

  constructor(ird: number) {
    this.#ird = ird
    this.#ring = new Ring(ird, () => new InboundRequest())
  }

  get length(): number {
    return this.#ring.length
  }

  /** The one that is to be answered next; null: there is none. */
  get current(): InboundRequest | null {
    return this.#ring.length > 0 ? this.#ring.at(0) : null
  }

  /** Throws a ProtocolError when there are too many, or it is none. */
  add(segment: Segment): void {
    if (this.#ring.length >= this.#ird) {
      const detail = `${this.#ring.length} Reads and Atomics wait, and ${this.#ird} are served`
      throw new ProtocolError(DdpError.noBuffer, detail)
    }
    this.#ring.push().read(segment)
  }

  answered(): void {
    this.#ring.shift()
  }

  clear(): void {
    while (this.#ring.length > 0) this.#ring.shift()
  }
}
