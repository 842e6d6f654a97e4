/**
 * Freeing that calls leave for later: nobody sees it, no crash loses it, and it comes to its end.
 */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import type { LayoutFile } from '../../src/layout/file.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { native } from '../../src/native/native.js'
import { heapRegion, type MemoryRegion } from '../../src/region/memory_region.js'
import type { Region } from '../../src/region/region.js'
import { formatVolume } from '../../src/volume/format.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import { LONG, seeded } from './support.js'

const BLOCK = 4096
const MIB = 1 << 20
/** Blocks of the longest file. */
const BLOCKS = 64

const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

function fresh(t: TestContext, bytes: number): MemoryRegion {
  const region = heapRegion(bytes)
  t.after(() => region.close())
  formatVolume(region, { label: 'left' })
  return region
}

function assertClean(region: Region): void {
  const report = checker.check(region)
  assert.equal(report.state, 'clean', formatReport(report))
}

/** A file of which every other block is there. */
function inPieces(volume: LayoutVolume, path: string, extents: number): LayoutFile {
  const file = volume.open(path, 'w+')
  for (let i = 0; i < extents; i++) file.write(new Uint8Array(BLOCK).fill(i + 1), 2 * i * BLOCK)
  return file
}

/** Blocks that were freed since, but for a few that say what is left. */
function assertFreed(volume: LayoutVolume, before: number, blocks: number): void {
  const freed = volume.statfs().blocksFree - before
  assert.ok(freed <= blocks && freed >= blocks - 3, `${freed} blocks were freed`)
}

/** What a crash leaves now, mounted. */
function crashed(t: TestContext, region: MemoryRegion): LayoutVolume {
  const copy = heapRegion(region.byteLength)
  t.after(() => copy.close())
  native.copy(copy.memory, 0, region.memory, 0, region.byteLength)
  return LayoutVolume.mount(copy)
}

test('a truncate and an unlink free some extents, and the rest in steps', (t) => {
  const region = fresh(t, 16 * MIB)
  const volume = LayoutVolume.mount(region)
  volume.leaveFreeing(10)
  const empty = volume.statfs().blocksFree
  const file = inPieces(volume, '/cut', 95)
  const full = volume.statfs().blocksFree
  file.truncate(0)
  assert.equal(volume.work.left, 1)
  assertFreed(volume, full, 10)
  for (let steps = 1; steps < 9; steps++) assert.equal(volume.freeLeft(), true)
  assert.equal(volume.freeLeft(), false)
  const free = volume.statfs().blocksFree
  assert.ok(free >= full + 95)

  inPieces(volume, '/gone', 95).close()
  const before = volume.statfs().blocksFree
  volume.unlink('/gone')
  assertFreed(volume, before, 10)
  assert.throws(() => volume.stat('/gone'), { code: 'ENOENT' })
  const open = inPieces(volume, '/open', 95)
  volume.unlink('/open')
  open.close()
  assert.equal(volume.work.left, 2)
  const after = crashed(t, region)
  after.unlink('/cut')
  for (let i = 0; i < 100; i++) after.statfs()
  assert.equal(after.statfs().blocksFree, empty, 'a crash frees it')
  after.close()
  file.close()
  volume.unlink('/cut')
  volume.close()
  assertClean(region)
  const again = LayoutVolume.mount(region)
  assert.equal(again.statfs().blocksFree, empty, 'an end in order, too')
  again.close()
})

test('whoever looks at a file that is being freed sees none of it', (t) => {
  const region = fresh(t, 16 * MIB)
  const volume = LayoutVolume.mount(region)
  volume.leaveFreeing(4)
  for (const look of ['extents', 'pin', 'write', 'grow'] as const) {
    const file = volume.open('/f', 'w+')
    for (let i = 0; i < 40; i++) file.write(new Uint8Array(BLOCK).fill(7), 2 * i * BLOCK)
    file.truncate(2 * BLOCK)
    assert.equal(volume.work.left, 1)
    if (look === 'extents') assert.equal(file.extents().extents.length, 1)
    else if (look === 'pin') {
      const pin = file.pin()
      assert.equal(
        pin.runs().reduce((sum, { length }) => sum + length, 0),
        2 * BLOCK,
      )
      volume.freeLeft()
      pin.release()
    } else {
      if (look === 'write') file.write(new Uint8Array(1).fill(1), 20 * BLOCK + 5)
      else file.truncate(50 * BLOCK)
      const bytes = new Uint8Array(60 * BLOCK)
      const count = file.read(bytes, 0)
      const expected = new Uint8Array(count)
      expected.fill(7, 0, BLOCK)
      if (look === 'write') expected[20 * BLOCK + 5] = 1
      assert.deepEqual(Buffer.compare(bytes.subarray(0, count), expected), 0, look)
    }
    while (volume.freeLeft());
    file.close()
    assertClean(region)
  }
  volume.close()
})

