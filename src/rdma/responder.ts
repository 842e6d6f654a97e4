/** Answers to Read and Atomic Requests: a segment at a time, each looked up anew. */
import { hex } from '../base/struct.js'
import type { FrameBuffer } from './frame_buffer.js'
import type { InboundRequest } from './inbound.js'
import type { ProtectionDomain } from './memory_region.js'
import { Pieces } from './pieces.js'
import { ProtocolError } from './protocol_error.js'
import { Access, Fault } from './source.js'
import { fetchingError, type Stags } from './stags.js'
import {
  AtomicResponse,
  Opcode,
  putTagged,
  putUntagged,
  TaggedHeader,
  UntaggedHeader,
} from './wire/ddp.js'
import { put64 } from './wire/header.js'
import { RdmapError, type ErrorCode } from './wire/terminate.js'

const WORD = 2 ** 32
const WORD_BYTES = 8

export class Responder {
  readonly #stags: Stags
  readonly #domain: ProtectionDomain
  readonly #pieces = new Pieces()
  #msn = 1

  constructor(stags: Stags, domain: ProtectionDomain) {
    this.#stags = stags
    this.#domain = domain
  }

  /**
   * Frames a segment of an answer, from byte `from` on; returns where the next one begins, -1: that
   * was the last. Throws a ProtocolError that the peer is to be told.
   */
  answer(request: InboundRequest, from: number, out: FrameBuffer): number {
    if (!request.atomic) return this.#fetch(request, from, out)
    this.#change(request, out)
    return -1
  }

  #fetch(request: InboundRequest, from: number, out: FrameBuffer): number {
    const { length, sinkStag, sinkHigh, sinkLow } = request
    const count = Math.min(length - from, out.ulpdu - TaggedHeader.size)
    const last = from + count === length
    const { at } = out
    const offset = count > 0 ? this.#find(request, from, count, Access.remoteRead) : 0
    out.place(TaggedHeader.size, this.#pieces, count)
    if (count > 0) this.#demandFetched(request, offset, count)
    const low = sinkLow + from
    const high = (sinkHigh + Math.floor(low / WORD)) % WORD
    putTagged(out.view, at, Opcode.readResponse, last, sinkStag, high, low % WORD)
    out.sealPlaced(TaggedHeader.size, count)
    return last ? -1 : from + count
  }

  /** What was copied is what is there. */
  #demandFetched({ stag }: InboundRequest, offset: number, count: number): void {
    const fault = this.#stags.found.source.fetched?.(offset, count) ?? Fault.none
    if (fault !== Fault.none) throw faultError(fault, stag, RdmapError.bounds)
  }

  #change(request: InboundRequest, out: FrameBuffer): void {
    const { change, operation, toLow } = request
    if (toLow % WORD_BYTES !== 0) throw notAligned(request)
    const offset = this.#find(request, 0, WORD_BYTES, Access.remoteAtomic)
    const { source } = this.#stags.found
    if (!this.#pieces.change(operation, change)) throw notAligned(request)
    source.stored?.(offset, WORD_BYTES)
    const { at, view } = out
    const header = at + UntaggedHeader.size
    putUntagged(view, at, Opcode.atomicResponse, true, 0, this.#msn, 0)
    view.setUint32(header + AtomicResponse.at.requestId, request.requestId)
    put64(view, header + AtomicResponse.at.original, change[1]!, change[0]!)
    out.seal(UntaggedHeader.size + AtomicResponse.size)
    this.#msn = (this.#msn + 1) % WORD
  }

  /** Finds a part of what is asked for; returns its offset in its source. */
  #find(request: InboundRequest, from: number, count: number, right: number): number {
    const { stag, toHigh, toLow, length } = request
    const low = toLow + from
    const high = toHigh + Math.floor(low / WORD)
    // All of it at first, so that nothing is sent of what is not there as a whole.
    const wanted = from === 0 ? length : count
    const offset = this.#stags.find(stag, this.#domain, high, low % WORD, wanted, right)
    if (offset < 0) {
      const detail = `${wanted} bytes of STag ${hex(stag)} at ${hex(high)}:${hex(low % WORD)}`
      throw new ProtocolError(fetchingError(offset), detail)
    }
    const store = right === Access.remoteAtomic
    this.#pieces.clear()
    const fault = this.#stags.found.translate(offset, count, store, this.#pieces)
    if (fault !== Fault.none) throw faultError(fault, stag, RdmapError.bounds)
    return offset
  }
}

const notAligned = ({ stag, toLow }: InboundRequest) =>
  new ProtocolError(
    RdmapError.streamCatastrophic,
    `an atomic in STag ${hex(stag)} at ${hex(toLow)}, not aligned to 8 bytes`,
  )

/** What a peer is told of a source that does not find what is within its region. */
export function faultError(fault: Fault, stag: number, bounds: ErrorCode): ProtocolError {
  if (fault === Fault.bounds) {
    return new ProtocolError(bounds, `what STag ${hex(stag)} names ends before`)
  }
  if (fault === Fault.rights) {
    return new ProtocolError(RdmapError.accessRights, `STag ${hex(stag)} is not for this`)
  }
  const detail = `what STag ${hex(stag)} names cannot be had`
  return new ProtocolError(RdmapError.catastrophic, detail)
}
