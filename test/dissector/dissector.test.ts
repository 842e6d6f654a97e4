/**
 * What we send, shown to tshark: it finds every CRC good, nothing malformed and nothing odd, in
 * every field the number that we find there, and in all of it what was posted.
 *
 * What it (4.0) does not know:
 * - revision 2 of MPA: its flag, and the words of IRD and ORD, are reserved bits and private data;
 * - Immediate Data: the opcode has no name, of the header it shows all the same;
 * - where frames are in a stream with markers, unless each has a TCP segment of its own and none
 *   begins with a marker; and in one without markers, when the other direction has them;
 * - the payload between markers: it leaves them in;
 * - how long a DDP header is in a Terminate: it goes by the type of the error.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FpduWriter } from '../../src/rdma/fpdu.js'
import { Opcode, UntaggedHeader } from '../../src/rdma/wire/ddp.js'
import { encodeMpa } from '../../src/rdma/wire/mpa.js'
import { frameOf, NOTHING, pattern, segmentOf } from '../rdma/frames.js'
import { capture, type Captured, type Sent } from './capture.js'
import { brief, factsShown, type Facts } from './facts.js'
import { messagesShown } from './meant.js'
import { PcapWriter, type Side } from './pcap_writer.js'
import { everything, MEMORY_BYTES, talk, type End, type Scenario, type Talk } from './traffic.js'
import { dissect, missing } from './tshark.js'

const SIDES: readonly Side[] = ['initiator', 'responder']
const skip = missing() ?? false

async function both(initiator: End, responder: End): Promise<void> {
  await everything(initiator, responder)
  await everything(responder, initiator)
}

/** Work that ends the connection. */
const failing =
  (work: (responder: End) => Parameters<End['try']>[0]) => async (one: End, two: End) => {
    await one.try(work(two))
    await Promise.all([one.qp.closed, two.qp.closed])
  }

const plain = { initiator: {}, responder: {}, segmentBytes: 1448, seenBytes: 1448, say: both }
const small = { crc: true, large: false }
const text = (words: string) => new TextEncoder().encode(words)

const TALKS: readonly Scenario[] = [
  {
    ...plain,
    name: 'with CRC, in frames of 64 KiB',
    initiator: { crc: true },
    seenBytes: 65_000,
    say: async (initiator, responder) => {
      await everything(initiator, responder, 140_000)
      await everything(responder, initiator, 70_000)
    },
  },
  { ...plain, name: 'without CRC', initiator: { crc: false }, responder: { crc: false } },
  {
    ...plain,
    name: 'with a CRC that the responder wants',
    initiator: { crc: false, large: false },
    responder: small,
    seenBytes: 999,
  },
  { ...plain, name: 'in segments of 536 bytes', initiator: small, segmentBytes: 536 },
  { ...plain, name: 'in segments of 8948 bytes', initiator: small, segmentBytes: 8948 },
  {
    ...plain,
    name: 'in segments of a size that nobody knows',
    initiator: small,
    segmentBytes: null,
  },
  { ...plain, name: 'in many segments of TCP', initiator: small, seenBytes: 61 },
  {
    ...plain,
    name: 'with markers for the initiator',
    initiator: { ...small, markers: true },
  },
  {
    ...plain,
    name: 'with markers for the responder',
    initiator: small,
    responder: { markers: true },
  },
  {
    ...plain,
    name: 'with markers for both, and no CRC',
    initiator: { crc: false, large: false, markers: true },
    responder: { crc: false, markers: true },
    segmentBytes: 536,
  },
  {
    ...plain,
    name: 'with markers in long frames',
    initiator: { markers: true },
    responder: { markers: true },
  },
  { ...plain, name: 'in revision 1', initiator: { ...small, revision: 1 } },
  {
    ...plain,
    name: 'with private data',
    initiator: { ...small, privateData: text('who I am') },
    responder: { privateData: text('come in, then') },
  },
  ...(['write', 'read', 'send'] as const).map((rtr) => ({
    ...plain,
    name: `ready with a ${rtr}`,
    initiator: { ...small, peerToPeer: true, rtrs: [rtr] },
    responder: { rtrs: [rtr] },
    // Only the responder says something: so it does right after the RTR.
    prepare: (_: End, responder: End) => responder.receive(10),
    say: (initiator: End, responder: End) => everything(responder, initiator),
  })),
]

interface Failure extends Scenario {
  /** Who says it, and [layer, type, code]. */
  readonly told?: readonly [Side, string]
}

