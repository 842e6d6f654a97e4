import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkVolume } from '../../src/check/checker.js'
import { native } from '../../src/native/native.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'
import { Mixer } from '../soak/mixer.js'
import { growth } from '../soak/resident.js'
import { LONG, seeded } from './support.js'

const MIB = 1024 * 1024
const row = (at: (i: number) => number): number[] => Array.from({ length: 100 }, (_, i) => at(i))

test('memory that grows is told from memory that goes up and down', () => {
  assert.equal(growth([7]), 0)
  assert.equal(growth(row(() => 50 * MIB)), 0)
  assert.equal(growth(row((i) => i * MIB)), 25 * MIB)
  assert.equal(growth(row((i) => 50 * MIB + (i % 7) * 9 * MIB)), 0)
  assert.ok(growth(row((i) => 50 * MIB + (i % 7) * 9 * MIB + i * 0.5 * MIB)) > 8 * MIB)
})

test('what comes before caches are full is no growth', () => {
  assert.equal(growth(row((i) => Math.min(i, 45) * MIB)), 0)
})

test('a short soak of mixed operations leaves a clean volume, over and over', async (t) => {
  const region = heapRegion(48 * MIB)
  t.after(() => region.close())
  formatVolume(region)
  let mixer: Mixer | null = null
  for (let life = 0; life < 2 * LONG; life++) {
    const volume = Volume.mount(region, { sync: 'group', cachePages: 512 })
    if (mixer === null) mixer = new Mixer(volume, seeded(t).next())
    else mixer.reopened(volume)
    mixer.run(1500)
    const flushed = volume.syncAsync()
    mixer.run(500)
    await flushed
    volume.close()
    const { state, findings } = checkVolume(region, { crc32cOf: native.crc32cOf })
    assert.equal(state, 'clean', JSON.stringify(findings.slice(0, 3)))
  }
  const kinds = [...mixer!.counts.values()]
  const done = kinds.reduce((sum, one) => sum + one.done, 0)
  assert.ok(done > 1500 * LONG, `${done} operations were done, the others refused`)
  assert.ok(kinds.filter((one) => one.done > 0).length > 30, 'nearly every kind was done')
})
