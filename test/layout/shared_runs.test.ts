/** Sharing a file in many pieces: each is looked at a few times, and asks for the room of one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { assertBytes, blocksOf } from './ground.js'
import { Scene } from './scene.js'

const RUNS = 1_000

/** Counts how often something is looked at while `run` goes on. */
function looksDuring<K extends string>(
  object: Readonly<Record<K, (...args: never[]) => unknown>>,
  name: K,
  argument: number | null,
  run: () => void,
): number {
  let looks = 0
  const had = object[name]
  const counting = (...args: unknown[]) => {
    const given = argument === null ? undefined : args[argument]
    if (argument === null) looks++
    else {
      args[argument] = (...visited: unknown[]) => {
        looks++
        ;(given as (...all: unknown[]) => void)(...visited)
      }
    }
    return (had as (...all: unknown[]) => unknown).apply(object, args)
  }
  Object.defineProperty(object, name, { value: counting, configurable: true })
  run()
  Object.defineProperty(object, name, { value: had, configurable: true })
  return looks
}

test('a clone of one extent, every other block of which is shared, asks for no more than it takes', () => {
  using s = new Scene({ bytes: 16 << 20 })
  s.make('/source', 2 * RUNS)
  s.make('/other', 0)
  using source = s.volume.open('/source', 'r+')
  using other = s.volume.open('/other', 'r+')
  for (let block = 0; block < 2 * RUNS; block += 2) {
    source.reflinkRange(block * B, other, block * B, B)
  }
  assert.equal(s.volume.extents('/source').extents.length, 1)
  const { free } = s
  const clone = () => s.volume.reflink('/source', '/clone')
  const looks = looksDuring(s.volume.core.shares, 'find', null, clone)
  assert.ok(looks < 100 * RUNS, `${looks} records were looked for`)
  assert.ok(free - s.free < 50, `${free - s.free} blocks were taken`)
  assertBytes(s.volume.readFile('/clone'), blocksOf('/source', 0, 2 * RUNS), 'the clone')
})

test('a clone with copies of many pinned blocks looks at each pin a few times', () => {
  using s = new Scene({ bytes: 32 << 20 })
  s.make('/source', 2 * RUNS)
  const pins = Array.from({ length: RUNS }, (_, i) => s.pin('/source', [2 * i + 1, 2 * i + 2]))
  const clone = () => s.volume.reflink('/source', '/clone', { share: 'copy' })
  const looks = looksDuring(s.volume.holding.table.pieces, 'overlapping', 3, clone)
  assert.ok(looks < 100 * RUNS, `${looks} pins were looked at`)
  assertBytes(s.volume.readFile('/clone'), blocksOf('/source', 0, 2 * RUNS), 'the clone')
  const own = Array.from({ length: 2 * RUNS }, (_, block) => s.place('/clone', block))
  const places = Array.from({ length: 2 * RUNS }, (_, block) => s.place('/source', block))
  for (const block of [0, 1, 2, 3, RUNS, RUNS + 1]) {
    assert.equal(own[block] === places[block], block % 2 === 0, `block ${block}`)
  }
  for (const pin of pins) pin.release()
})
