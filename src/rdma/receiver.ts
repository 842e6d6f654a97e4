/**
 * What comes in on a connection: segments, checked, and placed or queued.
 *
 * Invariants:
 * - nothing is placed before its segment's CRC, versions and place were found good, in the order in
 *   which a peer is to be told (RFC 5040, 7; RFC 5041, 7);
 * - messages of an untagged queue come in the order of their numbers, without gaps, and each is
 *   delivered when all before it were placed;
 * - what answers a Read goes where the oldest Read that awaits an answer wants it, byte for byte,
 *   or the stream ends.
 */
import { hex } from '../base/struct.js'
import type { InboundRequests } from './inbound.js'
import { findLocal, moveLocal, storedLocal } from './local.js'
import type { MemoryRegion, ProtectionDomain } from './memory_region.js'
import { Pieces } from './pieces.js'
import { ProtocolError } from './protocol_error.js'
import type { ReceiveQueue } from './receive_queue.js'
import type { Segment } from './segment.js'
import type { SendQueue } from './send_queue.js'
import { Access, Fault } from './source.js'
import { placingError, type Stags } from './stags.js'
import { faultError } from './responder.js'
import { AtomicResponse, Opcode, Queue } from './wire/ddp.js'
import { word } from './wire/header.js'
import { DdpError, RdmapError } from './wire/terminate.js'
import type { PostedWork } from './work.js'

const WORD = 2 ** 32

/** What its queue pair is told. */
export interface ReceiverEvents {
  /** The peer ends the stream: the payload of its Terminate. */
  terminated(payload: Uint8Array): void
  /** What a peer sent can be placed no more, for a reason of this side. */
  unfit(work: PostedWork | null, why: string): void
  /** A peer's message has invalidated a region. */
  invalidated(region: MemoryRegion): void
}

export interface ReceiverOptions {
  readonly work: SendQueue
  readonly receives: ReceiveQueue
  readonly inbound: InboundRequests
  readonly domain: ProtectionDomain
  readonly stags: Stags
}

export class Receiver {
  readonly #o: ReceiverOptions
  readonly #events: ReceiverEvents
  readonly #pieces = new Pieces()
  /** What `findPlace` found last, of a Write. */
  #region: MemoryRegion | null = null
  #offset = 0
  /** The next MSN of each queue. */
  readonly #msn = [1, 1, 1, 1]
  /** Of the message of queue 0 that has begun: its opcode, -1: none has; its STag, its bytes. */
  #opcode = -1
  #invalidate = 0
  #received = 0
  /** A tagged message has begun. */
  #tagged = false

  constructor(options: ReceiverOptions, events: ReceiverEvents) {
    this.#o = options
    this.#events = events
  }

  /** Whether the stream may end here: not in the middle of a message. */
  get between(): boolean {
    return this.#opcode < 0 && !this.#tagged
  }

  /**
   * Whether a segment needs a receive that is not posted: it may wait for one, in front of all that
   * is behind it.
   */
  lacksReceive({ qn, tagged, mo, msn }: Segment): boolean {
    if (tagged || qn !== Queue.send || this.#o.receives.current !== null) return false
    return mo === 0 && this.#opcode < 0 && msn === this.#msn[Queue.send]
  }

  /** Throws a ProtocolError. */
  take(segment: Segment): void {
    switch (segment.opcode) {
      case Opcode.write:
        return this.#place(segment)
      case Opcode.readResponse:
        return this.#placeResponse(segment)
      case Opcode.readRequest:
      case Opcode.atomicRequest:
        this.#demandNumber(segment, 0)
        this.#o.inbound.add(segment)
        return this.#count(segment)
      case Opcode.atomicResponse:
        return this.#takeOriginal(segment)
      case Opcode.terminate: {
        this.#demandNumber(segment, 0)
        const { bytes, payload, payloadLength } = segment
        return this.#events.terminated(bytes.subarray(payload, payload + payloadLength))
      }
      case Opcode.immediate:
      case Opcode.immediateSolicited:
        return this.#takeImmediate(segment)
      default:
        return this.#takeSend(segment)
    }
  }

  // ---- tagged ----------------------------------------------------------------------------------

  #place(segment: Segment): void {
    if (segment.payloadLength > 0) this.findPlace(segment).write(segment.bytes, segment.payload)
    this.placed(segment)
  }

