/**
 * A volume becomes smaller, whatever lies behind its new end; a cut leaves it large or small.
 *
 * SEED repeats a run. HOLDFAST_LONG=n tries n times as many random trees, and from 2 on a cut at
 * every store, not at one of six.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { Prng } from '../../src/base/prng.js'
import { Superblock } from '../../src/media/superblock.js'
import { native } from '../../src/native/native.js'
import type { Region } from '../../src/region/region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { repairVolume } from '../../src/repair/repairer.js'
import { formatVolume } from '../../src/volume/format.js'
import { growSuperblock } from '../../src/volume/resize.js'
import { SuperblockPair } from '../../src/volume/superblock.js'
import type { Volume } from '../../src/volume/volume.js'
import { Medium } from '../crash/medium.js'
import { assertClean, bytesOf, mount, newRegion } from './support.js'

const MOUNT = { atime: 'never' } as const
const LONG = Number(process.env['HOLDFAST_LONG'] ?? 1)
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))

const blocksOf = (region: Region): number => {
  const pair = new SuperblockPair(region)
  pair.read()
  return pair.u32[Superblock.word.blockCount]!
}

/** All that a volume does to end after `blocks` blocks; returns how many moved. */
function shrinkTo(region: Region, blocks: number): number {
  const volume = mount(region, MOUNT)
  let moved = 0
  try {
    for (const n of volume.shrinkTo(blocks)) moved += n
  } finally {
    volume.close()
  }
  return moved
}

/** Everything that can be read, path by path. */
function inventory(volume: Volume): Map<string, string> {
  const found = new Map<string, string>()
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const look = (path: string) => {
    const { ino, type, mode, nlink, size } = volume.lstat(path)
    const nofollow = { follow: false }
    const attributes = volume
      .listXattrs(path, nofollow)
      .sort()
      .map((name) => `${name}=${hex(volume.getXattr(path, name, nofollow))}`)
    const content =
      type === 'file'
        ? hex(volume.readFile(path))
        : type === 'symlink'
          ? hex(volume.readlink(path))
          : ''
    found.set(path, [ino, type, mode, nlink, size, ...attributes, content].join(' '))
    if (type !== 'directory') return
    for (const { name } of volume.readdir(path)) {
      look(`${path === '/' ? '' : path}/${Buffer.from(name).toString()}`)
    }
  }
  look('/')
  return found
}

function assertSame(region: Region, before: Map<string, string>, when: string): void {
  const volume = mount(region, MOUNT)
  try {
    const after = inventory(volume)
    assert.deepEqual([...after.keys()].sort(), [...before.keys()].sort(), when)
    for (const [path, text] of before) assert.equal(after.get(path), text, `${path} ${when}`)
  } finally {
    volume.close()
  }
}

/** One of each kind of metadata, at most so large. */
function fillWithAll(volume: Volume, names: number, extents: number): void {
  volume.mkdir('/many')
  for (let i = 0; i < names; i++) {
    const long = i % 7 === 0 ? 'n'.repeat(200) : 'n'
    volume.writeFile(`/many/${long}${i}`, bytesOf(`${i} `, i % 5 === 0 ? 5000 : 0))
  }
  const holes = volume.open('/holes', 'w')
  for (let i = 0; i < extents; i++) holes.write(bytesOf(`${i}.`, 4096), i * 8192)
  holes.close()
  volume.reflink('/holes', '/clone')
  volume.link('/holes', '/hard')
  volume.symlink('short', '/short')
  volume.symlink(`/${'x/'.repeat(1000)}`, '/long')
  for (const path of ['/many', '/holes', '/clone']) {
    volume.setXattr(path, 'user.empty', new Uint8Array(0))
    volume.setXattr(path, 'user.short', bytesOf('value of it ', 300))
    volume.setXattr(path, 'user.long', bytesOf(path, 9000))
    volume.setXattr(path, `user.${'long'.repeat(50)}`, bytesOf('s', 512))
  }
}

const FILLER_BLOCKS = 64

/** Takes the lowest free blocks, as files too small for aligned groups; returns what gives back. */
function fillLow(volume: Volume, blocks: number): () => void {
  const count = Math.floor(blocks / FILLER_BLOCKS)
  const bytes = new Uint8Array(FILLER_BLOCKS * 4096)
  for (let i = 0; i < count; i++) volume.writeFile(`/filler${i}`, bytes)
  return () => {
    for (let i = 0; i < count; i++) volume.unlink(`/filler${i}`)
  }
}

/** A region whose volume has all kinds of metadata behind `low` blocks of free space. */
function highVolume(kib: number, low: number, names: number, extents: number): TracedRegion {
  const region = newRegion(kib)
  const volume = mount(region, MOUNT)
  const empty = fillLow(volume, low)
  fillWithAll(volume, names, extents)
  empty()
  volume.close()
  return region
}

