import assert from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import type { Prng } from '../../src/base/prng.js'
import { BitmapChunk, CHUNK_BLOCKS } from '../../src/media/bitmap.js'
import type { Core } from '../../src/volume/core.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { LONG, newCore, seeded } from './support.js'

/** What a block is, in a plain array: the second opinion. */
const FREE = 0
const USED = 1
/** Freed, and waiting: for the running transaction's record, for a flush, for the checkpoint. */
const UNTIL_DURABLE = 2
const UNTIL_HOME = 3

class Reference {
  readonly core: Core
  readonly state: Uint8Array
  /** Runs that are allocated: start, count. */
  readonly runs: Array<[start: number, count: number]> = []

  constructor(core: Core) {
    this.core = core
    const { blockCount, dataStart } = core.geometry
    this.state = new Uint8Array(blockCount)
    // The areas, and the slab of the root inode.
    this.state.fill(USED, 0, dataStart + 1)
  }

  count(what: number): number {
    return this.state.reduce((sum, one) => sum + (one === what ? 1 : 0), 0)
  }

  /** FREE for blocks that waited for this. */
  lift(what: number): void {
    for (let i = 0; i < this.state.length; i++) if (this.state[i] === what) this.state[i] = FREE
  }

  allocate(prng: Prng): void {
    const { allocator, geometry } = this.core
    const goal = prng.chance(1, 3) ? prng.below(geometry.blockCount + 10) : 0
    const want = 1 + prng.below(prng.chance(1, 4) ? 5000 : 30)
    allocator.allocate(goal, want)
    const { start, count } = allocator
    assert.ok(count >= 1 && count <= want)
    for (let block = start; block < start + count; block++) {
      assert.equal(this.state[block], FREE, `block ${block} is handed out`)
    }
    if (goal >= geometry.dataStart && this.state[goal] === FREE) assert.equal(start, goal)
    this.state.fill(USED, start, start + count)
    this.runs.push([start, count])
  }

  /** Frees all or a part of a run. */
  release(prng: Prng): void {
    const index = prng.below(this.runs.length)
    const [start, count] = this.runs[index]!
    const metadata = prng.chance(1, 3)
    const from = prng.below(count)
    const length = 1 + prng.below(count - from)
    this.core.allocator.release(start + from, length, metadata)
    this.state.fill(metadata ? UNTIL_HOME : UNTIL_DURABLE, start + from, start + from + length)
    const rest: Array<[number, number]> = []
    if (from > 0) rest.push([start, from])
    if (from + length < count) rest.push([start + from + length, count - from - length])
    this.runs.splice(index, 1, ...rest)
  }

  check(): void {
    const { allocator, state, geometry, pages } = this.core
    const waiting = this.count(UNTIL_DURABLE) + this.count(UNTIL_HOME)
    assert.equal(allocator.quarantined, waiting)
    assert.equal(allocator.available, this.count(FREE))
    assert.equal(state.freeBlocks, this.count(FREE) + waiting)
    for (let chunk = 0; chunk < geometry.chunks; chunk++) {
      const block = geometry.bitmapStart + (chunk >>> 3)
      const base = pages.find(block, 2)
      if (base < 0) continue
      const at = base + (chunk & 7) * BitmapChunk.size
      let clear = 0
      for (let bit = 0; bit < CHUNK_BLOCKS; bit++) {
        const set = (pages.u8[at + 32 + (bit >>> 3)]! >>> (bit & 7)) & 1
        const number = chunk * CHUNK_BLOCKS + bit
        const used = number >= geometry.blockCount || this.state[number] === USED
        assert.equal(set, used ? 1 : 0, `the bit of block ${number}`)
        clear += 1 - set
      }
      assert.equal(pages.u32[(at >>> 2) + BitmapChunk.word.free], clear)
    }
  }
}

function churn(t: TestContext, sync: SyncMode): void {
  const prng = seeded(t)
  const core = newCore(t, { bytes: 40 * 1024 * 1024, sync })
  const reference = new Reference(core)
  const { transaction, pages, allocator } = core
  for (let i = 0; i < 300 * LONG; i++) {
    pages.tick()
    transaction.run(0, false, () => {
      for (let n = prng.below(4); n >= 0; n--) {
        if (reference.runs.length > 0 && prng.chance(1, 2)) reference.release(prng)
        else if (allocator.available > 100) reference.allocate(prng)
      }
    })
    if (sync === 'always') reference.lift(UNTIL_DURABLE)
    reference.check()
    if (prng.chance(1, 8)) {
      transaction.flush()
      reference.lift(UNTIL_DURABLE)
    }
    if (prng.chance(1, 20)) {
      transaction.checkpoint()
      reference.lift(UNTIL_DURABLE)
      reference.lift(UNTIL_HOME)
    }
    reference.check()
  }
}

