/** The index of what holds cover, by hand, at random against a plain array, and at size. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HoldIndex, NO_PIECE } from '../../src/layout/hold_index.js'
import { LONG, seeded } from './support.js'

interface Piece {
  readonly hold: number
  readonly inode: number
  readonly start: number
  readonly end: number
}

type Part = readonly [hold: number, start: number, end: number]

function overlapping(index: HoldIndex, inode: number, from: number, to: number): Part[] {
  const found: Part[] = []
  index.overlapping(inode, from, to, (hold, start, end) => found.push([hold, start, end]))
  return found
}

function piecesOf(index: HoldIndex, hold: number): Piece[] {
  const pieces: Piece[] = []
  for (let piece = index.first(hold); piece !== NO_PIECE; piece = index.next(piece)) {
    const [inode, start, end] = [index.inodeOf(piece), index.startOf(piece), index.endOf(piece)]
    pieces.push({ hold, inode, start, end })
  }
  return pieces
}

function ordered(parts: readonly Part[]): Part[] {
  return [...parts].sort((a, b) => a[1] - b[1] || a[2] - b[2] || a[0] - b[0])
}

test('a range finds the pieces that overlap it by a block, and none that touch it', () => {
  const index = new HoldIndex()
  index.add(1, 7, 10, 20)
  index.add(2, 7, 15, 16)
  index.add(3, 8, 10, 20)
  assert.deepEqual(overlapping(index, 7, 0, 10), [])
  assert.deepEqual(overlapping(index, 7, 0, 11), [[1, 10, 20]])
  assert.deepEqual(overlapping(index, 7, 16, 17), [[1, 10, 20]])
  assert.deepEqual(overlapping(index, 7, 15, 16), [
    [1, 10, 20],
    [2, 15, 16],
  ])
  assert.deepEqual(overlapping(index, 7, 20, Infinity), [])
  assert.deepEqual(overlapping(index, 7, 19, Infinity), [[1, 10, 20]])
  assert.equal(index.any(6, 0, Infinity), false)
  assert.equal(index.any(8, 19, 20), true)
  assert.equal(index.any(9, 0, Infinity), false)
})

test('the same range held many times is that many pieces', () => {
  const index = new HoldIndex()
  for (let hold = 0; hold < 5; hold++) index.add(hold, 1, 3, 4)
  assert.equal(overlapping(index, 1, 3, 4).length, 5)
  index.removeAll(2)
  const left = overlapping(index, 1, 3, 4).map(([hold]) => hold)
  assert.deepEqual(left.sort(), [0, 1, 3, 4])
  index.assertConsistent()
})

test('a cut takes the range out of every piece, and keeps what stands on both sides', () => {
  const index = new HoldIndex()
  index.add(1, 1, 0, 100)
  index.add(2, 1, 10, 30)
  index.add(3, 1, 25, 40)
  index.add(4, 1, 22, 24)
  index.add(5, 2, 0, 100)
  const cut: Part[] = []
  index.cut(1, 20, 30, (hold, start, end) => cut.push([hold, start, end]))
  assert.deepEqual(ordered(cut), [
    [1, 20, 30],
    [2, 20, 30],
    [4, 22, 24],
    [3, 25, 30],
  ])
  assert.deepEqual(ordered(overlapping(index, 1, 0, 100)), [
    [1, 0, 20],
    [2, 10, 20],
    [3, 30, 40],
    [1, 30, 100],
  ])
  assert.deepEqual(
    [1, 2, 3, 4].map((hold) => index.piecesOf(hold)),
    [2, 1, 1, 0],
  )
  assert.deepEqual(
    [1, 2, 3, 4].map((hold) => index.blocksOf(hold)),
    [90, 10, 10, 0],
  )
  assert.deepEqual(overlapping(index, 2, 20, 30), [[5, 0, 100]])
  index.assertConsistent()
})

test('a cut of one hold leaves the others as they are', () => {
  const index = new HoldIndex()
  index.add(1, 1, 0, 10)
  index.add(1, 1, 20, 30)
  index.add(1, 2, 0, 30)
  index.add(2, 1, 0, 30)
  const cut: Part[] = []
  index.cutHold(1, 1, 5, 25, (hold, start, end) => cut.push([hold, start, end]))
  assert.deepEqual(ordered(cut), [
    [1, 5, 10],
    [1, 20, 25],
  ])
  assert.deepEqual(ordered(overlapping(index, 1, 0, 30)), [
    [1, 0, 5],
    [2, 0, 30],
    [1, 25, 30],
  ])
  assert.equal(index.blocksOf(1), 40)
  index.assertConsistent()
})

test('what a cut takes out can be put elsewhere while the cut goes on', () => {
  const index = new HoldIndex()
  for (let i = 0; i < 50; i++) index.add(i, 1, i, i + 10)
  index.cut(1, 20, 30, (hold, start, end) => index.add(hold, 99, 1000 + start, 1000 + end))
  assert.equal(index.any(1, 20, 30), false)
  for (let i = 0; i < 50; i++) assert.equal(index.blocksOf(i), 10)
  assert.equal(overlapping(index, 99, 1020, 1030).length, 19)
  index.assertConsistent()
})

test('a visitor that changes the index while it looks is a bug, and caught', () => {
  const index = new HoldIndex()
  index.add(1, 1, 0, 10)
  const broken = /a visitor changes no pieces/
  assert.throws(() => index.overlapping(1, 0, 1, (hold) => index.add(hold, 2, 0, 1)), broken)
  assert.throws(() => index.overlapping(1, 0, 1, (hold) => index.removeAll(hold)), broken)
  index.removeAll(1)
  assert.equal(index.size, 0)
})

test('an empty piece, and one past where files end, are refused', () => {
  const index = new HoldIndex()
  assert.throws(() => index.add(1, 1, 5, 5), /not empty/)
  assert.throws(() => index.add(1, 1, 5, 4), /not empty/)
  assert.throws(() => index.add(1, 1, 0, 0x1_0000_0000), /where a file may end/)
  assert.throws(() => index.add(1, 0x1_0000_0000, 0, 1), /inode number/)
  index.add(1, 0xffff_ffff, 0, 0xffff_ffff)
  assert.equal(index.any(0xffff_ffff, 0xffff_fffe, Infinity), true)
  assert.equal(index.blocksOf(1), 0xffff_ffff)
  index.add(1, 1, 0, 1)
  assert.equal(index.blocksOf(1), 0x1_0000_0000)
})

type Step = readonly [
  verb: 'add' | 'end' | 'cut' | 'move' | 'cutHold' | 'look',
  hold: number,
  inode: number,
  start: number,
  length: number,
]

const LIMBO = 100
/** Few holds, files and blocks: steps are to meet. */
const step: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom('add', 'add', 'add', 'end', 'cut', 'move', 'cutHold', 'look'),
  fc.nat(8),
  fc.integer({ min: 1, max: 3 }),
  fc.nat(60),
  fc.integer({ min: 1, max: 30 }),
)

