/** Pin limits: distinct blocks a uid and for the volume, ENOMEM beyond, exact at the limit. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HoldfastError } from '../../src/base/errors.js'
import { PinLimits, type PinLimitOptions } from '../../src/layout/limits.js'
import { LONG, seeded } from './support.js'

const BLOCKS = 4096
const ALICE = 1000
const BOB = 1001

function take(limits: PinLimits, uid: number, ...runs: number[]): void {
  limits.check(uid, runs)
  limits.charge(uid, runs)
}

test('a uid may pin up to its limit and not a block more', () => {
  const limits = new PinLimits(BLOCKS, { perUid: 10 })
  take(limits, ALICE, 0, 6)
  take(limits, ALICE, 100, 4)
  assert.equal(limits.usedBy(ALICE), 10)
  assert.throws(() => limits.check(ALICE, [200, 1]), { code: 'ENOMEM' })
  limits.uncharge(ALICE, [0, 1])
  take(limits, ALICE, 200, 1)
})

test('the error names whose limit it is, the limit, the usage, and what was asked for', () => {
  const limits = new PinLimits(BLOCKS, { perUid: 10, volume: 12 })
  take(limits, ALICE, 0, 6)
  const more = /pin limit of uid 1000 is 10 blocks \(40960 bytes\): 6 are pinned .* takes 5 more/
  assert.throws(() => limits.check(ALICE, [4, 7]), { code: 'ENOMEM', message: more })
  const all = /pin limit of this volume is 12 blocks \(49152 bytes\): 6 are .* takes 7 more/
  assert.throws(() => limits.check(BOB, [100, 7]), { code: 'ENOMEM', message: all })
})

test('a block that a uid has pinned already costs it nothing, at the limit too', () => {
  const limits = new PinLimits(BLOCKS, { perUid: 10 })
  take(limits, ALICE, 0, 10)
  take(limits, ALICE, 3, 7)
  take(limits, ALICE, 0, 10)
  limits.uncharge(ALICE, [0, 10])
  assert.equal(limits.usedBy(ALICE), 10)
  limits.uncharge(ALICE, [3, 7])
  limits.uncharge(ALICE, [0, 10])
  assert.equal(limits.usedBy(ALICE), 0)
})

test('one uid is not charged for what another has pinned, and the volume once for both', () => {
  const limits = new PinLimits(BLOCKS, { perUid: 10, volume: 15 })
  take(limits, ALICE, 0, 10)
  take(limits, BOB, 5, 10)
  assert.equal(limits.usedBy(BOB), 10)
  assert.equal(limits.used, 15)
  limits.uncharge(ALICE, [0, 10])
  assert.equal(limits.used, 10)
})

test('blocks still to be allocated are counted before they are there', () => {
  const limits = new PinLimits(BLOCKS, { perUid: 10 })
  take(limits, ALICE, 0, 5)
  limits.check(ALICE, [0, 8], 2)
  assert.throws(() => limits.check(ALICE, [0, 8], 3), { code: 'ENOMEM' })
  limits.check(ALICE, [], 5)
  assert.throws(() => limits.check(ALICE, [], 6), { code: 'ENOMEM' })
})

test('a check charges nothing, whether it lets pass or refuses', () => {
  const limits = new PinLimits(BLOCKS, { perUid: 10, volume: 10 })
  limits.check(ALICE, [0, 10])
  assert.throws(() => limits.check(ALICE, [0, 11]), { code: 'ENOMEM' })
  assert.equal(limits.usedBy(ALICE), 0)
  assert.equal(limits.used, 0)
})

test('root has no limit of its own unless one is given, but has its part in that of all', () => {
  take(new PinLimits(BLOCKS, { perUid: 1 }), 0, 0, BLOCKS)
  const limits = new PinLimits(BLOCKS, { volume: 100 })
  assert.throws(() => limits.check(0, [0, 101]), { code: 'ENOMEM' })
  assert.throws(() => new PinLimits(BLOCKS, { root: 5 }).check(0, [0, 6]), { code: 'ENOMEM' })
})

test('a hold that comes back in other parts than it was taken in is taken back whole', () => {
  const limits = new PinLimits(BLOCKS, { perUid: BLOCKS, volume: BLOCKS })
  take(limits, ALICE, 0, 2048)
  limits.uncharge(ALICE, [0, 5, 6, 2042])
  assert.equal(limits.used, 1)
  limits.uncharge(ALICE, [5, 1])
  assert.equal(limits.used, 0)
  assert.equal(limits.usedBy(ALICE), 0)
})

test('what was not charged cannot be taken back', () => {
  const limits = new PinLimits(BLOCKS, { perUid: 10 })
  assert.throws(() => limits.uncharge(ALICE, [0, 1]), /only what was charged/)
  take(limits, ALICE, 0, 1)
  assert.throws(() => limits.uncharge(ALICE, [1, 1]), /only what was counted/)
})

type Step = readonly [uid: number, start: number, count: number, start: number, count: number]

const small: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom(0, ALICE, BOB),
  fc.nat(60),
  fc.integer({ min: 1, max: 20 }),
  fc.nat(60),
  fc.integer({ min: 1, max: 20 }),
)

/** Lists of what is pinned, counted anew each time. */
function compared(steps: readonly Step[], options: Required<PinLimitOptions>): void {
  const limits = new PinLimits(BLOCKS, options)
  let pins: { uid: number; runs: number[] }[] = []
  const blocksOf = (runs: readonly number[]): number[] => {
    const blocks: number[] = []
    for (let i = 0; i < runs.length; i += 2) {
      for (let b = runs[i]!; b < runs[i]! + runs[i + 1]!; b++) blocks.push(b)
    }
    return blocks
  }
  const used = (more: readonly { uid: number; runs: number[] }[], uid?: number): number => {
    const counted = more.filter((pin) => uid === undefined || pin.uid === uid)
    return new Set(counted.flatMap(({ runs }) => blocksOf(runs))).size
  }
  for (const [uid, ...runs] of steps) {
    const mine = pins.filter((pin) => pin.uid === uid)
    if (mine.length > 3) {
      pins = pins.filter((pin) => pin !== mine[0])
      limits.uncharge(uid, mine[0]!.runs)
    }
    const after = [...pins, { uid, runs }]
    const limit = uid === 0 ? options.root : options.perUid
    const fits = used(after, uid) <= limit && used(after) <= options.volume
    let refused = false
    try {
      limits.check(uid, runs)
    } catch (error) {
      assert.ok(error instanceof HoldfastError && error.code === 'ENOMEM')
      refused = true
    }
    assert.equal(!refused, fits)
    if (refused) continue
    limits.charge(uid, runs)
    pins = after
    assert.equal(limits.usedBy(uid), used(pins, uid))
    assert.equal(limits.used, used(pins))
  }
}

test('pins at random are refused exactly when they would go past a limit', (t) => {
  const seed = seeded(t).next()
  const limit = fc.integer({ min: 10, max: 60 })
  const options = fc.record({ perUid: limit, root: limit, volume: limit })
  const steps = fc.array(small, { maxLength: 40, size: 'max' })
  fc.assert(fc.property(steps, options, compared), { seed, numRuns: 300 * LONG })
})