test('a file that is open keeps what it has, when it loses its name in the middle', (t) => {
  const region = fresh(t, 16 * MIB)
  const volume = LayoutVolume.mount(region)
  volume.leaveFreeing(4)
  const file = inPieces(volume, '/f', 40)
  file.truncate(20 * BLOCK)
  assert.equal(volume.work.left, 1)
  volume.unlink('/f')
  while (volume.freeLeft());
  const bytes = new Uint8Array(20 * BLOCK)
  assert.equal(file.read(bytes, 0), bytes.length)
  for (let i = 0; i < 20; i++) assert.equal(bytes[i * BLOCK], i % 2 === 0 ? i / 2 + 1 : 0)
  file.close()
  while (volume.freeLeft());
  assertClean(region)
  assert.equal(volume.statfs().files, 1)
  volume.close()
})

test('what is held goes at once', (t) => {
  const region = fresh(t, 16 * MIB)
  const volume = LayoutVolume.mount(region)
  volume.leaveFreeing(4)
  const file = inPieces(volume, '/f', 40)
  volume.setPolicy('/f', 'defer')
  const pin = file.pin({ length: BLOCK })
  file.truncate(0)
  assert.equal(volume.work.left, 0)
  assert.equal(volume.core.limbo.blocks, 1)
  pin.release()
  file.close()
  volume.close()
  assertClean(region)
})

/** Files by name, beside what they are to hold. */
class Files {
  readonly volume: LayoutVolume
  readonly #region: MemoryRegion
  readonly #random: Prng
  readonly #wanted = new Map<string, Uint8Array>()
  readonly #open: OpenFile[] = []

  constructor(region: MemoryRegion, random: Prng) {
    this.#region = region
    this.#random = random
    this.volume = LayoutVolume.mount(region)
    this.volume.leaveFreeing(1 + random.below(6))
  }

  step(): void {
    const { volume } = this
    const random = this.#random
    const path = `/${random.below(6)}`
    const bytes = this.#wanted.get(path)
    const what = random.below(10)
    if (what < 4) this.#write(path, bytes ?? new Uint8Array(0))
    else if (what < 6) volume.freeLeft()
    else if (bytes !== undefined) this.#change(what, path, bytes)
  }

  #change(what: number, path: string, bytes: Uint8Array): void {
    const { volume } = this
    const random = this.#random
    if (what === 6) {
      const size = random.below(bytes.length + 1)
      volume.truncate(path, size)
      this.#wanted.set(path, bytes.slice(0, size))
    } else if (what === 7) {
      this.#wanted.delete(path)
      if (random.below(2) === 0) this.#open.push(volume.open(path, 'r+'))
      volume.unlink(path)
    } else if (what === 8) {
      const to = `/${random.below(6)}`
      volume.rename(path, to)
      this.#wanted.delete(path)
      this.#wanted.set(to, bytes)
    } else {
      const file = this.#open.shift()
      if (random.below(2) === 0) file?.truncate(0)
      file?.close()
    }
  }

  #write(path: string, before: Uint8Array): void {
    const random = this.#random
    const file = this.volume.open(path, 'a+')
    file.close()
    const to = this.volume.open(path, 'r+')
    const parts = 1 + random.below(20)
    let bytes = before
    for (let i = 0; i < parts; i++) {
      const at = random.below(BLOCKS) * BLOCK + random.below(BLOCK)
      const some = new Uint8Array(1 + random.below(2 * BLOCK)).fill(1 + random.below(255))
      to.write(some, at)
      if (at + some.length > bytes.length) {
        const longer = new Uint8Array(at + some.length)
        longer.set(bytes)
        bytes = longer
      } else if (i === 0) bytes = bytes.slice()
      bytes.set(some, at)
    }
    to.close()
    this.#wanted.set(path, bytes)
  }

  check(volume: LayoutVolume): void {
    const names = volume.readdir('/', 0, 100).map(({ name }) => `/${Buffer.from(name).toString()}`)
    assert.deepEqual(names.sort(), [...this.#wanted.keys()].sort())
    for (const [path, bytes] of this.#wanted) {
      assert.equal(Buffer.compare(volume.readFile(path), bytes), 0, path)
    }
  }

  close(): void {
    for (const file of this.#open) file.close()
    this.volume.close()
    assertClean(this.#region)
  }
}

test('random calls, with freeing left in between, hold what they should, crashes or not', (t) => {
  const random = seeded(t)
  for (let round = 0; round < 2 * LONG; round++) {
    const region = fresh(t, 8 * MIB)
    const files = new Files(region, random)
    for (let step = 0; step < 120; step++) {
      files.step()
      if (random.below(30) > 0) continue
      assertClean(region)
      const after = crashed(t, region)
      files.check(after)
      after.close()
    }
    files.check(files.volume)
    files.close()
  }
})
