import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { HoldfastError } from '../../src/base/errors.js'
import { type ErrorCode } from '../../src/base/errors.js'
import { Locks, type Locker, type RangeLock } from '../../src/volume/locks.js'

const FILE = 7

/** A process with one handle. */
function locker(owner: string, handle: unknown = `${owner}'s handle`): Locker {
  return { owner, handle }
}

const A = locker('A')
const B = locker('B')
const C = locker('C')

const read = (start: number, length: number): RangeLock => ({ type: 'read', start, length })
const write = (start: number, length: number): RangeLock => ({ type: 'write', start, length })
const ofd = (lock: RangeLock): RangeLock => ({ ...lock, ofd: true })

function fails(code: ErrorCode, call: () => void): void {
  assert.throws(call, { name: 'HoldfastError', code })
}

/** What has become of a wait so far: its outcome is told at the end of all that can run now. */
class Wait {
  outcome = 'waits'

  constructor(promise: Promise<void>) {
    promise.then(
      () => (this.outcome = 'granted'),
      (error: unknown) => (this.outcome = (error as HoldfastError).code),
    )
  }

  async now(): Promise<string> {
    await new Promise((resolve) => setImmediate(resolve))
    return this.outcome
  }
}

/** What a stranger finds in the file, lock for lock. */
function found(locks: Locks, who: Locker = locker('stranger')): string[] {
  const list: string[] = []
  for (let at = 0; ;) {
    const next = locks.test(FILE, who, write(at, 0))
    if (next === null) return list
    list.push(`${next.type} ${next.start}+${next.length} ${String(next.owner)}`)
    if (next.length === 0) return list
    at = next.start + next.length
  }
}

