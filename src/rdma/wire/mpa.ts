/**
 * MPA's connection setup: Request and Reply (RFC 5044, section 7.1), with the enhanced data of
 * revision 2 (RFC 6581, section 6).
 *
 *     0                16      17    18        20                24
 *     | key            | flags | rev | PD_Len  | [IRD | ORD]     | private data
 */
import { defineHeader } from './header.js'

export const MpaFrame = defineHeader('MPA Request or Reply', 20, 'RFC 5044, 7.1.1', {
  key: [0, 16, "'MPA ID Req Frame' or 'MPA ID Rep Frame'"],
  flags: [16, 1, 'M 0x80 markers, C 0x40 CRC, R 0x20 rejected, S 0x10 enhanced, 0x08 large frames'],
  revision: [17, 1, '1 (RFC 5044) or 2 (RFC 6581)'],
  privateDataLength: [18, 2, 'bytes that follow, the enhanced data among them'],
})

export const EnhancedData = defineHeader('Enhanced RDMA Connection Data', 4, 'RFC 6581, 9', {
  ird: [0, 2, 'A 0x8000 peer-to-peer, B 0x4000 a Send is an RTR, 14 bits of IRD'],
  ord: [2, 2, 'C 0x8000 a Write is an RTR, D 0x4000 a Read is an RTR, 14 bits of ORD'],
})

/**
 * The last is a reserved bit, which receivers ignore; Linux's siw has it say that frames longer
 * than a TCP segment are taken, and so it does here.
 */
export const MpaFlag = {
  markers: 0x80,
  crc: 0x40,
  reject: 0x20,
  enhanced: 0x10,
  large: 0x08,
} as const

const KEYS = { request: 'MPA ID Req Frame', reply: 'MPA ID Rep Frame' } as const
const HIGH_BIT = 0x8000
const NEXT_BIT = 0x4000
const DEPTH_MASK = 0x3fff
export const PRIVATE_DATA_MAX = 512
export const REVISION_MAX = 2

/** Ready To Receive: what the initiator's first FPDU is, where the responder may speak first. */
export type Rtr = 'send' | 'write' | 'read'

/** What the two agree on in revision 2. */
export interface Enhanced {
  /** RDMA Reads and Atomics that the sender can serve at a time, 0 to 0x3fff. */
  readonly ird: number
  /** Those that it wants outstanding. */
  readonly ord: number
  readonly peerToPeer: boolean
  /** Offered in a Request; the one that was chosen in a Reply. */
  readonly rtrs: readonly Rtr[]
}

export interface MpaSetup {
  readonly kind: 'request' | 'reply'
  readonly revision: number
  /** The sender wants markers in what it receives. */
  readonly markers: boolean
  readonly crc: boolean
  readonly reject: boolean
  /** The sender takes frames longer than a TCP segment. */
  readonly large: boolean
  /** Of revision 2; null when the flag S is not set. */
  readonly enhanced: Enhanced | null
  readonly privateData: Uint8Array
}

export function encodeMpa(setup: MpaSetup): Uint8Array<ArrayBuffer> {
  const { enhanced, privateData } = setup
  const extra = enhanced === null ? 0 : EnhancedData.size
  const length = extra + privateData.length
  if (length > PRIVATE_DATA_MAX) {
    throw new RangeError(`${length} bytes of private data, at most ${PRIVATE_DATA_MAX}`)
  }
  const bytes = new Uint8Array(MpaFrame.size + length)
  const view = new DataView(bytes.buffer)
  new TextEncoder().encodeInto(KEYS[setup.kind], bytes)
  bytes[MpaFrame.at.flags] =
    (setup.markers ? MpaFlag.markers : 0) |
    (setup.crc ? MpaFlag.crc : 0) |
    (setup.reject ? MpaFlag.reject : 0) |
    (setup.large ? MpaFlag.large : 0) |
    (enhanced === null ? 0 : MpaFlag.enhanced)
  bytes[MpaFrame.at.revision] = setup.revision
  view.setUint16(MpaFrame.at.privateDataLength, length)
  if (enhanced !== null) {
    const { ird, ord, peerToPeer, rtrs } = enhanced
    const bit = (set: boolean, value: number) => (set ? value : 0)
    const words = [
      ird | bit(peerToPeer, HIGH_BIT) | bit(rtrs.includes('send'), NEXT_BIT),
      ord | bit(rtrs.includes('write'), HIGH_BIT) | bit(rtrs.includes('read'), NEXT_BIT),
    ]
    view.setUint16(MpaFrame.size + EnhancedData.at.ird, words[0]!)
    view.setUint16(MpaFrame.size + EnhancedData.at.ord, words[1]!)
  }
  bytes.set(privateData, MpaFrame.size + extra)
  return bytes
}

