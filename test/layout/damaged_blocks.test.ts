/**
 * A block of metadata that cannot be read costs the call that meets it, and what it says: nothing
 * else is lost, kept or held up for its sake.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { checkVolume } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { Inode } from '../../src/media/inode.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { native } from '../../src/native/native.js'
import { heapRegion } from '../../src/region/memory_region.js'
import type { Region } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import {
  releaseMemory,
  type MountOptions,
  workMemory,
  stagingBytes,
} from '../../src/volume/mount.js'
import type { OpenFile } from '../../src/volume/open_file.js'

const MIB = 1 << 20
const PIECES = 20
const EUCLEAN = { code: 'EUCLEAN' }

function newRegion(t: TestContext, bytes: number): Region {
  const region = heapRegion(bytes)
  t.after(() => region.close())
  formatVolume(region)
  return region
}

/** Damages a block; what is returned makes it whole again. */
function damage(region: Region, block: number): () => void {
  const bytes = new Uint8Array(BLOCK_BYTES)
  region.read(block * BLOCK_BYTES, bytes, 0, BLOCK_BYTES)
  const whole = bytes.slice()
  bytes[200]! ^= 0xff
  region.stream(block * BLOCK_BYTES, bytes, 0, BLOCK_BYTES)
  return () => region.stream(block * BLOCK_BYTES, whole, 0, BLOCK_BYTES)
}

/** A file of so many extents that they have a tree, with blocks ahead of its end. */
function manyPieces(volume: LayoutVolume, path: string): OpenFile {
  const file = volume.open(path, 'w+')
  for (let i = 0; i < PIECES; i++) file.write(new Uint8Array(BLOCK_BYTES), i * 2 * BLOCK_BYTES)
  file.truncate(64 * BLOCK_BYTES)
  const append = volume.open(path, 'a')
  for (let i = 0; i < PIECES; i++) append.write(new Uint8Array(BLOCK_BYTES))
  append.close()
  return file
}

/** Damages the tree of a file's extents, which is cached no more. */
function damageExtents({ core }: LayoutVolume, file: OpenFile): () => void {
  const { transaction, pages, inodes, region } = core
  transaction.checkpoint()
  pages.tick()
  const root = pages.u32[inodes.get(file.ino) + Inode.word.root]!
  pages.drop(root)
  return damage(region, root)
}

/** Block after block, until it is enough, or no more can be had. */
function fillUp(file: OpenFile, from: number, enough: () => boolean): void {
  for (let at = from; !enough(); at++) {
    try {
      file.allocate(at * BLOCK_BYTES, BLOCK_BYTES)
    } catch {
      return
    }
  }
}

function assertClean(region: Region): void {
  const report = checkVolume(region, { crc32cOf: native.crc32cOf })
  assert.equal(report.state, 'clean', formatReport(report))
}

test('a read of the medium that fails leaves no page behind that the cache looks for', (t) => {
  const region = newRegion(t, 64 * MIB)
  const memory = workMemory(768, stagingBytes(128 * 1024))
  t.after(() => releaseMemory(memory))
  const options: MountOptions = { memory }
  const made = LayoutVolume.mount(region, options)
  const paths = Array.from({ length: 1000 }, (_, i) => `/d${i}`)
  for (const path of paths) {
    made.mkdir(path)
    made.symlink('to', `${path}/s`)
  }
  made.close()
  const volume = LayoutVolume.mount(region, options)
  volume.readdir('/')
  const check = t.mock.method(region, 'check', () => {
    check.mock.restore()
    throw Object.assign(new Error('the medium failed'), { code: 'EIO' })
  })
  assert.throws(() => volume.readdir('/d500'), { code: 'EIO' })
  for (const path of paths) assert.equal(volume.readdir(path).length, 1)
  volume.close()
})

test('a change that forgets a page of the cache is one, and is not passed over when it fails', (t) => {
  const region = newRegion(t, 16 * MIB)
  const made = LayoutVolume.mount(region)
  made.mkdir('/d')
  made.writeFile('/d/a', new Uint8Array(0))
  made.close()
  const volume = LayoutVolume.mount(region)
  // In the cache and in the log, not at home; no page of the bitmap is cached.
  volume.rename('/d/a', '/d/b')
  const mend = damage(region, volume.core.geometry.bitmapStart)
  assert.throws(() => volume.unlink('/d/b'))
  mend()
  try {
    volume.close()
  } catch {
    // It may have stopped.
  }
  assertClean(region)
  const again = LayoutVolume.mount(region)
  assert.equal(again.stat('/d/b').size, 0)
  again.close()
})

