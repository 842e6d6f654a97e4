/** What two ends agree on: private data, rejection, CRC, who speaks first, Reads at a time. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Rtr } from '../../src/rdma/wire/mpa.js'
import { OurLink } from './our_peer.js'
import type { Asked, Link, Peer } from './peer.js'
import { CASE_MS, disconnect, nameOf, PAIRINGS } from './world.js'
import type { Pair, Pairing, World } from './world.js'

/** Bytes of private data that every peer takes. */
const PRIVATE_SIZES = [0, 1, 192]
const BYTES = 64 << 10
const READS = 12
const OPCODES: Readonly<Record<Rtr, number>> = { write: 0, read: 1, send: 3 }

const privateOf = (length: number, first: number) =>
  Uint8Array.from({ length }, (_, i) => (first + i * 7) & 0xff)

/** siw gives what follows private data of its own, too: what was said is what it begins with. */
function assertBegins(got: Uint8Array, wanted: Uint8Array): void {
  assert.deepEqual(Buffer.from(got.subarray(0, wanted.length)), Buffer.from(wanted))
  assert.ok(got.subarray(wanted.length).every((byte) => byte === 0))
}

/** The end that is the RNIC under test. */
function oursOf({ initiator, responder }: Pair): OurLink {
  for (const { link } of [initiator, responder]) if (link instanceof OurLink) return link
  throw new Error('both ends are siw')
}

type Side = Pair['initiator']

let lastId = 100

/** A Send of some bytes, and whether they came. */
async function say(from: Side, to: Side, length: number): Promise<void> {
  const [source, sink] = [await from.peer.region(BYTES, 'l'), await to.peer.region(BYTES, 'l')]
  const [sent, received, seed] = [++lastId, ++lastId, ++lastId]
  await source.fill(0, length, seed)
  await to.link.receive(received, { region: sink, offset: 0, length })
  await from.link.post({ id: sent, op: 'send', local: { region: source, offset: 0, length } })
  assert.equal((await from.link.completion(sent)).status, 'SUCCESS')
  assert.equal((await to.link.completion(received)).bytes, length)
  assert.equal(await sink.difference(0, length, seed), null)
}

function testPrivateData(world: World, pairing: Pairing): void {
  for (const size of PRIVATE_SIZES) {
    test(
      `${size} bytes of private data with Request and acceptance`,
      {
        timeout: CASE_MS,
      },
      async () => {
        await world.peers(pairing, async (from, to) => {
          await world.configure(from.kind, {})
          const asked = privateOf(size, 3)
          const begun = await world.begin(from, to, { privateData: asked, ird: 5, ord: 7 })
          assertBegins(begun.requested.privateData, asked)
          assert.deepEqual(depthsOf(begun.requested.depths), { ird: 5, ord: 7 })
          const responder = await begun.requested.take()
          const accepting = responder.accept({ privateData: privateOf(size, 9) })
          const [answer] = await Promise.all([begun.answered, accepting])
          assert.equal(answer.accepted, true)
          assertBegins(answer.privateData, privateOf(size, 9))
          await begun.listener.close()
          const pair = {
            initiator: { peer: from, link: begun.initiator },
            responder: { peer: to, link: responder },
          }
          await say(pair.initiator, pair.responder, 1000)
          await disconnect(pair)
        })
      },
    )

    test(`a rejection with ${size} bytes of private data`, { timeout: CASE_MS }, async () => {
      await world.peers(pairing, async (from, to) => {
        await world.configure(from.kind, {})
        const begun = await world.begin(from, to, {})
        const responder = await begun.requested.take()
        await responder.reject(privateOf(size, 21))
        const answer = await begun.answered
        assert.equal(answer.accepted, false)
        assertBegins(answer.privateData, privateOf(size, 21))
        await begun.listener.close()
        await begun.initiator.close()
        await responder.close()
      })
    })
  }
}

const depthsOf = (depths: { readonly ird: number; readonly ord: number } | null) =>
  depths === null ? null : { ird: depths.ird, ord: depths.ord }

function testCrc(world: World, pairing: Pairing): void {
  const { responder } = pairing
  const cases: { readonly asked: boolean; readonly answered: boolean }[] = [
    { asked: false, answered: false },
    { asked: true, answered: false },
    // siw wants none as a responder that is not asked.
    ...(responder === 'ours' ? [{ asked: false, answered: true }] : []),
  ]
  for (const { asked, answered } of cases) {
    const who = [asked ? 'the initiator' : '', answered ? 'the responder' : ''].filter(Boolean)
    test(
      `a CRC in both directions when ${who.join(' and ') || 'nobody'} wants it${
        who.length === 0 ? ': there is none' : ''
      }`,
      { timeout: CASE_MS },
      async () => {
        await world.peers(pairing, async (from, to) => {
          const options = { asked: { crc: asked }, answer: { crc: answered } }
          const pair = await world.connect(from, to, options)
          await say(pair.initiator, pair.responder, BYTES)
          await say(pair.responder, pair.initiator, BYTES)
          const { tap, qp } = oursOf(pair)
          assert.equal(qp.agreed!.crc, asked || answered)
          for (const flow of [tap.sent, tap.received]) {
            assert.ok(flow.frames > 0)
            assert.equal(flow.checked, asked || answered ? flow.frames : 0)
          }
          await disconnect(pair)
        })
      },
    )
  }
}