describe('range locks', () => {
  test('of readers go together, a writer is alone', () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, read(0, 10))
    locks.tryLock(FILE, B, read(5, 10))
    fails('EAGAIN', () => locks.tryLock(FILE, C, write(9, 1)))
    fails('EAGAIN', () => locks.tryLock(FILE, A, write(9, 1)))
    locks.tryLock(FILE, A, write(0, 5))
    fails('EAGAIN', () => locks.tryLock(FILE, B, read(4, 2)))
    locks.tryLock(FILE, C, write(15, 1))
    locks.tryLock(FILE + 1, C, write(0, 0))
    assert.deepEqual(found(locks, A), ['read 5+10 B', 'write 15+1 C'])
    assert.deepEqual(found(locks, B), ['write 0+5 A', 'read 5+5 A', 'write 15+1 C'])
  })

  const shapes: [string, RangeLock[], string[]][] = [
    ['that touch are one', [read(0, 5), read(5, 5)], ['read 0+10 A']],
    ['that touch from behind are one', [read(5, 5), read(0, 5)], ['read 0+10 A']],
    ['that overlap are one', [write(0, 6), write(4, 6)], ['write 0+10 A']],
    ['in between join both sides', [read(0, 2), read(4, 2), read(2, 2)], ['read 0+6 A']],
    ['of two types stay two', [read(0, 5), write(5, 5)], ['read 0+5 A', 'write 5+5 A']],
    ['within one another change nothing', [read(0, 9), read(3, 2)], ['read 0+9 A']],
    ['over all others take their place', [read(0, 2), write(4, 2), read(0, 0)], ['read 0+0 A']],
    [
      'that upgrade the middle split the rest',
      [read(0, 9), write(3, 3)],
      ['read 0+3 A', 'write 3+3 A', 'read 6+3 A'],
    ],
    [
      'that downgrade the middle split the rest',
      [write(0, 0), read(3, 3)],
      ['write 0+3 A', 'read 3+3 A', 'write 6+0 A'],
    ],
    [
      'that upgrade an edge join what is there',
      [read(0, 9), write(9, 3), write(6, 3)],
      ['read 0+6 A', 'write 6+6 A'],
    ],
    ['of length 0 reach to the end for ever', [write(2 ** 52, 0)], ['write 4503599627370496+0 A']],
    ['of negative length stand before their start', [write(10, -4)], ['write 6+4 A']],
    ['up to the last offset reach to the end', [write(8, 2 ** 53 - 8)], ['write 8+0 A']],
  ]
  for (const [what, wanted, expected] of shapes) {
    test(what, () => {
      const locks = new Locks()
      for (const lock of wanted) locks.tryLock(FILE, A, lock)
      assert.deepEqual([found(locks), locks.held], [expected, expected.length])
      locks.unlock(FILE, A, { start: 0, length: 0 })
      assert.deepEqual([found(locks), locks.held], [[], 0])
    })
  }

  test('unlocked in the middle leave both sides', () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, write(0, 0))
    locks.unlock(FILE, A, { start: 10, length: 5 })
    assert.deepEqual(found(locks), ['write 0+10 A', 'write 15+0 A'])
    locks.unlock(FILE, B, { start: 0, length: 0 })
    locks.unlock(FILE + 1, A, { start: 0, length: 0 })
    assert.equal(locks.held, 2)
  })

  const none: [string, RangeLock, ErrorCode][] = [
    ['before the file', read(-1, 5), 'EINVAL'],
    ['that reach before the file', read(3, -4), 'EINVAL'],
    ['at half a byte', read(0.5, 1), 'EINVAL'],
    ['of no length', read(0, NaN), 'EINVAL'],
    ['past every offset', read(2 ** 53 - 1, 2), 'EOVERFLOW'],
    ['of no type', { ...read(0, 1), type: 'both' as 'read' }, 'EINVAL'],
  ]
  for (const [what, lock, code] of none) {
    test(`${what} are ${code}`, async () => {
      const locks = new Locks()
      fails(code, () => locks.tryLock(FILE, A, lock))
      fails(code, () => void locks.test(FILE, A, lock))
      await assert.rejects(locks.lock(FILE, A, lock), { code })
      assert.deepEqual([locks.held, locks.waiting], [0, 0])
    })
  }

  test("of a process and of its handles are in each other's way", () => {
    const locks = new Locks()
    const other = locker('A', 'another handle')
    locks.tryLock(FILE, A, ofd(write(0, 5)))
    fails('EAGAIN', () => locks.tryLock(FILE, A, read(0, 1)))
    fails('EAGAIN', () => locks.tryLock(FILE, other, ofd(read(4, 1))))
    locks.tryLock(FILE, other, write(5, 5))
    locks.tryLock(FILE, A, write(10, 1))
    assert.deepEqual(found(locks), ["write 0+5 A's handle", 'write 5+6 A'])
    assert.deepEqual(locks.test(FILE, other, read(0, 0)), {
      type: 'write',
      start: 0,
      length: 5,
      ofd: true,
      owner: "A's handle",
    })
    locks.unlock(FILE, other, { start: 0, length: 0, ofd: true })
    locks.unlock(FILE, A, { start: 0, length: 0, ofd: true })
    assert.deepEqual(found(locks), ['write 5+6 A'])
  })

  test('all go when any handle of the process on the file is closed', () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, write(0, 5))
    locks.tryLock(FILE, locker('A', 'second'), read(20, 5))
    locks.tryLock(FILE, A, ofd(read(30, 5)))
    locks.tryLock(FILE + 1, A, write(0, 5))
    locks.releaseOwner(FILE, 'A')
    assert.deepEqual(found(locks), ["read 30+5 A's handle"])
    locks.releaseHandle(FILE, A.handle)
    assert.deepEqual([found(locks), locks.held], [[], 1])
    locks.releaseOwner(FILE, 'nobody')
    locks.releaseHandle(FILE + 1, A.handle)
    locks.releaseOwner(FILE + 1, 'A')
    assert.equal(locks.held, 0)
  })

  test('of one owner are told from those of a handle with the same name', () => {
    const locks = new Locks()
    const same = { owner: 5, handle: 5 }
    locks.tryLock(FILE, same, write(0, 5))
    fails('EAGAIN', () => locks.tryLock(FILE, same, ofd(write(0, 5))))
    locks.releaseHandle(FILE, 5)
    assert.equal(locks.held, 1)
  })
})

