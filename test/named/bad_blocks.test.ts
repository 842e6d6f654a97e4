/** Blocks that are bad: kept out of use for good, whoever had them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertClean, mount, newRegion } from './support.js'

const MOUNT = { atime: 'never' } as const

test('a bad block is never handed out, neither before nor after the next mount', () => {
  const region = newRegion(768)
  const volume = mount(region, MOUNT)
  const { dataStart, blockCount } = volume.core.geometry
  const bad = [dataStart + 40, dataStart + 41, blockCount - 1]
  const free = volume.statfs().blocksFree
  for (const block of [...bad, bad[0]!]) volume.markBad(block)
  assert.deepEqual(volume.badBlocks(), bad)
  assert.equal(volume.statfs().blocksFree, free - bad.length - 1, 'the three, and the list')
  volume.close()
  assertClean(region, 'with bad blocks')

  const again = mount(region, MOUNT)
  const file = again.open('/all', 'w')
  assert.throws(() => {
    for (let i = 0; ; i++) file.write(new Uint8Array(4096).fill(i))
  }, /ENOSPC/)
  for (const { regionBlock, count } of file.extents().extents) {
    for (const block of bad) assert.ok(block < regionBlock || block >= regionBlock + count)
  }
  file.close()
  again.close()
  assertClean(region, 'when it was filled')
  region.close()
})

test('a bad block of a file stays with it, and is out of use when the file gives it back', () => {
  const region = newRegion(768)
  const volume = mount(region, MOUNT)
  const empty = volume.statfs().blocksFree
  const content = new Uint8Array(5 * 4096).fill(7)
  volume.writeFile('/file', content)
  const block = volume.extents('/file').extents[0]!.regionBlock + 2
  volume.markBad(block)
  assert.deepEqual(volume.readFile('/file'), content)
  assertClean(region, 'with a bad block in a file')
  volume.unlink('/file')
  volume.close()
  assertClean(region, 'when the file was removed')
  const again = mount(region, MOUNT)
  assert.equal(again.statfs().blocksFree, empty - 2, 'the block, and the list')
  assert.deepEqual(again.badBlocks(), [block])
  again.close()
  region.close()
})

test('only blocks that files could have are marked as bad', () => {
  const region = newRegion(768)
  const volume = mount(region, MOUNT)
  const { dataStart, blockCount } = volume.core.geometry
  for (const block of [-1, 0, dataStart - 1, blockCount, 1.5, NaN]) {
    assert.throws(() => volume.markBad(block), /EINVAL: block/)
  }
  volume.close()
  region.close()
})
