/**
 * DDP segments and the RDMAP messages in them (RFC 5040, RFC 5041, RFC 7306).
 *
 *     tagged    | T L DV | RV opcode | STag           | TO (64)                  | payload
 *     untagged  | T L DV | RV opcode | Invalidate STag | QN    | MSN   | MO      | payload
 */
import { defineHeader, put64 } from './header.js'

export const TaggedHeader = defineHeader('DDP tagged header', 14, 'RFC 5041, 4.2', {
  ddp: [0, 1, 'T 0x80 set, L 0x40 last segment of the message, reserved 0x3c, DV 0x03'],
  rdmap: [1, 1, 'RV 0xc0, reserved 0x30, opcode 0x0f (RFC 5040, 4.1)'],
  stag: [2, 4, "steering tag of the Data Sink's buffer"],
  to: [6, 8, "tagged offset of the segment's first byte"],
})

export const UntaggedHeader = defineHeader('DDP untagged header', 18, 'RFC 5041, 4.3', {
  ddp: [0, 1, 'T 0x80 clear, L 0x40 last segment of the message, reserved 0x3c, DV 0x03'],
  rdmap: [1, 1, 'RV 0xc0, reserved 0x30, opcode 0x0f (RFC 5040, 4.1)'],
  invalidateStag: [2, 4, 'of Send with Invalidate; else 0'],
  qn: [6, 4, 'queue number'],
  msn: [10, 4, 'message sequence number, from 1'],
  mo: [14, 4, "message offset of the segment's first byte"],
})

export const ReadRequest = defineHeader('RDMA Read Request header', 28, 'RFC 5040, 4.4', {
  sinkStag: [0, 4, 'where the response goes'],
  sinkTo: [4, 8, 'its tagged offset'],
  length: [12, 4, 'RDMA Read Message Size, bytes'],
  sourceStag: [16, 4, 'what is read'],
  sourceTo: [20, 8, 'its tagged offset'],
})

export const AtomicRequest = defineHeader('Atomic Request header', 52, 'RFC 7306, 5.2.1', {
  operation: [0, 4, 'reserved (28 bits), AOpCode: 0 FetchAdd, 2 CmpSwap'],
  requestId: [4, 4, 'comes back in the response'],
  stag: [8, 4, 'what is changed'],
  to: [12, 8, 'its tagged offset, a multiple of 8'],
  data: [20, 8, 'Add Data or Swap Data'],
  mask: [28, 8, 'Add Mask or Swap Mask'],
  compare: [36, 8, 'Compare Data; 0 of FetchAdd'],
  compareMask: [44, 8, 'Compare Mask; 0 of FetchAdd'],
})

export const AtomicResponse = defineHeader('Atomic Response header', 12, 'RFC 7306, 5.2.2', {
  requestId: [0, 4, 'of the request'],
  original: [4, 8, 'what was there before'],
})

/** Bytes of payload of an Immediate Data message (RFC 7306, 6.2). */
export const IMMEDIATE_BYTES = 8

export const DdpBit = { tagged: 0x80, last: 0x40 } as const
const VERSION_MASK = 0x03
const RDMAP_VERSION_SHIFT = 6
const OPCODE_MASK = 0x0f
export const DDP_VERSION = 1
export const RDMAP_VERSION = 1

export const Opcode = {
  write: 0,
  readRequest: 1,
  readResponse: 2,
  send: 3,
  sendInvalidate: 4,
  sendSolicited: 5,
  sendSolicitedInvalidate: 6,
  terminate: 7,
  immediate: 8,
  immediateSolicited: 9,
  atomicRequest: 10,
  atomicResponse: 11,
} as const
export type Opcode = (typeof Opcode)[keyof typeof Opcode]

/** Untagged queues: what arrives where. */
export const Queue = { send: 0, request: 1, terminate: 2, atomicResponse: 3 } as const
export type Queue = (typeof Queue)[keyof typeof Queue]

/** Of each opcode: its queue, -1 tagged. What is past the end of it is no opcode. */
const QUEUES: readonly number[] = [-1, 1, -1, 0, 0, 0, 0, 2, 0, 0, 1, 3]

export const isTagged = (ddp: number) => (ddp & DdpBit.tagged) !== 0
export const isLast = (ddp: number) => (ddp & DdpBit.last) !== 0
export const ddpVersion = (ddp: number) => ddp & VERSION_MASK
export const rdmapVersion = (rdmap: number) => rdmap >>> RDMAP_VERSION_SHIFT
export const opcodeOf = (rdmap: number) => rdmap & OPCODE_MASK

/** The queue of an opcode; -1: it is tagged; undefined: there is no such opcode. */
export const queueOf = (opcode: number): number | undefined => QUEUES[opcode]

/** Bytes of the header in front of the payload of a segment that begins like this. */
export const headerBytes = (ddp: number) =>
  isTagged(ddp) ? TaggedHeader.size : UntaggedHeader.size

/** The first two bytes of a segment. */
export function putControl(view: DataView, at: number, opcode: Opcode, last: boolean): void {
  const tagged = queueOf(opcode) === -1
  view.setUint8(at, (tagged ? DdpBit.tagged : 0) | (last ? DdpBit.last : 0) | DDP_VERSION)
  view.setUint8(at + 1, (RDMAP_VERSION << RDMAP_VERSION_SHIFT) | opcode)
}

/** The header of a tagged segment. */
export function putTagged(
  view: DataView,
  at: number,
  opcode: Opcode,
  last: boolean,
  stag: number,
  toHigh: number,
  toLow: number,
): void {
  putControl(view, at, opcode, last)
  view.setUint32(at + TaggedHeader.at.stag, stag)
  put64(view, at + TaggedHeader.at.to, toHigh, toLow)
}

/** The header of an untagged segment. */
export function putUntagged(
  view: DataView,
  at: number,
  opcode: Opcode,
  last: boolean,
  invalidateStag: number,
  msn: number,
  mo: number,
): void {
  putControl(view, at, opcode, last)
  view.setUint32(at + UntaggedHeader.at.invalidateStag, invalidateStag)
  view.setUint32(at + UntaggedHeader.at.qn, queueOf(opcode)!)
  view.setUint32(at + UntaggedHeader.at.msn, msn)
  view.setUint32(at + UntaggedHeader.at.mo, mo)
}
