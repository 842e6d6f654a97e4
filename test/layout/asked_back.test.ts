/** A lease that is asked back for nobody's sake: how it ended, or why it did not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { HoldEvent } from '../../src/layout/events.js'
import { assertRefused } from './ground.js'
import { BLOCKS, Scene, stateOf } from './scene.js'
import { outcomeOf, type Outcome } from './timers.js'

/** A truncate that a lease in its way does not answer: done, past the deadline. */
async function truncated(s: Scene, blocks: number): Promise<void> {
  const change = outcomeOf(s.volume.promises.truncate('/f', blocks * B))
  await s.timers.pass(5_000)
  assert.equal(stateOf(change), 'done')
}

/** Every event is told in ranges that are some: else they have no form on the wire. */
function watched(s: Scene): HoldEvent[] {
  const told: HoldEvent[] = []
  s.volume.watchHolds((event) => {
    const { wanted } = event
    if (wanted !== undefined) assert.ok(wanted.offset >= 0 && wanted.length > 0)
    told.push(event)
  })
  return told
}

function assertBusy({ settled, error }: Outcome<unknown>, hold: { readonly id: number }): void {
  assert.ok(settled && error instanceof HoldfastError)
  assertRefused(error, 'EBUSY', [hold], 'the recall')
  assert.match(error.message, /session \d+ \(nic0\) cannot be cut off/)
}

test('one that is given back is returned, one that is cut off is fenced', async () => {
  using s = new Scene()
  const { promises } = s.volume
  const given = s.lease('/f', [0, BLOCKS], { onRecall: () => given.release() })
  assert.equal(await promises.recall(given.id), 'returned')
  const cut = s.lease('/f', [0, BLOCKS], { revoke: () => {} })
  const outcome = outcomeOf(promises.recall(cut.id, { deadline: 100 }))
  await s.timers.pass(100)
  assert.equal(outcome.value, 'fenced')
})

test('one that was fenced from all of it, and is in use still, is EBUSY at once', async () => {
  using s = new Scene()
  const hold = s.lease('/f')
  await truncated(s, 0)
  assert.equal(hold.info().state, 'fenced')
  const told = watched(s)
  for (let i = 0; i < 2; i++) {
    const again = outcomeOf(s.volume.promises.recall(hold.id))
    await s.timers.pass(0)
    assertBusy(again, hold)
    assert.equal(hold.info().state, 'fenced')
  }
  assert.deepEqual(told, [], 'nobody is told of what nobody can do')
  hold.release()
  await assert.rejects(s.volume.promises.recall(hold.id), { code: 'ESTALE' })
})

test('of one that was fenced from a part the rest is asked back, and it is EBUSY still', async () => {
  using s = new Scene()
  const hold = s.lease('/f', [0, BLOCKS], {
    onRecall: (_id, { offset, length }) => {
      if (offset === 0) hold.returnRange(offset, length)
    },
  })
  await truncated(s, 4)
  const told = watched(s)
  const rest = outcomeOf(s.volume.promises.recall(hold.id))
  await s.timers.pass(0)
  assertBusy(rest, hold)
  assert.equal(hold.info().state, 'fenced')
  assert.ok(told.some(({ kind }) => kind === 'recall'))
  hold.release()
})

test('one whose blocks have left the file with a mapping is ESTALE', async () => {
  using s = new Scene()
  const file = s.volume.open('/f', 'r+')
  using mapping = file.map()
  assert.equal(mapping.byteLength, BLOCKS * B)
  const [lease] = s.volume.holds()
  const pin = s.pin('/f')
  file.truncate(0, { policy: 'defer' })
  const told = watched(s)
  const outcome = outcomeOf(s.volume.promises.recall(lease!.id))
  await s.timers.pass(0)
  assert.equal(stateOf(outcome), 'ESTALE')
  assert.deepEqual(told, [])
  pin.release()
})