/** The responder speaks first, in a connection where it may. */
async function respondFirst(pair: Pair): Promise<void> {
  await say(pair.responder, pair.initiator, 2000)
  await say(pair.initiator, pair.responder, 2000)
}

function testPeerToPeer(world: World, pairing: Pairing): void {
  const offers: readonly (readonly Rtr[])[] = [['write'], ['read'], ['write', 'read']]
  for (const rtrs of offers) {
    test(
      `a responder that speaks first, an RTR of ${rtrs.join(' or ')}`,
      {
        timeout: CASE_MS,
      },
      async () => {
        await world.peers(pairing, async (from, to) => {
          const pair = await world.connect(from, to, { asked: { peerToPeer: true, rtrs } })
          const { tap, qp } = oursOf(pair)
          const flow = pairing.initiator === 'ours' ? tap.sent : tap.received
          await respondFirst(pair)
          assert.ok(rtrs.includes(qp.agreed!.rtr!))
          assert.equal(flow.opcodes[0], OPCODES[qp.agreed!.rtr!])
          await disconnect(pair)
        })
      },
    )
  }

  test('an RTR that the responder prefers of two', { timeout: CASE_MS }, async () => {
    await world.peers(pairing, async (from, to) => {
      const asked: Asked = { peerToPeer: true, rtrs: ['write', 'read'] }
      const pair = await world.connect(from, to, { asked, answer: { rtrs: ['read', 'write'] } })
      // siw has its own preference.
      assert.equal(oursOf(pair).qp.agreed!.rtr, to.kind === 'ours' ? 'read' : 'write')
      await respondFirst(pair)
      await disconnect(pair)
    })
  })

  test('client and server, where the initiator speaks first', { timeout: CASE_MS }, async () => {
    await world.peers(pairing, async (from, to) => {
      const pair = await world.connect(from, to, { asked: { peerToPeer: false } })
      assert.equal(oursOf(pair).qp.agreed!.rtr, null)
      await say(pair.initiator, pair.responder, 2000)
      await say(pair.responder, pair.initiator, 2000)
      await disconnect(pair)
    })
  })
}

/** More Reads than may be outstanding, posted at once by one end. */
async function readAll(reader: Side, served: Side): Promise<void> {
  const size = BYTES / READS / 4
  const step = Math.floor(size) * 4
  const source = await served.peer.region(BYTES, 'lr')
  const sink = await reader.peer.region(BYTES, 'lw')
  await source.fill(0, step * READS, 5)
  for (let i = 0; i < READS; i++) {
    const remote = { stag: source.stag, address: source.address + BigInt(i * step) }
    const local = { region: sink, offset: i * step, length: step }
    await reader.link.post({ id: 1000 + i, op: 'read', local, remote })
  }
  for (let i = 0; i < READS; i++) {
    assert.equal((await reader.link.completion(1000 + i)).status, 'SUCCESS')
  }
  assert.equal(await sink.difference(0, step * READS, 5), null)
}

function testDepths(world: World, pairing: Pairing): void {
  for (const depth of [1, 3]) {
    test(
      `${READS} Reads at once, either way, where ${depth} may be outstanding`,
      {
        timeout: CASE_MS,
      },
      async () => {
        await world.peers(pairing, async (from, to) => {
          const depths = { ird: depth, ord: depth }
          const pair = await world.connect(from, to, { asked: depths, answer: depths })
          const { ird, ord } = oursOf(pair).qp.agreed!
          assert.deepEqual({ ird, ord }, depths)
          await say(pair.initiator, pair.responder, 16)
          await readAll(pair.initiator, pair.responder)
          await readAll(pair.responder, pair.initiator)
          await disconnect(pair)
        })
      },
    )
  }
}

async function connectAlone(from: Peer, to: Peer, asked: Asked): Promise<Link> {
  const listener = await to.listen()
  const link = await from.open(listener.place(from.kind))
  try {
    assert.equal((await link.connect(asked)).accepted, false)
  } finally {
    await listener.close()
  }
  return link
}

/**
 * What only an initiator of ours asks for. Not an RTR of a Send: siw chooses a Write then, and when
 * it is told that this is no agreement, the program that accepted hangs in the kernel for ever.
 */
function testUnusual(world: World): void {
  const pairing = { initiator: 'ours', responder: 'siw' } as const
  test('markers are refused by siw, which has none', { timeout: CASE_MS }, async () => {
    await world.peers(pairing, async (from, to) => {
      await (await connectAlone(from, to, { markers: true })).close()
    })
  })

  test('revision 1, without negotiation', { timeout: CASE_MS }, async () => {
    await world.peers(pairing, async (from, to) => {
      const pair = await world.connect(from, to, { asked: { revision: 1 } })
      assert.equal(oursOf(pair).qp.agreed!.revision, 1)
      await say(pair.initiator, pair.responder, BYTES)
      await say(pair.responder, pair.initiator, BYTES)
      await readAll(pair.initiator, pair.responder)
      await disconnect(pair)
    })
  })
}

export function testSetups(world: World): void {
  for (const pairing of PAIRINGS) {
    describe(`setups, ${nameOf(pairing)}`, () => {
      testPrivateData(world, pairing)
      // What was agreed on is known of our end alone.
      if (pairing.initiator === 'siw' && pairing.responder === 'siw') return
      testCrc(world, pairing)
      testPeerToPeer(world, pairing)
      testDepths(world, pairing)
      if (pairing.initiator === 'ours') testUnusual(world)
    })
  }
}
