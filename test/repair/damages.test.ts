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
import type { Region } from '../../src/region/region.js'
import { damages, sample } from '../unit/check_damages.js'
import { fillData, type Image } from '../unit/check_image.js'
import { contentsOf } from './contents.js'

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

/** Codes of damages that take something with them that nobody else knows. */
const LOSSES: ReadonlyMap<FindingCode, number> = new Map([
  ['inode-damaged', 2],
  ['inode-field-invalid', 1],
  ['symlink-target-invalid', 1],
  ['value-damaged', 1],
  ['value-length-wrong', 1],
  ['entry-invalid', 1],
  ['entry-target-missing', 1],
  ['name-damaged', 1],
  ['name-claimed-twice', 601],
  ['name-forbidden', 1],
  ['name-duplicate', 601],
  ['directory-cycle', 9],
  ['directory-linked-twice', 1],
  ['inode-unreachable', 2],
])

/** The sample with something in its files: each block tells which it is. */
const filled = sample.image.clone()
fillData(filled)

/** Content by path: type, size, sum and attributes, without what names and links say. */
function byPath(region: Region): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of contentsOf(region).split('\n')) {
    const [path, type, _ino, _mode, _links, ...rest] = line.split(' ')
    found.set(path!, [type, ...(type === 'directory' ? [] : rest)].join(' '))
  }
  return found
}

const options = { crc32cOf: native.crc32cOf }

const before = byPathOf(filled)

function byPathOf(image: Image): Map<string, string> {
  const region = heapRegion(image.u8.length)
  region.stream(0, image.u8, 0, image.u8.length)
  const found = byPath(region)
  region.close()
  return found
}

for (const { code, what, plant } of damages) {
  if (BEYOND_REPAIR.includes(code)) continue
  test(`repair mends ${what}: ${code}`, (t) => {
    const image = filled.clone()
    plant(image)
    const region = regionOf(t, image)
    const report = repairVolume(region, options)
    const told = report.fixes.map((f) => `${f.code}: ${f.message}`).join('\n')
    assert.equal(report.state, 'repaired', `${formatReport(report.after)}\n${told}`)
    assert.deepEqual(report.left, [])
    assert.equal(checkVolume(region, options).state, 'clean')
    const kept = byPath(region)
    const lost = [...before].filter(([path, content]) => kept.get(path) !== content)
    const names = lost.map(([path]) => path).join(', ')
    assert.ok(lost.length <= (LOSSES.get(code) ?? 0), `${names} are not as before:\n${told}`)
    const again = repairVolume(region, options)
    assert.equal(again.state, 'clean')
  })
}
