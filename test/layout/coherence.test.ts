/**
 * Regions whose memory is not coherent with device writes (NVMe persistent memory behind PCIe,
 * shared CXL memory without back-invalidation): what a hold covers is written back and dropped in
 * software, wherever the two sides meet.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createVolume, openVolume } from '../../src/layout/embedded.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { memfdRegion } from '../../src/region/file_region.js'
import type { DeviceSync } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import { PrivateCacheRegion } from './private_cache_region.js'

const BLOCK = 4096

function mounted() {
  const region = new PrivateCacheRegion(4 << 20)
  formatVolume(region)
  const volume = LayoutVolume.mount(region)
  volume.writeFile('/f', new Uint8Array(4 * BLOCK).fill(1))
  const file = volume.open('/f', 'r+')
  const end = () => {
    volume.close()
    region.close()
  }
  return { region, volume, file, end }
}

test('a device finds the bytes of the file as soon as it is granted a pin', () => {
  const { region, file, end } = mounted()
  const pin = file.pin()
  const [run] = pin.runs()
  const seen = region.device.subarray(run!.regionOffset, run!.regionOffset + run!.length)
  assert.deepEqual(seen, new Uint8Array(4 * BLOCK).fill(1))
  end()
})

test('what a device wrote is what a read of the file returns', () => {
  const { region, file, end } = mounted()
  const [run] = file.pin().runs()
  region.device.fill(2, run!.regionOffset, run!.regionOffset + 100)
  const bytes = new Uint8Array(200)
  file.read(bytes, 0)
  assert.deepEqual(bytes, new Uint8Array(200).fill(1).fill(2, 0, 100))
  end()
})

test('a device finds what a write, a zeroed range and a part of a punched one left', () => {
  const { region, file, end } = mounted()
  const [run] = file.pin().runs()
  file.write(new Uint8Array(10).fill(3), 5000)
  file.zeroRange(100, 50)
  file.punch(BLOCK + 2000, 8)
  const seen = region.device.subarray(run!.regionOffset, run!.regionOffset + 2 * BLOCK)
  const expected = new Uint8Array(2 * BLOCK).fill(1)
  expected
    .fill(3, 5000, 5010)
    .fill(0, 100, 150)
    .fill(0, BLOCK + 2000, BLOCK + 2008)
  assert.deepEqual(Buffer.from(seen), Buffer.from(expected))
  end()
})

test('what a device wrote last is the content of the file after the release', () => {
  const { region, volume, file, end } = mounted()
  const pin = file.pin()
  const [run] = pin.runs()
  region.device.fill(4, run!.regionOffset + BLOCK, run!.regionOffset + 2 * BLOCK)
  pin.release()
  region.device.fill(5) // nobody sees what comes after
  const expected = new Uint8Array(4 * BLOCK).fill(1).fill(4, BLOCK, 2 * BLOCK)
  assert.deepEqual(Buffer.from(volume.readFile('/f')), Buffer.from(expected))
  end()
})

test('a copy of held blocks has what the device wrote to them', () => {
  const { region, volume, file, end } = mounted()
  const [run] = file.pin({ length: BLOCK }).runs()
  region.device.fill(6, run!.regionOffset, run!.regionOffset + BLOCK)
  volume.reflink('/f', '/copy', { share: 'copy' })
  const expected = new Uint8Array(4 * BLOCK).fill(1).fill(6, 0, BLOCK)
  assert.deepEqual(Buffer.from(volume.readFile('/copy')), Buffer.from(expected))
  end()
})

test('flush and invalidate of a hold cover the lines of the bytes that they name, and no others', () => {
  const { region, file, end } = mounted()
  const pin = file.pin()
  const at = pin.runs()[0]!.regionOffset
  region.stream(at, new Uint8Array(4 * BLOCK).fill(7), 0, 4 * BLOCK) // past the calls, as a mapping
  assert.equal(region.device[at], 1)
  pin.flush(BLOCK, 64)
  assert.deepEqual(
    [BLOCK - 1, BLOCK, BLOCK + 63, BLOCK + 64].map((i) => region.device[at + i]),
    [1, 7, 7, 1],
  )
  region.device.fill(8, at, at + 4 * BLOCK)
  pin.invalidate(0, 10)
  const bytes = new Uint8Array(66)
  region.read(at, bytes, 0, 66)
  assert.deepEqual(bytes, new Uint8Array(66).fill(8).fill(7, 64))
  end()
})

test('a store to a part of a line leaves what a device wrote to the rest of it', () => {
  const { region, file, end } = mounted()
  const at = file.pin().runs()[0]!.regionOffset
  const expected = new Uint8Array(4 * BLOCK).fill(2)
  const seen = region.device.subarray(at, at + 4 * BLOCK)
  for (const [first, last, store] of [
    [20, 30, (from: number, n: number) => file.write(new Uint8Array(n), from)],
    [100, 300, (from: number, n: number) => file.zeroRange(from, n)],
    [BLOCK + 10, BLOCK + 64, (from: number, n: number) => file.punch(from, n)],
    [BLOCK + 640, BLOCK + 700, (from: number, n: number) => file.write(new Uint8Array(n), from)],
  ] as const) {
    seen.set(expected) // by the device, since this side has looked
    store(first, last - first)
    expected.fill(0, first, last)
    assert.deepEqual(Buffer.from(seen), Buffer.from(expected), `bytes ${first} to ${last}`)
  }
  end()
})

test('what nobody holds costs no flush and no invalidation', () => {
  const { region, file, volume, end } = mounted()
  file.write(new Uint8Array(100), 0)
  volume.readFile('/f')
  assert.deepEqual([region.flushes, region.invalidations], [0, 0])
  end()
})

test('a direct mapping is refused unless the caller says that it flushes and invalidates', () => {
  const region = memfdRegion(4 << 20, { coherent: false })
  const told: [DeviceSync, number, number][] = []
  const sync = region.syncDevice.bind(region)
  region.syncDevice = (what, offset, length) => {
    told.push([what, offset, length])
    sync(what, offset, length)
  }
  formatVolume(region)
  const volume = LayoutVolume.mount(region)
  volume.writeFile('/f', new Uint8Array(4 * BLOCK).fill(1))
  const file = volume.open('/f', 'r+')
  assert.throws(
    () => file.map({ direct: true }),
    (error: Error) => /EOPNOTSUPP.*coherence: 'manual'/.test(error.message),
  )
  assert.equal(volume.holds().length, 0)
  const mapping = file.map({ offset: BLOCK, direct: true, write: true, coherence: 'manual' })
  const at = volume.extents('/f').extents[0]!.regionBlock * BLOCK + BLOCK
  new Uint8Array(mapping.buffer).fill(9, 0, 100)
  told.length = 0
  const lines = region.counters.linesFlushed
  mapping.flush(0, 100)
  mapping.invalidate(64, 64)
  assert.deepEqual(told, [
    ['flush', at, 100],
    ['invalidate', at + 64, 64],
  ])
  assert.equal(region.counters.linesFlushed - lines, 2)
  assert.deepEqual(new Uint8Array(mapping.buffer, 0, 101), new Uint8Array(101).fill(9).fill(1, 100))
  assert.throws(() => mapping.flush(0, 4 * BLOCK), { code: 'EINVAL' })
  mapping.unmap()
  assert.throws(() => mapping.invalidate(), { code: 'ESTALE' })
  assert.equal(volume.holds().length, 0)
  volume.close()
  region.close()
})

test('the memory of a region is said to be incoherent by who opens it', (t) => {
  const directory = mkdtempSync('/dev/shm/holdfast-coherence-')
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'v.hf')
  createVolume(path, 4 << 20)
  const volume = openVolume(path, { coherent: false })
  assert.equal(volume.region.coherent, false)
  volume.close()
})

// Two page caches: that of the file on the mounted filesystem, and that of the image it is in.
test('what is written to the disk under a held file is what reads return, and the other way', (t) => {
  const why = needsLoopMount()
  if (why !== null) return t.skip(why)
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-disk-'))
  const image = join(directory, 'image')
  const mount = join(directory, 'mount')
  mkdirSync(mount)
  writeFileSync(image, '')
  truncateSync(image, 32 << 20)
  execFileSync('mkfs.ext4', ['-q', '-F', '-b', '4096', image])
  execFileSync('mount', ['-o', 'loop', image, mount])
  t.after(() => {
    execFileSync('umount', ['--lazy', mount]) // also when the test failed in the middle
    rmSync(directory, { recursive: true })
  })
  const path = join(mount, 'v.hf')
  createVolume(path, 4 << 20)
  const volume = openVolume(path, { coherent: false })
  const marker = randomBytes(BLOCK)
  volume.writeFile('/f', marker)
  const file = volume.open('/f', 'r+')
  const pin = file.pin()
  pin.flush()
  const at = readFileSync(image).indexOf(marker)
  assert.ok(at > 0, 'a flush takes it to the disk')
  const disk = openSync(image, 'r+')
  writeSync(disk, new Uint8Array(BLOCK).fill(5), 0, BLOCK, at)
  const bytes = new Uint8Array(BLOCK)
  file.read(bytes, 0)
  assert.deepEqual(bytes, new Uint8Array(BLOCK).fill(5))
  file.write(new Uint8Array(9).fill(6), 0)
  readSync(disk, bytes, 0, BLOCK, at)
  assert.deepEqual(bytes, new Uint8Array(BLOCK).fill(5).fill(6, 0, 9))
  closeSync(disk)
  volume.close()
})

/** Why there is no disk of our own, or null. */
function needsLoopMount(): string | null {
  if (process.getuid?.() !== 0) return 'mounting an image needs root'
  if (!existsSync('/dev/loop-control')) return 'there are no loop devices'
  return spawnSync('mkfs.ext4', ['-V']).status === 0 ? null : 'mkfs.ext4 is not installed'
}