/** Why the first `length` bytes begin no frame of this kind; null: so far they do. */
export function invalidMpa(
  bytes: Uint8Array,
  length: number,
  kind: MpaSetup['kind'],
): string | null {
  for (let i = 0; i < Math.min(length, KEYS[kind].length); i++) {
    if (bytes[i] !== KEYS[kind].charCodeAt(i)) return `the key is not '${KEYS[kind]}'`
  }
  if (length < MpaFrame.size) return null
  const flags = bytes[MpaFrame.at.flags]!
  const revision = bytes[MpaFrame.at.revision]!
  const data = privateDataLength(bytes)
  if (revision === 0 || revision > REVISION_MAX) return `revision ${revision}`
  if (data > PRIVATE_DATA_MAX) return `${data} bytes of private data, at most ${PRIVATE_DATA_MAX}`
  const enhanced = (flags & MpaFlag.enhanced) !== 0
  if (enhanced && revision < 2) return 'enhanced data in revision 1'
  if (enhanced && data < EnhancedData.size) return `enhanced data of ${data} bytes`
  return null
}

/** Bytes of the whole frame, from its first 20. */
export const mpaLength = (bytes: Uint8Array) => MpaFrame.size + privateDataLength(bytes)

function privateDataLength(bytes: Uint8Array): number {
  const at = MpaFrame.at.privateDataLength
  return (bytes[at]! << 8) | bytes[at + 1]!
}

/** A whole frame in which `invalidMpa` found nothing. */
export function decodeMpa(bytes: Uint8Array, kind: MpaSetup['kind']): MpaSetup {
  const flags = bytes[MpaFrame.at.flags]!
  const has = (flag: number) => (flags & flag) !== 0
  const enhanced = has(MpaFlag.enhanced)
  const extra = enhanced ? EnhancedData.size : 0
  return {
    kind,
    revision: bytes[MpaFrame.at.revision]!,
    markers: has(MpaFlag.markers),
    crc: has(MpaFlag.crc),
    reject: has(MpaFlag.reject),
    large: has(MpaFlag.large),
    enhanced: enhanced ? decodeEnhanced(bytes) : null,
    privateData: bytes.slice(MpaFrame.size + extra, mpaLength(bytes)),
  }
}

function decodeEnhanced(bytes: Uint8Array): Enhanced {
  const view = new DataView(bytes.buffer, bytes.byteOffset + MpaFrame.size, EnhancedData.size)
  const ird = view.getUint16(EnhancedData.at.ird)
  const ord = view.getUint16(EnhancedData.at.ord)
  const rtrs: Rtr[] = []
  if ((ird & NEXT_BIT) !== 0) rtrs.push('send')
  if ((ord & HIGH_BIT) !== 0) rtrs.push('write')
  if ((ord & NEXT_BIT) !== 0) rtrs.push('read')
  return {
    ird: ird & DEPTH_MASK,
    ord: ord & DEPTH_MASK,
    peerToPeer: (ird & HIGH_BIT) !== 0,
    rtrs,
  }
}