/** What holds cover, as a plain array. */
class Model {
  pieces: Piece[] = []

  overlapping(inode: number, from: number, to: number): Piece[] {
    return this.pieces.filter((p) => p.inode === inode && p.start < to && p.end > from)
  }

  /** Takes [from, to) out of some pieces; the parts that were taken out. */
  cut(hits: readonly Piece[], from: number, to: number): Piece[] {
    const parts: Piece[] = []
    this.pieces = this.pieces.flatMap((p) => {
      if (!hits.includes(p)) return [p]
      parts.push({ ...p, start: Math.max(p.start, from), end: Math.min(p.end, to) })
      const sides = [
        { ...p, end: Math.min(p.end, from) },
        { ...p, start: Math.max(p.start, to) },
      ]
      return sides.filter(({ start, end }) => start < end)
    })
    return parts
  }
}

function take(index: HoldIndex, model: Model, [verb, hold, inode, from, length]: Step): void {
  const to = length === 30 ? Infinity : from + length
  if (verb === 'add') {
    index.add(hold, inode, from, from + length)
    model.pieces.push({ hold, inode, start: from, end: from + length })
  } else if (verb === 'end') {
    index.removeAll(hold)
    model.pieces = model.pieces.filter((p) => p.hold !== hold)
  } else if (verb === 'look') {
    assert.equal(index.any(inode, from, to), model.overlapping(inode, from, to).length > 0)
    const found = overlapping(index, inode, from, to)
    const expected = model.overlapping(inode, from, to)
    assert.deepEqual(ordered(found), ordered(expected.map((p) => [p.hold, p.start, p.end])))
    for (const [i, part] of found.entries()) assert.ok(i === 0 || found[i - 1]![1] <= part[1])
  } else {
    const parts: Part[] = []
    const visit = (who: number, start: number, end: number): void => {
      parts.push([who, start, end])
      if (verb === 'move') index.add(who, LIMBO, 500 + start, 500 + end)
    }
    let hits = model.overlapping(inode, from, to)
    if (verb === 'cutHold') {
      hits = hits.filter((p) => p.hold === hold)
      index.cutHold(hold, inode, from, to, visit)
    } else index.cut(inode, from, to, visit)
    const expected = model.cut(hits, from, to)
    assert.deepEqual(ordered(parts), ordered(expected.map((p) => [p.hold, p.start, p.end])))
    if (verb !== 'move') return
    for (const p of expected) {
      model.pieces.push({ ...p, inode: LIMBO, start: 500 + p.start, end: 500 + p.end })
    }
  }
}

function compared(steps: readonly Step[]): void {
  const index = new HoldIndex()
  const model = new Model()
  for (const step of steps) take(index, model, step)
  index.assertConsistent()
  assert.equal(index.size, model.pieces.length)
  const text = (p: Piece): string => JSON.stringify([p.hold, p.inode, p.start, p.end])
  const all = [0, 1, 2, 3, 4, 5, 6, 7, 8].flatMap((hold) => piecesOf(index, hold))
  assert.deepEqual(all.map(text).sort(), model.pieces.map(text).sort())
}

test('steps at random leave the index as they leave a plain array', (t) => {
  const seed = seeded(t).next()
  const steps = fc.array(step, { maxLength: 120, size: 'max' })
  fc.assert(fc.property(steps, compared), { seed, numRuns: 400 * LONG })
})

test('a hundred thousand pieces are found, cut and taken out where they are', (t) => {
  const prng = seeded(t)
  const index = new HoldIndex()
  const count = 100_000
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = prng.below(i + 1)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  // Ten pieces a file, 10 blocks each with 10 between.
  for (const i of order) index.add(i, Math.floor(i / 10), (i % 10) * 20, (i % 10) * 20 + 10)
  index.assertConsistent()
  for (let n = 0; n < 10_000; n++) {
    const i = prng.below(count)
    const at = (i % 10) * 20
    assert.deepEqual(overlapping(index, Math.floor(i / 10), at + 9, at + 11), [[i, at, at + 10]])
    assert.equal(index.any(Math.floor(i / 10), at + 10, at + 20), false)
  }
  for (const i of order) if (i % 2 === 0) index.removeAll(i)
  index.assertConsistent()
  assert.equal(index.size, count / 2)
  let cut = 0
  for (let file = 0; file < count / 10; file++) index.cut(file, 0, 35, () => cut++)
  assert.equal(cut, count / 10)
  index.assertConsistent()
})
