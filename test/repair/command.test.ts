/** `holdfast fsck --repair` as a shell sees it, and what stands between a volume and a bad day. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { Checker } from '../../src/check/checker.js'
import { INODE_MAP_MAGIC } from '../../src/media/inode_map.js'
import { Superblock } from '../../src/media/superblock.js'
import { NODE_MAGIC, TreeNode } from '../../src/media/tree_node.js'
import { native } from '../../src/native/native.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { repairVolume } from '../../src/repair/repairer.js'
import { done, failed, holdfast, temporary } from '../cli/support.js'
import { contentsOf } from './contents.js'
import { fill, format, Ground, mount, sealBlock } from './images.js'

/** A volume in a file, with the map of its inodes overwritten. */
async function damagedVolume(directory: string): Promise<string> {
  const path = join(directory, 'damaged.hf')
  const file = join(directory, 'letter')
  writeFileSync(file, 'Dear reader\n')
  await done('mkfs', '--size', '1M', path)
  await done('cp', file, `${path}:/letter`)
  const bytes = readFileSync(path)
  const magic = Buffer.alloc(4)
  magic.writeUInt32LE(INODE_MAP_MAGIC)
  bytes.fill(0, bytes.indexOf(magic), bytes.indexOf(magic) + 4096)
  writeFileSync(path, bytes)
  return path
}

test('fsck --repair: 4 before, 1 when it repairs, 0 after, and the files are there', async (t) => {
  const path = await damagedVolume(temporary(t))
  assert.equal((await holdfast('fsck', path)).code, 4)
  const before = readFileSync(path)
  const dry = await holdfast('fsck', '--repair', '--dry-run', path)
  assert.equal(dry.code, 1, dry.out)
  assert.ok(readFileSync(path).equals(before), 'a dry run changes nothing')
  const repaired = await holdfast('fsck', '--repair', path)
  assert.equal(repaired.code, 1)
  assert.equal(repaired.out, dry.out)
  assert.match(repaired.out, /^fixed: inode-map-damaged: .+\n/)
  assert.match(repaired.out, /repaired: .*: clean, 1 files/)
  assert.equal((await done('cat', `${path}:/letter`)).out, 'Dear reader\n')
  await done('fsck', path)
  assert.match((await done('fsck', '--repair', path)).out, /: clean, /)
})

test('fsck --repair --json tells the fixes and the exit code', async (t) => {
  const path = await damagedVolume(temporary(t))
  const { code, out } = await holdfast('fsck', '--repair', '--json', path)
  const report = JSON.parse(out)
  assert.deepEqual([code, report.exitCode, report.state], [1, 1, 'repaired'])
  assert.equal(report.before.state, 'errors')
  assert.equal(report.after.state, 'clean')
  assert.ok(report.fixes.length > 0 && report.fixesTotal === report.fixes.length)
})

test('--repair wants the volume for itself, and --dry-run wants --repair', async (t) => {
  const path = await damagedVolume(temporary(t))
  await failed(8, /EINVAL: .*--force/, 'fsck', '--repair', '--force', path)
  await failed(8, /EINVAL: .*--repair/, 'fsck', '--dry-run', path)
})

test('a volume whose repair was cut short is not mounted, and the next repair finishes it', () => {
  const ground = new Ground()
  format(ground)
  const volume = mount(ground)
  fill(volume, 5)
  volume.close()
  const wanted = contentsOf(ground.region)
  ground.u8.fill(0, 37 * 4096, 38 * 4096)
  // The superblock names the journal from the first write that says so on.
  const superblock = Superblock.at.repairJournal
  const { stream } = ground.region
  let cut = false
  ground.region.stream = (offset, source, start, length) => {
    if (cut) return
    stream.call(ground.region, offset, source, start, length)
    cut = offset < 8192 && source[start + superblock] !== 0
  }
  repairVolume(ground.region, { crc32cOf: native.crc32cOf })
  ground.region.stream = stream
  assert.throws(() => mount(ground), {
    code: 'EUCLEAN',
    message: /holdfast fsck --repair finishes it/,
  })
  const report = repairVolume(ground.region, { crc32cOf: native.crc32cOf })
  assert.equal(report.state, 'repaired')
  assert.match(report.fixes[0]!.message, /is finished/)
  assert.equal(contentsOf(ground.region), wanted)
  ground.region.close()
})

