/**
 * What goes out of a connection: responses, posted work, and at last a Terminate, cut to segments
 * and framed into one buffer, which the stream takes from as it has room.
 *
 * Invariants:
 * - segments of two messages are never mixed;
 * - a segment is copied into the buffer, and its CRC is of the copy: nobody's memory is read once
 *   `pump` has returned;
 * - of responses and work neither waits for more than a few messages of the other;
 * - a connection has a buffer only while there is something in it.
 */
import { assert } from '../base/errors.js'
import type { ByteStream } from '../base/byte_stream.js'
import type { Buffers } from './buffers.js'
import { FpduWriter, LARGE_ULPDU, ulpduFor } from './fpdu.js'
import { InboundRequests, type InboundRequest } from './inbound.js'
import { invalidLocal, moveLocal } from './local.js'
import type { ProtectionDomain } from './memory_region.js'
import { Pieces } from './pieces.js'
import { ProtocolError } from './protocol_error.js'
import type { SendQueue } from './send_queue.js'
import type { Agreed } from './setup.js'
import { Access, Fault } from './source.js'
import { fetchingError, type Stags } from './stags.js'
import {
  AtomicRequest,
  AtomicResponse,
  IMMEDIATE_BYTES,
  Opcode,
  putTagged,
  putUntagged,
  ReadRequest,
  TaggedHeader,
  UntaggedHeader,
} from './wire/ddp.js'
import { put64 } from './wire/header.js'
import type { Rtr } from './wire/mpa.js'
import { RdmapError, type ErrorCode } from './wire/terminate.js'
import type { PostedWork } from './work.js'

const WORD = 2 ** 32
/** Responses in a row while work waits (as Linux's siw has it). */
const RESPONSES_IN_A_ROW = 4
/** What one `pump` sends before others have their turn. */
const PUMP_BYTES = 1 << 20
/** The STag of an RTR: Chelsio's hardware refuses 0, which nobody looks at. */
const RTR_STAG = 1

const Message = { none: 0, response: 1, work: 2, immediate: 3 } as const
type Message = (typeof Message)[keyof typeof Message]

/** What its queue pair is told. */
export interface TransmitterEvents {
  /** A response cannot be made: the peer is to be told, who asked for it. */
  refused(error: ProtocolError, request: InboundRequest): void
  /** Work whose local memory is not there. */
  unfit(work: PostedWork, why: string): void
  /** The stream failed. */
  broken(error: Error): void
  /** More could be sent, but others are to have their turn first. */
  yielded(): void
  /** All that there was is with the stream, the Terminate among it if there was one. */
  drained(): void
}

export interface TransmitterOptions {
  readonly stream: ByteStream
  readonly agreed: Agreed
  readonly work: SendQueue
  readonly inbound: InboundRequests
  readonly domain: ProtectionDomain
  readonly stags: Stags
  readonly buffers: Buffers
  /** Names where responses go that have no region of their own. */
  readonly sinkStag: number
}

export class Transmitter {
  /** Messages that may be sent: not before a responder has heard of the initiator. */
  open = false
  /** Bytes that the stream has taken, and calls of it. */
  handed = 0
  sends = 0
  readonly #o: TransmitterOptions
  readonly #events: TransmitterEvents
  readonly #writer: FpduWriter
  #buffer: Uint8Array | null = null
  #view!: DataView
  /** What the stream has not taken: [from, to) of the buffer. */
  #from = 0
  #to = 0
  #built = 0
  /** No room in the stream. */
  #full = false
  #pumping = false
  #ulpdu = 0
  #message: Message = Message.none
  #at = 0
  #responses = 0
  #terminate: Uint8Array | null = null
  #stopped = false
  #sendMsn = 1
  #requestMsn = 1
  #responseMsn = 1
  #sinkLow = 0
  readonly #pieces = new Pieces()