const bad = { ...plain, initiator: small }
const REPLY = {
  kind: 'reply',
  revision: 2,
  markers: false,
  crc: true,
  reject: false,
  large: false,
  privateData: NOTHING,
} as const
const FAILURES: readonly Failure[] = [
  { ...plain, name: 'a rejection', reject: text('no room') },
  { ...plain, name: 'a rejection without a word', initiator: { revision: 1 }, reject: text('') },
  {
    ...plain,
    name: 'no RTR that both have',
    initiator: { peerToPeer: true, rtrs: ['write', 'read'] },
    responder: { rtrs: ['send'] },
    disagree: true,
  },
  {
    ...bad,
    name: 'a Reply with more Reads than are served',
    initiator: { ...small, ird: 4 },
    answer: { ...REPLY, enhanced: { ird: 4, ord: 5, peerToPeer: false, rtrs: [] } },
    told: ['initiator', '2 0 6'],
  },
  {
    ...bad,
    name: 'a Reply with an RTR that was not offered, and markers wanted',
    initiator: { ...small, peerToPeer: true, rtrs: ['write'] },
    answer: {
      ...REPLY,
      markers: true,
      enhanced: { ird: 4, ord: 4, peerToPeer: true, rtrs: ['read'] },
    },
    told: ['initiator', '2 0 7'],
  },
  { ...plain, name: 'no revision that both speak', responder: { revision: 1 }, disagree: true },
  {
    ...bad,
    name: 'a Write to an STag that there is not',
    say: failing(() => ({ op: 'write', local: text('x'), remote: { stag: 5, address: 1 } })),
    told: ['responder', '1 1 0'],
  },
  {
    ...bad,
    name: 'a Write past the end of a region',
    say: failing((two) => ({ op: 'write', local: text('long'), remote: two.at(MEMORY_BYTES - 3) })),
    told: ['responder', '1 1 1'],
  },
  {
    ...bad,
    name: 'a Read of an STag that there is not',
    say: failing(() => ({ op: 'read', local: text('x'), remote: { stag: 5, address: 1 } })),
    told: ['responder', '0 1 0'],
  },
  {
    ...bad,
    name: 'a Read past the end of a region',
    say: failing((two) => ({ op: 'read', local: text('long'), remote: two.at(MEMORY_BYTES - 3) })),
    told: ['responder', '0 1 1'],
  },
  {
    ...bad,
    name: 'a Read of what may not be read',
    say: failing((two) => ({
      op: 'read',
      local: text('x'),
      remote: { stag: two.loan().stag, address: 0 },
    })),
    told: ['responder', '0 1 2'],
  },
  {
    ...bad,
    name: 'a Send that no receive is there for',
    say: failing(() => ({ op: 'send', local: text('x') })),
    told: ['responder', '1 2 2'],
  },
  {
    ...bad,
    name: 'a Send that is too long',
    say: async (one, two) => {
      two.receive(3)
      await failing(() => ({ op: 'send', local: text('long') }))(one, two)
    },
    told: ['responder', '1 2 5'],
  },
  {
    ...bad,
    name: 'an Invalidate of an STag that there is not',
    say: async (one, two) => {
      two.receive(30)
      await failing(() => ({ op: 'send', local: text('x'), invalidate: 5 }))(one, two)
    },
    told: ['responder', '0 2 9'],
  },
  {
    ...bad,
    name: 'an Atomic that is not aligned',
    say: failing((two) => ({
      op: 'fetchAdd',
      local: new Uint8Array(8),
      remote: two.at(4),
      add: 1,
    })),
    told: ['responder', '0 2 7'],
  },
  {
    ...bad,
    name: 'a Write of which a byte arrives as another',
    say: failing((two) => ({ op: 'write', local: text('good'), remote: two.at(4) })),
    damaged: 18,
    told: ['responder', '2 0 2'],
  },
  {
    ...bad,
    name: 'a marker that arrives as another',
    initiator: { ...small, crc: false, markers: true },
    responder: { crc: false, markers: true },
    say: failing((two) => ({ op: 'write', local: new Uint8Array(1000), remote: two.at(4) })),
    damaged: 515,
    told: ['responder', '2 0 3'],
  },
]

interface Shown {
  readonly scenario: Failure
  readonly talk: Talk
  readonly expected: Captured
  readonly shown: Readonly<Record<Side, readonly Facts[]>>
}

/** All of them in one capture, for one run of tshark. */
async function show(scenarios: readonly Failure[]): Promise<Shown[]> {
  const file = new PcapWriter()
  const talks: Omit<Shown, 'shown'>[] = []
  for (const scenario of scenarios) {
    const talked = await talk(scenario)
    const expected = capture(talked.recording, file.connection(), scenario.seenBytes)
    talks.push({ scenario, talk: talked, expected })
  }
  const { frames, complaints } = dissect(file.file())
  assert.deepEqual(complaints, [])
  return talks.map((one, i) => {
    const of = (side: Side) =>
      frames
        .filter(({ connection, from }) => connection === i && from === side)
        .map((frame) => factsShown(frame))
    return { ...one, shown: { initiator: of('initiator'), responder: of('responder') } }
  })
}

