/** Whole-file locks, the limit of locks, and what finds them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { IntervalTree, type Interval } from '../../src/volume/interval_tree.js'
import { Locks, type Locker, type RangeLock } from '../../src/volume/locks.js'
import { LONG, seeded } from './support.js'

const FILE = 7
const A: Locker = { owner: 'A', handle: 'a' }
const B: Locker = { owner: 'B', handle: 'b' }
const C: Locker = { owner: 'C', handle: 'c' }

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** What becomes of a promise: 'waits' until it is settled. */
function watch(promise: Promise<void>): { outcome: string } {
  const wait = { outcome: 'waits' }
  promise.then(
    () => (wait.outcome = 'granted'),
    (error: unknown) =>
      (wait.outcome = error instanceof HoldfastError ? error.code : String(error)),
  )
  return wait
}

describe('whole-file locks', () => {
  test("are shared by many or one handle's alone", () => {
    const locks = new Locks()
    locks.tryLockWhole(FILE, A, 'shared')
    locks.tryLockWhole(FILE, B, 'shared')
    assert.throws(() => locks.tryLockWhole(FILE, C, 'exclusive'), { code: 'EAGAIN' })
    locks.unlockWhole(FILE, A)
    locks.unlockWhole(FILE, B)
    locks.tryLockWhole(FILE, C, 'exclusive')
    assert.throws(() => locks.tryLockWhole(FILE, A, 'shared'), { code: 'EAGAIN' })
    assert.throws(() => locks.tryLockWhole(FILE, { ...C, handle: 'c2' }, 'shared'), {
      code: 'EAGAIN',
    })
    assert.equal(locks.wholeLock(FILE, C), 'exclusive')
    assert.equal(locks.wholeLock(FILE, A), null)
    locks.tryLockWhole(FILE + 1, A, 'exclusive')
  })

  test('do not conflict with byte ranges', () => {
    const locks = new Locks()
    const range: RangeLock = { type: 'write', start: 0, length: 0 }
    locks.tryLockWhole(FILE, A, 'exclusive')
    locks.tryLock(FILE, B, range)
    assert.equal(locks.test(FILE, B, range), null)
    locks.unlock(FILE, B, range)
    locks.tryLock(FILE, B, { ...range, ofd: true })
    assert.equal(locks.wholeLock(FILE, A), 'exclusive')
  })

  test('are converted by asking again, and lost when that fails', async () => {
    const locks = new Locks()
    locks.tryLockWhole(FILE, A, 'exclusive')
    const reader = watch(locks.lockWhole(FILE, B, 'shared'))
    locks.tryLockWhole(FILE, A, 'shared')
    await soon()
    assert.equal(reader.outcome, 'granted')
    const writer = watch(locks.lockWhole(FILE, C, 'exclusive'))
    assert.throws(() => locks.tryLockWhole(FILE, A, 'exclusive'), { code: 'EAGAIN' })
    assert.equal(locks.wholeLock(FILE, A), null)
    locks.releaseHandle(FILE, B.handle)
    await soon()
    assert.equal(writer.outcome, 'granted')
  })

  test('that are converted go before those who wait, when nobody is in the way', async () => {
    const locks = new Locks()
    locks.tryLockWhole(FILE, A, 'shared')
    const writer = watch(locks.lockWhole(FILE, B, 'exclusive'))
    await locks.lockWhole(FILE, A, 'exclusive')
    await locks.lockWhole(FILE, A, 'exclusive')
    assert.equal(locks.wholeLock(FILE, A), 'exclusive')
    locks.unlockWhole(FILE, A)
    await soon()
    assert.equal(writer.outcome, 'granted')
  })

  test('of two who convert the first loses its own, and the second gets it at once', async () => {
    const locks = new Locks()
    locks.tryLockWhole(FILE, A, 'shared')
    locks.tryLockWhole(FILE, B, 'shared')
    const first = watch(locks.lockWhole(FILE, A, 'exclusive'))
    const second = watch(locks.lockWhole(FILE, B, 'exclusive'))
    await soon()
    assert.deepEqual([first.outcome, second.outcome], ['waits', 'granted'])
    assert.equal(locks.wholeLock(FILE, A), null)
    locks.releaseHandle(FILE, B.handle)
    await soon()
    assert.equal(first.outcome, 'granted')
  })

  test('are handed on in the order of asking', async () => {
    const locks = new Locks()
    const done: string[] = []
    locks.tryLockWhole(FILE, A, 'exclusive')
    for (const [i, type] of (['shared', 'shared', 'exclusive', 'shared'] as const).entries()) {
      const who = { owner: i, handle: i }
      void locks.lockWhole(FILE, who, type).then(() => done.push(`${i} ${type}`))
    }
    locks.unlockWhole(FILE, A)
    await soon()
    assert.deepEqual(done, ['0 shared', '1 shared'])
    locks.releaseHandle(FILE, 0)
    locks.releaseHandle(FILE, 1)
    await soon()
    assert.deepEqual(done.slice(2), ['2 exclusive'])
    locks.unlockWhole(FILE, { owner: 2, handle: 2 })
    await soon()
    assert.deepEqual(done.slice(3), ['3 shared'])
  })
})