test('a region cut short is no volume to repair, and is left as it is', () => {
  const whole = new Ground()
  format(whole)
  const short = heapRegion(whole.u8.length - 8192)
  short.stream(0, whole.u8, 0, short.byteLength)
  const report = repairVolume(short, { crc32cOf: native.crc32cOf })
  assert.equal(report.state, 'unreadable')
  const bytes = new Uint8Array(short.byteLength)
  short.read(0, bytes, 0, bytes.length)
  assert.equal(Buffer.compare(bytes, whole.u8.subarray(0, bytes.length)), 0)
  for (const { close } of [whole.region, short].map((r) => ({ close: () => r.close() }))) close()
})

test('features that only a newer version may write are left alone', () => {
  const ground = new Ground()
  format(ground)
  for (const block of [0, 1]) {
    ground.u32[block * 1024 + Superblock.word.featuresRoCompat] = 4
    sealBlock(ground, block)
  }
  ground.u8.fill(0, 37 * 4096, 38 * 4096)
  const before = ground.u8.slice()
  const report = repairVolume(ground.region, { crc32cOf: native.crc32cOf })
  assert.equal(report.state, 'errors')
  assert.deepEqual(
    report.left.map(({ code }) => code),
    ['superblock-feature-unknown'],
  )
  assert.equal(Buffer.compare(ground.u8, before), 0)
  ground.region.close()
})

test('one wrong bit in the leaf of a directory costs one name at most', () => {
  const ground = new Ground()
  format(ground)
  const volume = mount(ground)
  fill(volume, 40)
  const many = volume.stat('/many').ino
  volume.close()
  const at = TreeNode.word
  let leaves = 0
  for (let w = 0; w < ground.u32.length; w += 1024) {
    const node = ground.u32[w] === NODE_MAGIC && ground.u32[w + at.kind] === 2
    if (!node || ground.u32[w + at.owner] !== many) continue
    // The inode that the sixth entry leads to. (A leaf that is no longer in use stays what it is.)
    ground.u32[w + at.records + 5 * 4 + 3]! ^= 2
    leaves++
  }
  assert.ok(leaves > 0, 'the directory has a leaf')
  const report = repairVolume(ground.region, { crc32cOf: native.crc32cOf })
  assert.equal(report.state, 'repaired')
  const after = mount(ground)
  assert.ok(after.readdir('/many').length >= 39, 'of forty names')
  const lost = after.readdir('/lost+found').length
  assert.equal(after.readdir('/many').length + lost, 40)
  after.close()
  ground.region.close()
})

test('a full volume is repaired: rebuilt trees have the blocks that they had', () => {
  const ground = new Ground()
  format(ground)
  const volume = mount(ground)
  fill(volume, 60)
  try {
    for (let i = 0; ; i++) volume.writeFile(`/d/full-${i}`, new Uint8Array(4096).fill(i))
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.code !== 'ENOSPC') throw error
  }
  volume.close()
  const wanted = contentsOf(ground.region)
  // The state, the map and the bitmap are lost.
  for (const block of [2, 36, 37]) ground.u8.fill(0, block * 4096, (block + 1) * 4096)
  const report = repairVolume(ground.region, { crc32cOf: native.crc32cOf })
  assert.equal(report.state, 'repaired', JSON.stringify(report.left))
  assert.equal(contentsOf(ground.region), wanted)
  assert.equal(new Checker(native.crc32cOf).check(ground.region).state, 'clean')
  ground.region.close()
})
