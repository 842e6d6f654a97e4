/** Who keeps pages of a file drops them before others may store to it past all calls. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Session } from '../../src/layout/session.js'
import { Scene } from './scene.js'
import { idle, outcomeOf } from './timers.js'

const WHOLE = { offset: 0, length: 4096, reason: 'stores' }

/** A cache that drops pages when the test says so. */
class Cache {
  readonly asked: number[] = []
  dropped = () => {}
  readonly end: () => void

  constructor(scene: Scene, session: Session) {
    this.end = scene.volume.pageCaches.add(session, (ino) => {
      this.asked.push(ino)
      return new Promise((resolve) => (this.dropped = resolve))
    })
  }
}

const holds = {
  pin: (s: Scene) => s.volume.promises.pin(s.volume.open('/f', 'r+'), WHOLE),
  seal: (s: Scene) => s.volume.promises.seal(s.volume.open('/f', 'r+'), WHOLE),
  'rw lease': (s: Scene) =>
    s.volume.promises.lease(s.volume.open('/f', 'r+'), { ...WHOLE, iomode: 'rw' }),
}

for (const [kind, take] of Object.entries(holds)) {
  test(`a ${kind} is granted when all others have dropped their pages`, async () => {
    using s = new Scene()
    const caches = [new Cache(s, s.other), new Cache(s, s.volume.session({ name: 'mount' }))]
    const taking = outcomeOf(take(s))
    await idle()
    for (const cache of caches) {
      assert.equal(taking.settled, false)
      assert.deepEqual(cache.asked, [s.volume.open('/f', 'r+').ino])
      cache.dropped()
      await idle()
    }
    assert.equal(taking.settled, true)
    assert.equal(taking.error, undefined)
    assert.equal(s.timers.waiting, 0)
  })
}

test('a lease to read waits for no cache, nor does who has the cache itself', async () => {
  using s = new Scene()
  const [own, other] = [new Cache(s, s.volume.self), new Cache(s, s.other)]
  await s.volume.promises.lease(s.volume.open('/f', 'r+'), { ...WHOLE, iomode: 'read' })
  other.end()
  await s.volume.promises.pin(s.volume.open('/f', 'r+'), WHOLE)
  assert.deepEqual([own.asked, other.asked], [[], []])
})

test('a cache that is silent is named, and waited for no longer than five seconds', async () => {
  using s = new Scene()
  const late: string[] = []
  s.volume.pageCaches.late = ({ name }) => late.push(name)
  const cache = new Cache(s, s.other)
  const taking = outcomeOf(s.volume.promises.pin(s.volume.open('/f', 'r+'), WHOLE))
  await s.timers.pass(4999)
  assert.equal(taking.settled, false)
  await s.timers.pass(1)
  assert.equal(taking.settled, true)
  assert.deepEqual(late, ['nic0'])
  cache.dropped()
})

test('a cache that goes while it is asked is waited for no longer', async () => {
  using s = new Scene()
  const cache = new Cache(s, s.other)
  const taking = outcomeOf(s.volume.promises.pin(s.volume.open('/f', 'r+'), WHOLE))
  await idle()
  assert.equal(taking.settled, false)
  cache.end()
  await idle()
  assert.equal(taking.settled, true)
  assert.equal(s.timers.waiting, 0)
})
