/** Whom an error is put down to: what a Terminate copies of it, and what one says of our work. */
import type { Status } from './completion_queue.js'
import type { Segment } from './segment.js'
import { AtomicRequest, Opcode, ReadRequest } from './wire/ddp.js'
import { DdpError, MpaError, RdmapError, type ErrorCode, type Terminate } from './wire/terminate.js'

export type Blamed = Omit<Terminate, 'error'>

const NONE = new Uint8Array(0)
export const NOBODY: Blamed = { length: null, ddp: NONE, rdmap: NONE }

/** Errors of a segment whose headers are not as this side knows them. */
const UNKNOWN_HEADERS: readonly ErrorCode[] = [
  RdmapError.catastrophic,
  RdmapError.invalidVersion,
  RdmapError.unexpectedOpcode,
  DdpError.taggedVersion,
  DdpError.untaggedVersion,
  ...Object.values(MpaError),
]

/** Copies of the headers of a segment (RFC 5040, 4.8), where an error has some. */
export function blamedFor(error: ErrorCode, segment: Segment): Blamed {
  if (UNKNOWN_HEADERS.includes(error)) return NOBODY
  const { bytes, start, payload, length, opcode } = segment
  // One that is too short, or too long, is none.
  const whole = start + length - payload === requestBytes(opcode)
  const rdmap = whole ? bytes.slice(payload, start + length) : NONE
  return { length, ddp: bytes.slice(start, payload), rdmap }
}

function requestBytes(opcode: number): number {
  if (opcode === Opcode.readRequest) return ReadRequest.size
  return opcode === Opcode.atomicRequest ? AtomicRequest.size : 0
}

/** What a Terminate means for the work that it blames. */
export function statusOf([layer, type, code]: ErrorCode): Status {
  if (layer === 2) return 'FATAL_ERR'
  if (type === 1) return 'REM_ACCESS_ERR'
  if (layer === 1 && type === 2) return 'REM_OP_ERR'
  if (layer === 0 && type === 2 && code === RdmapError.unexpectedOpcode[2]) return 'REM_INV_REQ_ERR'
  return 'REM_OP_ERR'
}
