/**
 * Regions larger than the 4 GiB that one view of Node 20 can cover: nothing of the volume goes
 * through a view, every byte is addressed by an offset.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'

const GIB = 1024 * 1024 * 1024

test('files and metadata past 4 GiB are read back after a remount', () => {
  const region = heapRegion(6 * GIB)
  formatVolume(region)
  let volume = Volume.mount(region)
  // Takes the first 5 GiB without touching the memory behind them.
  const { transaction, allocator } = volume.core
  for (const run of [3840, 512, 1]) {
    do {
      transaction.run(4096, false, () => allocator.allocate(0, run))
      volume.core.pages.tick()
    } while (allocator.start * 4096 <= 5 * GIB)
  }
  const content = new Uint8Array(3 * 1024 * 1024 + 17)
  new Prng(7).fill(content)
  volume.mkdir('/d')
  for (let i = 0; i < 1000; i++) volume.writeFile(`/d/${i}`, content.subarray(i, i + 100))
  volume.writeFile('/big', content)
  assert.ok(volume.extents('/big').extents[0]!.regionBlock * 4096 > 5 * GIB)
  volume.close()
  volume = Volume.mount(region)
  assert.deepEqual(volume.readFile('/big'), content)
  for (let i = 0; i < 1000; i++) {
    assert.deepEqual(volume.readFile(`/d/${i}`), content.slice(i, i + 100))
  }
  volume.close()
  region.close()
})
