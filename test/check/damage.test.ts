/**
 * For each finding that fsck can make, one damage that is exactly that: fsck finds it and nothing
 * else but what the damage itself brings along.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkVolume } from '../../src/check/checker.js'
import { FINDINGS } from '../../src/check/codes.js'
import { Superblock } from '../../src/media/superblock.js'
import type { Region } from '../../src/region/region.js'
import { damages, sample } from './damages.js'
import { crc32cOf, Image } from './image.js'

for (const { code, what, plant, also, state } of damages) {
  test(`fsck finds ${what}: ${code}`, () => {
    const image = sample.image.clone()
    const region = { ...image.region(), ...plant(image) } as Region
    const report = checkVolume(region, { crc32cOf })
    const found = new Set(report.findings.map((f) => f.code))
    const text = report.findings
      .slice(0, 20)
      .map((f) => `${f.code}: ${f.place}: ${f.message}`)
      .join('\n')
    assert.deepEqual([...found].sort(), [code, ...also!].sort(), text)
    assert.equal(report.state, state)
  })
}

test('blocks next to each other with the same trouble are one finding', () => {
  const image = sample.image.clone()
  for (const block of [990, 991, 992, 1000]) image.allocate(block, true)
  const { findings } = checkVolume(image.region(), { crc32cOf })
  assert.deepEqual(
    findings.map((f) => f.place),
    ['3 blocks to 992, block 990 (0x3de000)', 'block, block 1000 (0x3e8000)'],
  )
})

test('a volume that its bitmap has no room for is no volume', () => {
  // Two chunks more than the one bitmap block has room for.
  const image = new Image(3840 * 9)
  image.u8.set(sample.image.u8)
  for (const copy of [0, 4096]) image.set(copy, Superblock, { blockCount: image.blocks })
  assert.equal(checkVolume(image.region(), { crc32cOf }).state, 'unreadable')
})

test('each code of the table has a damage here', () => {
  const planted = new Set<string>(damages.map((d) => d.code))
  assert.deepEqual(
    Object.keys(FINDINGS).filter((code) => !planted.has(code)),
    [],
  )
})
