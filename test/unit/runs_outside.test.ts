/** Runs outside a range are found as if all was looked through each time, and it is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { RunsOutside } from '../../src/volume/runs_outside.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))

/** Blocks that are free or not, and how many were looked at. Block 0 is never free. */
class Ground {
  readonly free: Uint8Array
  looked = 0

  constructor(blocks: number) {
    this.free = new Uint8Array(blocks)
  }

  readonly find = (count: number, from: number, end: number): number => {
    let run = 0
    for (let block = Math.max(1, from); block < Math.min(end, this.free.length); block++) {
      this.looked++
      run = this.free[block] === 1 ? run + 1 : 0
      if (run === count) return block - count + 1
    }
    return 0
  }

  set(start: number, count: number, free: boolean): void {
    this.free.fill(free ? 1 : 0, start, start + count)
  }
}

/** From the beginning each time, and with every length. */
function naive(ground: Ground, from: number, to: number, count: number): [number, number] {
  for (let n = count; n > 0; n = n >>> 1) {
    const start = ground.find(n, 0, from) || ground.find(n, to, Infinity)
    if (start !== 0) return [start, n]
  }
  return [0, 0]
}

test('what is found is what a search from the beginning finds, whatever is taken and freed', () => {
  console.log(`# SEED=${seed}`)
  const random = new Prng(seed)
  let found = 0
  for (let run = 0; run < 40; run++) {
    const ground = new Ground(50 + random.below(300))
    const blocks = ground.free.length
    for (let b = 1; b < blocks; b++) ground.free[b] = random.below(4) === 0 ? 0 : 1
    const outside = new RunsOutside(ground.find)
    let [from, to] = [10, 20]
    for (let step = 0; step < 200; step++) {
      const what = random.below(10)
      const start = 1 + random.below(blocks - 1)
      const count = Math.min(blocks - start, 1 + random.below(6))
      if (what === 0) {
        from = 1 + random.below(blocks - 1)
        to = from + 1 + random.below(blocks - from)
      } else if (what === 1) {
        ground.set(start, count, true)
        outside.freed(start, count)
      } else if (what === 2) ground.set(start, count, false)
      const wanted = 1 + random.below(20)
      const expected = naive(ground, from, to, wanted)
      const n = outside.find(from, to, wanted)
      const why = `SEED=${seed} run ${run} step ${step}: ${wanted} outside ${from} to ${to}`
      assert.deepEqual([n === 0 ? 0 : outside.start, n], expected, why)
      if (n === 0) continue
      found++
      if (random.below(3) > 0) ground.set(outside.start, n, false)
    }
  }
  assert.ok(found > 1000, `${found} runs`)
})

test('every second block being free, long runs are looked for once and not with each piece', () => {
  const ground = new Ground(20_000)
  for (let b = 2; b < 10_000; b += 2) ground.free[b] = 1
  const outside = new RunsOutside(ground.find)
  let taken = 0
  for (let n = outside.find(10_000, 20_000, 512); n > 0; taken++) {
    assert.equal(n, 1)
    ground.set(outside.start, n, false)
    // Those who left the range are no reason to look again.
    outside.freed(10_000 + taken, 1)
    n = outside.find(10_000, 20_000, 512)
  }
  assert.equal(taken, 4999)
  assert.ok(ground.looked < 20 * 10_000, `${ground.looked} blocks looked at`)
})
