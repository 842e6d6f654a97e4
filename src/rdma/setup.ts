/**
 * What two ends of a connection agree on by their Request and Reply (RFC 5044, 7.1; RFC 6581, 5 to
 * 9): CRC, markers in each direction, how many RDMA Reads at a time, who may speak first.
 *
 * Invariants:
 * - a CRC is in both directions when either wants it; markers are in what goes to who wants them;
 * - nobody has more Reads outstanding than the other said that it serves;
 * - where the responder may speak first, the initiator's first FPDU is the RTR that was chosen.
 */
import { HoldfastError } from '../base/errors.js'
import { ProtocolError } from './protocol_error.js'
import { EnhancedData, PRIVATE_DATA_MAX } from './wire/mpa.js'
import type { Enhanced, MpaSetup, Rtr } from './wire/mpa.js'
import { MpaError } from './wire/terminate.js'

export interface SetupOptions {
  /** What an initiator begins with, and the most that a responder takes. */
  readonly revision: 1 | 2
  readonly crc: boolean
  /** To have markers in what comes in. */
  readonly markers: boolean
  /** RDMA Reads and Atomics that are served at a time, at most. */
  readonly ird: number
  /** Those outstanding at a time, at most. */
  readonly ord: number
  /** Of an initiator: that the other may speak first. A responder does as it is asked. */
  readonly peerToPeer: boolean
  /** Kinds of RTR that are offered, or taken, the preferred one first. */
  readonly rtrs: readonly Rtr[]
  /** To send frames longer than a TCP segment where the other end takes them. */
  readonly large: boolean
}

export interface Agreed {
  readonly revision: number
  readonly crc: boolean
  readonly sendMarkers: boolean
  readonly receiveMarkers: boolean
  readonly ird: number
  readonly ord: number
  /** Frames may be longer than a TCP segment. */
  readonly large: boolean
  /** What the initiator sends first; null: the responder waits for whatever that is. */
  readonly rtr: Rtr | null
}

/** The initiator's Request. */
export function requestOf(options: SetupOptions, privateData: Uint8Array): MpaSetup {
  const { revision, crc, markers, ird, ord, peerToPeer, rtrs, large } = options
  const enhanced = revision < 2 ? null : { ird, ord, peerToPeer, rtrs: peerToPeer ? rtrs : [] }
  return { kind: 'request', revision, markers, crc, reject: false, large, enhanced, privateData }
}

/** The responder's Reply, and what holds from then on. Throws a ProtocolError. */
export function acceptOf(
  options: SetupOptions,
  request: MpaSetup,
  privateData: Uint8Array,
): { readonly reply: MpaSetup; readonly agreed: Agreed } {
  demandRevision(options, request)
  const { revision } = request
  const crc = request.crc || options.crc
  const enhanced = request.enhanced === null ? null : answerTo(options, request.enhanced)
  const { markers } = options
  const large = request.large && options.large
  return {
    reply: { kind: 'reply', revision, markers, crc, reject: false, large, enhanced, privateData },
    agreed: {
      revision,
      crc,
      sendMarkers: request.markers,
      receiveMarkers: markers,
      ird: enhanced?.ird ?? options.ird,
      ord: enhanced?.ord ?? options.ord,
      large,
      rtr: enhanced?.rtrs[0] ?? null,
    },
  }
}

/** The Reply of a responder that does not want the connection; its private data may say why. */
export function rejectOf(request: MpaSetup, privateData: Uint8Array): MpaSetup {
  const { revision, crc } = request
  const none = { ird: 0, ord: 0, peerToPeer: false, rtrs: [] }
  const enhanced = request.enhanced === null ? null : none
  const flags = { markers: false, crc, reject: true, large: false }
  return { kind: 'reply', revision, ...flags, enhanced, privateData }
}

/**
 * What holds for the initiator after a Reply that is no rejection. Throws a ProtocolError, which
 * the other end is told.
 */
