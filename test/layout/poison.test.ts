/**
 * Blocks whose content the medium has lost: EIO for who reads them, again and again; listed; out of
 * use for good once their file and their holders gave them back.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import type { ByteRange } from '../../src/base/layout.js'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { createRegion } from '../../src/region/file_region.js'
import type { Region } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import { assertBytes, blocksOf, Ground } from './ground.js'

/** Loses blocks: who comes there faults from then on, as where the kernel caught poison. */
class Poison {
  readonly blocks = new Set<number>()
  #met: ByteRange[] = []
  #told = true

  constructor(region: Region) {
    const { read, touch, stream, streamZero, check } = region
    region.read = (offset, target, start, length) => {
      this.#meet(offset, length)
      read.call(region, offset, target, start, length)
    }
    region.touch = (offset, length) => {
      this.#meet(offset, length)
      touch.call(region, offset, length)
    }
    region.stream = (offset, source, start, length) => {
      this.#meet(offset, length)
      stream.call(region, offset, source, start, length)
    }
    region.streamZero = (offset, length) => {
      this.#meet(offset, length)
      streamZero.call(region, offset, length)
    }
    region.check = () => {
      check.call(region)
      if (this.#told) return
      this.#told = true
      throw new HoldfastError('EIO', 'SIGBUS (code 4)')
    }
    Object.defineProperty(region, 'hasPoison', { get: () => this.#met.length > 0 })
    region.takePoison = () => this.#met.splice(0)
  }

  #meet(offset: number, length: number): void {
    for (const block of this.blocks) {
      if (block * B >= offset + length || (block + 1) * B <= offset) continue
      this.#met.push({ offset: block * B, length: B })
      this.#told = false
    }
  }
}

const EIO = { code: 'EIO' }

class Ruin extends Ground {
  readonly poison = new Poison(this.region)
  readonly listed = () => this.volume.badBlocks()

  get file(): LayoutFile {
    return (this.#file ??= this.volume.open('/f', 'r+'))
  }

  #file: LayoutFile | null = null

  fill(path: string, blocks = 8): void {
    this.volume.writeFile(path, blocksOf(path, 0, blocks))
  }

  /** The medium loses a block of a file. */
  lose(path: string, block: number): number {
    const at = this.place(path, block)!
    this.poison.blocks.add(at)
    return at
  }
}

test('a poisoned block under a pin is EIO, is listed, and never free again', () => {
  using s = new Ruin()
  s.fill('/f')
  const file = s.volume.openAs(s.other, '/f', 'r+')
  const pin = file.pin()
  const lost = s.lose('/f', 3)
  for (let i = 0; i < 2; i++) assert.throws(() => s.volume.readFile('/f'), EIO)
  assert.deepEqual(s.listed(), [lost])
  const bytes = new Uint8Array(3 * B)
  file.read(bytes, 0)
  assertBytes(bytes, blocksOf('/f', 0, 3), 'what is before it')
  assert.equal(pin.released, false, 'and the hold stays')
  assert.equal(s.place('/f', 3), lost, 'on the same block')
  s.volume.unlink('/f')
  file.close()
  pin.release()
  const free = s.free
  s.volume.writeFile('/all', new Uint8Array(B * (free - 64)))
  assert.equal(s.place('/all', 0) === lost, false)
  for (const { regionBlock, count } of s.volume.extents('/all').extents) {
    assert.ok(lost < regionBlock || lost >= regionBlock + count)
  }
  s.assertClean('with a listed block')
})

test('what copies a poisoned block is EIO, changes nothing, and the volume goes on', () => {
  using s = new Ruin()
  s.fill('/f')
  s.volume.reflink('/f', '/clone')
  const lost = s.lose('/f', 2)
  const file = s.volume.open('/f', 'r+')
  const calls: Record<string, () => void> = {
    'a write to a part of it': () => file.write(new Uint8Array(10), 2 * B + 5),
    'a write that ends in it': () => file.write(new Uint8Array(B), B + 5),
    'unshare=self': () => file.unshare('self'),
    'unshare=others': () => file.unshare('others'),
  }
  for (const [what, call] of Object.entries(calls)) {
    assert.throws(call, EIO, what)
    assert.equal(s.place('/f', 2), lost, `${what}: nothing moved`)
    assert.equal(s.place('/clone', 2), lost, what)
  }
  assert.deepEqual(s.listed(), [lost])
  // Nothing of it is kept: it may have new content, elsewhere.
  file.write(blocksOf('new', 2, 3), 2 * B)
  assert.notEqual(s.place('/f', 2), lost)
  assertBytes(s.volume.readFile('/f').subarray(2 * B, 3 * B), blocksOf('new', 2, 3), 'new')
  assert.throws(() => s.volume.readFile('/clone'), EIO)
  s.volume.unlink('/clone')
  file.close()
  s.assertClean('after all')
})

test('a store to a poisoned block is EIO for who stores, changes no size, and stops nobody else', () => {
  const calls: Record<string, (s: Ruin) => void> = {
    'a write in place': (s) => s.file.write(new Uint8Array(10), 7 * B),
    'a write in place and past the end': (s) => s.file.write(new Uint8Array(2 * B), 7 * B),
    'an append to it': (s) => s.file.write(new Uint8Array(10), 7 * B + 5),
    'a write far past the end': (s) => s.file.write(new Uint8Array(10), 40 * B),
    'a truncate up': (s) => s.file.truncate(40 * B),
    'an allocate past the end': (s) => s.file.allocate(0, 40 * B),
    'a range zeroed': (s) => s.file.zeroRange(6 * B, 3 * B),
    'a part punched': (s) => s.file.punch(7 * B + 1, 2),
  }
  for (const [what, call] of Object.entries(calls)) {
    using s = new Ruin()
    s.fill('/f')
    s.file.truncate(8 * B - 4090)
    const lost = s.lose('/f', 7)
    assert.throws(() => call(s), EIO, what)
    assert.equal(s.volume.stat('/f').size, 8 * B - 4090, what)
    s.volume.writeFile('/other', blocksOf('/other', 0, 2))
    assert.throws(() => s.volume.readFile('/f'), EIO, what)
    assert.deepEqual(s.listed(), [lost], what)
    s.file.truncate(7 * B)
    assertBytes(s.volume.readFile('/f').subarray(0, 6 * B), blocksOf('/f', 0, 6), what)
    s.assertClean(what)
  }
})

test('the end of a pin of a poisoned last block is no fault of who calls next', () => {
  using s = new Ruin()
  s.fill('/f')
  s.file.truncate(8 * B - 4090)
  const pin = s.file.pin()
  const lost = s.lose('/f', 7)
  pin.release()
  s.volume.writeFile('/other', blocksOf('/other', 0, 2))
  assertBytes(s.volume.readFile('/other'), blocksOf('/other', 0, 2), '/other')
  assert.deepEqual(s.listed(), [lost])
})

test('what is emptied of files keeps the blocks that cannot be read, and the rest moves', () => {
  using s = new Ruin()
  s.fill('/f')
  const places = Array.from({ length: 8 }, (_, block) => s.place('/f', block)!)
  const lost = [s.lose('/f', 2), s.lose('/f', 5)]
  const [from, to] = [Math.min(...places), Math.max(...places) + 1]
  const steps = s.volume.evacuate(from * B, to * B)
  let step = steps.next()
  while (step.done !== true) step = steps.next()
  const { moved, left, unreadable, unreadableOf } = step.value
  assert.deepEqual([moved, unreadable], [6, 2])
  assert.ok(left >= 2)
  assert.deepEqual(unreadableOf, [s.volume.stat('/f').ino])
  const now = places.map((_, block) => s.place('/f', block)!)
  assert.deepEqual(
    now.filter((at) => at >= from && at < to),
    lost,
  )
  assert.deepEqual(s.listed(), lost)
  assert.throws(() => s.volume.readFile('/f'), EIO)
  s.assertClean('after all')
})

test('a clone that must copy a poisoned block that is held is EIO, and does not appear', () => {
  using s = new Ruin()
  s.fill('/f')
  const pin = s.volume.openAs(s.other, '/f', 'r+').pin()
  const lost = s.lose('/f', 2)
  assert.throws(() => s.volume.reflink('/f', '/copy', { share: 'copy' }), EIO)
  assert.throws(() => s.volume.stat('/copy'), { code: 'ENOENT' })
  assert.deepEqual(s.listed(), [lost])
  pin.release()
  s.volume.reflink('/f', '/copy', { share: 'copy' })
  assert.equal(s.place('/copy', 2), lost, 'what is held no more is shared, and not read')
  s.assertClean('after all')
})

test('what cannot be listed for want of space is found again when it is read again', () => {
  using s = new Ruin()
  s.fill('/f')
  const lost = s.lose('/f', 1)
  const full = s.volume.open('/full', 'wx+')
  assert.throws(
    () => {
      for (let size = 0; ; size += B) full.write(new Uint8Array(B), size)
    },
    { code: 'ENOSPC' },
  )
  assert.throws(
    () => {
      for (let block = s.geometry.blockCount - 1; ; block--) s.volume.markBad(block)
    },
    { code: 'ENOSPC' },
  )
  assert.throws(() => s.volume.readFile('/f'), EIO)
  assert.equal(s.listed().includes(lost), false)
  full.truncate(0)
  full.close()
  assert.throws(() => s.volume.readFile('/f'), EIO)
  assert.equal(s.listed().includes(lost), true)
})

test('a region that lost its end is EIO each time that one comes there, and good again later', (t) => {
  const directory = mkdtempSync('/dev/shm/holdfast-cut-')
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'v.hf')
  const bytes = 8 << 20
  const region = createRegion(path, bytes)
  formatVolume(region)
  const volume = LayoutVolume.mount(region)
  volume.writeFile('/f', blocksOf('/f', 0, 1500))
  const file = volume.open('/f', 'r+')
  truncateSync(path, 4 << 20)
  const last = new Uint8Array(B)
  for (let i = 0; i < 3; i++) {
    assert.throws(() => file.read(last, 1499 * B), EIO, `time ${i}`)
    assert.throws(() => file.write(last, 1499 * B), EIO, `time ${i}`)
  }
  // More faults in one call than the addon keeps records of.
  assert.throws(() => volume.readFile('/f'), EIO)
  assert.throws(() => file.read(last, 1200 * B), EIO)
  assert.deepEqual(volume.badBlocks(), [], 'a file cut short has lost nothing for good')
  truncateSync(path, bytes)
  file.write(blocksOf('new', 1499, 1500), 1499 * B)
  file.read(last, 1499 * B)
  assertBytes(last, blocksOf('new', 1499, 1500), 'after the file was made whole')
  volume.close()
  region.close()
})