describe('the allocator does as an array of states does', () => {
  for (const sync of ['always', 'group'] as const) {
    test(`with sync=${sync}`, (t) => churn(t, sync))
  }
})

test('every block of a volume can be handed out, once', (t) => {
  const core = newCore(t, { bytes: 20 * 1024 * 1024 })
  const reference = new Reference(core)
  const { allocator, transaction, pages } = core
  while (allocator.available > 0) {
    pages.tick()
    transaction.run(-1000, true, () => {
      allocator.allocate(0, 100)
      for (let i = 0; i < allocator.count; i++) {
        assert.equal(reference.state[allocator.start + i], FREE)
        reference.state[allocator.start + i] = USED
      }
    })
  }
  reference.check()
  assert.throws(() => transaction.require(1), /ENOSPC/)
})

test('large files get whole groups of 2 MiB, aligned in the region, in chunks of either half', (t) => {
  const GROUP = 512
  // 13 chunks of seven and a half groups: the eighth is the last of its page of the bitmap.
  const core = newCore(t, { bytes: 200 * 1024 * 1024 })
  const reference = new Reference(core)
  const { allocator, transaction, pages, geometry } = core
  const seen = new Set<number>()
  for (let aligned = true; aligned;) {
    pages.tick()
    transaction.run(0, true, () => allocator.allocate(0, GROUP, 0))
    const { start, count } = allocator
    aligned = count === GROUP && start % GROUP === 0
    if (aligned) seen.add(Math.floor(start / CHUNK_BLOCKS))
    for (let block = start; block < start + count; block++) {
      assert.equal(reference.state[block], FREE, `block ${block} is handed out`)
      reference.state[block] = USED
    }
    reference.check()
  }
  assert.equal(seen.size, geometry.chunks)
})

test('blocks freed while a flush is on its way wait for the next one', async (t) => {
  const core = newCore(t, { sync: 'group' })
  const { allocator, transaction, pages } = core
  const run = (change: () => void) => {
    pages.tick()
    transaction.run(0, true, change)
  }
  run(() => allocator.allocate(0, 10))
  const { start } = allocator
  run(() => allocator.release(start, 4, false))
  const flushed = transaction.flushAsync()
  run(() => allocator.release(start + 4, 3, false))
  assert.equal(allocator.quarantined, 7)
  await flushed
  assert.equal(allocator.quarantined, 3, 'the first four were freed before the flush')
  transaction.flush()
  assert.equal(allocator.quarantined, 0)
})

test('a page of metadata waits for the checkpoint, also where every commit is durable', (t) => {
  const { allocator, transaction, pages } = newCore(t)
  pages.tick()
  transaction.run(1, false, () => allocator.allocate(0, 1))
  const { start } = allocator
  transaction.run(0, true, () => allocator.release(start, 1, true))
  transaction.flush()
  transaction.run(1, false, () => allocator.allocate(start, 1))
  assert.notEqual(allocator.start, start)
  transaction.checkpoint()
  pages.tick()
  transaction.run(1, false, () => allocator.allocate(start, 1))
  assert.equal(allocator.start, start)
})

test('when space runs out, what waits for the checkpoint is brought back first', (t) => {
  const { allocator, transaction, pages } = newCore(t)
  pages.tick()
  const runs: Array<[number, number]> = []
  transaction.run(0, false, () => {
    while (allocator.available > 20) {
      allocator.allocate(0, allocator.available - 20)
      runs.push([allocator.start, allocator.count])
    }
  })
  transaction.run(0, true, () => allocator.release(runs[0]![0], 50, true))
  assert.equal(allocator.available, 20)
  pages.tick()
  transaction.begin(40)
  assert.equal(allocator.available, 70)
  transaction.commit()
})

test('a block that is freed twice is noticed before it is logged', (t) => {
  const { allocator, transaction, pages, log } = newCore(t)
  pages.tick()
  transaction.run(8, false, () => allocator.allocate(0, 8))
  const { start } = allocator
  transaction.run(0, true, () => allocator.release(start + 2, 2, false))
  const { head } = log
  const again = () => allocator.release(start, 8, false)
  assert.throws(() => transaction.run(0, true, again), /a block has one owner/)
  assert.equal(log.head, head)
  // After a change there is no way back but to open the volume again.
  const late = () => {
    allocator.allocate(0, 1)
    again()
  }
  assert.throws(() => transaction.run(1, true, late), /EIO.*a block has one owner/)
  assert.equal(log.head, head)
  assert.throws(() => transaction.begin(0), /EIO/)
})