describe('waiting for a range lock', () => {
  test('ends when the last one in the way is gone', async () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, read(0, 5))
    locks.tryLock(FILE, B, read(5, 5))
    const wait = new Wait(locks.lock(FILE, C, write(4, 2)))
    assert.equal(await wait.now(), 'waits')
    locks.unlock(FILE, A, { start: 0, length: 4 })
    assert.equal(await wait.now(), 'waits')
    locks.unlock(FILE, A, { start: 4, length: 1 })
    assert.equal(await wait.now(), 'waits')
    locks.releaseOwner(FILE, 'B')
    assert.equal(await wait.now(), 'granted')
    assert.deepEqual([found(locks), locks.waiting], [['write 4+2 C'], 0])
  })

  test('ends when a writer becomes a reader', async () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, write(0, 5))
    const wait = new Wait(locks.lock(FILE, B, read(0, 5)))
    locks.tryLock(FILE, A, read(0, 5))
    assert.equal(await wait.now(), 'granted')
  })

  test('is in line: readers that come later do not starve a writer', async () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, read(0, 5))
    const writer = new Wait(locks.lock(FILE, B, write(0, 5)))
    const readers = Array.from({ length: 5 }, (_, i) => {
      return new Wait(locks.lock(FILE, locker(`reader ${i}`), read(0, 5)))
    })
    const aside = new Wait(locks.lock(FILE, locker('aside'), read(5, 5)))
    assert.equal(await aside.now(), 'granted')
    for (const reader of readers) assert.equal(await reader.now(), 'waits')
    locks.unlock(FILE, A, { start: 0, length: 0 })
    assert.equal(await writer.now(), 'granted')
    for (const reader of readers) assert.equal(await reader.now(), 'waits')
    locks.unlock(FILE, B, { start: 0, length: 0 })
    for (const reader of readers) assert.equal(await reader.now(), 'granted')
  })

  test('is not in line for who holds something: that could close a circle', async () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, read(0, 5))
    const writer = new Wait(locks.lock(FILE, B, write(0, 9)))
    const upgrade = new Wait(locks.lock(FILE, A, write(3, 6)))
    assert.equal(await upgrade.now(), 'granted')
    locks.releaseOwner(FILE, 'A')
    assert.equal(await writer.now(), 'granted')
  })

  test('without waiting goes past the line', async () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, read(0, 5))
    const writer = new Wait(locks.lock(FILE, B, write(0, 5)))
    assert.equal(locks.test(FILE, C, read(0, 5)), null)
    locks.tryLock(FILE, C, read(0, 5))
    locks.releaseOwner(FILE, 'A')
    assert.equal(await writer.now(), 'waits')
    locks.releaseOwner(FILE, 'C')
    assert.equal(await writer.now(), 'granted')
  })

  test('is EINTR when it is given up, and those behind go on', async () => {
    const locks = new Locks()
    const patience = new AbortController()
    locks.tryLock(FILE, A, read(0, 5))
    const writer = new Wait(locks.lock(FILE, B, write(0, 5), patience.signal))
    const reader = new Wait(locks.lock(FILE, C, read(0, 5)))
    assert.equal(await reader.now(), 'waits')
    patience.abort()
    assert.deepEqual([await writer.now(), await reader.now()], ['EINTR', 'granted'])
    const late = new Wait(locks.lock(FILE, B, write(0, 5), patience.signal))
    assert.equal(await late.now(), 'EINTR')
    const free = new Wait(locks.lock(FILE, B, write(5, 5), patience.signal))
    assert.equal(await free.now(), 'granted')
    assert.equal(locks.waiting, 0)
  })

  test('that is over does not end again when its signal aborts', async () => {
    const locks = new Locks()
    const patience = new AbortController()
    locks.tryLock(FILE, A, read(0, 5))
    const writer = new Wait(locks.lock(FILE, B, write(0, 5), patience.signal))
    locks.releaseOwner(FILE, 'A')
    patience.abort()
    assert.equal(await writer.now(), 'granted')
    assert.deepEqual(found(locks), ['write 0+5 B'])
  })

  test('is EBADF when its handle is closed, and only then', async () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, write(0, 5))
    const one = new Wait(locks.lock(FILE, locker('B', 1), read(0, 5)))
    const two = new Wait(locks.lock(FILE, locker('B', 2), read(0, 5)))
    const three = new Wait(locks.lock(FILE, locker('B', 1), ofd(read(0, 5))))
    locks.releaseHandle(FILE, 1)
    locks.releaseOwner(FILE, 'B')
    assert.deepEqual([await one.now(), await two.now()], ['EBADF', 'waits'])
    assert.equal(await three.now(), 'EBADF')
    locks.releaseOwner(FILE, 'A')
    assert.equal(await two.now(), 'granted')
  })
})

