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
import { damages, sample } from '../check/damages.js'
import { TreeNode } from '../../src/media/tree_node.js'
import type { Image } from '../check/image.js'
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

/**
 * What goes with a damage because nobody else knows it, or is somewhere else then: names and
 * attributes (of `a` under both of its names). A directory that moves takes all below along.
 */
const LOSSES: ReadonlyMap<string, number> = new Map([
  ['a symlink without a target', 1],
  ['a long target without value blocks', 1],
  ['a short target with NUL', 1],
  ['a long target with NUL', 1],
  ['a target with its blocks in the bitmap', 1],
  ['a value block with a wrong checksum', 1],
  ['a value block of another inode', 1],
  ['a value block that is not full and not the last', 1],
  ['a value in a block that has room in a slab', 2],
  ['a chain of value blocks that comes back', 1],
  // It comes with another sample.
  ['a file with too many long names of attributes', 32],
  ['an attribute whose value is in slot 64', 2],
  ['two attributes with one value', 2],
  ['the name of an attribute with NUL', 2],
  ['a name of more than 255 bytes', 1],
  ['a tree of attributes with a wrong checksum', 8],
  ['an ACL of an unknown version', 2],
  ['an ACL without the entry of its mask', 1],
  ['a punch that ends before it begins', 1],
  ['a collapse that moves past the start of the file', 1],
  ['an insertion of nothing', 1],
  ['an end of an insertion without its beginning', 1],
  ['an insertion that has come past its offset', 1],
  ['an insertion over blocks that are there', 1],
  ['a collapse over blocks that are there', 1],
  ['a collapse of more than the file has', 1],
  // The size is one that the file never had.
  ['a file without the flag on a block of another, and no share', 1],
  ['a fixed file with a hole at its end', 1],
  ['a fixed file with a hole at its start', 1],
  // A clone that is not completed.
  ['a clone of a range that ends before it begins', 1],
  ['a clone from inode 0', 1],
  ['a giver with a second argument', 1],
  ['a clone from a file that gives nothing', 1],
  ['a giver that gives to another file', 1],
  ['a clone with the end of an insertion', 1],
  ['a clone of more than the range', 1],
  ['a clone of less than the giver has', 1],
  ['a giver that is not recorded as unlinked', 1],
  ['an inode with a wrong checksum', 2],
  ['an inode with the number of another', 2],
  ['an entry whose name is in slot 64', 5],
  ['an entry that leads to no inode', 5],
  ['a name with a wrong checksum', 1],
  ['two entries with one name', 5],
  ['a name with a slash', 1],
  ['a name with NUL', 1],
  ['the name of two dots', 1],
  ['a directory with the same name twice', 5],
  ['a directory with two entries', 5],
  ['an entry that leads to the root', 5],
  ['two directories that hold each other', 9],
  ['a file without a name', 2],
])

/** Puts something into every block that the reverse map knows as data. */
function fillData(image: Image): void {
  const root = image.stateOf('reverseMapRoot')
  const count = image.get(root * 4096, TreeNode, 'count')
  for (let i = 0; i < count; i++) {
    const w = image.record(root, i)
    const [block, blocks] = [image.u32[w]!, image.u32[w + 3]!]
    for (let b = block; b < block + blocks; b++) image.u32.fill(b * 7 + 1, b * 1024, (b + 1) * 1024)
  }
}

/** The sample with something in its files: each block tells which it is. */
const filled = sample.image.clone()
fillData(filled)

/** Content by path: type, size, sum and attributes, without what names and links say. */
function byPath(region: Region): Map<string, string> {
  const found = new Map<string, string>()
  for (const line of contentsOf(region).split('\n')) {
    const [path, type] = line.split(' ')
    const rest = path!.includes('@') ? line.split(' ').slice(1) : line.split(' ').slice(5)
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
    assert.ok(lost.length <= (LOSSES.get(what) ?? 0), `${names} are not as before:\n${told}`)
    const again = repairVolume(region, options)
    assert.equal(again.state, 'clean')
  })
}
