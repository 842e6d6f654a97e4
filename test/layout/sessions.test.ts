/** The end of a session, and of a volume, with transfers under way: what is drained, until when. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { assertBytes, assertRefused, blocksOf, Ground } from './ground.js'
import { BLOCKS, codeOf, errorOf, Scene, stateOf } from './scene.js'
import { idle, outcomeOf } from './timers.js'

/** A lease whose access is cut off when the test says so. */
class Drain {
  calls: [offset: number, length: number][] = []
  done = () => {}
  fail = () => {}

  readonly revoke = (offset: number, length: number) => {
    this.calls.push([offset, length])
    return new Promise<void>((resolve, reject) => {
      this.done = resolve
      this.fail = () => reject(new Error('the connection is gone'))
    })
  }
}

test('a session is over when what it had lent is cut off and drained, and not before', async () => {
  using s = new Scene()
  const drain = new Drain()
  const lease = s.lease('/f', [0, 4], { iomode: 'rw', revoke: drain.revoke })
  const places = s.places('/f', [0, 4])
  const atOnce = [s.pin('/f', [4, 6]), s.lease('/f', [0, 8])]
  s.other.end()
  const over = outcomeOf(s.other.over)
  for (const hold of atOnce) assert.equal(hold.released, true, 'nobody has to be asked')
  assert.deepEqual(drain.calls, [[0, 4 * B]])
  await s.timers.pass(3_600_000)
  assert.equal(stateOf(over), 'waits')
  assert.equal(lease.released, false)
  assert.equal(lease.info().owner.name, 'nic0', 'it is still listed, and whose it is')
  s.refused('EBUSY', [lease], () => s.volume.truncate('/f', 0))
  s.other.end() // once is enough
  assert.equal(drain.calls.length, 1)
  drain.done()
  await idle()
  assert.equal(stateOf(over), 'done')
  assert.equal(s.volume.holding.sessions.has(s.other.id), false, 'nothing is kept of it')
  assert.equal(lease.released, true)
  for (const place of places) assert.equal(s.volume.core.frames.held(place!), false)
  s.volume.truncate('/f', 0)
})

test('a session that ends while a fence drains is over with that drain, and so is the change', async () => {
  using s = new Scene()
  const drain = new Drain()
  s.lease('/f', [0, BLOCKS], { iomode: 'rw', revoke: drain.revoke })
  const places = s.places('/f')
  const change = outcomeOf(s.volume.promises.truncate('/f', 0))
  await s.timers.pass(5_000)
  s.other.end()
  const over = outcomeOf(s.other.over)
  await idle()
  assert.deepEqual([stateOf(over), stateOf(change)], ['waits', 'waits'])
  assert.deepEqual(s.places('/f'), places, 'transfers are under way')
  assert.equal(drain.calls.length, 1, 'it is cut off once')
  drain.done()
  await idle()
  assert.deepEqual([stateOf(over), stateOf(change)], ['done', 'done'])
  assert.equal(s.limbo, 0)
  assert.equal(s.volume.core.frames.distinct, 0)
})

test('what cannot be cut off ends with its session all the same', async () => {
  using s = new Scene()
  const drain = new Drain()
  const lease = s.lease('/f', [0, BLOCKS], { iomode: 'rw', revoke: drain.revoke })
  const throws = s.lease('/f', [0, BLOCKS], {
    revoke: () => {
      throw new Error('no')
    },
  })
  s.other.end()
  drain.fail()
  await s.other.over
  assert.equal(lease.released && throws.released, true)
  s.volume.truncate('/f', 0)
})

test('what cuts one lease off may release others of its session', async () => {
  using s = new Scene()
  const revoke = () => {
    for (const hold of [lease, ...rest]) hold.release()
  }
  const lease = s.lease('/f', [0, 4], { revoke })
  const rest = [s.pin('/f', [4, 6]), s.lease('/f', [0, 8], { revoke: () => {} })]
  s.other.end()
  await s.other.over
  assert.deepEqual(s.volume.holds(), [])
  assert.equal(s.volume.core.frames.distinct, 0)
  s.volume.truncate('/f', 0)
})

