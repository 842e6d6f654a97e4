/**
 * The story: data was copied past the cache by an instruction that needs alignment, and the odd
 * bytes at either end by ordinary stores that nobody wrote back. After a power cut the middle of a
 * write was there and its ends were not. Or whole words were stored, and the neighbours of the
 * write were lost.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TracedRegion } from '../../src/region/traced_region.js'
import type { Volume } from '../../src/volume/volume.js'
import { Medium } from '../crash/medium.js'
import { mount, newRegion } from './support.js'

const REACH = 128

/** What is certain to be there after a power cut, kept up to date from here on. */
function certain(region: TracedRegion): Uint8Array {
  const durable = new Uint8Array(region.byteLength)
  region.listener = new Medium(
    region,
    durable,
    () => {},
    () => {},
  )
  return durable
}

/** The first bytes of a file, as the medium has them. */
function onMedium(durable: Uint8Array, volume: Volume, path: string, length: number): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 4096) * 4096)
  for (const { fileBlock, regionBlock, count } of volume.extents(path).extents) {
    const from = durable.subarray(regionBlock * 4096, (regionBlock + count) * 4096)
    if (fileBlock * 4096 < bytes.length) {
      bytes.set(from.subarray(0, bytes.length - fileBlock * 4096), fileBlock * 4096)
    }
  }
  return bytes.subarray(0, length)
}

test('an overwrite at any offset and length up to 128 is durable to its ends, and nothing beside it', () => {
  const region = newRegion(512)
  const volume = mount(region)
  const length = 4 * REACH
  const expected = new Uint8Array(length).fill(0xee)
  volume.writeFile('/f', expected)
  const durable = certain(region)
  const file = volume.open('/f', 'r+')
  let writes = 0
  for (let offset = 0; offset <= REACH; offset++) {
    for (let size = 0; size <= REACH; size++) {
      const bytes = new Uint8Array(size).fill(++writes)
      file.write(bytes, offset)
      file.sync()
      expected.set(bytes, offset)
      const got = onMedium(durable, volume, '/f', length)
      const right = Buffer.compare(got, expected) === 0
      assert(right, `${size} bytes at ${offset}`)
    }
  }
  assert.equal(writes, (REACH + 1) ** 2)
})

test('a first write at any offset and length up to 128 is durable when it returns, with zeros before', () => {
  const region = newRegion(1024)
  const volume = mount(region)
  const durable = certain(region)
  for (let offset = 0; offset <= REACH; offset++) {
    for (let size = 1; size <= REACH; size += offset % 8 === 0 ? 1 : 7) {
      const file = volume.open('/f', 'wx')
      file.write(new Uint8Array(size).fill(0xaa), offset)
      const expected = new Uint8Array(offset + size).fill(0xaa, offset)
      const got = onMedium(durable, volume, '/f', offset + size)
      assert(Buffer.compare(got, expected) === 0, `${size} bytes at ${offset}`)
      file.close()
      volume.unlink('/f')
    }
  }
})

test('appends of any length up to 128 are durable one after the other', () => {
  const region = newRegion(1024)
  const volume = mount(region)
  const durable = certain(region)
  const file = volume.open('/f', 'a')
  const expected = new Uint8Array((REACH * (REACH + 1)) / 2)
  let end = 0
  for (let size = 1; size <= REACH; size++) {
    const bytes = new Uint8Array(size).fill(size)
    file.write(bytes)
    expected.set(bytes, end)
    end += size
    const got = onMedium(durable, volume, '/f', end)
    assert(Buffer.compare(got, expected.subarray(0, end)) === 0, `append of ${size} bytes`)
  }
})
