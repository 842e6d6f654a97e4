/** What is durable once a hold is granted or a file is fixed, where calls are not: sync 'group'. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { memfdRegion } from '../../src/region/file_region.js'
import type { Region } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import { assertBytes, blocksOf } from './ground.js'

const BYTES = 4 << 20

/** The volume as a crash now would leave it: what no flush has written is not in the region. */
function afterCrash(region: Region, look: (volume: LayoutVolume) => void): void {
  const copy = memfdRegion(BYTES)
  const bytes = new Uint8Array(BYTES)
  region.read(0, bytes, 0, BYTES)
  copy.stream(0, bytes, 0, BYTES)
  const volume = LayoutVolume.mount(copy)
  try {
    look(volume)
  } finally {
    volume.close()
    copy.close()
  }
}

/** /f: two blocks shared with /clone, two holes, and none of it is durable. */
function volatile(run: (volume: LayoutVolume, file: LayoutFile, region: Region) => void): void {
  const region = memfdRegion(BYTES)
  formatVolume(region)
  const volume = LayoutVolume.mount(region, { sync: 'group' })
  const file = volume.open('/f', 'wx+')
  volume.sync()
  file.write(blocksOf('/f', 0, 2), 0)
  volume.reflink('/f', '/clone')
  file.truncate(4 * B)
  try {
    run(volume, file, region)
  } finally {
    volume.close()
    region.close()
  }
}

test('before a hold is granted, nothing of it is durable', () =>
  volatile((_volume, _file, region) =>
    afterCrash(region, (after) => {
      assert.equal(after.stat('/f').size, 0)
      assert.equal(after.readdir('/').length, 1)
    }),
  ))

const HOLDS = {
  'a pin': (file: LayoutFile) => file.pin().runs(),
  'a pin from which others move': (file: LayoutFile) => file.pin({ unshare: 'others' }).runs(),
  'a lease for writing': (file: LayoutFile) => file.lease({ iomode: 'rw' }).runs(),
}

for (const [name, take] of Object.entries(HOLDS)) {
  test(`once ${name} is granted, what is stored through it is the file's after a crash`, () =>
    volatile((_volume, file, region) => {
      for (const { offset, regionOffset, length } of take(file)) {
        const first = offset! / B
        region.stream(regionOffset, blocksOf('dma', first, first + length / B), 0, length)
      }
      region.fence()
      afterCrash(region, (after) => {
        assertBytes(after.readFile('/f'), blocksOf('dma', 0, 4), 'what the device stored')
        assertBytes(after.readFile('/clone'), blocksOf('/f', 0, 2), 'what it did not')
      })
    }))
}

test('a lease for reading finds after a crash what it has shown', () =>
  volatile((_volume, file, region) => {
    file.lease({ iomode: 'read' })
    afterCrash(region, (after) => {
      const expected = new Uint8Array(4 * B)
      expected.set(blocksOf('/f', 0, 2))
      assertBytes(after.readFile('/f'), expected, '/f')
    })
  }))

for (const direct of [true, false]) {
  test(`what is stored through a ${direct ? 'direct' : 'plain'} mapping is there after a crash`, () =>
    volatile((_volume, file, region) => {
      const mapping = file.map({ direct, sync: direct, write: true })
      new Uint8Array(mapping.buffer).set(blocksOf('mapped', 0, 4))
      afterCrash(region, (after) => {
        assertBytes(after.readFile('/f'), blocksOf('mapped', 0, 4), '/f')
      })
      mapping.unmap()
    }))
}

test('of a file that is fixed all is durable, that it is fixed too', () =>
  volatile((volume, file, region) => {
    volume.fix('/f')
    const { extents } = file.extents()
    afterCrash(region, (after) => {
      assert.deepEqual(after.extents('/f').extents, extents, 'its blocks, all of them its own')
      assertBytes(after.readFile('/f').subarray(0, 2 * B), blocksOf('/f', 0, 2), '/f')
      assert.equal(after.inodeFlags('/f').fixed, true)
    })
  }))

test('what a commit covers is durable when it returns, and so is the size', () =>
  volatile((_volume, file, region) => {
    const lease = file.lease({ iomode: 'rw', length: 8 * B })
    lease.commit(6 * B - 100)
    afterCrash(region, (after) => assert.equal(after.stat('/f').size, 6 * B - 100))
  }))

test('a truncate is there after a crash whole or not at all, when a hold has ended since', () =>
  volatile((volume, file, region) => {
    file.write(blocksOf('/f', 0, 4), 0)
    volume.sync()
    const pin = file.pin({ length: B })
    file.truncate(100)
    pin.release() // what it had behind the end becomes zeros
    afterCrash(region, (after) => {
      const size = after.stat('/f').size
      assert.ok(size === 100 || size === 4 * B, `${size} bytes`)
      assertBytes(after.readFile('/f'), blocksOf('/f', 0, 4).subarray(0, size), '/f')
    })
  }))
