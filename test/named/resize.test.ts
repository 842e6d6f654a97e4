/** A volume grows with its region; a cut at any moment leaves a volume, smaller or larger. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { growSuperblock } from '../../src/volume/resize.js'
import { assertClean, mount } from './support.js'

const MOUNT = { atime: 'never' } as const
const SMALL = 640 * 1024
const options = () => ({ entropy: seededEntropy(1), clock: new SteppedClock() })

/** A volume of SMALL bytes with a file, in a region of `bytes`. */
function small(bytes: number, maxBytes?: number): TracedRegion {
  const first = new TracedRegion(SMALL)
  formatVolume(first, maxBytes === undefined ? options() : { ...options(), maxBytes })
  const volume = mount(first, MOUNT)
  volume.writeFile('/file', new Uint8Array(20_000).fill(9))
  volume.close()
  const region = new TracedRegion(bytes)
  region.u8.set(first.u8)
  first.close()
  return region
}

test('a volume takes what its region has become larger by, and keeps its files', () => {
  const region = small(4 * 1024 * 1024)
  const before = mount(region, MOUNT)
  const free = before.statfs().blocksFree
  before.close()
  assert.deepEqual(growSuperblock(region), { before: 160, after: 1024 })
  const volume = mount(region, MOUNT)
  assert.equal(volume.statfs().blocksFree, free + 1024 - 160)
  assert.deepEqual(volume.readFile('/file'), new Uint8Array(20_000).fill(9))
  volume.writeFile('/large', new Uint8Array(3 * 1024 * 1024).fill(1))
  volume.close()
  assertClean(region, 'when it had grown')
  assert.deepEqual(growSuperblock(region), { before: 1024, after: 1024 })
  region.close()
})

test('a volume does not grow past what it was made for, and never shrinks', () => {
  const far = small(300 * 1024 * 1024)
  assert.throws(() => growSuperblock(far), /EFBIG.*mkfs --max-size/)
  assertClean(far, 'that did not grow')
  far.close()
  const near = small(8 * 1024 * 1024)
  growSuperblock(near)
  const cut = new TracedRegion(4 * 1024 * 1024)
  cut.u8.set(near.u8.subarray(0, cut.byteLength))
  assert.throws(() => growSuperblock(cut), /ENODEV.*volume of 2048 blocks in a region of 1024/)
  cut.close()
  near.close()
})

test('a cut at any store of growing leaves a volume that is sound and grows on', () => {
  const region = small(200 * 1024 * 1024, 400 * 1024 * 1024)
  const image = region.u8.slice(0, SMALL)
  let stores = 0
  for (let at = 0; ; at++) {
    region.listener = null
    region.u8.set(image)
    stores = 0
    const stop = new Error('cut')
    region.listener = {
      beforeStore: () => {
        if (stores++ === at) throw stop
      },
      stored: () => {},
      flushed: () => {},
      fenced: () => {},
      synced: () => {},
    }
    let cut = false
    try {
      growSuperblock(region)
      mount(region, MOUNT).close()
    } catch (error) {
      cut = error === stop || (error instanceof Error && /cut/.test(error.message))
      if (!cut) throw error
    }
    region.listener = null
    const again = mount(region, MOUNT)
    assert.deepEqual(again.readFile('/file'), new Uint8Array(20_000).fill(9))
    again.sync()
    assertClean(region, `cut at store ${at}`)
    again.close()
    if (!cut) break
    assert.ok(at < 500)
  }
  assert.ok(stores > 10)
  region.close()
})
