/** What Request and Reply agree on, both ends of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  acceptOf,
  concludeFrom,
  rejectOf,
  requestOf,
  type Agreed,
  type SetupOptions,
} from '../../src/rdma/setup.js'
import {
  decodeMpa,
  encodeMpa,
  invalidMpa,
  type MpaSetup,
  type Rtr,
} from '../../src/rdma/wire/mpa.js'
import { runs, seed } from './random.js'

const NOTHING = new Uint8Array(0)
const BASE: SetupOptions = {
  revision: 2,
  crc: true,
  markers: false,
  ird: 16,
  ord: 16,
  peerToPeer: false,
  rtrs: ['write', 'read'],
  large: true,
}

/** As it comes out of the wire. */
function sent(setup: MpaSetup): MpaSetup {
  const bytes = encodeMpa(setup)
  assert.equal(invalidMpa(bytes, bytes.length, setup.kind), null)
  return decodeMpa(bytes, setup.kind)
}

function agree(initiator: Partial<SetupOptions>, responder: Partial<SetupOptions>) {
  const [first, second] = [
    { ...BASE, ...initiator },
    { ...BASE, ...responder },
  ]
  const { reply, agreed } = acceptOf(second, sent(requestOf(first, NOTHING)), NOTHING)
  return { initiator: concludeFrom(first, sent(reply)), responder: agreed }
}

const rtrs = fc.shuffledSubarray<Rtr>(['send', 'write', 'read'], { minLength: 1 })
const depth = fc.integer({ min: 1, max: 128 })
const options = fc.record({
  revision: fc.constantFrom(1 as const, 2 as const),
  crc: fc.boolean(),
  markers: fc.boolean(),
  ird: depth,
  ord: depth,
  peerToPeer: fc.boolean(),
  rtrs,
  large: fc.boolean(),
})

test(`both ends agree, whatever each of them wants (SEED=${seed})`, () => {
  const run = (first: SetupOptions, second: SetupOptions) => {
    let ends: { initiator: Agreed; responder: Agreed }
    try {
      ends = agree(first, second)
    } catch (error) {
      const { message } = error as Error
      const apart = first.revision > second.revision
      const unlike = first.peerToPeer && !first.rtrs.some((rtr) => second.rtrs.includes(rtr))
      assert.ok(
        apart ? /LLP invalidSetup/.test(message) : unlike && /LLP noMatchingRtr/.test(message),
        message,
      )
      return
    }
    const { initiator, responder } = ends
    assert.equal(initiator.crc, first.crc || second.crc)
    assert.equal(responder.crc, initiator.crc)
    assert.equal(initiator.sendMarkers, second.markers)
    assert.equal(initiator.sendMarkers, responder.receiveMarkers)
    assert.equal(initiator.receiveMarkers, responder.sendMarkers)
    assert.equal(initiator.rtr, responder.rtr)
    assert.equal(initiator.large, first.large && second.large)
    assert.equal(responder.large, initiator.large)
    assert.equal(initiator.rtr !== null, first.revision === 2 && first.peerToPeer)
    if (first.revision === 1) return
    assert.ok(initiator.ord <= responder.ird && responder.ird <= second.ird)
    assert.ok(responder.ord <= initiator.ird && initiator.ird <= first.ird)
  }
  fc.assert(fc.property(options, options, run), runs(500))
})

test('an initiator that asks for no reads may have one where any are served', () => {
  const { initiator, responder } = agree({ ord: 0 }, {})
  assert.deepEqual([initiator.ord, responder.ird], [0, 1])
})

test('a Read is no RTR for a responder that serves none', () => {
  const both = { ...BASE, peerToPeer: true, rtrs: ['read', 'write'] as const }
  const { reply } = acceptOf({ ...both, ird: 0 }, requestOf(both, NOTHING), NOTHING)
  assert.deepEqual(reply.enhanced!.rtrs, ['write'])
  const request = requestOf({ ...both, rtrs: ['read'] }, NOTHING)
  assert.throws(() => acceptOf({ ...both, ird: 0 }, request, NOTHING), /LLP noMatchingRtr/)
})

test('a depth of 0x3fff is a number as any other, and the lower one of both counts', () => {
  const most = 0x3fff
  const { initiator, responder } = agree({ ird: most, ord: most }, { ird: 8, ord: 4 })
  assert.deepEqual([initiator.ord, responder.ird], [8, 8])
  assert.deepEqual([initiator.ird, responder.ord], [4, 4])
})

test('a rejection carries its reason, and markers and peers are none of it', () => {
  const request = requestOf({ ...BASE, markers: true, peerToPeer: true }, NOTHING)
  const reply = sent(rejectOf(sent(request), new TextEncoder().encode('full')))
  assert.deepEqual([reply.reject, reply.markers, reply.enhanced?.peerToPeer], [true, false, false])
  assert.equal(Buffer.from(reply.privateData).toString(), 'full')
})

test('an initiator refuses what it did not offer, and more reads than it serves', () => {
  const request = requestOf({ ...BASE, peerToPeer: true }, NOTHING)
  const { reply } = acceptOf({ ...BASE, rtrs: ['read'] }, request, NOTHING)
  const only = { ...BASE, peerToPeer: true, rtrs: ['write'] as const }
  assert.throws(() => concludeFrom(only, reply), /LLP noMatchingRtr/)
  const greedy = { ...reply, enhanced: { ...reply.enhanced!, ord: 17 } }
  assert.throws(() => concludeFrom({ ...BASE, peerToPeer: true }, greedy), /LLP insufficientIrd/)
})
