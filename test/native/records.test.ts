/**
 * scanRecords against the declaration of the format (src/media/log.ts): the same records are valid
 * for both, whatever is wrong with one.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { popcount, type Bytes } from '../../src/base/bytes.js'
import {
  invalidRecordHeader,
  LogRecord,
  PageDescriptor,
  RECORD_MAGIC,
  RecordKind,
  recordLines,
  tornRecord,
} from '../../src/media/log.js'
import { native, ScanEnd, StoreMode, type ExpectedRecord } from '../../src/native/native.js'
import { fails, pageBytes, seeded, viewOf } from './support.js'

const LINE = 64
const WINDOW = 16 * pageBytes
const BLOCKS = 16
const random = seeded('records')
const below = (bound: number) => random() % bound

const memory = native.anonymous(WINDOW)
const commands = native.anonymous(WINDOW)
const target = native.anonymous(BLOCKS * pageBytes)
after(() => [memory, commands, target].forEach((one) => native.unmap(one)))
const u8 = viewOf(memory)
const bytes: Bytes = {
  u8,
  u32: new Uint32Array(u8.buffer),
  crc32c: (offset, length, seed) => native.crc32c(memory, offset, length, seed),
}
const { u32 } = bytes
const commandWords = new Uint32Array(viewOf(commands).buffer)
const targets = viewOf(target)

const SEED = 0x1234_5678
const at = LogRecord.word

function expected(over: Partial<ExpectedRecord> = {}): ExpectedRecord {
  const linesToEnd = WINDOW / LINE
  const blocks = { firstBlock: 4, endBlock: BLOCKS, stateBlock: 2 }
  return { position: 1000, sequence: 7, linesToEnd, seed: SEED, ...blocks, ...over }
}

const mask = () => [0, 1, 0x8000_0000, random() & random() & random()][below(4)]! >>> 0

function seal(base: number, lines: number): void {
  const w = base >>> 2
  u32[w + at.checksum] = 0
  u32[w + at.checksum] = bytes.crc32c(base, lines * LINE, SEED)
}

/** Writes records from line 0 on; the line of each. */
function writeRecords(count: number): number[] {
  for (let i = 0; i < u32.length; i++) u32[i] = random()
  const starts: number[] = []
  let line = 0
  for (let i = 0; i < count; i++) {
    const pages = below(4)
    const base = line * LINE
    const w = base >>> 2
    let payload = 0
    for (let p = 0; p < pages; p++) {
      const d = (base + LogRecord.size + p * PageDescriptor.size) >>> 2
      const present = [mask(), mask()]
      payload += popcount(present[0]!) + popcount(present[1]!)
      const block = below(8) === 0 ? 2 : 4 + below(BLOCKS - 4)
      u32.set([block, 0, ...present, mask() & ~present[0]!, mask() & ~present[1]!], d)
    }
    const lines = recordLines(pages, payload)
    u32.fill(0, w, w + LINE / 4)
    u32[w + at.magic] = RECORD_MAGIC
    u32[w + at.sequence] = 7 + i
    u32[w + at.position] = 1000 + line
    u32[w + at.lines] = lines
    u32[w + at.kind] = RecordKind.transaction
    u32[w + at.pages] = pages
    seal(base, lines)
    starts.push(line)
    line += lines
  }
  starts.push(line)
  return starts
}

/** Valid records at the start, by the declaration: how many, and their lines. */
function validRecords(): { records: number; lines: number } {
  let line = 0
  let records = 0
  for (;;) {
    const base = line * LINE
    const toEnd = WINDOW / LINE - line
    if (toEnd === 0) break
    if (invalidRecordHeader(bytes, base, 1000 + line, 7 + records, toEnd) !== null) break
    if (tornRecord(bytes, base, SEED) !== null) break
    records++
    line += u32[(base >>> 2) + at.lines]!
  }
  return { records, lines: line }
}

test('scanRecords takes the records that are valid by their declaration', () => {
  let damaged = 0
  for (let round = 0; round < 3000; round++) {
    const starts = writeRecords(1 + below(5))
    // A flipped bit of a record, resealed or not: as a forger, and as a power cut, would have it.
    if (below(3) > 0) {
      const victim = below(starts.length - 1)
      const base = starts[victim]! * LINE
      const lines = starts[victim + 1]! - starts[victim]!
      const byte = below(2) === 0 ? below(44) : below(lines * LINE)
      u8[base + byte]! ^= 1 << below(8)
      if (below(2) === 0) seal(base, lines)
    }
    const valid = validRecords()
    const found = native.scanRecords(memory, 0, WINDOW, expected(), commands)
    if (found.end === ScanEnd.forged) {
      damaged++
      // Valid by itself, and refused for where it leads: the first of those that were valid.
      assert.ok(found.records < valid.records)
      continue
    }
    assert.deepEqual([found.records, found.lines], [valid.records, valid.lines])
    assert.equal(found.sequence, 7 + valid.records)
    assert.equal(found.end, ScanEnd.end)
  }
  assert.ok(damaged > 0, 'some rounds forge a descriptor')
})

