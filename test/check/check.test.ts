/**
 * fsck on a sound volume, and as an interface: states, exit codes, report, log replay in memory.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Checker, checkVolume, type Phase } from '../../src/check/checker.js'
import { exitCode, formatReport, reportJson } from '../../src/check/report.js'
import { LogRecord, RECORD_MAGIC, RecordKind } from '../../src/media/log.js'
import { Superblock } from '../../src/media/superblock.js'
import { TreeNode } from '../../src/media/tree_node.js'
import type { Region } from '../../src/region/region.js'
import {
  appendRecord,
  crc32cOf,
  Image,
  LOG_BLOCKS,
  ringOffset,
  sealRecord,
  setTail,
} from './image.js'
import { buildSample } from './sample.js'

const sample = buildSample()
const check = (image: Image) => checkVolume(image.region(), { crc32cOf })

test('a sound volume is clean, and its contents are counted', () => {
  const report = check(sample.image)
  assert.deepEqual(report.findings, [])
  assert.equal(report.state, 'clean')
  assert.equal(exitCode(report), 0)
  assert.equal(report.counts.files, 620)
  assert.equal(report.counts.directories, 4)
  assert.equal(report.counts.names, 622)
  assert.equal(report.counts.extents, 116)
  assert.equal(report.counts.nodes, 13)
  assert.equal(report.counts.blocksUsed + report.counts.blocksFree, 1024)
  assert.equal(report.volume!.uuid, '00112233-4455-6677-8899-aabbccddeeff')
  assert.equal(report.volume!.label, 'sample')
  assert.equal(report.volume!.otherCopy, 'same')
})

test('a checker gives the same report again and again, whatever it has checked in between', () => {
  const checker = new Checker(crc32cOf)
  const first = checker.check(sample.image.region())
  const broken = sample.image.clone()
  broken.u8.fill(0xff, 40 * 4096, 60 * 4096)
  assert.equal(checker.check(broken.region()).state, 'errors')
  assert.equal(checker.check(new Image(4).region()).state, 'unreadable')
  assert.deepEqual(checker.check(sample.image.region()), first)
})

test('checking leaves the region as it was', () => {
  const image = sample.image.clone()
  image.u8.fill(0x5a, 100 * 4096, 101 * 4096)
  const before = image.u8.slice()
  check(image)
  assert.ok(Buffer.from(before.buffer).equals(Buffer.from(image.u8.buffer)))
})

test('progress is told for each phase, and ends where it said it would', () => {
  const last = new Map<Phase, [number, number]>()
  const onProgress = (phase: Phase, done: number, total: number) =>
    void last.set(phase, [done, total])
  checkVolume(sample.image.region(), { crc32cOf, onProgress })
  const phases = ['log', 'inodes', 'directories', 'reverse map', 'bitmap']
  assert.deepEqual([...last.keys()], phases)
  for (const [done, total] of last.values()) assert.equal(done, total)
})

test('an older second superblock is no error', () => {
  const image = sample.image.clone()
  image.set(4096, Superblock, { sequence: 4 })
  const report = check(image)
  assert.equal(report.state, 'clean')
  assert.equal(report.volume!.otherCopy, 'older')
  assert.equal(report.volume!.superblock, 0)
})

test('the copy of the superblock with the higher sequence counts', () => {
  const image = sample.image.clone()
  image.set(4096, Superblock, { sequence: 6, mountEpoch: 8 })
  const report = check(image)
  assert.equal(report.volume!.superblock, 1)
  assert.equal(report.volume!.mountEpoch, 8)
})

test('a region without a volume is unreadable', () => {
  for (const blocks of [0, 1, 2, 200]) {
    const report = check(new Image(blocks))
    assert.equal(report.state, 'unreadable')
    assert.equal(exitCode(report), 8)
    assert.equal(report.volume, null)
  }
})

test('a region that throws on every read is unreadable, and the check does not throw', () => {
  const region = sample.image.region()
  const failing = { ...region, byteLength: region.byteLength, read: () => fail() }
  const report = checkVolume(failing as unknown as Region, { crc32cOf })
  assert.equal(report.state, 'unreadable')
  assert.ok(report.findings.some((f) => f.code === 'block-unreadable'))
})

function fail(): never {
  throw new Error('EIO')
}

// ---- the log -----------------------------------------------------------------------------------

/**
 * Moves the inode line at `byte` of the image into a log record; home gets rubbish in its place.
 */
