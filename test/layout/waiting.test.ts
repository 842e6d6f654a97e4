/** Recall, fence and waiting, in time that passes when the test says so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LeaseOptions } from '../../src/layout/grants.js'
import type { Hold } from '../../src/layout/hold.js'
import { assertBytes, assertRefused, blocksOf, Ground, placesOf } from './ground.js'
import { idle, outcomeOf, type Outcome } from './timers.js'

const BLOCKS = 8

class Scene extends Ground {
  readonly recalled: number[] = []

  fill(path: string): void {
    const file = this.volume.open(path, 'wx+')
    file.write(blocksOf(path, 0, BLOCKS), 0)
    file.close()
  }

  lease(path: string, from: number, to: number, options: Partial<LeaseOptions> = {}): Hold {
    const file = this.volume.openAs(this.other, path, 'r+')
    const hold = file.lease({
      iomode: 'rw',
      offset: from * B,
      length: (to - from) * B,
      onRecall: (id) => this.recalled.push(id),
      ...options,
    })
    file.close()
    return hold
  }

  pin(path: string, from: number, to: number): Hold {
    const file = this.volume.openAs(this.other, path, 'r+')
    const hold = file.pin({ offset: from * B, length: (to - from) * B })
    file.close()
    return hold
  }

  cut(path: string, blocks: number, options = {}): Outcome<void> {
    return outcomeOf(this.volume.promises.truncate(path, blocks * B, options))
  }

  size(path: string): number {
    return this.volume.stat(path).size / B
  }
}

async function scene(run: (scene: Scene) => Promise<void>, options = {}): Promise<void> {
  using ground = new Scene(options)
  ground.fill('/f')
  await run(ground)
}

function assertDone(outcome: Outcome<unknown>, what = 'it is done'): void {
  assert.equal(outcome.settled, true, what)
  if (outcome.error !== undefined) throw outcome.error as Error
}

const codeOf = ({ error }: Outcome<unknown>) => (error as HoldfastError | undefined)?.code

const code = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    return (error as HoldfastError).code
  }
  return 'ok'
}

test('a change goes on as soon as the lease in its way is given back', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS)
    const cut = s.cut('/f', 4)
    await idle()
    assert.deepEqual(s.recalled, [hold.id])
    assert.equal(hold.info().state, 'recalled')
    assert.equal(hold.info().deadline, 5_000)
    await s.timers.pass(1_000)
    assert.equal(hold.info().deadline, 4_000)
    assert.equal(cut.settled, false)
    hold.release()
    await idle()
    assertDone(cut)
    assert.equal(s.size('/f'), 4)
    assert.equal(s.timers.waiting, 0)
  }))

test('a part given back lets a change of that part go on, and the rest is held', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS)
    const cut = s.cut('/f', 4)
    await idle()
    hold.returnRange(6 * B, 2 * B)
    await idle()
    assert.equal(cut.settled, false, 'blocks 4 and 5 are still out')
    hold.returnRange(4 * B, 2 * B)
    await idle()
    assertDone(cut)
    assert.equal(hold.info().state, 'held')
    assert.deepEqual(hold.info().ranges, [{ offset: 0, length: 4 * B }])
    hold.release()
  }))

test('an answer may commit first', () =>
  scene(async (s) => {
    const hold = s.lease('/f', BLOCKS, BLOCKS + 2)
    const bytes = blocksOf('late', 0, 1)
    s.storeAt(hold.runs()[0]!.regionOffset, bytes)
    const file = s.volume.open('/f', 'r+')
    const gone = outcomeOf(s.volume.promises.collapse(file, 0, B))
    await idle()
    hold.commit((BLOCKS + 1) * B)
    hold.release()
    await idle()
    assertDone(gone)
    assert.equal(s.size('/f'), BLOCKS)
    assertBytes(s.volume.readFile('/f').subarray((BLOCKS - 1) * B), bytes, 'what was committed')
    file.close()
  }))

test('what can be cut off is cut off at the deadline, and the change waits for the drain', () =>
  scene(async (s) => {
    const asked: number[][] = []
    let drained = () => {}
    const revoke = (offset: number, length: number) => {
      asked.push([offset, length])
      return new Promise<void>((resolve) => (drained = resolve))
    }
    const hold = s.lease('/f', 0, BLOCKS, { revoke })
    const file = s.volume.open('/f', 'r+')
    const punch = outcomeOf(s.volume.promises.punch(file, 2 * B, 3 * B))
    await s.timers.pass(4_999)
    assert.deepEqual(asked, [], 'the deadline has not passed')
    await s.timers.pass(1)
    assert.deepEqual(asked, [[0, BLOCKS * B]], 'all of the lease ends')
    await s.timers.pass(60_000)
    assert.equal(punch.settled, false, 'transfers are still under way')
    assert.notEqual(s.place('/f', 2), null, 'nothing has changed')
    drained()
    await idle()
    assertDone(punch)
    assert.equal(s.place('/f', 2), null)
    assert.equal(hold.released, true, 'it was cut off')
    assert.equal(s.limbo, 0)
    file.close()
  }))

test('a revoke that fails leaves the blocks as they were, in limbo', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS, { revoke: () => Promise.reject(new Error('gone')) })
    const places = placesOf(s, hold.id)
    const cut = s.cut('/f', 4)
    await s.timers.pass(5_000)
    assertDone(cut)
    assert.equal(hold.info().state, 'fenced')
    assert.equal(s.limbo, 4)
    assertBytes(s.bytesAt(places[7]!), blocksOf('/f', 7, 8), 'what the holder sees')
    hold.release()
    assert.equal(s.limbo, 0)
  }))

test('an answer that is late finds that the hold was cut off', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS, { revoke: () => {} })
    const cut = s.cut('/f', 4)
    await s.timers.pass(5_000)
    assertDone(cut)
    assert.equal(
      code(() => hold.returnRange(0, B)),
      'ESTALE',
    )
    assert.equal(
      code(() => hold.commit()),
      'ESTALE',
    )
    assert.equal(
      code(() => hold.info()),
      'ESTALE',
    )
    hold.release()
  }))

test('input that has arrived at the deadline, and was not looked at, counts', () =>
  scene(async (s) => {
    const events: string[] = []
    s.volume.watchHolds(({ kind }) => events.push(kind))
    const hold = s.lease('/f', 0, BLOCKS, { revoke: () => assert.fail('it had answered') })
    const cut = s.cut('/f', 4)
    await idle()
    s.timers.input.push(() => hold.release())
    await s.timers.pass(5_000)
    assertDone(cut)
    assert.deepEqual(events, ['grant', 'recall', 'release'])
  }))

// ---- a holder that does not answer and cannot be cut off ---------------------------------------

for (const cause of ['shrink', 'punch', 'destination of a share'] as const) {
  test(`cause ${cause}: the blocks go to limbo as they are, until the session ends`, () =>
    scene(async (s) => {
      s.fill('/g')
      const hold = s.lease('/f', 0, BLOCKS)
      const places = placesOf(s, hold.id)
      const [f, g] = [s.volume.open('/f', 'r+'), s.volume.open('/g', 'r+')]
      const { promises } = s.volume
      const change = outcomeOf(
        cause === 'shrink'
          ? promises.resize(f, 6 * B)
          : cause === 'punch'
            ? promises.punch(f, 6 * B, 2 * B)
            : promises.reflinkRange(g, 0, f, 6 * B, 2 * B),
      )
      await s.timers.pass(5_000)
      assertDone(change)
      assert.equal(hold.info().state, 'fenced')
      assert.equal(s.limbo, 2)
      for (const block of [6, 7]) {
        assertBytes(s.bytesAt(places[block]!), blocksOf('/f', block, block + 1), 'as it was')
        s.storeAt(places[block]! * B, blocksOf('stray', 0, 1))
      }
      const now = s.volume.readFile('/f')
      if (cause === 'shrink') assert.equal(now.length, 6 * B)
      else if (cause === 'punch') assertBytes(now.subarray(6 * B), new Uint8Array(2 * B), 'a hole')
      else assertBytes(now.subarray(6 * B), blocksOf('/g', 0, 2), 'the source')
      s.other.end()
      assert.equal(s.limbo, 0)
      f.close()
      g.close()
    }))
}

test('cause share: the source moves away first, and the old blocks go to limbo', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 2, 4)
    const places = placesOf(s, hold.id)
    const clone = outcomeOf(s.volume.promises.reflink('/f', '/clone'))
    await s.timers.pass(5_000)
    assertDone(clone)
    assert.equal(s.limbo, 2)
    for (const block of places) s.storeAt(block * B, blocksOf('stray', 0, 1))
    for (const path of ['/f', '/clone']) {
      assertBytes(s.volume.readFile(path), blocksOf('/f', 0, BLOCKS), path)
      assert.ok(!places.includes(s.place(path, 2)!), `${path} moved away`)
    }
    hold.release()
    assert.equal(s.limbo, 0)
  }))

for (const cause of ['move', 'unshare', 'shift'] as const) {
  test(`cause ${cause}: the change gives up with EBUSY, and the lease goes on`, () =>
    scene(async (s) => {
      s.volume.reflink('/f', '/clone')
      const iomode = cause === 'unshare' ? 'read' : 'rw'
      const hold = s.lease('/f', 2, 4, { iomode })
      const image = s.image()
      const f = s.volume.open('/f', 'r+')
      const { promises } = s.volume
      const at = s.place('/f', 2)! * B
      const change: Outcome<unknown> = outcomeOf<unknown>(
        cause === 'move'
          ? promises.evacuate(at, at + B)
          : cause === 'unshare'
            ? promises.write(f, blocksOf('new', 0, 1), 2 * B)
            : promises.collapse(f, 0, B),
      )
      await s.timers.pass(4_999)
      assert.equal(change.settled, false)
      await s.timers.pass(1)
      assert.equal(change.settled, true)
      assertRefused(change.error, 'EBUSY', [hold], cause)
      s.assertSameImage(image, cause)
      assert.equal(hold.info().state, 'held')
      hold.release()
      f.close()
    }))
}

test('cause move, with force: the file moves, and stores after the fence are lost to it', () =>
  scene(async (s) => {
    const events: string[] = []
    s.volume.watchHolds(({ kind }) => events.push(kind))
    const hold = s.lease('/f', 2, 4)
    const places = placesOf(s, hold.id)
    const at = places[0]! * B
    const moved = outcomeOf(s.volume.promises.evacuate(at, at + 2 * B, { force: true }))
    await s.timers.pass(5_000)
    assertDone(moved)
    assert.equal(s.limbo, 2)
    for (const block of places) s.storeAt(block * B, blocksOf('lost', 0, 1))
    assertBytes(s.volume.readFile('/f'), blocksOf('/f', 0, BLOCKS), '/f')
    assert.ok(events.includes('fence'), 'the holder was told')
    hold.release()
    assert.equal(s.limbo, 0)
  }))

// ---- deadlines and giving up -------------------------------------------------------------------

test('the deadline of a recall is what was asked for, at most a minute', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS, { revoke: () => {} })
    for (const deadline of [60_001, -1, Infinity, NaN]) {
      const cut = s.cut('/f', 4, { deadline })
      await idle()
      assert.equal(codeOf(cut), 'EINVAL')
    }
    assert.deepEqual(s.recalled, [])
    const cut = s.cut('/f', 4, { deadline: 60_000 })
    await s.timers.pass(59_999)
    assert.equal(cut.settled, false)
    assert.equal(hold.info().deadline, 1)
    await s.timers.pass(1)
    assertDone(cut)
  }))

test('an aborted wait is EINTR, changes nothing, and asks for nothing back any more', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS, { revoke: () => assert.fail('it was called off') })
    const image = s.image()
    const controller = new AbortController()
    const cut = s.cut('/f', 4, { signal: controller.signal })
    await idle()
    assert.equal(hold.info().state, 'recalled')
    controller.abort()
    await idle()
    assert.equal(codeOf(cut), 'EINTR')
    assert.equal(hold.info().state, 'held')
    assert.equal(s.timers.waiting, 0)
    await s.timers.pass(60_000)
    s.assertSameImage(image, 'an aborted truncate')
    const early = s.cut('/f', 4, { signal: AbortSignal.abort() })
    await idle()
    assert.equal(codeOf(early), 'EINTR')
    assert.equal(s.recalled.length, 1)
    hold.release()
  }))

test('a deadline of a recall that was called off fences nobody who is asked anew', () =>
  scene(async (s) => {
    const fenced: number[] = []
    const hold = s.lease('/f', 0, BLOCKS, { revoke: () => void fenced.push(s.timers.now()) })
    const controller = new AbortController()
    const first = s.cut('/f', 4, { signal: controller.signal })
    await idle()
    // A long step of the server: all of this has come in when the deadline is looked at.
    let again: Outcome<void> | undefined
    s.timers.turn = async () => {
      if (again !== undefined) return
      controller.abort()
      await idle()
      again = s.cut('/f', 4)
    }
    await s.timers.pass(5_000)
    assert.equal(codeOf(first), 'EINTR')
    assert.equal(s.recalled.length, 2, 'it is asked anew')
    assert.deepEqual(fenced, [], 'and has its time')
    assert.equal(hold.info().deadline, 5_000)
    await s.timers.pass(5_000)
    assertDone(again!)
    assert.equal(fenced.length, 1)
  }))

test('a lease whose drain outlasts all who waited, and fails, is recalled again for the next', () =>
  scene(async (s) => {
    let fail = () => {}
    let calls = 0
    const revoke = () =>
      new Promise<void>((_, reject) => {
        calls++
        fail = () => reject(new Error('the connection is gone'))
      })
    const hold = s.lease('/f', 0, BLOCKS, { revoke })
    const first = s.cut('/f', 4, { timeout: 1_000 })
    await s.timers.pass(6_000)
    assert.equal(codeOf(first), 'EBUSY')
    fail()
    await idle()
    assert.equal(hold.info().state, 'held', 'nobody wants it back')
    s.pin('/f', 0, 1).release()
    const second = s.cut('/f', 4)
    await s.timers.pass(5_000)
    assert.deepEqual([s.recalled.length, calls], [2, 2], 'it is asked for, and cut off, as ever')
    fail()
    await idle()
    assertDone(second)
    hold.release()
  }))

test('what is given back while a drain goes on counts when that fails', () =>
  scene(async (s) => {
    let fail = () => {}
    const revoke = () =>
      new Promise<void>((_, reject) => (fail = () => reject(new Error('the connection is gone'))))
    const part = s.lease('/f', 0, BLOCKS, { revoke })
    const cut = s.cut('/f', 2)
    await s.timers.pass(5_000)
    part.returnRange(0, 5 * B)
    assert.equal(part.info().bytes, BLOCKS * B, 'transfers are under way')
    fail()
    await idle()
    assertDone(cut)
    assert.equal(s.limbo, BLOCKS - 5, 'the rest stays as it is for who did not return it')
    part.release()
    const all = s.lease('/f', 0, 2, { revoke })
    const gone = s.cut('/f', 0)
    await s.timers.pass(5_000)
    all.returnRange(0, 2 * B)
    fail()
    await idle()
    assertDone(gone)
    assert.equal(all.released, true)
    assert.equal(s.limbo, 0)
  }))

test('a lease fenced from a part stays so when the recall of the rest is called off', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS)
    const cut = s.cut('/f', 4)
    await s.timers.pass(5_000)
    assertDone(cut)
    const controller = new AbortController()
    const rest = s.cut('/f', 0, { signal: controller.signal })
    await idle()
    assert.equal(hold.info().state, 'recalled')
    controller.abort()
    await idle()
    assert.equal(codeOf(rest), 'EINTR')
    assert.equal(hold.info().state, 'fenced')
    assert.equal(
      code(() => hold.commit()),
      'ESTALE',
    )
    hold.release()
  }))

test('one of two that wait for a lease gives up: it is still recalled for the other', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS)
    const controller = new AbortController()
    const first = s.cut('/f', 4, { signal: controller.signal })
    const second = s.cut('/f', 5)
    await idle()
    assert.deepEqual(s.recalled, [hold.id], 'asked for once')
    controller.abort()
    await idle()
    assert.equal(codeOf(first), 'EINTR')
    assert.equal(hold.info().state, 'recalled')
    await s.timers.pass(5_000)
    assertDone(second)
    assert.equal(s.size('/f'), 5)
    hold.release()
  }))

test('two changes of different ranges of one lease that is not answered both come to an end', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS)
    const f = s.volume.open('/f', 'r+')
    const first = outcomeOf(s.volume.promises.punch(f, 0, B))
    const second = outcomeOf(s.volume.promises.punch(f, 4 * B, B))
    await s.timers.pass(10_000)
    assertDone(first, 'the first')
    assertDone(second, 'the second')
    assert.equal(s.limbo, 2)
    hold.release()
    f.close()
  }))

test('a move that gives up does not take a truncate with it, which waits for the same lease', () =>
  scene(async (s) => {
    const hold = s.lease('/f', 0, BLOCKS)
    const at = s.place('/f', 2)! * B
    const move = outcomeOf(s.volume.promises.evacuate(at, at + B))
    const cut = s.cut('/f', 4)
    await s.timers.pass(10_000)
    assert.equal(codeOf(move), 'EBUSY')
    assertDone(cut)
    hold.release()
  }))

test('nothing is recalled for a request that fails anyway', () =>
  scene(async (s) => {
    const lease = s.lease('/f', 0, 4)
    const pin = s.pin('/f', 6, 7)
    const cut = s.cut('/f', 2)
    await idle()
    assertRefused(cut.error, 'EBUSY', [pin], 'truncate')
    const file = s.volume.open('/f', 'r+')
    const collapse = outcomeOf(s.volume.promises.collapse(file, B, B))
    await idle()
    assertRefused(collapse.error, 'EBUSY', [pin], 'collapse')
    const late = s.cut('/f', 2, { policy: 'wait', timeout: 100 })
    await s.timers.pass(100)
    assertRefused(late.error, 'EBUSY', [pin, lease], 'truncate that waited')
    assert.deepEqual(s.recalled, [])
    assert.equal(lease.info().state, 'held')
    lease.release()
    pin.release()
    file.close()
  }))

// ---- policy wait -------------------------------------------------------------------------------

test('policy wait gives up after the time that was asked for, ten minutes at most', () =>
  scene(async (s) => {
    const pin = s.pin('/f', 6, 7)
    const tooLong = s.cut('/f', 4, { policy: 'wait', timeout: 600_001 })
    await idle()
    assert.equal(codeOf(tooLong), 'EINVAL')
    const cut = s.cut('/f', 4, { policy: 'wait', timeout: 600_000 })
    await s.timers.pass(599_999)
    assert.equal(cut.settled, false)
    await s.timers.pass(1)
    assertRefused(cut.error, 'EBUSY', [pin], 'ten minutes')
    assert.equal(s.size('/f'), BLOCKS)
    pin.release()
  }))

test('a change that waits for a pin recalls leases only once the pin has gone', () =>
  scene(async (s) => {
    const lease = s.lease('/f', 4, 6)
    const pin = s.pin('/f', 6, 7)
    const cut = s.cut('/f', 4, { policy: 'wait' })
    await s.timers.pass(5_000)
    assert.deepEqual(s.recalled, [])
    pin.release()
    await idle()
    assert.deepEqual(s.recalled, [lease.id])
    lease.release()
    await idle()
    assertDone(cut)
  }))

test('new holds queue behind a change that waits, and go first when it gives up', () =>
  scene(async (s) => {
    const pin = s.pin('/f', 6, 7)
    const file = s.volume.open('/f', 'r+')
    const first = s.cut('/f', 4, { policy: 'wait', timeout: 1_000 })
    await idle()
    const range = { offset: 5 * B, length: B }
    assert.equal(
      code(() => file.pin(range)),
      'EAGAIN',
      'the form that never waits',
    )
    file.pin({ offset: 0, length: B }).release()
    const queued = outcomeOf(s.volume.promises.pin(file, range))
    const second = s.cut('/f', 5, { policy: 'wait', timeout: 2_000 })
    await s.timers.pass(999)
    assert.equal(queued.settled, false)
    await s.timers.pass(1)
    assert.equal(codeOf(first), 'EBUSY')
    assertDone(queued, 'it goes before the change that came after it')
    assert.equal(second.settled, false)
    pin.release()
    await idle()
    assert.equal(second.settled, false, 'the pin that was granted meanwhile is in its way, too')
    queued.value!.release()
    await idle()
    assertDone(second)
    file.close()
  }))

test('a change that waits is not starved by holds that come one after another', () =>
  scene(async (s) => {
    const file = s.volume.open('/f', 'r+')
    let last = s.pin('/f', 6, 7)
    const cut = s.cut('/f', 4, { policy: 'wait' })
    const queued: Outcome<Hold>[] = []
    for (let i = 0; i < 10; i++) {
      await s.timers.pass(100)
      queued.push(outcomeOf(s.volume.promises.pin(file, { offset: 6 * B, length: B })))
      await idle()
    }
    assert.ok(queued.every(({ settled }) => !settled))
    last.release()
    await idle()
    assertDone(cut)
    assert.equal(s.size('/f'), 4)
    for (const outcome of queued) {
      assertDone(outcome)
      last = outcome.value!
      assert.deepEqual(last.info().ranges, [{ offset: 6 * B, length: B }], 'past the end')
      last.release()
    }
    file.close()
  }))

test('a queued hold gives up at its own time, and at its signal', () =>
  scene(async (s) => {
    const pin = s.pin('/f', 6, 7)
    const file = s.volume.open('/f', 'r+')
    const cut = s.cut('/f', 4, { policy: 'wait' })
    await idle()
    const controller = new AbortController()
    const range = { offset: 6 * B, length: B }
    const timed = outcomeOf(s.volume.promises.pin(file, { ...range, timeout: 50 }))
    const { signal } = controller
    const aborted = outcomeOf(s.volume.promises.pin(file, { ...range, signal }))
    await s.timers.pass(50)
    assert.equal(codeOf(timed), 'EAGAIN')
    controller.abort()
    await idle()
    assert.equal(codeOf(aborted), 'EINTR')
    pin.release()
    await idle()
    assertDone(cut)
    file.close()
  }))

test('a hold of a range under recall is EAGAIN, in every form; beside it, it is granted', () =>
  scene(async (s) => {
    const lease = s.lease('/f', 4, 6)
    const cut = s.cut('/f', 4)
    await idle()
    const file = s.volume.open('/f', 'r+')
    const range = { offset: 4 * B, length: B }
    assert.equal(
      code(() => file.pin(range)),
      'EAGAIN',
    )
    assert.equal(
      code(() => file.lease({ ...range, iomode: 'read' })),
      'EAGAIN',
    )
    assert.equal(
      code(() => file.map({ ...range, direct: true })),
      'EAGAIN',
    )
    const late = outcomeOf(s.volume.promises.pin(file, range))
    await idle()
    assert.equal(codeOf(late), 'EAGAIN')
    const beside = file.pin({ offset: 0, length: B })
    lease.release()
    await idle()
    assertDone(cut)
    beside.release()
    file.close()
  }))

// ---- asked again -------------------------------------------------------------------------------

test('after the wait the path is looked up again', () =>
  scene(async (s) => {
    const lease = s.lease('/f', 4, 6)
    const cut = s.cut('/f', 4)
    await idle()
    s.volume.rename('/f', '/moved')
    s.fill('/f')
    lease.release()
    await idle()
    assertDone(cut)
    assert.deepEqual([s.size('/f'), s.size('/moved')], [4, BLOCKS])
  }))

test('after the wait permissions are looked at again', () =>
  scene(async (s) => {
    const as = { uid: 1000, gid: 1000 }
    s.volume.chmod('/f', 0o666)
    const lease = s.lease('/f', 4, 6)
    const cut = s.cut('/f', 4, { as })
    await idle()
    s.volume.chmod('/f', 0o644)
    lease.release()
    await idle()
    assert.equal(codeOf(cut), 'EACCES')
    assert.equal(s.size('/f'), BLOCKS)
  }))

test('after the wait flags are looked at again', () =>
  scene(async (s) => {
    const second = s.lease('/f', 4, 6)
    const cut = s.cut('/f', 4)
    await idle()
    second.release()
    s.volume.fix('/f')
    await idle()
    assert.equal(codeOf(cut), 'EPERM')
    s.volume.unfix('/f')
  }))

test('two reflinks, there and back at once, both come to an end', () =>
  scene(async (s) => {
    s.fill('/g')
    const [f, g] = [s.volume.open('/f', 'r+'), s.volume.open('/g', 'r+')]
    const held = [s.lease('/f', 0, BLOCKS), s.lease('/g', 0, BLOCKS)]
    const there = outcomeOf(s.volume.promises.reflinkRange(f, 0, g, 4 * B, 2 * B))
    const back = outcomeOf(s.volume.promises.reflinkRange(g, 0, f, 4 * B, 2 * B))
    await s.timers.pass(30_000)
    assertDone(there)
    assertDone(back)
    assertBytes(s.volume.readFile('/g').subarray(4 * B, 6 * B), blocksOf('/f', 0, 2), '/g')
    assertBytes(s.volume.readFile('/f').subarray(4 * B, 6 * B), blocksOf('/g', 0, 2), '/f')
    for (const hold of held) hold.release()
    f.close()
    g.close()
  }))
