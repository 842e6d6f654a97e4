/** What no peer may say, in order of the checks, and the error that it is told. */
import { Opcode } from '../../src/rdma/wire/ddp.js'
import { DdpError, MpaError, RdmapError, type ErrorCode } from '../../src/rdma/wire/terminate.js'
import { ADDRESS, REGION_BYTES, RECEIVE_BYTES, type Target } from './hostile_target.js'
import { atomicRequest, atomicResponse, readRequest, segmentOf, type Parts } from './raw_peer.js'

export interface Violation {
  readonly name: string
  /** ULPDUs: the last one is what is wrong. */
  readonly says: (target: Target) => readonly Uint8Array[]
  readonly error: ErrorCode
  /** Headers that come back with the Terminate. */
  readonly told: 'nothing' | 'segment' | 'request'
  readonly damage?: (frame: Uint8Array) => void
}

type Says = Violation['says']

const bytes = (length: number) => new Uint8Array(length).fill(0xee)
const at = (offset: number) => [0, ADDRESS + offset] as const
const TOP = 0xffff_ffff

const list: Violation[] = []
const add =
  (told: Violation['told']) =>
  (error: ErrorCode, name: string, says: Says): void => {
    list.push({ name, says, error, told })
  }
const bare = add('nothing')
const segment = add('segment')
const request = add('request')

// ---- the frame, and what every segment begins with ---------------------------------------------

for (const length of [0, 1, 2, 13]) {
  const says = () => [segmentOf(Opcode.write).subarray(0, length)]
  bare(MpaError.markerMismatch, `a tagged segment of ${length} bytes`, says)
}
bare(MpaError.markerMismatch, 'an untagged segment of 17 bytes', () => [
  segmentOf(Opcode.send).subarray(0, 17),
])
list.push({
  name: 'a frame whose CRC is wrong',
  says: ({ regions }) => [segmentOf(Opcode.write, write(regions.open.stag))],
  error: MpaError.crc,
  told: 'nothing',
  damage: (frame) => (frame[frame.length - 1]! ^= 1),
})
list.push({
  name: 'a frame whose payload has changed',
  says: ({ regions }) => [segmentOf(Opcode.write, write(regions.open.stag))],
  error: MpaError.crc,
  told: 'nothing',
  damage: (frame) => (frame[20]! ^= 0x80),
})
for (const version of [0, 2, 3]) {
  bare(DdpError.taggedVersion, `a tagged segment of DDP version ${version}`, () => [
    segmentOf(Opcode.write, { ddp: 0xc0 | version }),
  ])
  bare(DdpError.untaggedVersion, `an untagged segment of DDP version ${version}`, () => [
    segmentOf(Opcode.send, { ddp: 0x40 | version, rdmap: 0xff }),
  ])
  bare(RdmapError.invalidVersion, `a segment of RDMAP version ${version}`, () => [
    segmentOf(Opcode.send, { rdmap: (version << 6) | Opcode.send, qn: 9 }),
  ])
}
for (const opcode of [12, 13, 14, 15]) {
  for (const ddp of [0x41, 0xc1]) {
    const name = `opcode ${opcode}, ${ddp === 0x41 ? 'untagged' : 'tagged'}`
    bare(RdmapError.unexpectedOpcode, name, () => [
      segmentOf(Opcode.send, { ddp, rdmap: 0x40 | opcode }),
    ])
  }
}
for (const [name, opcode] of Object.entries(Opcode)) {
  const tagged = opcode === Opcode.write || opcode === Opcode.readResponse
  bare(RdmapError.unexpectedOpcode, `${name} in the other kind of segment`, () => [
    segmentOf(opcode, { ddp: tagged ? 0x41 : 0xc1, payload: bytes(60) }),
  ])
}

// ---- Writes ------------------------------------------------------------------------------------

const write = (stag: number, offset = 0, length = 8, more: Parts = {}): Parts => ({
  stag,
  to: at(offset),
  payload: bytes(length),
  ...more,
})
const writes = (error: ErrorCode, name: string, parts: (target: Target) => Parts) =>
  segment(error, `a Write ${name}`, (target) => [segmentOf(Opcode.write, parts(target))])

