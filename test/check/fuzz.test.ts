/**
 * fsck against images that nobody planned: it ends, soon, and never throws. HOLDFAST_SEED repeats a
 * run, HOLDFAST_IMAGES makes it longer.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { BitmapChunk } from '../../src/media/bitmap.js'
import { Inode, INODE_MAGIC } from '../../src/media/inode.js'
import { InodeMapPage } from '../../src/media/inode_map.js'
import { NAME_MAGIC, NameHeader } from '../../src/media/name.js'
import { SlabHeader } from '../../src/media/slab.js'
import { State } from '../../src/media/state.js'
import { Superblock } from '../../src/media/superblock.js'
import { TreeNode } from '../../src/media/tree_node.js'
import { ValueBlock } from '../../src/media/value.js'
import type { Image } from './image.js'
import { appendRecord, BITMAP, crc32cOf, DATA_START, MAP, setTail } from './image.js'
import { buildSample } from './sample.js'

const seed = Number(process.env['HOLDFAST_SEED'] ?? 1)
const images = Number(process.env['HOLDFAST_IMAGES'] ?? 2000)
/** A sound image of this size takes about a millisecond with the checksums of these tests. */
const MILLISECONDS_MAX = 2000

const sample = buildSample(300)
const checker = new Checker(crc32cOf)

/**
 * Seals whatever stands in a block, by its magic: else nearly every change is only a bad
 * checksum.
 */
function sealBlock(image: Image, block: number): void {
  const base = block * 4096
  const magic = Buffer.from(image.u8.buffer, base, 4).toString('latin1')
  switch (magic) {
    case 'HFS1':
      return image.seal(base, Superblock)
    case 'HFV1':
      return image.seal(base, State)
    case 'HFB1':
      return image.seal(base, BitmapChunk)
    case 'HFM1':
      return image.seal(base, InodeMapPage)
    case 'HFT1':
      return image.seal(base, TreeNode)
    case 'HFX1':
      return image.seal(base, ValueBlock)
    case 'HFK1':
      image.seal(base, SlabHeader)
      if (image.get(base, SlabHeader, 'kind') === 1) sealInodes(image, base)
      else sealNames(image, base)
  }
}

function sealInodes(image: Image, base: number): void {
  for (let slot = 1; slot < 16; slot++) {
    const inode = base + slot * Inode.size
    if (image.get(inode, Inode, 'magic') === INODE_MAGIC) image.seal(inode, Inode)
  }
}

function sealNames(image: Image, base: number): void {
  for (let at = base + 64; at < base + 4096; at += 64) {
    const bytes = (image.get(at, NameHeader, 'length') >>> 16) * 64
    const whole = bytes > 0 && at + bytes <= base + 4096
    if (whole && image.get(at, NameHeader, 'magic') === NAME_MAGIC)
      image.seal(at, NameHeader, bytes)
  }
}

function copyBlock(image: Image, to: number, from: number): void {
  image.u8.copyWithin(to * 4096, from * 4096, from * 4096 + 4096)
}

/** Blocks that hold metadata: what there is to damage. */
const metadata = Array.from({ length: sample.image.blocks }, (_, block) => block).filter(
  (block) =>
    block < 4 ||
    block === BITMAP ||
    block === MAP ||
    (block >= DATA_START && sample.image.u32[block * 1024] !== 0),
)

function corrupt(image: Image, prng: Prng): void {
  const changes = 1 + prng.below(8)
  for (let i = 0; i < changes; i++) {
    const block = prng.pick(metadata)
    const word = block * 1024 + prng.below(prng.chance(1, 2) ? 32 : 1024)
    const kind = prng.below(6)
    if (kind === 0) image.u32[word]! ^= 1 << prng.below(32)
    else if (kind === 1) image.u32[word] = prng.next()
    else if (kind === 2) image.u32[word] = prng.below(image.blocks)
    else if (kind === 3) image.u32[word] = prng.pick(metadata)
    else if (kind === 4) image.u32[word] = prng.pick([0, 1, 0xffff_ffff, 0x7fff_ffff, image.blocks])
    else copyBlock(image, block, prng.pick(metadata))
    if (prng.chance(7, 8)) sealBlock(image, block)
  }
  if (prng.chance(1, 4)) logSomething(image, prng)
}

/** A record with a good checksum that puts a line of one page into another. */
function logSomething(image: Image, prng: Prng): void {
  const from = prng.pick(metadata) * 4096 + prng.below(64) * 64
  const to = prng.chance(1, 8) ? prng.below(image.blocks * 2) : prng.pick(metadata)
  appendRecord(image, 1000, 7, [[to, prng.below(64), image.u8.slice(from, from + 64)]])
  setTail(image, 1000)
}

test(`fsck ends without throwing on ${images} corrupt images (HOLDFAST_SEED=${seed})`, () => {
  let clean = 0
  const codes = new Set<string>()
  let slowest = 0
  for (let i = 0; i < images; i++) {
    const prng = new Prng(seed * 1_000_003 + i)
    const image = sample.image.clone()
    corrupt(image, prng)
    const start = process.cpuUsage()
    const report = checker.check(image.region())
    slowest = Math.max(slowest, process.cpuUsage(start).user / 1000)
    assert.ok(
      slowest < MILLISECONDS_MAX,
      `image ${i} of seed ${seed} took ${slowest} ms of processor time`,
    )
    assert.ok(report.findings.length <= report.findingsTotal)
    assert.equal(report.state === 'clean', report.findingsTotal === 0)
    if (report.state === 'clean') clean++
    for (const finding of report.findings) codes.add(finding.code)
  }
  // Changes to data, to unused slots, or of a word into itself: few.
  assert.ok(clean < images / 4, `${clean} of ${images} images are clean`)
  // It is not one and the same door that all of them are stopped at.
  assert.ok(codes.size >= 50 || images < 2000, `${codes.size} codes found`)
})

test('fsck ends on an image of random bytes behind a good superblock and state', () => {
  for (let i = 0; i < 20; i++) {
    const image = sample.image.clone()
    new Prng(seed * 31 + i).fill(image.u8.subarray(DATA_START * 4096))
    assert.notEqual(checker.check(image.region()).state, 'clean')
  }
})

for (const shareRoot of [0, sample.image.stateOf('shareRoot')]) {
  const what = shareRoot === 0 ? 'alone' : 'with others'
  test(`a ruin of extents that all claim everything ${what} is checked in linear time`, () => {
    const image = sample.image.clone()
    image.set(image.state, State, { shareRoot })
    for (let number = 1; number < 300; number++) {
      if ((number & 15) === 0) continue
      const base = image.inode(number)
      const fields = { mode: 0o100644, root: 0, count: 10 }
      for (let i = 0; i < 10; i++) {
        const w = (base >>> 2) + Inode.word.extents + i * 3
        image.u32.set([i * 2000, DATA_START, image.blocks - DATA_START], w)
      }
      image.set(base, Inode, fields)
    }
    const start = process.cpuUsage()
    const report = checker.check(image.region())
    assert.ok(report.findingsTotal > (shareRoot === 0 ? 1000 : 100))
    assert.ok(process.cpuUsage(start).user / 1000 < MILLISECONDS_MAX)
  })
}
