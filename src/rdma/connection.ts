/**
 * A connection in full operation: what the stream brings and takes, and how it ends.
 *
 *     open → closing → gone         both sides are done, and say so by the end of the stream
 *     open → terminating → gone     this side found an error, and says which
 *     open → gone                   the peer said so, or the stream was lost
 *
 * Invariants:
 * - one Terminate at most is sent, and none in answer to one;
 * - once it is not open any more, nothing of what comes is placed or delivered;
 * - it ends once, for one reason, with all of its work completed; and does not stay for a peer that
 *   says nothing any more.
 */
import type { ByteStream, StreamEvents } from '../base/byte_stream.js'
import { HoldfastError } from '../base/errors.js'
import { blamedFor, NOBODY, statusOf, type Blamed } from './blame.js'
import { FpduReader } from './fpdu.js'
import { InboundRequests, type InboundRequest } from './inbound.js'
import { HEADER_ROOM, LongPayload } from './long_payload.js'
import type { MemoryRegion, ProtectionDomain } from './memory_region.js'
import { ProtocolError } from './protocol_error.js'
import { Receiver, UnfitError, type ReceiverEvents } from './receiver.js'
import type { ReceiveQueue } from './receive_queue.js'
import { Segment } from './segment.js'
import type { SendQueue } from './send_queue.js'
import type { Agreed } from './setup.js'
import type { Shared } from './shared.js'
import { Transmitter, type TransmitterEvents } from './transmitter.js'
import { headerBytes, TaggedHeader } from './wire/ddp.js'
import {
  DdpError,
  decodeTerminate,
  encodeTerminate,
  RdmapError,
  type DecodedTerminate,
  type ErrorCode,
} from './wire/terminate.js'
import type { PostedWork } from './work.js'

/** Bytes that are taken in in one turn. */
const TURN_BYTES = 2 << 20
/** A peer that does not say that it is done, once this side has, is not waited for longer. */
const CLOSE_MILLISECONDS = 5000
const TERMINATE_MILLISECONDS = 2000
/**
 * Linux's siw answers a Request before it listens to the connection: what came in between is seen
 * when more comes. A Write of no bytes is more, and does nothing else; it is sent until something
 * has come back, this often, after so long at first and twice as long each time.
 */
const NUDGES = 5
const NUDGE_MILLISECONDS = 20

/** Of all connections of a device that wait for receives: past it, who has none waits no more. */
const PARKED_BYTES_MAX = 64 << 20

/** Why a connection has ended. */
export interface End {
  /**
   * disconnected: in order. terminated: the peer found an error. refused: this side did. lost: the
   * stream broke, or ended where it may not. aborted: this side wanted no more of it.
   */
  readonly cause: 'disconnected' | 'terminated' | 'refused' | 'lost' | 'aborted'
  readonly detail: string
  /** What the Terminate says that was sent or received; null: there was none. */
  readonly error: ErrorCode | null
}

export interface ConnectionOptions {
  readonly stream: ByteStream
  readonly agreed: Agreed
  readonly initiator: boolean
  readonly work: SendQueue
  readonly receives: ReceiveQueue
  readonly domain: ProtectionDomain
  readonly shared: Shared
  readonly sinkStag: number
  /** Milliseconds that a message may wait for a receive to be posted; 0: it ends the stream. */
  readonly receivePatience: number
}

export interface ConnectionEvents {
  /** The first message of an initiator has come: the responder may speak. */
  opened(): void
  invalidated(region: MemoryRegion): void
  /** All work has failed that was not done. */
  ended(end: End): void
}

const segment = new Segment()

export class Connection implements StreamEvents, TransmitterEvents, ReceiverEvents {
  readonly agreed: Agreed
  readonly transmitter: Transmitter
  readonly receiver: Receiver
  /** Bytes that came, and calls that brought them. */
  received = 0
  receives = 0
  readonly #o: ConnectionOptions
  readonly #events: ConnectionEvents
  readonly #reader: FpduReader
  readonly #inbound: InboundRequests
  #state: 'open' | 'closing' | 'terminating' | 'gone' = 'open'
  #finSent = false
  #end: End | null = null
  #heard = false
  readonly #long: LongPayload
  #wasLong = false
  /** A message that waits for a receive, and what came behind it. */
  #parked: { readonly ulpdu: Uint8Array; readonly rest: Uint8Array } | null = null
  #cancelTimer = () => {}
  #cancelPatience = () => {}
  #yielded = false
  #cancelNudge = () => {}

  constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.#o = options
    this.#events = events
    const { agreed, stream, work, receives, domain, shared, sinkStag } = options
    this.agreed = agreed
    this.#inbound = new InboundRequests(agreed.ird)
    const inbound = this.#inbound
    const out = { stream, agreed, work, inbound, domain, shared, sinkStag }
    this.transmitter = new Transmitter(out, this)
    this.receiver = new Receiver({ work, receives, inbound, domain, stags: shared.stags }, this)
    this.#reader = new FpduReader({ crc: agreed.crc, markers: agreed.receiveMarkers })
    this.#long = new LongPayload(stream, this.#reader, this.receiver, work, shared)
  }

  /** Full operation begins. */
  start(): void {
    if (!this.#o.initiator) return
    this.transmitter.open = true
    const { rtr } = this.agreed
    if (rtr !== null) this.transmitter.ready(rtr)
    if (rtr === 'read') this.#o.work.readyReads++
    this.turn()
    this.#nudgeLater(0)
  }

  // ---- from the stream -------------------------------------------------------------------------

  readable(): void {
    try {
      this.#receive()
    } catch (error) {
      this.broken(error as Error)
    }
    this.turn()
  }

  writable(): void {
    this.transmitter.writable()
    this.turn()
  }

  /** Sends what there is, tells what has completed, and closes when all is done that was to be. */
  turn(): void {
    // Nothing follows the end of what is sent.
    if (this.#finSent) this.#o.work.flush(null, 'WR_FLUSH_ERR', '')
    this.transmitter.pump()
    this.#finish()
    try {
      this.#o.work.cq.tell()
    } finally {
      this.#o.receives.cq.tell()
    }
  }

  #receive(): void {
    const end = this.received + TURN_BYTES
    while (this.#parked === null && this.#state !== 'gone' && this.received < end) {
      const more = this.#long.active ? this.#receiveLong() : this.#receiveStaged()
      if (!more) return
    }
  }

  /** Takes in what comes; returns whether there may be more. */
  #receiveStaged(): boolean {
    const { stream, shared } = this.#o
    const { staging } = shared
    // Behind a long payload comes another: of it the header alone.
    const most = this.#wasLong ? HEADER_ROOM : staging.length
    const count = stream.receive(staging, 0, most)
    return this.#came(count, count) && count === most
  }

  /** The same of a payload that goes straight to its place. */
  #receiveLong(): boolean {
    const long = this.#long
    const wanted = long.rest.payloadLength + HEADER_ROOM
    let count: number
    try {
      count = long.receive()
    } catch (error) {
      segment.parse(long.rest.bytes, 0, TaggedHeader.size)
      this.#refuseFor(error)
      return false
    }
    return this.#came(count, long.behind) && count === wanted
  }

  /** So much came, or why nothing did; `staged` bytes of it are to be looked at. */
  #came(count: number, staged: number): boolean {
    this.receives++
    if (count < 0) this.#peerEnded()
    if (count <= 0) return false
    this.received += count
    if (this.#state === 'terminating') return true
    if (staged > 0) this.#take(this.#o.shared.staging, 0, staged)
    this.#wasLong = this.#listening && this.#parked === null && this.#beginLong()
    return true
  }

  #beginLong(): boolean {
    try {
      if (!this.#long.begin(segment)) return false
      if (!this.#heard) this.#hear()
      return true
    } catch (error) {
      this.#refuseFor(error)
      return false
    }
  }

  #take(bytes: Uint8Array, start: number, end: number): void {
    const reader = this.#reader
    reader.push(bytes, start, end)
    try {
      while (this.#listening && reader.next()) {
        segment.read(reader.bytes, reader.start, reader.length)
        if (!this.#heard) this.#hear()
        if (this.#o.receivePatience > 0 && this.receiver.lacksReceive(segment)) return this.#park()
        this.receiver.take(segment)
      }
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#refuse(error, blamedFor(error.error, segment))
    }
  }

  /** A message that is refused, or a failure of this side. */
  #refuseFor(error: unknown): void {
    if (error instanceof UnfitError) return this.unfit(error.work, error.message)
    if (!(error instanceof ProtocolError)) throw error
    this.#refuse(error, blamedFor(error.error, segment))
  }

  get #listening(): boolean {
    return this.#state === 'open' || this.#state === 'closing'
  }

  #hear(): void {
    this.#heard = true
    this.#cancelNudge()
    this.transmitter.open = true
    if (!this.#o.initiator) this.#events.opened()
  }

  #nudgeLater(count: number): void {
    if (count === NUDGES) return
    this.#cancelNudge = this.#o.shared.timers.after(NUDGE_MILLISECONDS * 2 ** count, () => {
      if (this.#heard || this.#state !== 'open') return
      // In the middle of a message it is no message of its own; and then more comes anyway.
      if (this.transmitter.handed > 0 && this.transmitter.idle) {
        this.transmitter.ready('write')
        this.turn()
      }
      // The stream may have been found broken.
      if (this.#state === 'open') this.#nudgeLater(count + 1)
    })
  }

  // ---- a message that waits for a receive ------------------------------------------------------

  #park(): void {
    const { bytes, start, length } = segment
    const { stream, shared, receivePatience } = this.#o
    if (shared.parkedBytes > PARKED_BYTES_MAX) {
      const detail = `${shared.parkedBytes} bytes wait for receives already`
      throw new ProtocolError(DdpError.noBuffer, detail)
    }
    const ulpdu = bytes.slice(start, start + length)
    const rest = this.#reader.takeRest()
    this.#parked = { ulpdu, rest }
    shared.parkedBytes += ulpdu.length + rest.length
    stream.reading(false)
    this.#cancelPatience = shared.timers.after(receivePatience, () => {
      const { ulpdu } = this.#parked!
      segment.parse(ulpdu, 0, ulpdu.length)
      const detail = `no receive was posted for ${receivePatience} ms`
      this.#refuse(
        new ProtocolError(DdpError.noBuffer, detail),
        blamedFor(DdpError.noBuffer, segment),
      )
      this.turn()
    })
  }

  /** A receive was posted: a message that waits for one goes on. */
  resume(): void {
    if (this.#parked === null || !this.#listening) return
    // Other work has its turns, too.
    if (this.#o.receives.current === null) return
    const { ulpdu, rest } = this.#parked
    this.#unpark()
    try {
      this.#goOn(ulpdu, rest)
    } catch (error) {
      this.broken(error as Error)
    }
    if (this.#parked === null && this.#state !== 'gone') this.#o.stream.reading(true)
  }

  #goOn(ulpdu: Uint8Array, rest: Uint8Array): void {
    try {
      segment.read(ulpdu, 0, ulpdu.length)
      this.receiver.take(segment)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      this.#refuse(error, blamedFor(error.error, segment))
    }
    if (this.#listening) this.#take(rest, 0, rest.length)
  }

  #unpark(): void {
    if (this.#parked === null) return
    const { ulpdu, rest } = this.#parked
    this.#o.shared.parkedBytes -= ulpdu.length + rest.length
    this.#parked = null
    this.#cancelPatience()
  }

  get parked(): boolean {
    return this.#parked !== null
  }

  // ---- the end ---------------------------------------------------------------------------------

  /** Ends in order: what was posted is done first. */
  close(): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#expectProgress(CLOSE_MILLISECONDS)
    this.turn()
  }

  /** Ends at once. */
  abort(detail: string): void {
    if (this.#state !== 'gone') this.#gone({ cause: 'aborted', detail, error: null }, true)
  }

  #finish(): void {
    if (this.#finSent || this.#state === 'gone') return
    const done =
      this.#state === 'closing' &&
      this.#o.work.idle &&
      this.transmitter.idle &&
      this.#inbound.length === 0
    if (!done) return
    this.#finSent = true
    // What is posted, or asked for, from now on has come too late.
    this.transmitter.drop()
    this.#o.stream.end()
  }

  #peerEnded(): void {
    if (this.#state === 'terminating') return this.#gone(this.#end!, false)
    const { work } = this.#o
    const resting = this.#long.active
    const middle =
      resting || !this.#reader.between || !this.receiver.between || this.#parked !== null
    if (!middle && work.awaiting === 0 && work.readyReads === 0) {
      return this.#gone({ cause: 'disconnected', detail: '', error: null }, false)
    }
    const detail = middle ? 'the stream ended in the middle of a message' : 'Reads were under way'
    this.#gone({ cause: 'lost', detail, error: null }, true)
  }

  /** This side found an error: tells the peer which, and waits for him to be gone. */
  #refuse({ error, message }: ProtocolError, blamed: Blamed): void {
    if (!this.#listening) return
    this.#state = 'terminating'
    this.#unpark()
    this.#long.drop()
    this.#wasLong = false
    this.#end = { cause: 'refused', detail: message, error }
    this.#fail(null, 'WR_FLUSH_ERR', '')
    this.transmitter.terminate(encodeTerminate({ error, ...blamed }))
    this.#o.stream.reading(true)
    this.#expectProgress(TERMINATE_MILLISECONDS)
  }

  refused(error: ProtocolError, request: InboundRequest): void {
    const { headers, headerBytes: length } = request
    if (error.error === RdmapError.catastrophic) return this.#refuse(error, NOBODY)
    const ddp = headers.slice(0, headerBytes(headers[0]!))
    this.#refuse(error, { length, ddp, rdmap: headers.slice(ddp.length, length) })
  }

  unfit(work: PostedWork | null, why: string): void {
    if (work !== null) this.#fail(work, 'LOC_PROT_ERR', why)
    const error = new ProtocolError(RdmapError.catastrophic, why)
    this.#refuse(error, NOBODY)
  }

  terminated(payload: Uint8Array): void {
    const said = decodeTerminate(payload.slice(), false)
    const { error, name } = said
    const blamed = this.#blamedBy(said)
    this.#fail(blamed, statusOf(error), `the peer ended the connection: ${name}`)
    this.#gone({ cause: 'terminated', detail: name, error }, false)
  }

  #blamedBy({ error, blamed }: DecodedTerminate): PostedWork | null {
    const { work } = this.#o
    // Of the stream itself: what is under way is what suffers.
    if (error[0] === 2) return work.begun
    if (!segment.parse(blamed, 0, blamed.length)) return null
    return work.blamed(segment)
  }

  broken(error: Error): void {
    if (this.#state === 'gone') return
    if (this.#state === 'terminating') return this.#gone(this.#end!, true)
    const detail = error instanceof HoldfastError ? error.detail : error.message
    this.#fail(this.#o.work.begun, 'RETRY_EXC_ERR', detail)
    this.#gone({ cause: 'lost', detail, error: null }, true)
  }

  yielded(): void {
    if (this.#yielded) return
    this.#yielded = true
    void this.#o.shared.timers.turn().then(() => {
      this.#yielded = false
      if (this.#state !== 'gone') this.turn()
    })
  }

  drained(): void {
    if (this.#state !== 'terminating' || this.#finSent) return
    this.#finSent = true
    this.#o.stream.end()
  }

  invalidated(region: MemoryRegion): void {
    this.#events.invalidated(region)
  }

  /** A peer that neither takes nor sends anything is not waited for. */
  #expectProgress(milliseconds: number): void {
    const { handed } = this.transmitter
    const { received } = this
    this.#cancelTimer()
    this.#cancelTimer = this.#o.shared.timers.after(milliseconds, () => {
      const moved = this.transmitter.handed > handed || this.received > received
      if (moved && this.#state === 'closing') return this.#expectProgress(milliseconds)
      const detail = `the peer did not close within ${milliseconds} ms`
      // What TCP has of the messages of this side, and the end behind them, still goes its way.
      const sent = this.#state === 'closing' && this.#finSent
      this.#gone(this.#end ?? { cause: 'lost', detail, error: null }, !sent)
      this.turn()
    })
  }

  /** All work that is not done fails. */
  #fail(blamed: PostedWork | null, status: Parameters<SendQueue['flush']>[1], why: string): void {
    this.transmitter.drop()
    this.#o.work.flush(blamed, status, why)
    this.#o.receives.flush()
  }

  #gone(end: End, reset: boolean): void {
    if (this.#state === 'gone') return
    this.#state = 'gone'
    this.#cancelTimer()
    this.#cancelNudge()
    this.#unpark()
    this.#long.drop()
    this.#wasLong = false
    const lost = end.cause === 'lost' ? this.#o.work.begun : null
    this.#fail(lost, 'RETRY_EXC_ERR', end.detail)
    this.transmitter.stop()
    if (reset) this.#o.stream.abort()
    else this.#o.stream.close()
    this.#events.ended(end)
  }
}