writes(DdpError.invalidStag, 'to STag 0', () => write(0))
writes(DdpError.invalidStag, 'to an STag with another key', ({ regions }) =>
  write((regions.open.stag ^ 1) >>> 0),
)
writes(DdpError.invalidStag, 'to a region that is no more', (target) => {
  target.regions.open.invalidate()
  return write(target.regions.open.stag)
})
writes(DdpError.stagNotOfStream, 'to a region of others', ({ regions }) =>
  write(regions.foreign.stag),
)
writes(DdpError.stagNotOfStream, 'beyond a region of others', ({ regions }) =>
  write(regions.foreign.stag, 0, 8, { to: [TOP, TOP] }),
)
writes(DdpError.toWrap, 'past the end of all offsets', ({ regions }) =>
  write(regions.open.stag, 0, 2, { to: [TOP, TOP] }),
)
writes(DdpError.bounds, 'up to the end of all offsets', ({ regions }) =>
  write(regions.open.stag, 0, 1, { to: [TOP, TOP] }),
)
writes(DdpError.bounds, 'that begins before its region', ({ regions }) =>
  write(regions.open.stag, -1),
)
writes(DdpError.bounds, 'one byte past its region', ({ regions }) =>
  write(regions.open.stag, REGION_BYTES - 7),
)
writes(DdpError.bounds, 'behind its region', ({ regions }) =>
  write(regions.open.stag, REGION_BYTES, 1),
)
writes(DdpError.bounds, 'that is right but for 2^32', ({ regions }) =>
  write(regions.open.stag, 0, 8, { to: [1, ADDRESS] }),
)
writes(DdpError.bounds, 'past a region that it may not write', ({ regions }) =>
  write(regions.readable.stag, REGION_BYTES),
)
writes(RdmapError.accessRights, 'to what may be read', ({ regions }) =>
  write(regions.readable.stag),
)
writes(RdmapError.accessRights, 'to what takes atomics', ({ regions }) => write(regions.words.stag))
segment(DdpError.bounds, 'a Write whose second segment is too long', ({ regions }) => [
  segmentOf(Opcode.write, write(regions.open.stag, REGION_BYTES - 16, 8, { last: false })),
  segmentOf(Opcode.write, write(regions.open.stag, REGION_BYTES - 8, 9)),
])
segment(DdpError.invalidStag, 'a Write to a region that the message before it ended', (target) => [
  segmentOf(Opcode.sendInvalidate, { invalidate: target.regions.open.stag }),
  segmentOf(Opcode.write, write(target.regions.open.stag)),
])

// ---- answers that nobody asked for -------------------------------------------------------------

bare(RdmapError.unexpectedOpcode, 'a Read Response, and no Read', ({ regions }) => [
  segmentOf(Opcode.readResponse, write(regions.open.stag)),
])
bare(RdmapError.unexpectedOpcode, 'an Atomic Response, and no atomic', () => [
  segmentOf(Opcode.atomicResponse, { payload: atomicResponse(1) }),
])

// ---- untagged ----------------------------------------------------------------------------------

const send = (parts: Parts = {}) => segmentOf(Opcode.send, { payload: bytes(8), ...parts })

const QUEUES: Partial<Record<keyof typeof Opcode, number>> = {
  send: 8,
  sendSolicitedInvalidate: 8,
  immediate: 8,
  readRequest: 28,
  atomicRequest: 52,
  atomicResponse: 12,
  terminate: 4,
}
for (const [name, length] of Object.entries(QUEUES)) {
  const opcode = Opcode[name as keyof typeof Opcode]
  const told = opcode === Opcode.readRequest || opcode === Opcode.atomicRequest
  for (const qn of [0, 1, 2, 3, 4, TOP]) {
    if (segmentOf(opcode)[9] === qn) continue
    const put = told ? request : segment
    put(DdpError.invalidQueue, `${name} in queue ${qn}`, () => [
      segmentOf(opcode, { qn, payload: bytes(length) }),
    ])
  }
  if (opcode === Opcode.terminate) continue
  for (const msn of [0, 2, TOP]) {
    const says = () => [segmentOf(opcode, { msn, payload: bytes(length) })]
    const error = DdpError.invalidMsn
    list.push({ name: `${name} ${msn}`, says, error, told: told ? 'request' : 'segment' })
  }
}
segment(DdpError.invalidMsn, 'a Send that came already', () => [send(), send()])
segment(DdpError.invalidMo, 'a Send that begins in its middle', () => [send({ mo: 1 })])
segment(DdpError.invalidMo, 'a Send with a hole', () => [send({ last: false }), send({ mo: 9 })])
segment(DdpError.invalidMo, 'a Send that goes back', () => [
  send({ last: false }),
  send({ mo: 7, last: false }),
])
segment(DdpError.invalidMsn, 'a Send within another', () => [
  send({ last: false }),
  send({ msn: 2 }),
])
bare(RdmapError.unexpectedOpcode, 'a Send that goes on as another kind', () => [
  send({ last: false }),
  segmentOf(Opcode.sendSolicited, { mo: 8 }),
])
bare(RdmapError.unexpectedOpcode, 'a Send that goes on with another STag', ({ regions }) => [
  segmentOf(Opcode.sendInvalidate, { invalidate: regions.open.stag, last: false }),
  segmentOf(Opcode.sendInvalidate, { invalidate: regions.words.stag }),
])
bare(RdmapError.unexpectedOpcode, 'Immediate Data within a Send', () => [
  send({ last: false }),
  segmentOf(Opcode.immediate, { payload: bytes(8), mo: 0 }),
])
segment(DdpError.noBuffer, 'a third Send, and two receives', () => [
  send(),
  send({ msn: 2 }),
  send({ msn: 3 }),
])
segment(DdpError.noBuffer, 'Immediate Data, and no receive', () => [
  send(),
  send({ msn: 2 }),
  segmentOf(Opcode.immediate, { msn: 3, payload: bytes(8) }),
])
segment(DdpError.tooLong, 'a Send longer than its receive', () => [
  send({ payload: bytes(RECEIVE_BYTES + 1) }),
])
segment(DdpError.tooLong, 'a Send whose second segment is too long', () => [
  send({ payload: bytes(RECEIVE_BYTES), last: false }),
  send({ payload: bytes(1), mo: RECEIVE_BYTES }),
])
for (const [name, invalidate, error] of [
  ['nobody has', () => 0x1234, RdmapError.cannotInvalidate],
  ['is 0', () => 0, RdmapError.cannotInvalidate],
  ['others have', (t: Target) => t.regions.foreign.stag, RdmapError.protectionCannotInvalidate],
  ['is to stay', (t: Target) => t.regions.words.stag, RdmapError.protectionCannotInvalidate],
] as const) {
  segment(error, `a Send that invalidates an STag that ${name}`, (target) => [
    segmentOf(Opcode.sendInvalidate, { invalidate: invalidate(target) }),
  ])
}
for (const length of [0, 7, 9]) {
  segment(RdmapError.streamCatastrophic, `${length} bytes of Immediate Data`, () => [
    segmentOf(Opcode.immediate, { payload: bytes(length) }),
  ])
}

