/** Two bugs of files that grow again, each with its story. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'
import { assertClean, mount, newRegion } from './support.js'

function newVolume(sync: 'always' | 'group'): { region: TracedRegion; volume: Volume } {
  const region = new TracedRegion(32 * 1024 * 1024)
  formatVolume(region)
  return { region, volume: Volume.mount(region, { sync, cachePages: 512 }) }
}

/**
 * Appends allocate blocks ahead, zeroed. An append wrote into one of them, and the power failed
 * before the record with its size: the bytes stood past the end. A truncate upwards zeroed the rest
 * of the last block only, and so showed them.
 */
test('an append that a crash cut off does not show when the file is made longer', () => {
  const { region, volume } = newVolume('always')
  const file = volume.open('/a', 'w+')
  for (let i = 0; i < 20; i++) file.write(new Uint8Array(4096).fill(1))
  const { size, blocks } = file.stat()
  assert.ok(blocks * 512 > size, 'blocks are allocated ahead')
  let cut: Uint8Array | null = null
  region.listener = {
    beforeStore: () => {},
    stored: () => {},
    flushed: () => {},
    // The data is durable, its record is not.
    fenced: () => (cut ??= region.u8.slice()),
    synced: () => {},
  }
  file.write(new Uint8Array(4096).fill(77))
  const crashed = new TracedRegion(region.byteLength)
  crashed.u8.set(cut!)
  const again = Volume.mount(crashed, { cachePages: 512 })
  assert.equal(again.stat('/a').size, size)
  again.truncate('/a', size + 2 * 4096)
  const tail = again.readFile('/a').subarray(size)
  assert.equal(
    tail.findIndex((byte) => byte !== 0),
    -1,
  )
  again.close()
})

/**
 * With group sync a shrink that is not durable must become so before bytes behind the new end are
 * written: a crash would bring the longer file back, with these bytes in it. Looking after one file
 * made the volume forget the shrinks of all others.
 */
test('a file that was cut is made durable before it grows, whatever other files do in between', () => {
  const { volume } = newVolume('group')
  const a = volume.open('/a', 'w+')
  const b = volume.open('/b', 'w+')
  a.write(new Uint8Array(4000).fill(1), 0)
  b.write(new Uint8Array(4000).fill(1), 0)
  volume.sync()
  a.truncate(100)
  volume.sync()
  b.truncate(100)
  const shrunk = volume.core.log.head
  a.write(new Uint8Array(1), 100)
  b.write(new Uint8Array(1), 100)
  assert.ok(volume.core.log.durable >= shrunk, 'the shrink of /b is durable')
  volume.close()
})

test('blocks past the end that were asked for stay, also in a file that had some taken ahead', () => {
  const region = newRegion(2048)
  const volume = mount(region)
  const file = volume.open('/f', 'a')
  file.write(new Uint8Array(100_000))
  file.write(new Uint8Array(5000)) // large enough to have blocks taken ahead
  file.allocate(0, 300_000, { keepSize: true })
  file.close()
  assert.equal(volume.stat('/f').blocks / 8, Math.ceil(300_000 / 4096))
  volume.close()
  assertClean(region, 'with blocks past the end')
  region.close()
})
