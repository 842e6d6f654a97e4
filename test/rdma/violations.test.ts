/** Valid frames that say what may not be said: each gets the error that is its own, and its end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headerBytes } from '../../src/rdma/wire/ddp.js'
import { TerminateBit } from '../../src/rdma/wire/terminate.js'
import { Target } from './hostile_target.js'
import type { RawPeer } from './raw_peer.js'
import { violations, type Violation } from './violations.js'

const BITS = {
  nothing: 0,
  segment: (TerminateBit.length | TerminateBit.ddp) >>> 13,
  request: (TerminateBit.length | TerminateBit.ddp | TerminateBit.rdmap) >>> 13,
} as const

function demandTold({ error, told }: Violation, peer: RawPeer, blamed: Uint8Array): void {
  const { said } = peer
  assert.ok(said !== null, 'it is told')
  assert.deepEqual(said.error, error, said.name)
  assert.equal(said.bits, BITS[told])
  const header = headerBytes(blamed[0]!)
  const headers = { nothing: 0, segment: header, request: blamed.length }[told]
  if (told !== 'nothing') {
    assert.equal(Buffer.compare(said.headers, blamed.subarray(0, headers)), 0, 'and for what')
  }
}

for (const violation of violations) {
  test(`${violation.name} gets ${String(violation.error)}, and nobody else anything`, async () => {
    await Target.with({}, async (target) => {
      const peer = await target.raw()
      const ulpdus = violation.says(target)
      const before = target.memory
      const [last] = ulpdus.slice(-1)
      const frames = ulpdus.map((one) =>
        peer.frame(one, one === last ? violation.damage : undefined),
      )
      // In one piece; and where it is found at once, what may not follow an end behind it.
      const more = violation.told === 'request' ? [] : frames
      peer.raw(new Uint8Array(Buffer.concat([...frames, ...more])))
      await target.time.pass(200)
      demandTold(violation, peer, last!)
      assert.ok(peer.ended)
      await target.goodWorks()
      const [end] = target.ends
      peer.close()
      await target.time.pass(3000)
      assert.equal((end ?? target.ends[0])?.cause, 'refused')
      assert.deepEqual(target.ends[0]!.error, violation.error)
      assert.equal(target.device.connections, 1)
      if (ulpdus.length === 1) assert.equal(Buffer.compare(target.memory, before), 0)
    })
  })
}