test('a close that meets a damaged file closes the others, and keeps what they were told', (t) => {
  const region = newRegion(t, 64 * MIB)
  const volume = LayoutVolume.mount(region, { sync: 'group' })
  const file = manyPieces(volume, '/f')
  const mend = damageExtents(volume, file)
  volume.mkdir('/important')
  volume.writeFile('/important/x', Buffer.from('kept'))
  assert.throws(() => volume.close(), EUCLEAN)
  assert.ok(volume.closed)
  mend()
  assertClean(region)
  const again = LayoutVolume.mount(region)
  assert.equal(Buffer.from(again.readFile('/important/x')).toString(), 'kept')
  again.close()
})

test('a volume closes whatever a hold of it cannot find any more', (t) => {
  const region = newRegion(t, 64 * MIB)
  const volume = LayoutVolume.mount(region)
  const file = manyPieces(volume, '/f')
  volume.open('/f', 'r+').pin({ reason: 'test' })
  damageExtents(volume, file)
  assert.throws(() => volume.close(), EUCLEAN)
  assert.ok(volume.closed)
  assert.throws(() => volume.readdir('/'), { code: 'EBADF' })
})

test('a handle whose close fails keeps its file no longer', (t) => {
  const region = newRegion(t, 64 * MIB)
  const volume = LayoutVolume.mount(region)
  const file = manyPieces(volume, '/f')
  const { ino } = file
  const mend = damageExtents(volume, file)
  assert.throws(() => file.close(), EUCLEAN)
  assert.equal(volume.core.opens.get(ino), undefined)
  mend()
  const { files } = volume.statfs()
  volume.unlink('/f')
  assert.equal(volume.statfs().files, files - 1, 'it is freed')
  volume.close()
  assertClean(region)
})

test('a shrink that cannot read the bitmap takes its limit back', (t) => {
  const region = newRegion(t, 512 * MIB)
  const volume = LayoutVolume.mount(region)
  const { geometry, allocator } = volume.core
  const available = () => [allocator.available, volume.statfs().blocksAvailable]
  const before = available()
  const mend = damage(region, geometry.bitmapStart + ((geometry.chunks - 1) >>> 3))
  const shrink = () => [...volume.shrink(128 * MIB)]
  assert.throws(shrink, EUCLEAN)
  assert.throws(shrink, EUCLEAN, 'no shrink is under way')
  assert.deepEqual(available(), before)
  mend()
  volume.open('/f', 'w+').allocate(0, 300 * MIB)
  volume.close()
  assertClean(region)
})

test('a clone in steps that has no room to end leaves nothing of itself', (t) => {
  let refused = 0
  for (let spare = 0; spare < 60; spare++) {
    const region = newRegion(t, 8 * MIB)
    const volume = LayoutVolume.mount(region)
    const [from, to, fill] = ['/from', '/to', '/fill'].map((path) => volume.open(path, 'w+'))
    for (let i = 0; i < PIECES; i++) from!.write(new Uint8Array(BLOCK_BYTES), i * 2 * BLOCK_BYTES)
    const { transaction, allocator } = volume.core
    transaction.checkpoint()
    const most = allocator.available - transaction.reserve - spare - 60
    fill!.allocate(0, most * BLOCK_BYTES)
    fillUp(fill!, most, () => transaction.spare(0) <= spare)
    transaction.checkpoint()
    const { files } = volume.statfs()
    try {
      from!.reflinkAll(to!)
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
      assert.equal(volume.copies.shared(from!.ino, 0, 2 * PIECES), 0, `${spare} blocks to spare`)
      refused++
    }
    assert.equal(volume.statfs().files, files, `${spare} blocks to spare`)
    volume.close()
    assertClean(region)
  }
  assert.ok(refused > 0, 'some have no room')
})

test('what one who is asked about elsewhere may search another may not', (t) => {
  const volume = LayoutVolume.mount(newRegion(t, 16 * MIB))
  volume.mkdir('/locked', 0o700)
  volume.mkdir('/locked/below', 0o755)
  volume.writeFile('/locked/below/x', Buffer.from('x'), 0o644)
  const plain = { uid: 1000, gid: 1000 }
  volume.stat('/locked/below/x', { ...plain, decided: true })
  assert.throws(() => volume.readFile('/locked/below/x', plain), { code: 'EACCES' })
  volume.close()
})