test('two waits of one handle are both EBADF when it is closed, though one was in the way', async () => {
  const locks = new Locks()
  locks.tryLock(FILE, A, read(0, 5))
  const writer = new Wait(locks.lock(FILE, locker('B', 1), ofd(write(0, 5))))
  const reader = new Wait(locks.lock(FILE, locker('B', 1), read(0, 5)))
  assert.deepEqual([await writer.now(), await reader.now()], ['waits', 'waits'])
  locks.releaseHandle(FILE, 1)
  assert.deepEqual([await writer.now(), await reader.now()], ['EBADF', 'EBADF'])
  assert.deepEqual([locks.held, locks.waiting], [1, 0])
})

function chain(n: number, lock: (i: number) => Locker): [Locks, Wait[]] {
  const locks = new Locks()
  for (let i = 0; i < n; i++) locks.tryLock(FILE, lock(i), write(i, 1))
  const waits = Array.from({ length: n - 1 }, (_, i) => {
    return new Wait(locks.lock(FILE, lock(i), write(i + 1, 1)))
  })
  return [locks, waits]
}

describe('a circle of waits', () => {
  for (const n of [2, 3, 4, 12, 1000]) {
    test(`of ${n} processes is EDEADLK for the one that closes it`, async () => {
      const [locks, waits] = chain(n, (i) => locker(`P${i}`))
      const last = locker(`P${n - 1}`)
      await assert.rejects(locks.lock(FILE, last, write(0, 1)), { code: 'EDEADLK' })
      fails('EAGAIN', () => locks.tryLock(FILE, last, write(0, 1)))
      // It still has its lock, and what it gives up goes from one to the next.
      locks.releaseOwner(FILE, last.owner)
      for (let i = n - 2; i >= 0; i--) {
        assert.equal(await waits[i]!.now(), 'granted')
        locks.releaseOwner(FILE, `P${i}`)
      }
      assert.deepEqual([locks.held, locks.waiting], [0, 0])
    })
  }

  test('is found over several files, and by who waits for several', async () => {
    const locks = new Locks()
    locks.tryLock(1, A, read(0, 1))
    locks.tryLock(1, B, read(0, 1))
    locks.tryLock(2, C, write(0, 1))
    const wait = new Wait(locks.lock(2, B, read(0, 1)))
    await assert.rejects(locks.lock(1, C, write(0, 0)), { code: 'EDEADLK' })
    locks.releaseOwner(1, 'B')
    const other = new Wait(locks.lock(1, C, write(0, 0)))
    assert.deepEqual([await wait.now(), await other.now()], ['waits', 'waits'])
  })

  test('of two upgrades of the same bytes is one', async () => {
    const locks = new Locks()
    locks.tryLock(FILE, A, read(0, 1))
    locks.tryLock(FILE, B, read(0, 1))
    const first = new Wait(locks.lock(FILE, A, write(0, 1)))
    await assert.rejects(locks.lock(FILE, B, write(0, 1)), { code: 'EDEADLK' })
    locks.releaseOwner(FILE, 'B')
    assert.equal(await first.now(), 'granted')
  })

  test('is not looked for among handles, and ends when one is closed', async () => {
    const locks = new Locks()
    locks.tryLock(1, A, ofd(write(0, 1)))
    locks.tryLock(2, B, ofd(write(0, 1)))
    const one = new Wait(locks.lock(2, A, ofd(write(0, 1))))
    const two = new Wait(locks.lock(1, B, ofd(write(0, 1))))
    assert.deepEqual([await one.now(), await two.now()], ['waits', 'waits'])
    locks.releaseHandle(1, B.handle)
    locks.releaseHandle(2, B.handle)
    assert.deepEqual([await one.now(), await two.now()], ['granted', 'EBADF'])
  })

  test('that was broken is none: who waits for nobody any more closes no circle', async () => {
    const [locks, waits] = chain(3, (i) => locker(`P${i}`))
    locks.releaseOwner(FILE, 'P2')
    assert.deepEqual([await waits[0]!.now(), await waits[1]!.now()], ['waits', 'granted'])
    const third = new Wait(locks.lock(FILE, locker('P2'), write(0, 1)))
    assert.equal(await third.now(), 'waits')
  })
})