test('whatever lies behind the new end moves: names, attributes, links, extents, the trees', () => {
  const region = highVolume(8192, 900, 400, 300)
  const volume = mount(region, MOUNT)
  const before = inventory(volume)
  const { dataStart } = volume.core.geometry
  const held = volume.core.allocator.firstInUse(dataStart + 500, 2048)
  assert.ok(held > dataStart + 900 - 16, 'the low space is free')
  const used = 2048 - volume.statfs().blocksFree
  volume.close()
  const blocks = dataStart + 900
  const moved = shrinkTo(region, blocks)
  assert.ok(moved > used - dataStart - 20, `${moved} moved of ${used}`)
  assert.equal(blocksOf(region), blocks)
  assertClean(region, 'when it had shrunk')
  assertSame(region, before, 'when it had shrunk')

  const small = mount(region, MOUNT)
  assert.equal(small.statfs().blocks, blocks - dataStart)
  assert.equal(small.statfs().blocksFree, blocks - used)
  for (let i = 0; i < 400; i += 2) small.unlink(`/many/${i % 7 === 0 ? 'n'.repeat(200) : 'n'}${i}`)
  small.unlink('/clone')
  small.removeXattr('/many', 'user.long')
  small.writeFile('/new', bytesOf('new', 100_000))
  small.close()
  assertClean(region, 'when it was written to')
  region.close()
})

test('a volume that has shrunk grows again, and the blocks come back', () => {
  const region = highVolume(4096, 300, 60, 40)
  const volume = mount(region, MOUNT)
  const [before, free] = [inventory(volume), volume.statfs().blocksFree]
  volume.close()
  shrinkTo(region, 290)
  assert.deepEqual(growSuperblock(region), { before: 290, after: 1024 })
  const again = mount(region, MOUNT)
  assert.equal(again.statfs().blocksFree, free)
  again.close()
  assertSame(region, before, 'when it had grown')
  assertClean(region, 'when it had grown')
  region.close()
})

test('a bad block behind the new end stays listed, and is as bad when the volume grows again', () => {
  const region = highVolume(4096, 300, 60, 40)
  const volume = mount(region, MOUNT)
  const before = inventory(volume)
  const { bitmapStart, dataStart } = volume.core.geometry
  const { regionBlock } = volume.extents('/holes').extents[3]!
  // One of nobody, one of a file, one of metadata, one that stays within the volume.
  const metadata = volume.core.pages.u32[volume.core.inodes.get(volume.stat('/many').ino) + 10]!
  const bad = [dataStart + 5, regionBlock, metadata, 1000].sort((a, b) => a - b)
  assert.ok(regionBlock > 290 && metadata > 290)
  for (const block of bad) volume.markBad(block)
  volume.core.region.stream(1000 * 4096, bytesOf('HFT1', 4096), 0, 4096)
  volume.close()
  shrinkTo(region, 290)
  assertClean(region, 'with bad blocks behind its end')
  assertSame(region, before, 'with bad blocks behind its end')
  region.u8[bitmapStart * 4096 + 100]! ^= 1
  const { state, fixes } = repairVolume(region, { crc32cOf: native.crc32cOf })
  assert.deepEqual([state, fixes.filter(({ code }) => /bad/.test(code))], ['repaired', []])
  assertClean(region, 'with bad blocks behind its end, and repaired')
  growSuperblock(region)
  const again = mount(region, MOUNT)
  assert.deepEqual(again.badBlocks(), bad)
  assert.equal(again.core.allocator.freeIn(290, 1024), 1024 - 290 - 3)
  again.close()
  assertClean(region, 'when it had grown')
  region.close()
})

test('what has no room in the smaller volume is ENOSPC, and nothing has changed', () => {
  const region = highVolume(4096, 500, 60, 40)
  let volume = mount(region, MOUNT)
  const before = inventory(volume)
  const free = volume.statfs().blocksFree
  volume.close()
  assert.throws(() => shrinkTo(region, 140), /ENOSPC: \d+ blocks in use beyond.*, \d+ free before/)
  assert.equal(blocksOf(region), 1024)
  volume = mount(region, MOUNT)
  assert.equal(volume.statfs().blocksFree, free)
  volume.close()
  assertSame(region, before, 'when there was no room')
  assertClean(region, 'when there was no room')
  region.close()
})

