/**
 * The story: a block was freed twice. The second time it belonged to another file already, a third
 * file got it as well, and two files had one content from then on.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checksumOf } from '../../src/base/bytes.js'
import { BitmapChunk } from '../../src/media/bitmap.js'
import { native } from '../../src/native/native.js'
import type { TracedRegion } from '../../src/region/traced_region.js'
import { assertClean, bytesOf, describe, mount, newRegion, regionOf } from './support.js'

test('a block that is free is not freed again, and nothing of the attempt is logged', () => {
  const region = newRegion(512)
  const volume = mount(region)
  volume.writeFile('/f', bytesOf('f', 4096))
  const { regionBlock } = volume.extents('/f').extents[0]!
  volume.unlink('/f')
  const { transaction, allocator, log } = volume.core
  const { records } = log
  const free = volume.statfs().blocksFree
  assert.throws(
    () => transaction.run(0, true, () => allocator.release(regionBlock, 1, false)),
    /a block has one owner/,
  )
  assert.equal(log.records, records)
  const crashed = regionOf(region.u8)
  assert.equal(mount(crashed).statfs().blocksFree, free)
  assertClean(crashed, 'after the attempt')
})

/** Clears the bit of a block in the bitmap at home, and seals the chunk: a medium that lies. */
function markFree(region: TracedRegion, bitmapStart: number, block: number): void {
  const u32 = new Uint32Array(region.u8.buffer, region.u8.byteOffset)
  const base = bitmapStart * 4096
  const w = base >>> 2
  const at = BitmapChunk.word
  u32[w + at.bits + (block >>> 5)]! &= ~(1 << (block & 31))
  u32[w + at.free]!++
  const crc32c = (offset: number, length: number, seed: number) =>
    native.crc32cOf(region.u8, offset, length, seed)
  u32[w + at.checksum] = checksumOf({ u8: region.u8, u32, crc32c }, base, BitmapChunk)
}

test('a file whose blocks the bitmap calls free is not deleted, and fsck says why', () => {
  const region = newRegion(512)
  const volume = mount(region)
  volume.writeFile('/f', bytesOf('f', 4096))
  volume.writeFile('/other', bytesOf('other', 4096))
  const { regionBlock } = volume.extents('/f').extents[0]!
  const { bitmapStart } = volume.core.geometry
  volume.close()
  assertClean(region, 'before the damage')
  markFree(region, bitmapStart, regionBlock)
  assert.throws(() => assertClean(region, 'after the damage'), /bitmap/)
  const damaged = mount(region)
  const before = describe(damaged)
  assert.throws(() => damaged.unlink('/f'), /a block has one owner|EUCLEAN/)
  assert.equal(describe(mount(regionOf(region.u8))), before, 'nothing of the attempt was logged')
})
