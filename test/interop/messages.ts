/**
 * What else a message may do: end a region, want an event; and a message that was damaged. Whether
 * siw tells its program of an event cannot be shown: of receives it never does.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { MpaError, RdmapError } from '../../src/rdma/wire/terminate.js'
import type { FetchAddWork, ImmediateWork } from '../../src/rdma/work.js'
import type { OurLink } from './our_peer.js'
import { CASE_MS, disconnect, nameOf, PAIRINGS } from './world.js'
import type { Pair, Pairing, World } from './world.js'

const BYTES = 4096

type Side = Pair['initiator']

const both = ({ initiator, responder }: Pair): readonly (readonly [Side, Side])[] => [
  [initiator, responder],
  [responder, initiator],
]

function oursFirst({ initiator, responder }: Pair): readonly [Side, Side] {
  return initiator.peer.kind === 'ours' ? [initiator, responder] : [responder, initiator]
}

async function connected(world: World, pairing: Pairing, use: (pair: Pair) => Promise<void>) {
  await world.peers(pairing, async (from, to) => {
    await use(await world.connect(from, to, { asked: { peerToPeer: true, crc: true } }))
  })
}

/** A Send with Invalidate: the receiver learns which STag it was; whose memory is as it was. */
async function invalidate(from: Side, to: Side, id: number, solicited: boolean): Promise<void> {
  const [target, sink] = [await to.peer.region(BYTES, 'lrwi'), await to.peer.region(BYTES, 'l')]
  const source = await from.peer.region(BYTES, 'l')
  const all = (region: typeof source) => ({ region, offset: 0, length: BYTES })
  await target.fill(0, BYTES, id)
  await source.fill(0, BYTES, id + 1)
  await to.link.receive(id, all(sink))
  const invalidates = { invalidate: target.stag, solicited }
  await from.link.post({ id: id + 1, op: 'send', local: all(source), ...invalidates })
  assert.equal((await from.link.completion(id + 1)).status, 'SUCCESS')
  const received = await to.link.completion(id)
  assert.equal(received.status, 'SUCCESS')
  assert.equal(received.bytes, BYTES)
  // libsiw does not tell its program.
  assert.equal(received.invalidated, to.peer.kind === 'ours' ? target.stag : null)
  if (to.peer.kind === 'ours') assert.equal(received.solicited, solicited)
  assert.equal(await sink.difference(0, BYTES, id + 1), null)
  assert.equal(await target.difference(0, BYTES, id), null)
}

/** A bit that changes on its way is found by the CRC, and ends the connection. */
async function damage(pair: Pair, way: 'sent' | 'received'): Promise<void> {
  const [ours, siw] = oursFirst(pair)
  const [from, to] = way === 'sent' ? [ours, siw] : [siw, ours]
  const link = ours.link as OurLink
  const [source, sink] = [await from.peer.region(BYTES, 'l'), await to.peer.region(BYTES, 'l')]
  await to.link.receive(1, { region: sink, offset: 0, length: BYTES })
  link.tap.flip = way
  const local = { region: source, offset: 0, length: 100 }
  await from.link.post({ id: 2, op: 'send', local })
  await from.link.completion(2)
  await Promise.all([ours.link.end(), siw.link.end()])
  assert.equal(
    (await to.link.completion(1)).status,
    way === 'sent' ? 'GENERAL_ERR' : 'WR_FLUSH_ERR',
  )
  assert.deepEqual(await from.link.terminate(to.peer.kind), MpaError.crc)
  assert.equal(await ours.link.event(), way === 'sent' ? 'terminated' : 'refused')
  assert.equal(link.tap.flip, null)
  await ours.link.close()
  await siw.link.close()
}

/**
 * A CRC whose bytes come in two segments is the one of its frame. siw as Linux has it takes another
 * (`SETTINGS.trailers` of siw.ts): that this is its doing is shown here, and what it looks like.
 */
