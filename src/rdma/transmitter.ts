/**
 * What goes out of a connection: responses, posted work, and at last a Terminate, cut to segments
 * and framed into one buffer, which the stream takes from as it has room.
 *
 * Invariants:
 * - segments of two messages are never mixed;
 * - nobody's memory is read once `pump` has returned: a payload is copied into its frame, and the
 *   CRC is of the copy; or, without CRC, the stream has taken it from where it is;
 * - of responses and work neither waits for more than a few messages of the other.
 */
import { hex } from '../base/struct.js'
import type { ByteStream } from '../base/byte_stream.js'
import { FrameBuffer } from './frame_buffer.js'
import type { InboundRequest, InboundRequests } from './inbound.js'
import { fetchedLocal, findLocal, invalidLocal } from './local.js'
import type { ProtectionDomain } from './memory_region.js'
import { Pieces } from './pieces.js'
import { ProtocolError } from './protocol_error.js'
import { Responder } from './responder.js'
import type { SendQueue } from './send_queue.js'
import type { Agreed } from './setup.js'
import type { Shared } from './shared.js'
import {
  AtomicRequest,
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
import { WorkState, type PostedWork } from './work.js'

const WORD = 2 ** 32
/** Responses in a row while work waits (as Linux's siw has it). */
const RESPONSES_IN_A_ROW = 4
/** What one `pump` sends before others have their turn. */
const PUMP_BYTES = 4 << 20
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
  readonly shared: Shared
  /** Names where responses go that have no region of their own. */
  readonly sinkStag: number
}

export class Transmitter {
  /** Messages may be sent: not before a responder has heard of the initiator. */
  open = false
  readonly #o: TransmitterOptions
  readonly #events: TransmitterEvents
  readonly #out: FrameBuffer
  readonly #responder: Responder
  readonly #pieces = new Pieces()
  /** No room in the stream. */
  #full = false
  #pumping = false
  #stopped = false
  /** The message under way, and how far it is. */
  #message: Message = Message.none
  #at = 0
  #responses = 0
  #terminate: Uint8Array | null = null
  /** What is to be said before all else. */
  #ready: Rtr | null = null
  #sendMsn = 1
  #requestMsn = 1
  #sinkLow = 0

  constructor(options: TransmitterOptions, events: TransmitterEvents) {
    this.#o = options
    this.#events = events
    this.#out = new FrameBuffer(options.stream, options.agreed, options.shared)
    this.#responder = new Responder(options.shared.stags, options.domain)
  }

  /** Bytes that the stream has taken, and calls of it. */
  get handed(): number {
    return this.#out.handed
  }

  get sends(): number {
    return this.#out.sends
  }

  /** Whether there is nothing that is to be sent, or may be later. */
  get idle(): boolean {
    const nothing = this.#ready === null && this.#message === Message.none
    return nothing && this.#out.empty && this.#o.inbound.length === 0
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
    this.#ready = null
    this.#out.drop()
  }

  /** The initiator's first message, where the responder waits for it. */
  ready(rtr: Rtr): void {
    this.#ready = rtr
  }