// ---- Read and Atomic Requests ------------------------------------------------------------------

const ask = (payload: Uint8Array, parts: Parts = {}) =>
  segmentOf(Opcode.readRequest, { payload, ...parts })
const reads = (error: ErrorCode, name: string, payload: (target: Target) => Uint8Array) =>
  request(error, `a Read ${name}`, (target) => [ask(payload(target))])

reads(RdmapError.invalidStag, 'of STag 0', () => readRequest(0, at(0), 8))
reads(RdmapError.invalidStag, 'of what nobody has', () => readRequest(0x1234_5678, at(0), 1))
reads(RdmapError.stagNotOfStream, 'of what others have', ({ regions }) =>
  readRequest(regions.foreign.stag, at(0), 8),
)
reads(RdmapError.accessRights, 'of what may be written', ({ regions }) =>
  readRequest(regions.writable.stag, at(0), 8),
)
reads(RdmapError.accessRights, 'past what may be written', ({ regions }) =>
  readRequest(regions.writable.stag, at(REGION_BYTES), 8),
)
reads(RdmapError.bounds, 'one byte past its region', ({ regions }) =>
  readRequest(regions.open.stag, at(1), REGION_BYTES),
)
reads(RdmapError.bounds, 'of 4 GiB', ({ regions }) => readRequest(regions.open.stag, at(0), TOP))
reads(RdmapError.bounds, 'from before its region', ({ regions }) =>
  readRequest(regions.open.stag, at(-1), 1),
)
reads(RdmapError.toWrap, 'past the end of all offsets', ({ regions }) =>
  readRequest(regions.open.stag, [TOP, TOP], 2),
)
for (const length of [27, 29, 1000, 60_000]) {
  segment(RdmapError.streamCatastrophic, `a Read Request of ${length} bytes`, () => [
    ask(bytes(length)),
  ])
}
request(RdmapError.streamCatastrophic, 'a Read Request that is to go on', ({ regions }) => [
  ask(readRequest(regions.open.stag, at(0), 8), { last: false }),
])
request(RdmapError.streamCatastrophic, 'a Read Request from its middle', ({ regions }) => [
  ask(readRequest(regions.open.stag, at(0), 8), { mo: 4 }),
])
request(DdpError.noBuffer, 'a Read more than are served', ({ regions }) =>
  [1, 2, 3, 4, 5].map((msn) => ask(readRequest(regions.open.stag, at(0), 4096), { msn })),
)

const change = (operation: number, stag: number, to: readonly [number, number]) =>
  segmentOf(Opcode.atomicRequest, { payload: atomicRequest(operation, stag, to) })
for (const operation of [1, 3, 15]) {
  bare(RdmapError.unexpectedOpcode, `an atomic of kind ${operation}`, ({ regions }) => [
    change(operation, regions.words.stag, at(0)),
  ])
}
request(RdmapError.streamCatastrophic, 'an atomic that is not aligned', ({ regions }) => [
  change(0, regions.words.stag, at(4)),
])
request(RdmapError.streamCatastrophic, 'an atomic at an odd offset of aligned memory', (target) => {
  const access = ['localWrite', 'remoteAtomic'] as const
  const odd = target.domain.register(new Uint8Array(8), { access, address: ADDRESS + 4 })
  return [change(0, odd.stag, at(4))]
})
request(RdmapError.accessRights, 'an atomic of what may be read and written', ({ regions }) => [
  change(0, regions.open.stag, at(0)),
])
request(RdmapError.stagNotOfStream, 'an atomic of what others have', ({ regions }) => [
  change(2, regions.foreign.stag, at(0)),
])
request(RdmapError.invalidStag, 'an atomic of what nobody has', () => [change(2, 5, at(0))])
request(RdmapError.bounds, 'an atomic behind its region', ({ regions }) => [
  change(0, regions.words.stag, at(REGION_BYTES)),
])

export const violations: readonly Violation[] = list