test('when the medium fails at the end of a session, the rest of it ends, and nobody hangs', async () => {
  const s = new Scene()
  s.make('/g')
  const holds = [s.pin('/f'), s.pin('/g')]
  s.volume.truncate('/f', 0, undefined, { policy: 'defer' })
  const waits = outcomeOf(s.volume.promises.truncate('/g', 0, { policy: 'wait' }))
  await idle()
  const { check } = s.region
  s.region.check = () => {
    throw new Error('the medium failed')
  }
  const unhandled: unknown[] = []
  const told = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', told)
  s.other.end()
  await idle()
  process.off('unhandledRejection', told)
  s.region.check = check
  assert.deepEqual(unhandled, [])
  await assert.rejects(s.other.over, { code: 'EIO' })
  for (const hold of holds) assert.equal(hold.released, true)
  assert.equal(stateOf(waits), 'EIO', 'who waited for it is told at once')
  s.volume.close()
  s.region.close()
})

test('a session that was fenced and could not be cut off leaves limbo with its end', async () => {
  using s = new Scene()
  const lease = s.lease('/f')
  const change = outcomeOf(s.volume.promises.truncate('/f', 0))
  await s.timers.pass(5_000)
  assert.equal(stateOf(change), 'done')
  assert.equal(s.limbo, BLOCKS)
  using again = s.volume.session({ name: 'nic0' })
  again.end()
  assert.equal(s.limbo, BLOCKS, "another session's end is not its end")
  s.other.end()
  await s.other.over
  assert.equal(lease.released, true)
  assert.equal(s.limbo, 0)
})

test('a change is over its patience when a drain does not end, and changes nothing', async () => {
  for (const [timeout, most] of [
    [1_000, 6_000],
    [undefined, 605_000],
  ] as const) {
    using s = new Scene()
    const lease = s.lease('/f', [0, BLOCKS], { revoke: () => new Promise(() => {}) })
    const places = s.places('/f')
    const change = outcomeOf(s.volume.promises.truncate('/f', 0, { timeout }))
    await s.timers.pass(most - 1)
    assert.equal(stateOf(change), 'waits')
    await s.timers.pass(1)
    assertRefused(change.error, 'EBUSY', [lease], 'truncate')
    assert.deepEqual(s.places('/f'), places)
    assert.equal(s.timers.waiting, 0)
    assert.equal(lease.released, false, 'its transfers may be under way still')
  }
})

test('a session that has ended asks for nothing, and what it waits for is not done', async () => {
  using s = new Scene()
  const pin = s.as(null, '/f', (file) => file.pin())
  const file = s.volume.openAs(s.other, '/f', 'r+')
  const { promises } = s.volume
  const cut = outcomeOf(promises.resize(file, 0, { policy: 'wait' }))
  const hold = outcomeOf(promises.pin(file))
  await idle()
  s.other.end()
  pin.release()
  await idle()
  assert.deepEqual([stateOf(cut), stateOf(hold)], ['ESTALE', 'ESTALE'])
  assert.equal(s.volume.stat('/f').size, BLOCKS * B)
  for (const call of [
    () => file.pin(),
    () => file.lease({ iomode: 'read' }),
    () => file.map(),
    () => file.map({ direct: true }),
    () => file.truncate(0),
    () => s.volume.openAs(s.other, '/f'),
  ]) {
    assert.equal(codeOf(call), 'ESTALE')
  }
  assert.deepEqual(s.volume.holds(), [])
  file.close()
})

test('a hold is for a session of its volume', () => {
  using s = new Scene()
  using elsewhere = new Ground()
  s.refused('EINVAL', [], () => s.pin('/f', [0, 1], { session: elsewhere.other }))
  assert.throws(() => s.other.over, { code: 'EINVAL' })
  const third = s.volume.session({ name: 'third' })
  const pin = s.pin('/f', [0, 1], { session: third })
  assert.equal(pin.info().owner.name, 'third')
  s.other.end()
  assert.equal(pin.released, false)
  third[Symbol.dispose]()
  assert.equal(pin.released, true)
})