  #pumpBytes(until: number): void {
    const out = this.#out
    for (;;) {
      this.#full = !out.hand()
      this.#o.work.handed(out.handed)
      if (this.#full || this.#stopped) return
      if (out.handed >= until || !out.open()) return this.#events.yielded()
      const { framed } = out
      try {
        this.#fill()
      } finally {
        out.close()
      }
      this.#o.work.handed(out.handed)
      this.#full = !out.empty
      if (this.#full) return
      if (out.framed === framed && this.#terminate === null) break
    }
    this.#events.drained()
  }

  // ---- messages --------------------------------------------------------------------------------

  /** Frames as much as there is, and fits. */
  #fill(): void {
    if (this.#ready !== null) this.#putReady(this.#ready)
    while (this.#out.hasRoom) {
      if (this.#terminate !== null) return this.#putTerminate()
      if (!this.#more() || this.#changesNamed()) return
      this.#putSegment()
    }
  }

  /** An Atomic comes after payloads that are to be sent as they are now: they go first. */
  #changesNamed(): boolean {
    const atomic = this.#message === Message.response && this.#o.inbound.current!.atomic
    return atomic && this.#out.names
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
      if (current.responds && work.awaiting + work.readyReads >= agreed.ord) return null
      if (current.op !== 'localInvalidate') return current
      if (!this.#mayInvalidate(current)) return null
      current.region!.invalidate()
      work.doneAtOnce()
    }
  }

  /** A region that work ends is of its own domain. */
  #mayInvalidate(work: PostedWork): boolean {
    const { region } = work
    if (region === null || region.domain === this.#o.domain) return true
    work.state = WorkState.begun
    const why = `STag ${hex(region.stag)} is of another protection domain`
    this.#events.unfit(work, why)
    return false
  }

  #begin(work: PostedWork): boolean {
    if (!this.#mayInvalidate(work)) return false
    const why = invalidLocal(work.local, this.#o.domain, work.responds)
    work.state = WorkState.begun
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

  #workBuilt(): void {
    this.#message = Message.none
    this.#o.work.built(this.#out.framed)
  }

  // ---- of work ---------------------------------------------------------------------------------

  #putWrite(work: PostedWork): void {
    const count = Math.min(work.length - this.#at, this.#out.ulpdu - TaggedHeader.size)
    const last = this.#at + count === work.length
    const at = this.#out.at
    if (this.#lacks(work, TaggedHeader.size, count)) return
    const low = work.toLow + this.#at
    const high = (work.toHigh + Math.floor(low / WORD)) % WORD
    putTagged(this.#out.view, at, Opcode.write, last, work.stag, high, low % WORD)
    this.#out.sealPlaced(TaggedHeader.size, count)
    this.#at += count
    if (!last) return
    if (work.op === 'write') this.#workBuilt()
    else this.#message = Message.immediate
  }

  #putSend(work: PostedWork): void {
    const count = Math.min(work.length - this.#at, this.#out.ulpdu - UntaggedHeader.size)
    const last = this.#at + count === work.length
    const at = this.#out.at
    if (this.#lacks(work, UntaggedHeader.size, count)) return
    const opcode = sendOpcode(work)
    work.msn = this.#sendMsn
    putUntagged(this.#out.view, at, opcode, last, work.invalidate, this.#sendMsn, this.#at)
    this.#out.sealPlaced(UntaggedHeader.size, count)
    this.#at += count
    if (!last) return
    this.#sendMsn = (this.#sendMsn + 1) % WORD
    this.#workBuilt()
  }

  #putImmediate(work: PostedWork): void {
    const at = this.#out.at
    const opcode = work.solicited ? Opcode.immediateSolicited : Opcode.immediate
    work.msn = this.#sendMsn
    putUntagged(this.#out.view, at, opcode, true, 0, this.#sendMsn, 0)
    put64(this.#out.view, at + UntaggedHeader.size, work.immediate, work.immediateLow)
    this.#out.seal(UntaggedHeader.size + IMMEDIATE_BYTES)
    this.#sendMsn = (this.#sendMsn + 1) % WORD
    this.#workBuilt()
  }

  /** Puts the next bytes of its message behind a header. */
  #gather({ local }: PostedWork, header: number, count: number): boolean {
    const pieces = this.#pieces
    pieces.clear()
    if (!findLocal(local, this.#o.domain, this.#at, count, false, pieces)) return false
    this.#out.place(header, pieces, count)
    return fetchedLocal(local, this.#at, count)
  }

  #lacks(work: PostedWork, header: number, count: number): boolean {
    if (this.#gather(work, header, count)) return false
    this.#message = Message.none
    this.#events.unfit(work, 'local memory went away, or cannot be read')
    return true
  }

  #putReadOf(work: PostedWork): void {
    this.#nameSink(work)
    work.msn = this.#requestMsn
    const { sinkStag, sinkHigh, sinkLow, length, stag, toHigh, toLow } = work
    const at = this.#out.at
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
    const { view } = this.#out
    const fields = ReadRequest.at
    const header = at + UntaggedHeader.size
    putUntagged(view, at, Opcode.readRequest, true, 0, this.#requestMsn, 0)
    view.setUint32(header + fields.sinkStag, sinkStag)
    put64(view, header + fields.sinkTo, sinkHigh, sinkLow)
    view.setUint32(header + fields.length, length)
    view.setUint32(header + fields.sourceStag, stag)
    put64(view, header + fields.sourceTo, toHigh, toLow)
    this.#out.seal(UntaggedHeader.size + ReadRequest.size)
    this.#requestMsn = (this.#requestMsn + 1) % WORD
  }

  #putAtomic(work: PostedWork): void {
    const { view } = this.#out
    const { change } = work
    const at = this.#out.at
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
    this.#out.seal(UntaggedHeader.size + AtomicRequest.size)
    this.#requestMsn = (this.#requestMsn + 1) % WORD
    this.#workBuilt()
  }

  // ---- responses -------------------------------------------------------------------------------

  #putResponse(request: InboundRequest): void {
    try {
      this.#at = this.#responder.answer(request, this.#at, this.#out)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#message = Message.none
      return this.#events.refused(error, request)
    }
    if (this.#at >= 0) return
    this.#message = Message.none
    this.#o.inbound.answered()
  }

  // ---- the end ---------------------------------------------------------------------------------

  #putReady(rtr: Rtr): void {
    this.#ready = null
    const { at, view } = this.#out
    if (rtr === 'write') {
      putTagged(view, at, Opcode.write, true, RTR_STAG, 0, 0)
      this.#out.seal(TaggedHeader.size)
    } else if (rtr === 'send') {
      putUntagged(view, at, Opcode.send, true, 0, this.#sendMsn++, 0)
      this.#out.seal(UntaggedHeader.size)
    } else {
      this.#putRead(at, RTR_STAG, 0, 0, 0, RTR_STAG, 0, 0)
    }
  }

  #putTerminate(): void {
    const payload = this.#terminate!
    const at = this.#out.at
    putUntagged(this.#out.view, at, Opcode.terminate, true, 0, 1, 0)
    this.#out.bytes.set(payload, at + UntaggedHeader.size)
    this.#out.seal(UntaggedHeader.size + payload.length)
    this.#terminate = null
  }
}

function sendOpcode({ invalidate, solicited }: PostedWork): Opcode {
  if (invalidate !== 0) return solicited ? Opcode.sendSolicitedInvalidate : Opcode.sendInvalidate
  return solicited ? Opcode.sendSolicited : Opcode.send
}
