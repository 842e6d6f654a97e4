import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Prng } from '../../src/base/prng.js'
import { BLOCK_BYTES, LINE_BYTES } from '../../src/base/limits.js'
import { native } from '../../src/native/native.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { planGeometry, type Geometry } from '../../src/volume/geometry.js'
import { Log, readTail, Staging, storeTail } from '../../src/volume/log.js'
import { LONG, seeded } from './support.js'

const LOG_BLOCKS = 4
const LINES = LOG_BLOCKS * 64
const LOG_START = 4 * BLOCK_BYTES
const VOLUME = 0x1234_5678
const UUID_CRC = 77

interface Setup {
  readonly region: TracedRegion
  readonly log: Log
}

/** A ring of 256 lines, much smaller than mkfs makes it: it wraps every few records. */
function setUp(t: TestContext, position = 0, seed = 99): Setup {
  const region = new TracedRegion(64 * BLOCK_BYTES)
  const geometry: Geometry = { ...planGeometry(128), logBlocks: LOG_BLOCKS, logLines: LINES }
  const stagings: [Staging, Staging] = [new Staging(64 * 1024), new Staging(64 * 1024)]
  t.after(() => {
    region.close()
    for (const staging of stagings) staging.release()
  })
  const log = new Log(region, geometry, VOLUME, stagings)
  log.start(position, 1, UUID_CRC, seed)
  storeTail(region, 3, position, UUID_CRC)
  return { region, log }
}

interface ReadRecord {
  readonly position: number
  readonly sequence: number
  readonly lines: number
  readonly kind: number
  readonly bytes: Uint8Array
}

/** A second reading of the ring, from docs/SPEC.md. */
function readRing(region: TracedRegion, tail: number, seed: number): ReadRecord[] {
  const found: ReadRecord[] = []
  const wide = (view: DataView, at: number) =>
    view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32
  for (let position = tail; position - tail < LINES;) {
    const line = position % LINES
    const start = LOG_START + line * LINE_BYTES
    const header = new DataView(region.u8.slice(start, start + LINE_BYTES).buffer)
    if (header.getUint32(0, true) !== 0x31524648 || wide(header, 16) !== position) break
    const sequence = wide(header, 8)
    const previous = found.at(-1)
    if (previous !== undefined && sequence !== previous.sequence + 1) break
    const lines = header.getUint32(24, true)
    const kind = header.getUint32(28, true)
    if (lines < 1 || line + lines > LINES || header.getUint32(36, true) !== VOLUME) break
    const covered = kind === 2 ? 1 : lines
    const bytes = region.u8.slice(start, start + covered * LINE_BYTES)
    const stored = header.getUint32(4, true)
    bytes.fill(0, 4, 8)
    if (native.crc32cPortable(bytes, 0, bytes.length, seed) !== stored) break
    found.push({ position, sequence, lines, kind, bytes })
    position += lines
  }
  return found
}

/** Appends a record with random payload; returns its payload. */
function append(log: Log, prng: Prng, lines: number): Uint8Array {
  const offset = log.reserve(lines)
  const payload = new Uint8Array((lines - 1) * LINE_BYTES)
  prng.fill(payload)
  log.staging.u8.set(payload, offset + LINE_BYTES)
  log.append(offset, lines, 0)
  return payload
}

test('what was appended is read back, lap after lap, with pads at the end of the ring', (t) => {
  const prng = seeded(t)
  const { region, log } = setUp(t)
  let expected: Array<{ position: number; payload: Uint8Array }> = []
  let pads = 0
  for (let i = 0; i < 3000 * LONG; i++) {
    if (log.room < 2 * log.recordLinesMax || prng.chance(1, 10)) {
      log.moveTail()
      expected = []
    }
    const lines = 1 + prng.below(prng.chance(1, 5) ? log.recordLinesMax : 10)
    const payload = append(log, prng, lines)
    log.flush(false)
    expected.push({ position: log.head - lines, payload })
    const tail = readTail(region, 3, UUID_CRC)
    assert.equal(tail, log.tail)
    const records = readRing(region, tail, 99)
    assert.equal(
      records.reduce((sum, one) => sum + one.lines, 0),
      log.head - tail,
    )
    const transactions = records.filter(({ kind }) => kind === 1)
    pads = Math.max(pads, records.length - transactions.length)
    assert.deepEqual(
      transactions.map(({ position, bytes }) => ({ position, payload: bytes.slice(LINE_BYTES) })),
      expected,
    )
  }
  assert.ok(log.head > LINES * 10, 'the ring was passed many times')
  assert.ok(pads > 0, 'there were pads')
})

test('a record never crosses the end of the ring, and a pad fills what is left', (t) => {
  for (let left = 1; left < 12; left++) {
    const { region, log } = setUp(t, LINES * 3 - left)
    const prng = seeded(t)
    append(log, prng, 12)
    log.flush(false)
    const [pad, record] = readRing(region, LINES * 3 - left, 99)
    assert.deepEqual([pad?.kind, pad?.lines], [2, left])
    assert.deepEqual([record?.kind, record?.position], [1, LINES * 3])
  }
})