describe('the limit of locks', () => {
  const at = (start: number, length = 1): RangeLock => ({ type: 'write', start, length })

  test('is ENOLCK for one more, whatever kind, and leaves what there is', async () => {
    const locks = new Locks(3)
    locks.tryLock(1, A, at(0))
    locks.tryLock(2, B, at(0, 9))
    locks.tryLockWhole(1, C, 'shared')
    assert.throws(() => locks.tryLock(1, A, at(5)), { code: 'ENOLCK' })
    assert.throws(() => locks.tryLockWhole(3, A, 'shared'), { code: 'ENOLCK' })
    assert.throws(() => locks.unlock(2, B, at(4)), { code: 'ENOLCK' })
    assert.throws(() => locks.tryLock(2, B, { ...at(4), type: 'read' }), { code: 'ENOLCK' })
    await assert.rejects(locks.lock(9, C, at(5)), { code: 'ENOLCK' })
    assert.equal(locks.held, 3)
    assert.deepEqual(locks.test(2, A, at(0)), {
      type: 'write',
      start: 0,
      length: 9,
      ofd: false,
      owner: 'B',
    })
    locks.tryLock(1, A, at(1))
    locks.unlock(2, B, at(8))
    locks.tryLockWhole(1, C, 'exclusive')
    assert.equal(locks.held, 3)
  })

  test('holds for who has waited, and for waits', async () => {
    const locks = new Locks(2)
    locks.tryLock(1, A, at(0, 2))
    const waits = [B, C].map((who) => watch(locks.lock(1, who, at(0))))
    await assert.rejects(locks.lock(1, { owner: 'D', handle: 'd' }, at(0)), { code: 'ENOLCK' })
    locks.tryLock(2, A, at(0))
    locks.unlock(1, A, at(0))
    await soon()
    assert.deepEqual(
      waits.map(({ outcome }) => outcome),
      ['ENOLCK', 'ENOLCK'],
    )
    assert.deepEqual([locks.held, locks.waiting], [2, 0])
  })
})

test('an interval tree finds what overlaps, in order, as a list does', (t) => {
  const prng = seeded(t)
  const tree = new IntervalTree<Interval>()
  let list: Interval[] = []
  for (let i = 0; i < 5000 * LONG; i++) {
    if (list.length > 0 && prng.chance(i % 2000 < 1000 ? 1 : 3, 4)) {
      const gone = prng.pick(list)
      tree.remove(gone)
      list = list.filter((one) => one !== gone)
    } else {
      const start = prng.below(200)
      const item = { start, end: start + 1 + prng.below(prng.chance(1, 8) ? 200 : 10), order: i }
      tree.insert(item)
      list.push(item)
    }
    const start = prng.below(220)
    const end = start + prng.below(20)
    const expected = list
      .filter((one) => one.start < end && one.end > start)
      .sort((a, b) => a.start - b.start || a.order - b.order)
    assert.deepEqual(tree.overlapping(start, end), expected)
    assert.equal(tree.size, list.length)
  }
})
