/** The frame table at random against a plain counter a block. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Frames } from '../../src/volume/frames.js'
import { GROUP_BLOCKS } from '../../src/volume/free_map.js'
import { LONG, seeded } from './support.js'

const BLOCKS = 5 * GROUP_BLOCKS + 100

test('a run that was counted as one can be taken away in parts', () => {
  const frames = new Frames(BLOCKS)
  assert.equal(frames.add(0, 2 * GROUP_BLOCKS), 2 * GROUP_BLOCKS)
  assert.equal(frames.drop(0, 100), 100)
  assert.equal(frames.held(99), false)
  assert.equal(frames.held(100), true)
  assert.equal(frames.drop(100, 2 * GROUP_BLOCKS - 100), 2 * GROUP_BLOCKS - 100)
  assert.equal(frames.distinct, 0)
})

test('what was counted in parts can be taken away as one run', () => {
  const frames = new Frames(BLOCKS)
  frames.add(0, 100)
  frames.add(100, GROUP_BLOCKS - 100)
  assert.equal(frames.drop(0, GROUP_BLOCKS), GROUP_BLOCKS)
  assert.equal(frames.distinct, 0)
})

test('counts go past what two bytes hold', () => {
  const frames = new Frames(BLOCKS)
  const times = 0x1_0001
  for (let i = 0; i < times; i++) frames.add(7, 2)
  const narrow = frames.byteLength
  frames.add(3 * GROUP_BLOCKS + 5, GROUP_BLOCKS)
  assert.equal(frames.byteLength, narrow)
  assert.deepEqual([frames.of(6), frames.of(7), frames.of(8), frames.of(9)], [0, times, times, 0])
  for (let i = 0; i < times; i++) frames.drop(7, 2)
  assert.equal(frames.distinct, GROUP_BLOCKS)
  assert.equal(frames.held(7), false)
})

test('a group counted as one is broken up over counts at their narrow limit', () => {
  const frames = new Frames(BLOCKS)
  for (let i = 0; i < 0xffff; i++) frames.add(9, 1)
  frames.add(0, GROUP_BLOCKS)
  assert.equal(frames.drop(0, 9), 9)
  assert.deepEqual([frames.of(8), frames.of(9), frames.of(10)], [0, 0x1_0000, 1])
  assert.equal(frames.drop(10, GROUP_BLOCKS - 10), GROUP_BLOCKS - 10)
  for (let i = 0; i < 0x1_0000; i++) frames.drop(9, 1)
  assert.equal(frames.distinct, 0)
})

test('what was never counted is not taken away', () => {
  const frames = new Frames(BLOCKS)
  frames.add(GROUP_BLOCKS, 100)
  const broken = /only what was counted/
  assert.throws(() => frames.drop(GROUP_BLOCKS, GROUP_BLOCKS), broken)
  assert.throws(() => frames.drop(3 * GROUP_BLOCKS, 1), broken)
})

/** Ends near the borders of groups, where what is counted changes its place. */
const place = fc.oneof(
  fc.nat(BLOCKS),
  fc
    .tuple(fc.nat(5), fc.integer({ min: -2, max: 2 }))
    .map(([g, d]) => Math.min(BLOCKS, Math.max(0, g * GROUP_BLOCKS + d))),
)
const steps = fc.array(fc.tuple(fc.boolean(), place, place), { maxLength: 40, size: 'max' })

function compared(list: readonly (readonly [boolean, number, number])[]): void {
  const frames = new Frames(BLOCKS)
  const counts = new Uint32Array(BLOCKS)
  for (const [add, a, b] of list) {
    const [start, end] = [Math.min(a, b), Math.max(a, b)]
    const part = counts.subarray(start, end)
    if (end === start || (!add && part.includes(0))) continue
    let changed = 0
    for (let i = 0; i < part.length; i++) {
      if (part[i] === (add ? 0 : 1)) changed++
      part[i]! += add ? 1 : -1
    }
    const count = end - start
    assert.equal(add ? frames.add(start, count) : frames.drop(start, count), changed)
    assert.equal(
      frames.distinct,
      counts.reduce((n, c) => n + (c > 0 ? 1 : 0), 0),
    )
    assert.equal(
      frames.any(start, count),
      part.some((c) => c > 0),
    )
  }
  for (let block = 0; block < BLOCKS; block++) assert.equal(frames.of(block), counts[block])
  for (let block = 0; block < BLOCKS; block += frames.count) {
    const held = frames.runAt(block, BLOCKS - block)
    const next = counts.subarray(block).findIndex((c) => c > 0 !== held)
    assert.equal(frames.count, next < 0 ? BLOCKS - block : next)
    assert.equal(held, counts[block]! > 0)
  }
}

test('runs counted and taken away at random leave the counts of every block', (t) => {
  const seed = seeded(t).next()
  fc.assert(fc.property(steps, compared), { seed, numRuns: 300 * LONG })
})
