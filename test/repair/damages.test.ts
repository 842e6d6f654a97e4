/**
 * Each damage that the tests of fsck plant, repaired: the volume checks clean, mounts, and what was
 * not damaged is as it was.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { checkVolume } from '../../src/check/checker.js'
import type { FindingCode } from '../../src/check/codes.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import { heapRegion, type MemoryRegion } from '../../src/region/memory_region.js'
import { repairVolume } from '../../src/repair/repairer.js'
import { damages, sample } from '../unit/check_damages.js'
import type { Image } from '../unit/check_image.js'

/** What no repair can do anything about. */
const BEYOND_REPAIR: readonly FindingCode[] = [
  'region-fault',
  'block-unreadable',
  'superblock-missing',
  'superblock-feature-unknown',
]

function regionOf(t: TestContext, image: Image): MemoryRegion {
  const region = heapRegion(image.u8.length)
  t.after(() => region.close())
  region.stream(0, image.u8, 0, image.u8.length)
  return region
}

const options = { crc32cOf: native.crc32cOf }

for (const { code, what, plant } of damages) {
  if (BEYOND_REPAIR.includes(code)) continue
  test(`repair mends ${what}: ${code}`, (t) => {
    const image = sample.image.clone()
    plant(image)
    const region = regionOf(t, image)
    const report = repairVolume(region, options)
    const told = report.fixes.map((f) => `${f.code}: ${f.message}`).join('\n')
    assert.equal(report.state, 'repaired', `${formatReport(report.after)}\n${told}`)
    assert.deepEqual(report.left, [])
    assert.equal(checkVolume(region, options).state, 'clean')
    t.diagnostic(told)
  })
}