test('what scanRecords finds, storeLines stores', () => {
  for (let round = 0; round < 500; round++) {
    const starts = writeRecords(1 + below(6))
    const image = targets.slice()
    for (const line of starts.slice(0, -1)) storePlainly(line, image)
    const found = native.scanRecords(memory, 0, WINDOW, expected(), commands)
    assert.equal(found.records, starts.length - 1)
    const mode = below(2) === 0 ? StoreMode.cached : StoreMode.flushed
    native.storeLines(target, memory, commands, 0, found.commands, mode)
    assert.ok(Buffer.compare(targets, image) === 0)
  }
})

/** One record, as the declaration reads. */
function storePlainly(line: number, image: Uint8Array): void {
  const base = line * LINE
  const w = base >>> 2
  const pages = u32[w + at.pages]!
  let source = base + recordLines(pages, 0) * LINE
  for (let p = 0; p < pages; p++) {
    const d = (base + LogRecord.size + p * PageDescriptor.size) >>> 2
    for (let i = 0; i < 64; i++) {
      const has = (word: number) => ((u32[d + word + (i >> 5)]! >>> (i & 31)) & 1) !== 0
      const to = u32[d]! * pageBytes + i * LINE
      if (has(2)) {
        image.set(u8.subarray(source, source + LINE), to)
        source += LINE
      } else if (has(4)) image.fill(0, to, to + LINE)
    }
  }
}

test('scanRecords says why it stopped', () => {
  const starts = writeRecords(3)
  const scan = (length: number, over: Partial<ExpectedRecord> = {}) =>
    native.scanRecords(memory, 0, length, expected(over), commands)
  const all = starts[3]! * LINE
  assert.equal(scan(all).end, ScanEnd.used)
  assert.equal(scan(WINDOW).end, ScanEnd.end)
  assert.equal(scan(WINDOW, { sequence: 0 }).records, 3)
  assert.equal(scan(WINDOW, { sequence: 8 }).records, 0)
  assert.equal(scan(WINDOW, { position: 1001 }).records, 0)
  assert.equal(scan(WINDOW, { seed: SEED + 1 }).records, 0)
  assert.equal(scan(WINDOW, { linesToEnd: starts[1]! - 1 }).records, 0)
  const last = starts[3]! - starts[2]!
  if (last > 1) {
    const { end, detail, records } = scan(all - LINE)
    assert.deepEqual([end, detail, records], [ScanEnd.longer, last, 2])
  }
})

test('a pad record ends the ring', () => {
  const [, end] = writeRecords(1)
  const base = end! * LINE
  const w = base >>> 2
  const linesToEnd = WINDOW / LINE
  u32.fill(0, w, w + LINE / 4)
  u32[w + at.magic] = RECORD_MAGIC
  u32[w + at.sequence] = 8
  u32[w + at.position] = 1000 + end!
  u32[w + at.lines] = linesToEnd - end!
  u32[w + at.kind] = RecordKind.pad
  seal(base, 1)
  const found = native.scanRecords(memory, 0, base + LINE, expected(), commands)
  assert.deepEqual([found.records, found.lines, found.end], [2, linesToEnd, ScanEnd.used])
})

test('scanRecords and storeLines refuse what does not fit', () => {
  const scan = (offset: number, length: number, to = commands) =>
    native.scanRecords(memory, offset, length, expected(), to)
  const small = native.anonymous(pageBytes)
  fails('ERR_OUT_OF_RANGE', () => scan(0, WINDOW + 1))
  fails('ERR_OUT_OF_RANGE', () => scan(64, WINDOW))
  fails('ERR_OUT_OF_RANGE', () => scan(0, pageBytes + 1, small))
  native.unmap(small)
  const store = (command: number[], count = 1) => {
    commandWords.set(command)
    native.storeLines(target, memory, commands, 0, count, StoreMode.cached)
  }
  fails('ERR_OUT_OF_RANGE', () => store([BLOCKS, 0, 1, 0, 0, 0]))
  fails('ERR_OUT_OF_RANGE', () => store([0, WINDOW - 63, 1, 0, 0, 0]))
  fails('ERR_OUT_OF_RANGE', () => store([0, 0xffff_ffff, 3, 0, 0, 0]))
  fails('ERR_OUT_OF_RANGE', () => store([0, 0, 1, 0, 0, 0], WINDOW / 24 + 1))
  store([0, WINDOW - 64, 1, 0, 0, 0])
})