async function splitTrailer(world: World, pair: Pair, trailers: boolean): Promise<void> {
  const [ours, siw] = oursFirst(pair)
  const link = ours.link as OurLink
  const [source, sink] = [await ours.peer.region(BYTES, 'l'), await siw.peer.region(BYTES, 'l')]
  await siw.link.receive(1, { region: sink, offset: 0, length: BYTES })
  // Once it has heard something, an initiator says nothing of itself.
  await link.receive(3, { region: source, offset: 0, length: BYTES })
  await siw.link.post({ id: 4, op: 'send', local: { region: sink, offset: 0, length: 1 } })
  assert.equal((await link.completion(3)).status, 'SUCCESS')
  await world.guest.configure({ crc: true, peerToPeer: true, trailers })
  link.tap.split = true
  // With padding before the CRC.
  await link.post({ id: 2, op: 'send', local: { region: source, offset: 0, length: 101 } })
  // The first piece is there before what is asked of the guest after it.
  await world.guest.run('busybox true')
  link.tap.release!()
  const received = (await siw.link.completion(1)).status
  assert.equal(link.tap.sent.wrong, 0)
  if (trailers) {
    assert.equal(received, 'SUCCESS')
    assert.equal((await link.completion(2)).status, 'SUCCESS')
    return disconnect(pair)
  }
  assert.equal(received, 'GENERAL_ERR')
  await Promise.all([ours.link.end(), siw.link.end()])
  assert.deepEqual(await link.terminate('siw'), MpaError.crc)
  await ours.link.close()
  await siw.link.close()
}

const UNKNOWN: Readonly<Record<string, ImmediateWork | FetchAddWork>> = {
  'Immediate Data': { op: 'immediate', immediate: 7 },
  'an atomic': {
    op: 'fetchAdd',
    local: new Uint8Array(8),
    remote: { stag: 1, address: 0 },
    add: 1,
  },
}

/** What siw has never heard of ends the connection, and it says which it was: an opcode. */
async function sayUnknown(pair: Pair, work: ImmediateWork | FetchAddWork): Promise<void> {
  const [ours, siw] = oursFirst(pair)
  const link = ours.link as OurLink
  link.qp.postSend({ ...work, id: 1 })
  const { status } = await link.completion(1)
  // An atomic waits for an answer; the other was done when it was sent.
  assert.equal(status, work.op === 'immediate' ? 'SUCCESS' : 'WR_FLUSH_ERR')
  await Promise.all([ours.link.end(), siw.link.end()])
  assert.deepEqual(await link.terminate('siw'), RdmapError.unexpectedOpcode)
  await ours.link.close()
  await siw.link.close()
}

const TRAILERS = [
  ['taken', true],
  ['not taken by siw as Linux has it', false],
] as const

export function testMessages(world: World): void {
  for (const pairing of PAIRINGS) {
    describe(`messages, ${nameOf(pairing)}`, () => {
      test(
        'a Send with Invalidate, with a solicited event and without',
        {
          timeout: CASE_MS,
        },
        () =>
          connected(world, pairing, async (pair) => {
            let id = 10
            for (const [from, to] of both(pair)) {
              for (const solicited of [false, true])
                await invalidate(from, to, (id += 10), solicited)
            }
            await disconnect(pair)
          }),
      )

      if (pairing.initiator === pairing.responder) return
      for (const [name, work] of Object.entries(UNKNOWN)) {
        test(`${name} is an opcode that siw does not know`, { timeout: CASE_MS }, () =>
          connected(world, pairing, (pair) => sayUnknown(pair, work)),
        )
      }

      for (const [what, trailers] of TRAILERS) {
        test(`a CRC in two segments is ${what}`, { timeout: CASE_MS }, () =>
          connected(world, pairing, (pair) => splitTrailer(world, pair, trailers)).finally(() =>
            world.guest.configure({}),
          ),
        )
      }

      for (const way of ['sent', 'received'] as const) {
        const who = way === 'sent' ? 'siw' : 'ours'
        test(`a bit that changes on the way is found by ${who}`, { timeout: CASE_MS }, () =>
          connected(world, pairing, (pair) => damage(pair, way)),
        )
      }
    })
  }
}