export function concludeFrom(options: SetupOptions, reply: MpaSetup): Agreed {
  demandRevision(options, reply)
  const { enhanced } = reply
  if (enhanced !== null && enhanced.ord > options.ird) {
    const detail = `the responder wants ${enhanced.ord} reads at a time, ${options.ird} are served`
    throw new ProtocolError(MpaError.insufficientIrd, detail)
  }
  return {
    revision: reply.revision,
    crc: options.crc || reply.crc,
    sendMarkers: reply.markers,
    receiveMarkers: options.markers,
    ird: enhanced?.ord ?? options.ird,
    ord: Math.min(options.ord, enhanced?.ird ?? options.ord),
    large: reply.large && options.large,
    rtr: enhanced === null ? null : chosenOf(options, enhanced),
  }
}

function demandRevision(options: SetupOptions, { revision, kind }: MpaSetup): void {
  if (revision <= options.revision) return
  const detail = `a ${kind} of revision ${revision}, this end speaks up to ${options.revision}`
  throw new ProtocolError(MpaError.invalidSetup, detail)
}

/** The enhanced data of a Reply. */
function answerTo(options: SetupOptions, asked: Enhanced): Enhanced {
  // One at least, wherever any are served: an initiator that asks for none would never get any.
  const ird = Math.min(options.ird, Math.max(1, asked.ord))
  const ord = Math.min(options.ord, asked.ird)
  if (!asked.peerToPeer) return { ird, ord, peerToPeer: false, rtrs: [] }
  // An RTR that is a Read has to be served as any other.
  const rtr = options.rtrs.find((kind) => asked.rtrs.includes(kind) && (kind !== 'read' || ird > 0))
  if (rtr !== undefined) return { ird, ord, peerToPeer: true, rtrs: [rtr] }
  const detail = `offered ${asked.rtrs.join(', ') || 'none'}, taken ${options.rtrs.join(', ')}`
  throw new ProtocolError(MpaError.noMatchingRtr, detail)
}

/** The RTR that a Reply chose of those that were offered. */
function chosenOf(options: SetupOptions, { peerToPeer, rtrs }: Enhanced): Rtr | null {
  if (!peerToPeer) return null
  const [rtr] = rtrs
  if (options.peerToPeer && rtrs.length === 1 && options.rtrs.includes(rtr!)) return rtr!
  const detail = `the reply chose ${rtrs.join(', ') || 'none'} of ${options.rtrs.join(', ')}`
  throw new ProtocolError(MpaError.noMatchingRtr, detail)
}

/** What a program says besides, none unless given. EINVAL when a frame has no room for it. */
export function privateDataOf(data: Uint8Array = new Uint8Array(0), enhanced: boolean): Uint8Array {
  const most = PRIVATE_DATA_MAX - (enhanced ? EnhancedData.size : 0)
  if (data.length <= most) return data
  throw new HoldfastError('EINVAL', `${data.length} bytes of private data, at most ${most}`)
}

/** What a program may say of how it connects, or accepts. */
export type Offer = Partial<SetupOptions>

const DEPTH_DEFAULT = 128
const DEPTH_MAX = 0x3ffe

/** CRC, no markers, either end may speak first. EINVAL for what cannot be. */
export function setupOf(offer: Offer): SetupOptions {
  const { revision = 2, crc = true, markers = false, large = true } = offer
  const { ird = DEPTH_DEFAULT, ord = DEPTH_DEFAULT, rtrs = ['write', 'read'] } = offer
  const { peerToPeer = revision === 2 } = offer
  for (const [name, depth] of Object.entries({ ird, ord })) {
    if (Number.isInteger(depth) && depth >= 0 && depth <= DEPTH_MAX) continue
    throw new HoldfastError('EINVAL', `${name} is ${depth}; pass 0 to ${DEPTH_MAX}`)
  }
  if (peerToPeer && revision === 1) {
    throw new HoldfastError('EINVAL', 'peer-to-peer needs revision 2')
  }
  return { revision, crc, markers, ird, ord, peerToPeer, rtrs, large }
}