// ---- the volume closes -------------------------------------------------------------------------

test('a volume that closes ends the transfers under way, and frees what they kept', () => {
  const s = new Scene()
  const { free } = s
  const file = s.volume.open('/f', 'r+')
  const transfers = [file.transfer(0, 4 * B), file.transfer(100, BLOCKS * B)]
  const pin = s.pin('/f', [0, 2])
  file.truncate(0, { policy: 'defer' })
  assert.equal(s.limbo, BLOCKS)
  s.volume.close()
  for (const transfer of transfers) transfer.end() // nothing is left of it
  assert.equal(pin.released, true)
  assert.equal(s.volume.transfers.size, 0)
  const again = LayoutVolume.mount(s.region)
  assert.ok(again.core.state.freeBlocks >= free + BLOCKS, 'and nothing of limbo')
  again.close()
  s.close() // fsck finds it clean
})

test('transfers of one block are under way until the last of them ends', () => {
  using s = new Scene()
  using file = s.volume.open('/f', 'r+')
  const [one, two] = [file.transfer(0, 2 * B), file.transfer(B, 2 * B)]
  const pin = s.pin('/f', [0, 1])
  const places = s.places('/f', [0, 3]) as number[]
  file.truncate(0, { policy: 'defer' })
  assert.equal(s.limbo, 3)
  one.end()
  one.end()
  assert.equal(s.limbo, 3, 'one is under the pin, two are read still')
  pin.release()
  assert.equal(s.limbo, 2)
  assertBytes(s.bytesAt(places[2]!), blocksOf('/f', 2, 3), 'what is read')
  two.end()
  assert.equal(s.limbo, 0)
})

test('a volume closes with holds, drains and waits under way, and all of them come to an end', async () => {
  const s = new Scene()
  const drain = new Drain()
  s.make('/g')
  s.lease('/f', [0, 4], { iomode: 'rw', revoke: drain.revoke })
  const pin = s.pin('/g')
  const { promises } = s.volume
  const cut = outcomeOf(promises.truncate('/f', 0))
  const waits = outcomeOf(promises.truncate('/g', 0, { policy: 'wait' }))
  await s.timers.pass(5_000)
  s.other.end()
  const over = outcomeOf(s.other.over)
  assert.equal(pin.released, true)
  await idle()
  assert.equal(stateOf(waits), 'done')
  s.close() // fsck finds it clean
  drain.done()
  await idle()
  assert.equal(stateOf(over), 'done')
  assert.equal(stateOf(cut), 'EBADF')
  assert.equal(s.timers.waiting, 0)
  pin.release()
  assert.equal(
    codeOf(() => pin.info()),
    'ESTALE',
  )
  assert.equal(errorOf(() => s.volume.holds()).code, 'EBADF')
})

test('the mappings of a session end with it: no address of theirs leads into the file', () => {
  using s = new Scene()
  const session = s.volume.session({ name: 'third' })
  const file = s.volume.openAs(session, '/f', 'r+')
  const kept = s.volume.open('/f', 'r+').map({ write: true })
  const mappings = [true, false].map((direct) => file.map({ direct, write: true }))
  const views = mappings.map(({ buffer }) => new Uint8Array(buffer))
  session.end()
  for (const view of views) assert.equal(view.length, 0, 'detached')
  for (const mapping of mappings) {
    assert.throws(() => mapping.buffer, { code: 'ESTALE', message: /the session .* has ended/ })
    mapping.unmap()
  }
  assert.equal(s.volume.holds().length, 1)
  assertBytes(new Uint8Array(kept.buffer), blocksOf('/f', 0, BLOCKS), "another's stays")
  s.volume.truncate('/f', 0)
})
