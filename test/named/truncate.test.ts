/**
 * The story: a file was cut and grew again, and the bytes beyond the cut came back; or, as the
 * blocks had been given away meanwhile, those of another file. Blocks were freed before the shorter
 * size was durable, or the rest of the last block was never zeroed.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Volume } from '../../src/volume/volume.js'
import { assertClean, atEveryStore, bytesOf, mount, newRegion, regionOf } from './support.js'

const SIZES = [0, 1, 63, 64, 65, 4095, 4096, 4097, 8191, 8192, 8193, 12_288]
const OLD = bytesOf('old', 12_288)

type Regrow = (volume: Volume, size: number) => void
const WAYS: Readonly<Record<string, Regrow>> = {
  'by truncate': (v, size) => v.truncate('/f', size),
  'by a write beyond the end': (v, size) => {
    const file = v.open('/f', 'r+')
    file.write(new Uint8Array([0]), size - 1)
    file.close()
  },
}

for (const [name, regrow] of Object.entries(WAYS)) {
  for (const sync of ['always', 'group'] as const) {
    test(`a file that was cut and grew again ${name} has zeros there, sync=${sync}`, () => {
      const volume = mount(newRegion(1024), { sync })
      for (const cut of SIZES) {
        for (const size of SIZES.filter((s) => s > cut)) {
          volume.writeFile('/f', OLD)
          volume.truncate('/f', cut)
          regrow(volume, size)
          const expected = new Uint8Array(size)
          expected.set(OLD.subarray(0, cut))
          assert.deepEqual(volume.readFile('/f'), expected, `cut to ${cut}, grown to ${size}`)
        }
      }
    })
  }
}

for (const cut of [0, 100, 4096, 5000]) {
  test(`cut to ${cut} and grown again, a file shows nothing of others at any store`, () => {
    const region = newRegion(512)
    const volume = mount(region)
    volume.writeFile('/f', OLD)
    const zeros = new Uint8Array(OLD.length)
    zeros.set(OLD.subarray(0, cut))
    atEveryStore(
      region,
      () => {
        volume.truncate('/f', cut)
        volume.writeFile('/secret', bytesOf('SECRET', 16_384))
        volume.truncate('/f', OLD.length)
      },
      (crashed, when) => {
        const bytes = crashed.readFile('/f')
        const expected = [OLD, OLD.subarray(0, cut), zeros]
        const found = expected.some((one) => Buffer.compare(one, bytes) === 0)
        assert(
          found,
          `${when}: ${bytes.length} bytes, ${Buffer.from(bytes).toString('latin1', cut, cut + 40)}`,
        )
      },
    )
  })
}

test('zeros past the end of a file just cut do not come back in the longer one, sync=group', () => {
  for (const how of ['punch', 'zeroRange'] as const) {
    const region = newRegion(1024)
    const volume = mount(region, { sync: 'group' })
    const before = new Uint8Array(4096).fill(65)
    volume.writeFile('/f', before)
    volume.sync()
    volume.truncate('/f', 100)
    const file = volume.open('/f', 'r+')
    file[how](50, 200)
    const crashed = regionOf(region.u8)
    const again = mount(crashed)
    const found = again.readFile('/f')
    const tail = found.subarray(100)
    assert.ok(
      tail.every((byte) => byte === (found.length === 4096 ? 65 : 0)),
      how,
    )
    again.close()
    assertClean(crashed, `after ${how}`)
    crashed.close()
    region.close()
  }
})
