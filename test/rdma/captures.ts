/**
 * What the captures in test/rdma/captures hold, connection by connection, in words that
 * captures.test.ts makes of what is read and compares.
 *
 * A Request or Reply: 'v2 crc 1/1 peer write read "hello"' is revision 2, CRC wanted, IRD 1 and
 * ORD 1, peer-to-peer with these kinds of RTR, private data. A frame: its opcode and the bytes of
 * its payload; those that it asks for where it is a Read Request; where it is a Terminate, its
 * first four bytes as they stand.
 */
import type { ErrorCode } from '../../src/rdma/wire/terminate.js'
import { DdpError, MpaError, RdmapError } from '../../src/rdma/wire/terminate.js'

export interface Story {
  readonly request: string
  readonly reply: string
  readonly initiator: string
  readonly responder: string
  /** Set where the initiator's last frame is one that no parser may hand on. */
  readonly error?: ErrorCode
  /** Set where a frame is wrong only to who knows the state of the connection. */
  readonly above?: ErrorCode
  /** What the Terminate in it says. */
  readonly told?: ErrorCode
}

const times = (rounds: number, frames: string) => Array(rounds).fill(frames).join(' ')

/** rping: the client says where its buffer is, the server reads it; then it is written back. */
const ping = (rounds: number) => ({
  initiator: times(rounds, 'send:16 readResponse:64 send:16'),
  responder: times(rounds, 'readRequest:64 send:16 write:64 send:16'),
})

const after = (rtr: string, answer: string, rounds: number) => ({
  initiator: `${rtr} ${ping(rounds).initiator}`,
  responder: `${answer} ${ping(rounds).responder}`.trim(),
})

const plain = { request: 'v2 1/1', reply: 'v2 1/1' }
const crc = { request: 'v2 crc 1/1', reply: 'v2 crc 1/1' }
const rejected = { request: 'v2 markers 1/1', reply: 'v2 reject 0/0', initiator: '', responder: '' }

/** With no reads agreed on siw can issue none, and ends the connection of an rping. */
const noReads = (setup: string) => ({
  request: setup,
  reply: setup,
  initiator: 'send:16',
  responder: '',
})

const peerToPeer = (rtrs: string, chosen: string, rounds: number) => ({
  request: `v2 1/1 peer${rtrs}`,
  reply: `v2 1/1 peer ${chosen}`,
  ...after(
    chosen === 'write' ? 'write:0' : 'readRequest:0',
    chosen === 'write' ? '' : 'readResponse:0',
    rounds,
  ),
})

const unknownStag: Story = {
  ...plain,
  initiator: 'write:16',
  responder: 'terminate:11000300',
  above: DdpError.invalidStag,
  told: DdpError.invalidStag,
}

/** Immediate Data of 16 bytes: siw knows no opcode 9, and to us it has 8 bytes too many. */
const opcodeNine: Story = {
  ...plain,
  initiator: '',
  responder: 'terminate:20060000',
  error: RdmapError.streamCatastrophic,
  told: RdmapError.unexpectedOpcode,
}

const BAD: readonly Story[] = [
  noReads('v1'),
  noReads('v1 crc'),
  rejected,
  peerToPeer(' write', 'write', 1),
  peerToPeer(' read', 'read', 1),
  peerToPeer(' write read', 'write', 1),
  // Peer-to-peer with no kind of RTR offered: siw chooses one.
  peerToPeer('', 'write', 1),
  { request: 'v2 8/8', reply: 'v2 8/8', ...ping(2) },
  noReads('v2 0/0'),
  unknownStag,
  opcodeNine,
  {
    ...plain,
    initiator: '',
    responder: 'terminate:21060000',
    error: DdpError.untaggedVersion,
    told: DdpError.untaggedVersion,
  },
  {
    ...plain,
    initiator: 'send:16',
    responder: 'terminate:21030300',
    above: DdpError.invalidMsn,
    told: DdpError.invalidMsn,
  },
  {
    ...crc,
    initiator: '',
    responder: 'terminate:02020000',
    error: MpaError.crc,
    told: MpaError.crc,
  },
  {
    ...plain,
    initiator: 'readRequest:64',
    responder: 'terminate:10000700',
    above: RdmapError.invalidStag,
    told: RdmapError.invalidStag,
  },
  {
    ...plain,
    initiator: '',
    responder: 'terminate:21010300',
    error: DdpError.invalidQueue,
    told: DdpError.invalidQueue,
  },
  {
    ...plain,
    // Into a receive of 16 bytes; siw says that there is no buffer, the RFC that it is too long.
    initiator: 'send:600',
    responder: 'terminate:21020300',
    above: DdpError.tooLong,
    told: DdpError.noBuffer,
  },
  { ...plain, initiator: 'terminate:10000000', responder: '', told: DdpError.catastrophic },
  { ...plain, initiator: '', responder: '' },
  { ...plain, ...ping(1) },
  // The first FPDU came before siw listened to it, and was answered never.
  { ...plain, initiator: 'send:16', responder: '' },
  { ...plain, ...ping(1) },
  { ...plain, ...ping(1) },
  { ...plain, ...ping(1) },
]

const INITIATOR: readonly Story[] = [
  { ...plain, ...ping(3) },
  { ...crc, ...ping(3) },
  noReads('v1'),
  noReads('v1 crc'),
  rejected,
  peerToPeer(' write', 'write', 2),
  peerToPeer(' read', 'read', 2),
  peerToPeer(' write read', 'write', 2),
  { request: 'v2 1/1 "hello"', reply: 'v2 1/1', ...ping(2) },
  { request: 'v2 8/8', reply: 'v2 8/8', ...ping(2) },
  unknownStag,
  opcodeNine,
]

const WORKED = {
  initiator:
    'send:5 sendInvalidate:4 write:16 write:0 readRequest:4096 immediate:8 atomicRequest:52 atomicRequest:52',
  responder: 'readResponse:4 atomicResponse:12 terminate:1100c000 terminate:0102e000',
}

export const CAPTURES: Readonly<Record<string, readonly Story[]>> = {
  'rping-6.1': [{ ...plain, ...ping(3) }],
  'tap-rping': [{ ...crc, ...ping(1) }],
  'host-initiator': INITIATOR,
  'host-initiator-bad': BAD,
  'host-responder': [
    { ...plain, ...ping(2) },
    { ...plain, reply: 'v2 crc 1/1', ...ping(2) },
    { ...plain, reply: 'v2 reject 1/1', initiator: '', responder: '' },
  ],
  'host-responder-crc-p2p': [
    {
      request: 'v2 crc 1/1 peer write read',
      reply: 'v2 crc 1/1 peer write',
      ...after('write:0', '', 2),
    },
    {
      request: 'v2 crc 1/1 peer write read',
      reply: 'v2 crc 1/1 peer write',
      ...after('write:0', '', 2),
    },
    {
      request: 'v2 crc 1/1 peer write read',
      reply: 'v2 crc reject 1/1 peer write',
      initiator: '',
      responder: '',
    },
  ],
  golden: [{ request: 'v2 crc 16/16 "PRIV"', reply: 'v2 crc 16/16', ...WORKED }],
  'golden-markers': [
    {
      request: 'v1 crc',
      reply: 'v1 crc markers',
      initiator: 'write:16 write:600',
      responder: '',
    },
  ],
}