test('stopped between two steps, it is a sound volume of the old size, and goes on later', () => {
  const region = highVolume(4096, 300, 60, 40)
  let volume = mount(region, MOUNT)
  const before = inventory(volume)
  const free = volume.statfs().blocksFree
  volume.close()
  let stops = 0
  for (let most = 1; ; most += 5) {
    volume = mount(region, MOUNT)
    const steps = volume.shrinkTo(290)
    let done: boolean | undefined = false
    for (let i = 0; i < most && done !== true; i++) done = steps.next().done
    if (done === true) break
    stops++
    if (most % 2 === 0) volume.close()
    else {
      volume.core.pages.tick()
      steps.return()
      assert.equal(volume.core.allocator.available, free)
      assert.equal(volume.statfs().blocksFree, free)
      volume.writeFile('/more', new Uint8Array(600 * 4096).fill(1))
      volume.unlink('/more')
      volume.close()
    }
    assertClean(region, `stopped after ${most} steps`)
    assert.equal(blocksOf(region), 1024)
  }
  assert.ok(stops > 4, `${stops} stops`)
  volume.close()
  assert.equal(blocksOf(region), 290)
  assertClean(region, 'when it went on')
  assertSame(region, before, 'when it went on')
  region.close()
})

test('a mounted volume goes on at its new size: what is written then fits, no more', () => {
  const region = highVolume(4096, 300, 60, 40)
  const volume = mount(region, MOUNT)
  const before = inventory(volume)
  const { blocks: size, blocksFree: free } = volume.statfs()
  for (const _ of volume.shrinkTo(290)) void _
  assert.equal(volume.statfs().blocks, size - (1024 - 290))
  assert.equal(volume.statfs().blocksFree, free - (1024 - 290))
  assert.equal(volume.core.allocator.available, free - (1024 - 290))
  const file = volume.open('/new', 'w')
  let wrote = 0
  assert.throws(() => {
    for (;;) wrote += file.write(bytesOf('new', 4096), wrote)
  }, /ENOSPC/)
  file.close()
  assert.ok(wrote > (free - (1024 - 290) - 50) * 4096, `${wrote} bytes written`)
  assert.ok(volume.extents('/new').extents.every((e) => e.regionBlock + e.count <= 290))
  assert.throws(() => volume.markBad(290), /EINVAL/)
  volume.unlink('/new')
  for (const _ of volume.shrinkTo(280)) void _
  volume.close()
  assert.equal(blocksOf(region), 280)
  assertClean(region, 'when it had shrunk twice')
  assertSame(region, before, 'when it had shrunk twice')
  region.close()
})

test('a free block behind the new end that goes bad meanwhile is bad afterwards', () => {
  const region = highVolume(4096, 300, 60, 40)
  for (const givenUp of [true, false]) {
    const bad = givenUp ? 900 : 901
    const volume = mount(region, MOUNT)
    const { blocksFree } = volume.statfs()
    const steps = volume.shrinkTo(290)
    steps.next()
    volume.markBad(bad)
    volume.core.pages.tick()
    if (givenUp) steps.return()
    else for (const _ of steps) void _
    assert.equal(volume.statfs().blocksFree, blocksFree - (givenUp ? 2 : 1024 - 290 - 1))
    volume.close()
    assertClean(region, `block ${bad} is bad`)
  }
  growSuperblock(region)
  const volume = mount(region, MOUNT)
  assert.deepEqual(volume.badBlocks(), [900, 901])
  assert.equal(volume.core.allocator.freeIn(290, 1024), 1024 - 290 - 2)
  volume.close()
  assertClean(region, 'when it had grown')
  region.close()
})

test('blocks with more owners than the cache has pages move, and each owner with them', () => {
  const region = newRegion(16_384)
  let volume = mount(region, { ...MOUNT, cachePages: 4096 })
  const empty = fillLow(volume, 1600)
  const bytes = bytesOf('shared', 4096)
  volume.writeFile('/one', bytes)
  // Fifteen inodes share a page.
  const clones = 256 * 15 + 200
  for (let i = 0; i < clones; i++) volume.reflink('/one', `/clone${i}`)
  empty()
  const { regionBlock } = volume.extents('/one').extents[0]!
  const before = volume.core.geometry.blockCount
  volume.close()
  assert.ok(regionBlock > 1500 && regionBlock < before)
  shrinkTo(region, regionBlock)
  assertClean(region, 'with many owners')
  volume = mount(region, MOUNT)
  for (const path of ['/one', '/clone0', `/clone${clones - 1}`]) {
    assert.deepEqual(volume.readFile(path), bytes, path)
    assert.ok(volume.extents(path).extents[0]!.regionBlock < regionBlock, path)
  }
  volume.close()
  region.close()
})

