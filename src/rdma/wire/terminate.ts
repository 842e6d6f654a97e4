/**
 * The Terminate message (RFC 5040, 4.8), and the errors of the three layers that it names.
 *
 *     0            1      2            4               6              then
 *     | layer etype | code | M D R 0… | [DDP length] | [DDP header] | [RDMAP header]
 */
import { defineHeader } from './header.js'

export const TerminateControl = defineHeader('Terminate control', 4, 'RFC 5040, 4.8', {
  type: [0, 1, 'layer 0xf0: 0 RDMAP, 1 DDP, 2 LLP; error type 0x0f'],
  code: [1, 1, 'error code'],
  headers: [2, 2, 'M 0x8000 DDP segment length, D 0x4000 DDP header, R 0x2000 RDMAP header follow'],
})

export const TerminateBit = { length: 0x8000, ddp: 0x4000, rdmap: 0x2000 } as const

/** [layer, error type, code]. */
export type ErrorCode = readonly [layer: number, type: number, code: number]

/** RFC 5040, 4.8; RFC 7306. */
export const RdmapError = {
  catastrophic: [0, 0, 0x00],
  invalidStag: [0, 1, 0x00],
  bounds: [0, 1, 0x01],
  accessRights: [0, 1, 0x02],
  stagNotOfStream: [0, 1, 0x03],
  toWrap: [0, 1, 0x04],
  protectionCannotInvalidate: [0, 1, 0x09],
  protectionUnspecified: [0, 1, 0xff],
  invalidVersion: [0, 2, 0x05],
  unexpectedOpcode: [0, 2, 0x06],
  streamCatastrophic: [0, 2, 0x07],
  globalCatastrophic: [0, 2, 0x08],
  cannotInvalidate: [0, 2, 0x09],
  operationUnspecified: [0, 2, 0xff],
} as const satisfies Record<string, ErrorCode>

/** RFC 5041, 7.2. */
export const DdpError = {
  catastrophic: [1, 0, 0x00],
  invalidStag: [1, 1, 0x00],
  bounds: [1, 1, 0x01],
  stagNotOfStream: [1, 1, 0x02],
  toWrap: [1, 1, 0x03],
  taggedVersion: [1, 1, 0x04],
  invalidQueue: [1, 2, 0x01],
  noBuffer: [1, 2, 0x02],
  invalidMsn: [1, 2, 0x03],
  invalidMo: [1, 2, 0x04],
  tooLong: [1, 2, 0x05],
  untaggedVersion: [1, 2, 0x06],
} as const satisfies Record<string, ErrorCode>

/** RFC 5044, 8; RFC 6581, 8. */
export const MpaError = {
  connectionLost: [2, 0, 0x01],
  crc: [2, 0, 0x02],
  markerMismatch: [2, 0, 0x03],
  invalidSetup: [2, 0, 0x04],
  catastrophic: [2, 0, 0x05],
  insufficientIrd: [2, 0, 0x06],
  noMatchingRtr: [2, 0, 0x07],
} as const satisfies Record<string, ErrorCode>

const LAYERS = [
  ['RDMAP', RdmapError],
  ['DDP', DdpError],
  ['LLP', MpaError],
] as const

/** 'DDP invalidStag', as messages name it; null: no such error. */
export function errorName(layer: number, type: number, code: number): string | null {
  const [name, errors] = LAYERS[layer] ?? ['', {}]
  for (const [error, [, itsType, itsCode]] of Object.entries(errors)) {
    if (itsType === type && itsCode === code) return `${name} ${error}`
  }
  return null
}

export interface Terminate {
  readonly error: ErrorCode
  /** Bytes of the DDP segment that is blamed; null: not said. */
  readonly length: number | null
  /** A copy of its DDP header, and of its RDMAP header behind it; empty: not said. */
  readonly ddp: Uint8Array
  readonly rdmap: Uint8Array
}

/** The payload of the message. */
export function encodeTerminate({ error, length, ddp, rdmap }: Terminate): Uint8Array<ArrayBuffer> {
  const [layer, type, code] = error
  const says = length !== null || ddp.length > 0
  const size = TerminateControl.size + (says ? 2 : 0) + ddp.length + rdmap.length
  const bytes = new Uint8Array(size)
  const view = new DataView(bytes.buffer)
  view.setUint8(TerminateControl.at.type, (layer << 4) | type)
  view.setUint8(TerminateControl.at.code, code)
  const headers =
    (length === null ? 0 : TerminateBit.length) |
    (ddp.length > 0 ? TerminateBit.ddp : 0) |
    (rdmap.length > 0 ? TerminateBit.rdmap : 0)
  view.setUint16(TerminateControl.at.headers, headers)
  if (!says) return bytes
  view.setUint16(TerminateControl.size, length ?? 0)
  bytes.set(ddp, TerminateControl.size + 2)
  bytes.set(rdmap, TerminateControl.size + 2 + ddp.length)
  return bytes
}

/** Errors of MPA that nobody names once a connection is set up. */
const SETUP_CODES: readonly number[] = [
  MpaError.invalidSetup[2],
  MpaError.insufficientIrd[2],
  MpaError.noMatchingRtr[2],
]

export interface DecodedTerminate {
  readonly error: ErrorCode
  readonly name: string
  /** The copy of the DDP header that it blames, and of the RDMAP header behind; empty: none. */
  readonly blamed: Uint8Array
}

/**
 * The error that a peer names. Linux's siw has the nibbles of the first byte, and the bits of the
 * third, the other way round: where those bits say so, and where the nibbles name no error as the
 * RFC has them, or one of the setup when that is over, they are taken so.
 */
export function decodeTerminate(bytes: Uint8Array, settingUp: boolean): DecodedTerminate {
  const first = bytes[TerminateControl.at.type]!
  const code = bytes[TerminateControl.at.code]!
  const [high, low] = [first >>> 4, first & 0x0f]
  const name = errorName(high, low, code)
  const swapped = errorName(low, high, code)
  const late = high === 2 && SETUP_CODES.includes(code) && !settingUp
  const blamed = blamedOf(bytes)
  if (swapped !== null && (name === null || late || isSiw(bytes))) {
    return { error: [low, high, code], name: swapped, blamed }
  }
  if (name !== null) return { error: [high, low, code], name, blamed }
  const unknown = `layer ${high}, type ${low}, code ${code}, which no RFC names`
  return { error: [high, low, code], name: unknown, blamed }
}

/** The bits M, D and R are the highest of their byte; siw's are the lowest. */
const SIW_BITS = 0x07
const SIW_DDP_BIT = 0x02

function isSiw(bytes: Uint8Array): boolean {
  const flags = bytes[TerminateControl.at.headers]!
  return flags !== 0 && (flags & ~SIW_BITS) === 0
}

function blamedOf(bytes: Uint8Array): Uint8Array {
  const flags = bytes[TerminateControl.at.headers]!
  const has = isSiw(bytes) ? (flags & SIW_DDP_BIT) !== 0 : ((flags << 8) & TerminateBit.ddp) !== 0
  return has ? bytes.subarray(TerminateControl.size + 2) : new Uint8Array(0)
}