  /**
   * Where the payload of a Write or a Read Response goes: good at once, and until the next call.
   * Throws a ProtocolError.
   */
  findPlace(segment: Segment): Pieces {
    const pieces = this.#pieces
    pieces.clear()
    if (segment.opcode === Opcode.readResponse) this.#findSink(segment, pieces)
    else this.#findTarget(segment, pieces)
    return pieces
  }

  #findTarget({ stag, toHigh, toLow, payloadLength }: Segment, pieces: Pieces): void {
    const { stags, domain } = this.#o
    const right = Access.remoteWrite
    const offset = stags.find(stag, domain, toHigh, toLow, payloadLength, right)
    if (offset < 0) {
      const where = `STag ${hex(stag)} at ${hex(toHigh)}:${hex(toLow)}`
      throw new ProtocolError(placingError(offset), `${payloadLength} bytes for ${where}`)
    }
    const fault = stags.found.translate(offset, payloadLength, true, pieces)
    if (fault !== Fault.none) throw faultError(fault, stag, DdpError.bounds)
    this.#offset = offset
    this.#region = stags.found
  }

  #findSink(segment: Segment, pieces: Pieces): void {
    const { domain } = this.#o
    const read = this.#awaitingRead()
    this.#demandSink(read, segment)
    const { payloadLength } = segment
    if (findLocal(read.local, domain, read.received, payloadLength, true, pieces)) return
    throw new UnfitError(read)
  }

  /** The payload of a segment, all or its first part, is where `findPlace` said. */
  placed({ opcode, payloadLength, last }: Segment): void {
    this.#tagged = !last
    if (opcode === Opcode.write) {
      if (payloadLength > 0) this.#region!.source.stored?.(this.#offset, payloadLength)
      return
    }
    const read = this.#awaitingRead()
    storedLocal(read.local, read.received, payloadLength)
    read.received += payloadLength
    if (last) this.#o.work.responded(read)
  }

  #awaitingRead(): PostedWork {
    const read = this.#o.work.oldestAwaiting
    if (read?.op === 'read') return read
    throw new ProtocolError(RdmapError.unexpectedOpcode, 'a Read Response, and none is awaited')
  }

  #placeResponse(segment: Segment): void {
    if (this.#o.work.readyReads > 0) return this.#takeReady(segment)
    try {
      const pieces = this.findPlace(segment)
      if (segment.payloadLength > 0) pieces.write(segment.bytes, segment.payload)
      this.placed(segment)
    } catch (error) {
      if (!(error instanceof UnfitError)) throw error
      this.#events.unfit(error.work, error.message)
    }
  }

  /** The answer to an RTR of a Read. */
  #takeReady({ payloadLength, last }: Segment): void {
    if (payloadLength > 0 || !last) {
      throw new ProtocolError(DdpError.bounds, `${payloadLength} bytes, and none were asked for`)
    }
    this.#o.work.readyReads--
  }

  #demandSink(read: PostedWork, { stag, toHigh, toLow, payloadLength, last }: Segment): void {
    if (read.length === 0 && payloadLength === 0 && last) return
    if (stag !== read.sinkStag) {
      const detail = `a Read Response for STag ${hex(stag)}, ${hex(read.sinkStag)} awaits one`
      throw new ProtocolError(DdpError.invalidStag, detail)
    }
    const low = read.sinkLow + read.received
    const high = (read.sinkHigh + Math.floor(low / WORD)) % WORD
    const total = read.received + payloadLength
    const fits = last ? total === read.length : total <= read.length
    if (toHigh === high && toLow === low % WORD && fits) return
    const detail = `${payloadLength} bytes behind ${read.received} of a Read of ${read.length}`
    throw new ProtocolError(DdpError.bounds, detail)
  }

  // ---- untagged --------------------------------------------------------------------------------

  #demandNumber({ qn, msn, mo }: Segment, at: number): void {
    if (msn !== this.#msn[qn]) {
      const detail = `message ${msn} of queue ${qn}, ${this.#msn[qn]} is next`
      throw new ProtocolError(DdpError.invalidMsn, detail)
    }
    if (mo === at) return
    throw new ProtocolError(DdpError.invalidMo, `offset ${mo} of a message, ${at} is next`)
  }

  #count({ qn }: Segment): void {
    this.#msn[qn] = (this.#msn[qn]! + 1) % WORD
  }

  #takeSend(segment: Segment): void {
    const { opcode, invalidateStag, bytes, payload, payloadLength, last } = segment
    this.#demandNumber(segment, this.#opcode < 0 ? 0 : this.#received)
    const invalidates =
      opcode === Opcode.sendInvalidate || opcode === Opcode.sendSolicitedInvalidate
    const stag = invalidates ? invalidateStag : 0
    if (this.#opcode >= 0 && (this.#opcode !== opcode || this.#invalidate !== stag)) {
      const detail = `opcode ${opcode} in a message of opcode ${this.#opcode}`
      throw new ProtocolError(RdmapError.unexpectedOpcode, detail)
    }
    const { receives, domain } = this.#o
    const receive = receives.current
    if (receive === null) throw new ProtocolError(DdpError.noBuffer, 'no receive is posted')
    const received = this.#opcode < 0 ? 0 : this.#received
    if (received + payloadLength > receive.length) {
      receives.complete('LOC_LEN_ERR', 0)
      const detail = `${received + payloadLength} bytes of a message, for ${receive.length}`
      throw new ProtocolError(DdpError.tooLong, detail)
    }
    if (this.#opcode < 0) receive.begin(payloadLength, last)
    if (!moveLocal(receive.into, domain, received, true, bytes, payload, payloadLength)) {
      receives.complete('LOC_PROT_ERR', 0).detail = 'local memory is not there'
      return this.#events.unfit(null, 'the memory of a receive is not there')
    }
    this.#opcode = opcode
    this.#invalidate = stag
    this.#received = received + payloadLength
    if (!last) return
    const region = invalidates ? this.#invalidateRegion(stag) : null
    this.#deliver(segment).invalidated = stag
    // Whoever is told may end the connection.
    if (region !== null) this.#events.invalidated(region)
  }

  /** The message is whole: its receive is done. */
  #deliver(segment: Segment) {
    const { opcode } = segment
    const bytes = this.#opcode < 0 ? 0 : this.#received
    this.#opcode = -1
    this.#received = 0
    this.#count(segment)
    const completion = this.#o.receives.complete('SUCCESS', bytes)
    completion.solicited =
      opcode === Opcode.sendSolicited ||
      opcode === Opcode.sendSolicitedInvalidate ||
      opcode === Opcode.immediateSolicited
    return completion
  }

  #takeImmediate(segment: Segment): void {
    if (this.#opcode >= 0) {
      const detail = `Immediate Data in a message of opcode ${this.#opcode}`
      throw new ProtocolError(RdmapError.unexpectedOpcode, detail)
    }
    this.#demandNumber(segment, 0)
    if (this.#o.receives.current === null) {
      throw new ProtocolError(DdpError.noBuffer, 'no receive is posted')
    }
    const completion = this.#deliver(segment)
    completion.immediate = word(segment.bytes, segment.payload)
    completion.immediateLow = word(segment.bytes, segment.payload + 4)
  }

  #invalidateRegion(stag: number): MemoryRegion {
    const { stags, domain } = this.#o
    const region = stags.get(stag)
    if (region === undefined) {
      throw new ProtocolError(RdmapError.cannotInvalidate, `there is no STag ${hex(stag)}`)
    }
    if (region.domain !== domain || (region.access & Access.remoteInvalidate) === 0) {
      const detail = `STag ${hex(stag)} is not to be invalidated by this peer`
      throw new ProtocolError(RdmapError.protectionCannotInvalidate, detail)
    }
    region.invalidate()
    return region
  }

  #takeOriginal(segment: Segment): void {
    this.#demandNumber(segment, 0)
    const { bytes, payload } = segment
    const { work, domain } = this.#o
    const atomic = work.oldestAwaiting
    const requestId = word(bytes, payload + AtomicResponse.at.requestId)
    if (atomic === null || atomic.op === 'read' || atomic.msn !== requestId) {
      const detail = `an Atomic Response to request ${requestId}, which awaits none`
      throw new ProtocolError(RdmapError.unexpectedOpcode, detail)
    }
    this.#count(segment)
    for (let i = 0; i < 8; i++) original[i] = bytes[payload + AtomicResponse.at.original + 7 - i]!
    if (!moveLocal(atomic.local, domain, 0, true, original, 0, original.length)) {
      return this.#events.unfit(atomic, 'local memory went away')
    }
    work.responded(atomic)
  }
}

/** A number of this machine, least significant byte first. */
const original = new Uint8Array(8)

/** Work whose local memory is not there any more: a failure of this side. */
export class UnfitError extends Error {
  readonly work: PostedWork

  constructor(work: PostedWork) {
    super('local memory went away')
    this.work = work
  }
}