/** Sides whose frames tshark finds: where there are markers, who sends them. */
const readable = ({ expected }: Shown) =>
  SIDES.filter((side) => SIDES.every((any) => expected[side].markers || !expected[any].markers))

/**
 * How many of a side's frames tshark finds. One that begins with a marker it takes for shorter than
 * it is, and the one before for longer: from there on it finds none. The first of all it knows.
 */
function found({ facts }: Sent): number {
  const lost = facts.findIndex(({ markers = '' }, i) => i > 1 && /^0\b/.test(markers))
  return lost < 0 ? facts.length : lost - 1
}

/** Frame by frame, so that what fails can be read. */
function assertSame(one: Shown, side: Side): void {
  const where = `${one.scenario.name}, ${side}`
  const { facts, markers } = one.expected[side]
  const short = (of: Facts | undefined) => ({
    ...of,
    payload: brief(of?.['payload'] ?? '', !markers),
  })
  const count = found(one.expected[side])
  for (let i = 0; i < count; i++) {
    assert.deepEqual(short(one.shown[side][i]), short(facts[i]), `${where}, frame ${i}`)
  }
  if (count === facts.length) assert.equal(one.shown[side].length, count, where)
}

test('tshark finds what two of us said, and that they meant it', { skip }, async (t) => {
  let frames = 0
  for (const one of await show(TALKS)) {
    for (const side of readable(one)) {
      assertSame(one, side)
      const { markers, facts } = one.expected[side]
      const count = found(one.expected[side])
      const messages = messagesShown(one.shown[side].slice(1, count), !markers)
      const { content, sizes } = one.talk.meant[side]
      const meant = markers ? sizes : content
      // Where it is a Send or a Read, the RTR is a message that nobody posted.
      const rtrs =
        side === 'initiator' && /^(send|read)$/.test(one.scenario.initiator.rtrs?.[0] ?? '') ? 1 : 0
      const whole = count === facts.length ? meant.length : messages.length - rtrs
      assert.deepEqual(messages.slice(rtrs), meant.slice(0, whole), `${one.scenario.name}, ${side}`)
      frames += count
    }
  }
  t.diagnostic(`${TALKS.length} connections, ${frames} frames`)
})

/** A connection with CRC, and one frame on it, as it is or changed. */
function putFrame(file: PcapWriter, change: (frame: Uint8Array) => void): void {
  const connection = file.connection()
  const setup = { revision: 1, markers: false, crc: true, reject: false, large: false } as const
  for (const [side, kind] of [['initiator', 'request'] as const, ['responder', 'reply'] as const]) {
    const frame = encodeMpa({ ...setup, kind, enhanced: null, privateData: NOTHING })
    connection.send(side, frame)
  }
  const ulpdu = segmentOf({ opcode: Opcode.readRequest, msn: 1, payload: pattern(28, 3) })
  const frame = frameOf(ulpdu, new FpduWriter({ crc: true, markers: false }))
  change(frame)
  connection.send('initiator', frame)
}

test('tshark would find what is wrong', { skip }, () => {
  const file = new PcapWriter()
  putFrame(file, () => {})
  putFrame(file, (frame) => frame.set([2], 2 + UntaggedHeader.at.msn + 3))
  putFrame(file, (frame) => frame.set([0, 42]))
  putFrame(file, (frame) => frame.set([0x40], 0))
  const { frames } = dissect(file.file())
  const seen = [0, 1, 2, 3].map((index) =>
    frames
      .filter(({ connection, kind }) => connection === index && kind === 'frame')
      .map((frame) => factsShown(frame))
      .map(({ crc, ulpdu, msn }) => ({ crc, ulpdu, msn })),
  )
  assert.deepEqual(seen, [
    [{ crc: 'good', ulpdu: '46', msn: '1' }],
    [{ crc: 'bad', ulpdu: '46', msn: '2' }],
    [{ crc: 'bad', ulpdu: '42', msn: '1' }],
    [],
  ])
})

test('tshark finds why two of us did not come together, or fell out', { skip }, async () => {
  for (const one of await show(FAILURES)) {
    const { scenario, shown } = one
    for (const side of SIDES) {
      assertSame(one, side)
      const errors = shown[side].flatMap((facts) => facts['r.error'] ?? [])
      const told = scenario.told?.[0] === side ? [scenario.told[1]] : []
      assert.deepEqual(errors, told, `${scenario.name}, ${side}`)
    }
    const rejected = scenario.reject !== undefined || scenario.disagree === true
    assert.equal(shown.responder[0]!['reject'], rejected ? '1' : '0', scenario.name)
  }
})