  constructor(options: TransmitterOptions, events: TransmitterEvents) {
    this.#o = options
    this.#events = events
    const { crc, sendMarkers } = options.agreed
    this.#writer = new FpduWriter({ crc, markers: sendMarkers })
  }

  /** Whether there is nothing that is to be sent, or may be later. */
  get idle(): boolean {
    return this.#from === this.#to && this.#message === Message.none && this.#o.inbound.length === 0
  }

  /** Sends what there is, as far as there is room. */
  pump(): void {
    if (this.#pumping || this.#full) return
    this.#pumping = true
    try {
      this.#pumpBytes(this.handed + PUMP_BYTES)
    } catch (error) {
      this.stop()
      this.#events.broken(error as Error)
    } finally {
      this.#pumping = false
    }
  }

  /** There is room again. */
  writable(): void {
    this.#full = false
    this.pump()
  }

  /** What is under way ends with its segment, and nothing that was asked for is answered. */
  drop(): void {
    this.#message = Message.none
    this.#o.inbound.clear()
    this.open = false
  }

  /** The last message. */
  terminate(payload: Uint8Array): void {
    this.#terminate = payload
  }

  /** Nothing is sent any more, not even what was framed. */
  stop(): void {
    this.#stopped = true
    this.#message = Message.none
    this.#from = this.#to = 0
    this.#releaseBuffer()
  }

  /** The initiator's first message, where the responder waits for it. */
  ready(rtr: Rtr): void {
    this.#takeBuffer()
    const at = this.#to + FpduWriter.ulpduAt
    if (rtr === 'write') {
      putTagged(this.#view, at, Opcode.write, true, RTR_STAG, 0, 0)
      this.#seal(TaggedHeader.size)
    } else if (rtr === 'send') {
      putUntagged(this.#view, at, Opcode.send, true, 0, this.#sendMsn++, 0)
      this.#seal(UntaggedHeader.size)
    } else {
      this.#putRead(at, RTR_STAG, 0, 0, 0, RTR_STAG, 0, 0)
    }
  }

  #pumpBytes(until: number): void {
    for (;;) {
      if (this.#from < this.#to && !this.#hand()) return
      if (this.#stopped) return
      if (this.handed >= until) return this.#events.yielded()
      this.#fill()
      if (this.#from === this.#to && this.#terminate === null) break
    }
    this.#releaseBuffer()
    this.#events.drained()
  }

  /** Gives the stream what is framed; false: it has no room for all of it. */
  #hand(): boolean {
    const wanted = this.#to - this.#from
    const taken = this.#o.stream.send(this.#buffer!, this.#from, wanted)
    this.sends++
    this.#from += taken
    this.handed += taken
    this.#full = taken < wanted
    if (!this.#full) this.#from = this.#to = 0
    this.#o.work.handed(this.handed)
    return !this.#full
  }

  #takeBuffer(): void {
    if (this.#buffer !== null) return
    const buffer = this.#o.buffers.borrow()
    this.#buffer = buffer.bytes
    this.#view = buffer.view
    const { agreed, stream } = this.#o
    this.#ulpdu = agreed.large ? LARGE_ULPDU : ulpduFor(stream.segmentBytes, agreed.sendMarkers)
  }

  #releaseBuffer(): void {
    if (this.#buffer === null) return
    this.#o.buffers.giveBack(this.#buffer)
    this.#buffer = null
  }

  // ---- messages --------------------------------------------------------------------------------

  /** Frames as much as there is, and fits. */
  #fill(): void {
    if (this.#terminate === null && !this.#more()) return
    this.#takeBuffer()
    const most = this.#writer.bytesFor(this.#ulpdu)
    while (this.#buffer !== null && this.#to + most <= this.#buffer.length) {
      if (this.#terminate !== null) return this.#putTerminate()
      if (!this.#more()) return
      this.#putSegment()
    }
  }

  /** Whether there is a message to go on with, or to begin. */
  #more(): boolean {
    if (this.#message !== Message.none) return true
    if (!this.open || this.#stopped) return false
    const { inbound } = this.#o
    const work = this.#startable()
    this.#at = 0
    if (inbound.length > 0 && (work === null || this.#responses < RESPONSES_IN_A_ROW)) {
      this.#responses++
      this.#message = Message.response
      return true
    }
    this.#responses = 0
    if (work === null) return false
    return this.#begin(work)
  }

  /** The work whose turn it is, if it need not wait; what takes no message is done on the way. */
  #startable(): PostedWork | null {
    const { work, agreed } = this.#o
    for (;;) {
      const current = work.current
      if (current === null) return null
      if (current.fence && work.awaiting > 0) return null
      if (current.responds && work.awaiting >= agreed.ord) return null
      if (current.op !== 'localInvalidate') return current
      current.region!.invalidate()
      work.doneAtOnce()
      work.handed(this.handed)
    }
  }

  #begin(work: PostedWork): boolean {
    const why = invalidLocal(work.local, this.#o.domain, work.responds)
    work.state = 1
    if (why !== '') {
      this.#events.unfit(work, why)
      return false
    }
    this.#message = work.op === 'immediate' ? Message.immediate : Message.work
    return true
  }

  #putSegment(): void {
    if (this.#message === Message.response) return this.#putResponse(this.#o.inbound.current!)
    const work = this.#o.work.current!
    if (this.#message === Message.immediate) return this.#putImmediate(work)
    switch (work.op) {
      case 'write':
      case 'writeImmediate':
        return this.#putWrite(work)
      case 'send':
        return this.#putSend(work)
      case 'read':
        return this.#putReadOf(work)
      default:
        return this.#putAtomic(work)
    }
  }

  #seal(ulpdu: number): void {
    const length = this.#writer.seal(this.#buffer!, this.#to, ulpdu)
    this.#to += length
    this.#built += length
  }

  #workBuilt(): void {
    this.#message = Message.none
    this.#o.work.built(this.#built)
  }

  // ---- of work ---------------------------------------------------------------------------------

  #putWrite(work: PostedWork): void {
    const count = Math.min(work.length - this.#at, this.#ulpdu - TaggedHeader.size)
    const last = this.#at + count === work.length
    const at = this.#to + FpduWriter.ulpduAt
    if (!this.#gather(work, at + TaggedHeader.size, count)) return
    const low = work.toLow + this.#at
    const high = (work.toHigh + Math.floor(low / WORD)) % WORD
    putTagged(this.#view, at, Opcode.write, last, work.stag, high, low % WORD)
    this.#seal(TaggedHeader.size + count)
    this.#at += count
    if (!last) return
    if (work.op === 'write') this.#workBuilt()
    else this.#message = Message.immediate
  }

  #putSend(work: PostedWork): void {
    const count = Math.min(work.length - this.#at, this.#ulpdu - UntaggedHeader.size)
    const last = this.#at + count === work.length
    const at = this.#to + FpduWriter.ulpduAt
    if (!this.#gather(work, at + UntaggedHeader.size, count)) return
    const opcode = sendOpcode(work)
    work.msn = this.#sendMsn
    putUntagged(this.#view, at, opcode, last, work.invalidate, this.#sendMsn, this.#at)
    this.#seal(UntaggedHeader.size + count)
    this.#at += count
    if (!last) return
    this.#sendMsn = (this.#sendMsn + 1) % WORD
    this.#workBuilt()
  }

  #putImmediate(work: PostedWork): void {
    const at = this.#to + FpduWriter.ulpduAt
    const opcode = work.solicited ? Opcode.immediateSolicited : Opcode.immediate
    work.msn = this.#sendMsn
    putUntagged(this.#view, at, opcode, true, 0, this.#sendMsn, 0)
    put64(this.#view, at + UntaggedHeader.size, work.immediate, work.immediateLow)
    this.#seal(UntaggedHeader.size + IMMEDIATE_BYTES)
    this.#sendMsn = (this.#sendMsn + 1) % WORD
    this.#workBuilt()
  }

  #gather(work: PostedWork, at: number, count: number): boolean {
    const { domain } = this.#o
    if (moveLocal(work.local, domain, this.#at, false, this.#buffer!, at, count)) return true
    this.#message = Message.none
    this.#events.unfit(work, 'local memory went away')
    return false
  }

  #putReadOf(work: PostedWork): void {
    this.#nameSink(work)
    work.msn = this.#requestMsn
    const { sinkStag, sinkHigh, sinkLow, length, stag, toHigh, toLow } = work
    const at = this.#to + FpduWriter.ulpduAt
    this.#putRead(at, sinkStag, sinkHigh, sinkLow, length, stag, toHigh, toLow)
    this.#workBuilt()
  }

  /** Where a response goes, by name: what is not one region has a name of the queue pair's own. */
  #nameSink(work: PostedWork): void {
    const { local } = work
    if (!(local instanceof Uint8Array) && 'region' in local) {
      const to = local.region.address + local.offset
      work.sinkStag = local.region.stag
      work.sinkHigh = Math.floor(to / WORD)
      work.sinkLow = to % WORD
      return
    }
    work.sinkStag = this.#o.sinkStag
    work.sinkHigh = 0
    work.sinkLow = this.#sinkLow
    this.#sinkLow = (this.#sinkLow + work.length) % WORD
  }

  #putRead(
    at: number,
    sinkStag: number,
    sinkHigh: number,
    sinkLow: number,
    length: number,
    stag: number,
    toHigh: number,
    toLow: number,
  ): void {
    const view = this.#view
    const fields = ReadRequest.at
    const header = at + UntaggedHeader.size
    putUntagged(view, at, Opcode.readRequest, true, 0, this.#requestMsn, 0)
    view.setUint32(header + fields.sinkStag, sinkStag)
    put64(view, header + fields.sinkTo, sinkHigh, sinkLow)
    view.setUint32(header + fields.length, length)
    view.setUint32(header + fields.sourceStag, stag)
    put64(view, header + fields.sourceTo, toHigh, toLow)
    this.#seal(UntaggedHeader.size + ReadRequest.size)
    this.#requestMsn = (this.#requestMsn + 1) % WORD
  }

  #putAtomic(work: PostedWork): void {
    const view = this.#view
    const { change } = work
    const at = this.#to + FpduWriter.ulpduAt
    const header = at + UntaggedHeader.size
    const fields = AtomicRequest.at
    work.msn = this.#requestMsn
    putUntagged(view, at, Opcode.atomicRequest, true, 0, this.#requestMsn, 0)
    view.setUint32(header + fields.operation, work.op === 'fetchAdd' ? 0 : 2)
    view.setUint32(header + fields.requestId, work.msn)
    view.setUint32(header + fields.stag, work.stag)
    put64(view, header + fields.to, work.toHigh, work.toLow)
    put64(view, header + fields.data, change[1]!, change[0]!)
    put64(view, header + fields.mask, change[3]!, change[2]!)
    put64(view, header + fields.compare, change[5]!, change[4]!)
    put64(view, header + fields.compareMask, change[7]!, change[6]!)
    this.#seal(UntaggedHeader.size + AtomicRequest.size)
    this.#requestMsn = (this.#requestMsn + 1) % WORD
    this.#workBuilt()
  }

  // ---- responses -------------------------------------------------------------------------------

  #putResponse(request: InboundRequest): void {
    try {
      if (request.atomic) this.#putOriginal(request)
      else this.#putFetched(request)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#message = Message.none
      this.#events.refused(error, request)
    }
  }

  #answered(): void {
    this.#message = Message.none
    this.#o.inbound.answered()
  }

  #putFetched(request: InboundRequest): void {
    const count = Math.min(request.length - this.#at, this.#ulpdu - TaggedHeader.size)
    const last = this.#at + count === request.length
    const at = this.#to + FpduWriter.ulpduAt
    if (count > 0) {
      this.#find(request, this.#at, count, Access.remoteRead)
      this.#pieces.read(this.#buffer!, at + TaggedHeader.size)
    }
    const low = request.sinkLow + this.#at
    const high = (request.sinkHigh + Math.floor(low / WORD)) % WORD
    putTagged(this.#view, at, Opcode.readResponse, last, request.sinkStag, high, low % WORD)
    this.#seal(TaggedHeader.size + count)
    this.#at += count
    if (last) this.#answered()
  }

  #putOriginal(request: InboundRequest): void {
    const { change, operation, toLow } = request
    if (toLow % 8 !== 0) throw notAligned(toLow)
    const offset = this.#find(request, 0, request.length, Access.remoteAtomic)
    const { source } = this.#o.stags.found
    if (!this.#pieces.change(operation, change)) throw notAligned(toLow)
    source.stored?.(offset, request.length)
    const view = this.#view
    const at = this.#to + FpduWriter.ulpduAt
    const header = at + UntaggedHeader.size
    putUntagged(view, at, Opcode.atomicResponse, true, 0, this.#responseMsn, 0)
    view.setUint32(header + AtomicResponse.at.requestId, request.requestId)
    put64(view, header + AtomicResponse.at.original, change[1]!, change[0]!)
    this.#seal(UntaggedHeader.size + AtomicResponse.size)
    this.#responseMsn = (this.#responseMsn + 1) % WORD
    this.#answered()
  }

  /** Finds a part of what is asked for; returns its offset in its source. */
  #find(request: InboundRequest, from: number, count: number, right: number): number {
    const { stags, domain } = this.#o
    const low = request.toLow + from
    const carry = Math.floor(low / WORD)
    const { stag, toHigh } = request
    // All of it at first, so that nothing of what will fail is sent.
    const length = from === 0 ? request.length : count
    const offset = stags.find(stag, domain, toHigh + carry, low % WORD, length, right)
    if (offset < 0) {
      throw new ProtocolError(fetchingError(offset), `${count} bytes of STag ${stag}`)
    }
    const fault = stags.found.translate(offset, count, right === Access.remoteAtomic, this.#pieces)
    if (fault !== Fault.none) throw faultError(fault, stag, RdmapError.bounds)
    assert(this.#pieces.bytes === count, 'a source finds all bytes that it was asked for')
    return offset
  }

  // ---- the end ---------------------------------------------------------------------------------

  #putTerminate(): void {
    const payload = this.#terminate!
    const at = this.#to + FpduWriter.ulpduAt
    putUntagged(this.#view, at, Opcode.terminate, true, 0, 1, 0)
    this.#buffer!.set(payload, at + UntaggedHeader.size)
    this.#seal(UntaggedHeader.size + payload.length)
    this.#terminate = null
  }
}

function sendOpcode({ invalidate, solicited }: PostedWork): Opcode {
  if (invalidate !== 0) return solicited ? Opcode.sendSolicitedInvalidate : Opcode.sendInvalidate
  return solicited ? Opcode.sendSolicited : Opcode.send
}

const notAligned = (low: number) =>
  new ProtocolError(RdmapError.streamCatastrophic, `an atomic at …${low.toString(16)}, not aligned`)

/** What a peer is told of a source that does not find what is within its region. */
export function faultError(fault: Fault, stag: number, bounds: ErrorCode): ProtocolError {
  if (fault === Fault.bounds) {
    return new ProtocolError(bounds, `what STag ${stag} names ends before`)
  }
  if (fault === Fault.rights) {
    return new ProtocolError(RdmapError.accessRights, `what STag ${stag} names is not for this`)
  }
  return new ProtocolError(RdmapError.catastrophic, `what STag ${stag} names cannot be had`)
}
