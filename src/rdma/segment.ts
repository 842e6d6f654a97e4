/**
 * A DDP segment that came in: its header, read once, and checked as far as that needs nothing but
 * the segment itself, in the order in which a peer is to be told (RFC 5040, 7; RFC 5041, 7).
 *
 * One object is used over and over: it is good until the next `read`.
 */
import { ProtocolError } from './protocol_error.js'
import {
  AtomicRequest,
  AtomicResponse,
  DDP_VERSION,
  ddpVersion,
  headerBytes,
  IMMEDIATE_BYTES,
  isLast,
  isTagged,
  Opcode,
  opcodeOf,
  queueOf,
  RDMAP_VERSION,
  rdmapVersion,
  ReadRequest,
  TaggedHeader,
  UntaggedHeader,
} from './wire/ddp.js'
import { word } from './wire/header.js'
import { DdpError, MpaError, RdmapError, TerminateControl } from './wire/terminate.js'

const CONTROL_BYTES = 2
const WORD = 2 ** 32

/** Payload that a message of one segment has at least, and whether it may have more. */
const PAYLOADS: Readonly<
  Partial<Record<number, { readonly least: number; readonly exact: boolean }>>
> = {
  [Opcode.readRequest]: { least: ReadRequest.size, exact: true },
  [Opcode.terminate]: { least: TerminateControl.size, exact: false },
  [Opcode.immediate]: { least: IMMEDIATE_BYTES, exact: true },
  [Opcode.immediateSolicited]: { least: IMMEDIATE_BYTES, exact: true },
  [Opcode.atomicRequest]: { least: AtomicRequest.size, exact: true },
  [Opcode.atomicResponse]: { least: AtomicResponse.size, exact: true },
}

export class Segment {
  bytes = new Uint8Array(0)
  /** Where it begins, and its bytes, the header among them. */
  start = 0
  length = 0
  opcode = 0
  tagged = false
  last = false
  /** Where its payload is. */
  payload = 0
  payloadLength = 0
  /** Tagged: where it goes, the tagged offset as two words. */
  stag = 0
  toHigh = 0
  toLow = 0
  /** Untagged. */
  invalidateStag = 0
  qn = 0
  msn = 0
  mo = 0

  /** Reads the header. Throws a ProtocolError. */
  read(bytes: Uint8Array, start: number, length: number): void {
    if (!this.parse(bytes, start, length)) {
      const detail = `a segment of ${length} bytes has no whole header`
      throw new ProtocolError(MpaError.markerMismatch, detail)
    }
    this.#checkVersions(bytes[start]!, bytes[start + 1]!)
    this.#checkOpcode()
  }

  /** Reads the header, whatever it says; false, and nothing is read: it is not all there. */
  parse(bytes: Uint8Array, start: number, length: number): boolean {
    if (length < CONTROL_BYTES || length < headerBytes(bytes[start]!)) return false
    const ddp = bytes[start]!
    const header = headerBytes(ddp)
    this.bytes = bytes as Uint8Array<ArrayBuffer>
    this.start = start
    this.length = length
    this.tagged = isTagged(ddp)
    this.last = isLast(ddp)
    this.opcode = opcodeOf(bytes[start + 1]!)
    this.payload = start + header
    this.payloadLength = length - header
    if (this.tagged) this.#readTagged()
    else this.#readUntagged()
    return true
  }

  /** Its first `count` bytes of payload, as a segment of its own. */
  cut(count: number, last: boolean): void {
    this.payloadLength = count
    this.last = last
  }

  /** What is behind `count` bytes of payload: `left` bytes. */
  goOn(count: number, left: number, last: boolean): void {
    const low = this.toLow + count
    this.toHigh = (this.toHigh + Math.floor(low / WORD)) % WORD
    this.toLow = low % WORD
    this.payloadLength = left
    this.last = last
  }

  #checkVersions(ddp: number, rdmap: number): void {
    if (ddpVersion(ddp) !== DDP_VERSION) {
      const error = this.tagged ? DdpError.taggedVersion : DdpError.untaggedVersion
      throw new ProtocolError(error, `DDP version ${ddpVersion(ddp)}`)
    }
    if (rdmapVersion(rdmap) !== RDMAP_VERSION) {
      throw new ProtocolError(RdmapError.invalidVersion, `RDMAP version ${rdmapVersion(rdmap)}`)
    }
  }

  #readTagged(): void {
    const { bytes, start } = this
    this.stag = word(bytes, start + TaggedHeader.at.stag)
    this.toHigh = word(bytes, start + TaggedHeader.at.to)
    this.toLow = word(bytes, start + TaggedHeader.at.to + 4)
  }

  #readUntagged(): void {
    const { bytes, start } = this
    this.invalidateStag = word(bytes, start + UntaggedHeader.at.invalidateStag)
    this.qn = word(bytes, start + UntaggedHeader.at.qn)
    this.msn = word(bytes, start + UntaggedHeader.at.msn)
    this.mo = word(bytes, start + UntaggedHeader.at.mo)
  }

  #checkOpcode(): void {
    const { opcode, tagged } = this
    const queue = queueOf(opcode)
    if (queue === undefined || (queue === -1) !== tagged) {
      const how = tagged ? 'tagged' : 'untagged'
      throw new ProtocolError(RdmapError.unexpectedOpcode, `opcode ${opcode} in a ${how} segment`)
    }
    if (!tagged && this.qn !== queue) {
      throw new ProtocolError(DdpError.invalidQueue, `opcode ${opcode} in queue ${this.qn}`)
    }
    const rule = PAYLOADS[opcode]
    if (rule === undefined) return
    const { least, exact } = rule
    const fits = exact ? this.payloadLength === least : this.payloadLength >= least
    if (fits && this.last && this.mo === 0) return
    const detail = `opcode ${opcode} with ${this.payloadLength} bytes, ${least} make one message`
    throw new ProtocolError(RdmapError.streamCatastrophic, detail)
  }
}