test('a record that ends with the ring needs no pad', (t) => {
  const { region, log } = setUp(t, LINES - 12)
  append(log, seeded(t), 12)
  log.flush(false)
  assert.deepEqual(
    readRing(region, LINES - 12, 99).map(({ kind }) => kind),
    [1],
  )
})

test('records of another lap, another mount or another volume are not taken', (t) => {
  const prng = seeded(t)
  const { region, log } = setUp(t)
  while (log.head < LINES / 2) append(log, prng, 8)
  log.flush(false)
  assert.ok(readRing(region, 0, 99).length > 5)
  assert.deepEqual(readRing(region, LINES, 99), [], 'another lap')
  assert.deepEqual(readRing(region, 0, 98), [], 'another salt')
})

test('positions and sequences go on past 32 bits', (t) => {
  const start = 2 ** 32 - 10
  const { region, log } = setUp(t, start)
  log.start(start, 2 ** 32 - 2, UUID_CRC, 99)
  const prng = seeded(t)
  for (let i = 0; i < 8; i++) append(log, prng, 5)
  log.flush(false)
  const records = readRing(region, start, 99)
  assert.equal(records.at(-1)!.sequence, log.sequence - 1)
  assert.ok(log.sequence > 2 ** 32 && log.head > 2 ** 32)
  log.moveTail()
  assert.equal(readTail(region, 3, UUID_CRC), log.head)
})

test('records of a group are in the ring after the flush and not before', (t) => {
  const { region, log } = setUp(t)
  const prng = seeded(t)
  const before = region.u8.slice()
  for (let i = 0; i < 5; i++) append(log, prng, 4)
  assert.ok(log.staged)
  assert.deepEqual(region.u8, before)
  log.flush(true)
  assert.equal(readRing(region, 0, 99).length, 5)
  assert.ok(!log.staged)
})

for (const [dataWritten, wanted] of [
  [true, ['fence', 'store', 'store', 'fence']],
  [false, ['store', 'store', 'fence']],
] as const) {
  test(`a flush ${dataWritten ? 'after data' : 'without data'} is ${wanted.join(', ')}`, (t) => {
    const { region, log } = setUp(t)
    const prng = seeded(t)
    append(log, prng, 4)
    append(log, prng, 4)
    const events: string[] = []
    region.listener = {
      beforeStore: () => {},
      stored: (_, __, streamed) => void events.push(streamed ? 'store' : 'unflushed'),
      flushed: () => void events.push('flush'),
      fenced: () => void events.push('fence'),
      synced: () => void events.push('sync'),
    }
    log.flush(dataWritten)
    assert.deepEqual(events, wanted)
    assert.equal(log.durable, log.head)
  })
}

test('the tail moves by one store of 8 bytes and a fence, never past what is durable', (t) => {
  const { region, log } = setUp(t)
  append(log, seeded(t), 4)
  assert.throws(() => log.moveTail(), /never passes what is durable/)
  log.flush(false)
  const events: string[] = []
  region.listener = {
    beforeStore: () => {},
    stored: (offset, length) => void events.push(`store ${length} at ${offset}`),
    flushed: () => void events.push('flush'),
    fenced: () => void events.push('fence'),
    synced: () => {},
  }
  log.moveTail()
  assert.deepEqual(events, [`store 8 at ${3 * BLOCK_BYTES}`, 'flush', 'fence'])
})

test('a tail of another volume, or with any bit changed, is refused', (t) => {
  const { region } = setUp(t, 123_456)
  assert.equal(readTail(region, 3, UUID_CRC), 123_456)
  assert.throws(() => readTail(region, 3, UUID_CRC + 1), { code: 'EUCLEAN' })
  for (let bit = 0; bit < 64; bit++) {
    region.u8[3 * BLOCK_BYTES + (bit >>> 3)]! ^= 1 << (bit & 7)
    assert.throws(() => readTail(region, 3, UUID_CRC), { code: 'EUCLEAN' }, `bit ${bit}`)
    region.u8[3 * BLOCK_BYTES + (bit >>> 3)]! ^= 1 << (bit & 7)
  }
})

test('a flush on a thread that is overtaken says so, and nothing is written twice', async (t) => {
  const { region, log } = setUp(t)
  const prng = seeded(t)
  append(log, prng, 4)
  const first = log.flushAsync()
  append(log, prng, 4)
  log.flush(true)
  assert.equal(await first, false)
  assert.equal(readRing(region, 0, 99).length, 2)
  append(log, prng, 4)
  assert.equal(await log.flushAsync(), true)
  assert.equal(readRing(region, 0, 99).length, 3)
  assert.equal(log.durable, log.head)
})