/** Runs `operation` until it is to make store `at`; false: it made fewer. */
function cutAt(region: TracedRegion, durable: Uint8Array, at: number, operation: () => void) {
  const stop = new Error('cut')
  let stores = 0
  const medium = new Medium(
    region,
    durable,
    () => {},
    () => {},
  )
  region.listener = {
    beforeStore: () => {
      if (stores++ >= at) throw stop
      medium.beforeStore()
    },
    stored: (offset, length, streamed) => {
      medium.stored(offset, length, streamed)
    },
    flushed: (offset, length) => medium.flushed(offset, length),
    fenced: () => medium.fenced(),
    synced: () => medium.synced(),
  }
  try {
    operation()
    return false
  } catch (error) {
    if (error === stop || (error instanceof Error && /cut/.test(error.message))) return true
    throw error
  } finally {
    region.listener = null
  }
}

test('a cut at any store of shrinking leaves a sound volume, and shrinking again finishes', () => {
  const region = highVolume(1536, 150, 20, 12)
  const before = (() => {
    const volume = mount(region, MOUNT)
    try {
      return inventory(volume)
    } finally {
      volume.close()
    }
  })()
  const image = region.u8.slice()
  const copy = new TracedRegion(region.byteLength)
  let at = LONG > 1 ? 0 : seed % 11
  let cut = true
  for (let step = 0; cut; step++, at += LONG > 1 ? 1 : 1 + (step % 11)) {
    region.u8.set(image)
    const durable = image.slice()
    cut = cutAt(region, durable, at, () => shrinkTo(region, 190))
    for (const bytes of cut ? [region.u8, durable] : [region.u8]) {
      copy.u8.set(bytes)
      assertClean(copy, `cut at store ${at}`)
      assert.ok([190, 384].includes(blocksOf(copy)))
      if (step % 3 === 0) assertSame(copy, before, `cut at store ${at}`)
      shrinkTo(copy, 190)
      assert.equal(blocksOf(copy), 190)
      assertClean(copy, `shrunk after a cut at store ${at}`)
      assertSame(copy, before, `shrunk after a cut at store ${at}`)
    }
  }
  assert.ok(at > 150, `${at} stores`)
  copy.close()
  region.close()
})

/** A tree of all kinds of files, and some of them removed again. */
function growAtRandom(volume: Volume, top: string, random: Prng, steps: number): void {
  const directories = [top]
  const files: string[] = []
  const name = (i: number) => `${'abc'.repeat(random.below(8) === 0 ? 60 : 1)}${i}`
  for (let i = 0; i < steps; i++) {
    const path = `${directories[random.below(directories.length)]!}/${name(i)}`
    const [any, kind] = [files[random.below(files.length)], random.below(10)]
    if (kind === 0) {
      volume.mkdir(path)
      directories.push(path)
    } else if (kind < 5) {
      volume.writeFile(path, bytesOf(`${i},`, random.below(20_000)))
      files.push(path)
    } else if (kind === 5) volume.symlink('t'.repeat(1 + random.below(4000)), path)
    else if (any === undefined) continue
    else if (kind === 6) {
      volume.setXattr(any, `user.${random.below(5)}`, bytesOf('v', random.below(6000)))
    } else if (kind === 7) volume.reflink(any, path)
    else if (kind === 8) volume.link(any, path)
    else {
      volume.unlink(any)
      files.splice(files.indexOf(any), 1)
    }
  }
}

test('random trees survive shrinking to random sizes, and growing again', () => {
  console.log(`# SEED=${seed}`)
  const random = new Prng(seed)
  let shrunk = 0
  for (let run = 0; run < 4 * LONG; run++) {
    const region = new TracedRegion(4 << 20)
    formatVolume(region, { entropy: seededEntropy(run), clock: new SteppedClock() })
    for (let turn = 0; turn < 4; turn++) {
      const when = `SEED=${seed} run ${run} turn ${turn}`
      const volume = mount(region, MOUNT)
      volume.mkdir(`/${turn}`)
      const empty = fillLow(volume, random.below(400))
      growAtRandom(volume, `/${turn}`, random, 50)
      empty()
      const used = 1024 - volume.statfs().blocksFree
      const before = inventory(volume)
      volume.close()
      const blocks = Math.max(128, used - 20 + random.below(200))
      try {
        shrinkTo(region, Math.min(1024, blocks))
        shrunk++
      } catch (error) {
        if (!/ENOSPC/.test(String(error))) throw error
        assert.ok(blocks < used + 60, `${when}: ${blocks} blocks for ${used}: ${String(error)}`)
        assert.equal(blocksOf(region), 1024, when)
      }
      assertClean(region, when)
      assertSame(region, before, when)
      growSuperblock(region)
    }
    mount(region, MOUNT).close()
    assertClean(region, `SEED=${seed} run ${run}, grown`)
    region.close()
  }
  assert.ok(shrunk > 4, `${shrunk} times smaller`)
})