function intoLog(image: Image, byte: number, position: number, sequence: number): number {
  const bytes = image.u8.slice(byte, byte + 64)
  image.u8.fill(0xee, byte, byte + 64)
  const block = Math.floor(byte / 4096)
  return appendRecord(image, position, sequence, [[block, (byte % 4096) / 64, bytes]])
}

test('records from the tail on are applied before anything is read', () => {
  const image = sample.image.clone()
  intoLog(image, image.inode(sample.a), 1000, 7)
  intoLog(image, image.state, 1003, 8)
  const before = image.u8.slice()
  const report = check(image)
  assert.deepEqual(report.findings, [])
  assert.equal(report.replayed, 2)
  assert.ok(Buffer.from(before.buffer).equals(Buffer.from(image.u8.buffer)))
})

test('a line that a record zeroes reads as zero', () => {
  const image = sample.image.clone()
  // The last lines of an inode without extents are zero: home may hold anything there.
  const line = image.inode(sample.empty) + 192
  image.u8.fill(0xee, line, line + 64)
  assert.equal(check(image).state, 'errors')
  appendRecord(image, 1000, 7, [[Math.floor(line / 4096), (line % 4096) / 64, null]])
  assert.equal(check(image).state, 'clean')
})

test('a record that is torn ends the log, and so does a gap in the sequence', () => {
  for (const [damage, sequence] of [
    [true, 8],
    [false, 9],
  ] as const) {
    const image = sample.image.clone()
    intoLog(image, image.state, 1000, 7)
    const copy = image.u8.slice(image.inode(1), image.inode(1) + 64)
    const second = appendRecord(image, 1003, sequence, [[image.slab(1), 4, copy.fill(0)]])
    if (damage) image.u8[second + 130]! ^= 1
    const report = check(image)
    assert.deepEqual(report.findings, [])
    assert.equal(report.replayed, 1)
  }
})

test('a record of the lap before is not replayed', () => {
  const image = sample.image.clone()
  // It stands where the next record would, one turn of the ring before it.
  appendRecord(image, 5000 - LOG_BLOCKS * 64, 7, [[60, 0, new Uint8Array(64)]])
  setTail(image, 5000)
  assert.equal(check(image).replayed, 0)
})

test('a pad record leads on to the start of the ring', () => {
  const image = sample.image.clone()
  const lines = LOG_BLOCKS * 64
  setTail(image, lines - 5)
  const base = ringOffset(lines - 5)
  image.u8.fill(0x77, base, base + 5 * 64)
  image.u8.fill(0, base, base + 64)
  const header = { sequence: 7, position: lines - 5, lines: 1, kind: RecordKind.pad }
  image.set(base, LogRecord, { magic: RECORD_MAGIC, ...header })
  // A pad is sealed over its header alone, whatever its length.
  image.u32[(base >>> 2) + LogRecord.word.lines] = 5
  sealRecord(image, base, 1)
  intoLog(image, image.state, lines, 8)
  const report = check(image)
  assert.deepEqual(report.findings, [])
  assert.equal(report.replayed, 2)
})

// ---- the report --------------------------------------------------------------------------------

test('the report has a line for each finding, with its place, and a summary', () => {
  const image = sample.image.clone()
  image.allocate(900, true)
  const report = check(image)
  assert.equal(exitCode(report), 4)
  const lines = formatReport(report).trimEnd().split('\n')
  assert.match(lines[0]!, /^block-leaked: block, block 900 \(0x384000\): /)
  assert.match(lines.at(-1)!, /^sample: 1 error, 620 files, 4 directories, [0-9]+\/1024 blocks$/)
})

test('the report as JSON has the findings and the exit code', () => {
  const image = sample.image.clone()
  image.allocate(900, true)
  const parsed = JSON.parse(reportJson(check(image)))
  assert.equal(parsed.exitCode, 4)
  assert.equal(parsed.findings[0].code, 'block-leaked')
  assert.equal(parsed.findingsTotal, 1)
})

test('findings past the first thousand are counted and not kept', () => {
  const image = sample.image.clone()
  const root = image.rootOf(sample.big)
  for (let child = 0; child < 3; child++) {
    const leaf = image.u32[image.record(root, child) + 3]!
    const count = image.get(leaf * 4096, TreeNode, 'count')
    for (let i = 0; i < count; i++) image.setRecord(leaf, i, { 3: 4000 })
  }
  const report = check(image)
  // Each of the 600 entries leads nowhere, and each of the 600 files has no entry.
  assert.equal(report.findingsTotal, 1200)
  assert.equal(report.findings.length, 1000)
  assert.match(formatReport(report), /and 200 more/)
})
