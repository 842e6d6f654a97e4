/** The table of holds: ids, states, listings, and what a hold costs in memory. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES, HOLDS_MAX } from '../../src/base/limits.js'
import { HoldTable } from '../../src/layout/hold_table.js'
import type { HeldClass } from '../../src/layout/table.js'
import { collect } from '../native/garbage.js'
import { seeded } from './support.js'

const OWNER = { session: 3, name: 'nic0', uid: 1000 }
const STALE = { name: 'HoldfastError', code: 'ESTALE' }

test('the first holds have the ids 1, 2 and 3', () => {
  const table = new HoldTable()
  const slots = [1, 2, 3].map(() => table.add('pin', 7, 3, 0, ''))
  assert.deepEqual(
    slots.map((slot) => table.idOf(slot)),
    [1, 2, 3],
  )
  assert.deepEqual(
    [1, 2, 3].map((id) => table.slotOf(id)),
    slots,
  )
})

test('a hold that has ended is ESTALE, also when another stands in its slot', () => {
  const table = new HoldTable()
  const slot = table.add('pin', 7, 3, 0, 'first')
  const id = table.idOf(slot)
  table.remove(slot)
  assert.throws(() => table.slotOf(id), STALE)
  assert.equal(table.add('seal', 8, 4, 0, 'second'), slot)
  assert.throws(() => table.slotOf(id), STALE)
  assert.equal(table.find(id), -1)
  const later = table.idOf(slot)
  assert.equal(later, HOLDS_MAX + 1)
  assert.equal(table.reasonOf(table.slotOf(later)), 'second')
})

test('what was never an id is ESTALE', () => {
  const table = new HoldTable()
  table.add('pin', 7, 3, 0, '')
  for (const id of [0, -1, 2, 1.5, NaN, Infinity, 2 ** 53, HOLDS_MAX, HOLDS_MAX + 1]) {
    assert.throws(() => table.slotOf(id), STALE, String(id))
  }
})

test('no id is given twice, however often slots are used again', (t) => {
  const prng = seeded(t)
  const table = new HoldTable(8, 50)
  const seen = new Set<number>()
  const live: number[] = []
  const ended: number[] = []
  for (let i = 0; i < 8 * 50;) {
    if (live.length === 8 || (live.length > 0 && prng.chance(1, 2))) {
      const [id] = live.splice(prng.below(live.length), 1)
      table.remove(table.slotOf(id!))
      ended.push(id!)
      continue
    }
    let slot: number
    try {
      slot = table.add('pin', 1, 1, 0, '')
    } catch {
      // Every slot is in use or at the end of its generations.
      assert.ok(live.length > 0)
      const id = live.pop()!
      table.remove(table.slotOf(id))
      ended.push(id)
      continue
    }
    const id = table.idOf(slot)
    assert.ok(!seen.has(id), `id ${id} is given twice`)
    seen.add(id)
    live.push(id)
    i++
  }
  for (const id of ended) assert.equal(table.find(id), -1)
  for (const id of live) table.remove(table.slotOf(id))
  // Each slot has had its fifty; an id that came round would be an old one.
  assert.throws(() => table.add('pin', 1, 1, 0, ''), { code: 'ENOMEM' })
})

test('past the room for holds is ENOMEM, which says how many are out', () => {
  const table = new HoldTable(2)
  const slot = table.add('pin', 1, 1, 0, '')
  table.add('pin', 1, 1, 0, '')
  const refused = { code: 'ENOMEM', message: /2 holds are out/ }
  assert.throws(() => table.add('pin', 1, 1, 0, ''), refused)
  assert.equal(table.size, 2)
  table.remove(slot)
  table.add('pin', 1, 1, 0, '')
})

test('a hold is what it was taken as', () => {
  const table = new HoldTable()
  const expected: readonly (readonly [HeldClass, string, string | null])[] = [
    ['pin', 'pin', null],
    ['seal', 'seal', null],
    ['readLease', 'lease', 'read'],
    ['rwLease', 'lease', 'rw'],
  ]
  for (const [held, kind, iomode] of expected) {
    const slot = table.add(held, 7, 3, 1234.5, held)
    assert.equal(table.classOf(slot), held)
    assert.equal(table.kindOf(slot), kind)
    assert.equal(table.iomodeOf(slot), iomode)
    assert.equal(table.stateOf(slot), 'held')
    assert.equal(table.inodeOf(slot), 7)
    assert.equal(table.ownerOf(slot), 3)
    assert.equal(table.sinceOf(slot), 1234.5)
    assert.equal(table.reasonOf(slot), held)
    assert.equal(table.runsOf(slot), 0)
    table.setRuns(slot, 12)
    assert.equal(table.runsOf(slot), 12)
    table.recall(slot, 99.5)
    assert.equal(table.classOf(slot), held)
  }
})

test('a hold is listed with its ranges in file order, neighbours joined', () => {
  const table = new HoldTable()
  const slot = table.add('pin', 7, 3, 5000, 'NIC 0')
  table.pieces.add(slot, 7, 30, 40)
  table.pieces.add(slot, 7, 0, 10)
  table.pieces.add(slot, 7, 10, 20)
  const block = BLOCK_BYTES
  assert.deepEqual(table.info(slot, OWNER, 100), {
    id: 1,
    kind: 'pin',
    iomode: null,
    ino: 7,
    ranges: [
      { offset: 0, length: 20 * block },
      { offset: 30 * block, length: 10 * block },
    ],
    owner: OWNER,
    reason: 'NIC 0',
    since: 5000,
    deadline: null,
    state: 'held',
    bytes: 30 * block,
  })
})

test('what stands in limbo is no range of the file, and still counts as bytes held', () => {
  const table = new HoldTable()
  const slot = table.add('pin', 7, 3, 0, '')
  table.pieces.add(slot, 7, 0, 10)
  table.pieces.cut(7, 2, 4, (hold, start, end) =>
    table.pieces.add(hold, 999, 500 + start, 500 + end),
  )
  table.setState(slot, 'deferred')
  const { ranges, bytes, state } = table.info(slot, OWNER, 0)
  assert.deepEqual(ranges, [
    { offset: 0, length: 2 * BLOCK_BYTES },
    { offset: 4 * BLOCK_BYTES, length: 6 * BLOCK_BYTES },
  ])
  assert.equal(bytes, 10 * BLOCK_BYTES)
  assert.equal(state, 'deferred')
})

test('a recalled hold has the time left, never less than none; others have no deadline', () => {
  const table = new HoldTable()
  const slot = table.add('rwLease', 7, 3, 0, '')
  const deadline = (now: number): number | null => table.info(slot, OWNER, now).deadline
  assert.equal(deadline(0), null)
  table.recall(slot, 5000)
  assert.equal(table.stateOf(slot), 'recalled')
  assert.equal(deadline(2000), 3000)
  assert.equal(deadline(6000), 0)
  table.setState(slot, 'fenced')
  assert.equal(table.stateOf(slot), 'fenced')
  assert.equal(deadline(2000), null)
  assert.equal(table.deadlineOf(slot), 0)
})

test('the end of a hold takes its pieces, and a later one in its slot has none of it', () => {
  const table = new HoldTable()
  const slot = table.add('rwLease', 7, 3, 0, 'old')
  table.pieces.add(slot, 7, 0, 10)
  table.recall(slot, 5000)
  table.setRuns(slot, 4)
  table.remove(slot)
  assert.equal(table.pieces.any(7, 0, Infinity), false)
  assert.equal(table.add('pin', 8, 4, 9, ''), slot)
  assert.deepEqual(table.info(slot, OWNER, 0), {
    id: HOLDS_MAX + 1,
    kind: 'pin',
    iomode: null,
    ino: 8,
    ranges: [],
    owner: OWNER,
    reason: '',
    since: 9,
    deadline: null,
    state: 'held',
    bytes: 0,
  })
  assert.equal(table.runsOf(slot), 0)
})

test('the holds of an owner are found, and may be ended as they are', () => {
  const table = new HoldTable()
  for (let i = 0; i < 30; i++) table.add('pin', i, i % 3, 0, '')
  table.ofOwner(1, (slot) => table.remove(slot))
  assert.equal(table.size, 20)
  const left: number[] = []
  table.each((slot) => left.push(table.ownerOf(slot)))
  assert.equal(left.length, 20)
  assert.ok(!left.includes(1))
})

test('a slot that holds nothing is asked for by mistake only', () => {
  const table = new HoldTable()
  const slot = table.add('pin', 1, 1, 0, '')
  table.remove(slot)
  const broken = /holds something/
  assert.throws(() => table.remove(slot), broken)
  assert.throws(() => table.idOf(slot), broken)
  assert.throws(() => table.recall(slot, 1), broken)
  assert.throws(() => table.setState(slot, 'fenced'), broken)
  assert.throws(() => table.setRuns(slot, 1), broken)
  assert.throws(() => table.idOf(77), broken)
})

/** Bytes of the heap that are in use after a collection. */
function heapUsed(): number {
  collect()
  return process.memoryUsage().heapUsed
}

test('a hold with its piece is at most 100 bytes, and no objects of the engine', (t) => {
  const table = new HoldTable()
  const before = heapUsed()
  let worst = 0
  for (let i = 0; i < 120_000; i++) {
    const slot = table.add('pin', 100 + i, i % 50, Date.now(), 'a reason')
    table.pieces.add(slot, 100 + i, 0, 512)
    // Also just after the arrays have grown.
    if (i + 1 >= 10_000) worst = Math.max(worst, table.byteLength / (i + 1))
    if (i + 1 === 100_000) {
      const each = table.byteLength / 100_000
      t.diagnostic(`${each.toFixed(1)} bytes a hold`)
      assert.ok(each <= 100, `${each} bytes`)
    }
  }
  t.diagnostic(`${worst.toFixed(1)} bytes a hold at worst`)
  assert.ok(worst <= 100, `${worst} bytes at worst`)
  // A word a hold, where the reasons are listed, with room to grow by half.
  const heap = (heapUsed() - before) / 120_000
  assert.ok(heap <= 16, `${heap} bytes of heap`)
  assert.equal(table.size, 120_000)
})
