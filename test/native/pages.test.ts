import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { native, StoreMode } from '../../src/native/native.js'
import { fails, pageBytes, randomBytes, seeded, viewOf } from './support.js'

const pages = 16
const lineBytes = 64
const source = native.anonymous(pages * pageBytes)
const target = native.anonymous(pages * pageBytes)
const commands = native.anonymous(pageBytes)
const sources = viewOf(source)
const targets = viewOf(target)
const words = new Uint32Array(native.view(commands, 0, pageBytes))
after(() => [source, target, commands].forEach((memory) => native.unmap(memory)))

const random = seeded('pages')

interface Entry {
  page: number
  low: number
  high: number
  last: number
}

function randomEntries(count: number): Entry[] {
  const mask = () =>
    [0, 0xffffffff, 1, 0x80000000, random(), random() & random()][random() % 6] ?? 0
  return Array.from({ length: count }, () => ({
    page: random() % pages,
    low: mask() >>> 0,
    high: mask() >>> 0,
    last: random() % pages,
  }))
}

function write(entries: Entry[], at: number): void {
  entries.forEach(({ page, low, high, last }, i) =>
    words.set([page, low, high, last], at / 4 + i * 4),
  )
}

function linesOf(entry: Entry): number[] {
  return Array.from({ length: 64 }, (_, i) => i).filter((i) =>
    i < 32 ? (entry.low >>> i) & 1 : (entry.high >>> (i - 32)) & 1,
  )
}

test('gatherLines appends the masked lines in order', () => {
  for (let round = 0; round < 200; round++) {
    const entries = randomEntries(random() % 12)
    const at = 4 * (random() % 16)
    const start = random() % 100
    sources.set(randomBytes(random, 4096), (random() % pages) * pageBytes)
    write(entries, at)
    const expected = targets.slice()
    let end = start
    for (const entry of entries) {
      for (const line of linesOf(entry)) {
        const from = entry.page * pageBytes + line * lineBytes
        expected.set(sources.subarray(from, from + lineBytes), end)
        end += lineBytes
      }
    }
    const appended = native.gatherLines(target, start, source, commands, at, entries.length)
    assert.equal(appended, end - start)
    assert.ok(Buffer.compare(targets, expected) === 0)
  }
})

for (const [name, mode] of Object.entries(StoreMode)) {
  test(`writePages (${name}) puts the masked lines in their places`, () => {
    for (let round = 0; round < 200; round++) {
      const entries = randomEntries(random() % 12)
      const at = 4 * (random() % 16)
      sources.set(randomBytes(random, 4096), (random() % pages) * pageBytes)
      write(entries, at)
      const expected = targets.slice()
      let lines = 0
      for (const entry of entries) {
        for (const line of linesOf(entry)) {
          const from = entry.page * pageBytes + line * lineBytes
          expected.set(
            sources.subarray(from, from + lineBytes),
            entry.last * pageBytes + line * lineBytes,
          )
          lines++
        }
      }
      assert.equal(native.writePages(target, source, commands, at, entries.length, mode), lines)
      assert.ok(Buffer.compare(targets, expected) === 0)
    }
  })
}

test('sealBatch stores what crc32c says of the structure with its field zero', () => {
  for (let round = 0; round < 100; round++) {
    const count = random() % 8
    const seals = Array.from({ length: count }, (_, i) => {
      const length = 4 + (random() % 4000)
      return { offset: i * pageBytes + (random() % 90), length, field: random() % (length - 3) }
    })
    sources.set(randomBytes(random, count * pageBytes))
    seals.forEach((seal, i) => words.set([seal.offset, seal.length, seal.field, 7], i * 4))
    const expected = sources.slice()
    const data = new DataView(expected.buffer)
    for (const { offset, length, field } of seals) {
      data.setUint32(offset + field, 0, true)
      data.setUint32(offset + field, native.crc32cPortable(expected, offset, length, 0), true)
    }
    native.sealBatch(source, commands, 0, count)
    assert.ok(Buffer.compare(sources, expected) === 0)
  }
})

test('a batch refuses commands that do not fit their memory', () => {
  for (const count of [pageBytes / 16 + 1, 2 ** 32, -1, 0.5, NaN]) {
    fails('ERR_OUT_OF_RANGE', () => native.gatherLines(target, 0, source, commands, 0, count))
    fails('ERR_OUT_OF_RANGE', () => native.writePages(target, source, commands, 0, count, 0))
    fails('ERR_OUT_OF_RANGE', () => native.sealBatch(source, commands, 0, count))
  }
  fails('ERR_OUT_OF_RANGE', () =>
    native.gatherLines(target, 0, source, commands, pageBytes - 15, 1),
  )
})

test('a batch refuses pages and blocks outside their memories', () => {
  for (const page of [pages, 0xffffffff, 0x80000000]) {
    words.set([page, 1, 0, 0])
    fails('ERR_OUT_OF_RANGE', () => native.gatherLines(target, 0, source, commands, 0, 1))
    fails('ERR_OUT_OF_RANGE', () => native.writePages(target, source, commands, 0, 1, 0))
    words.set([0, 1, 0, page])
    fails('ERR_OUT_OF_RANGE', () => native.writePages(target, source, commands, 0, 1, 1))
  }
  for (const mode of [2, -1, 0.5]) {
    fails('ERR_OUT_OF_RANGE', () => native.writePages(target, source, commands, 0, 0, mode as 0))
  }
})

test('gatherLines refuses lines for which the target has no room', () => {
  words.set([0, 3, 0, 0])
  const end = pages * pageBytes
  fails('ERR_OUT_OF_RANGE', () => native.gatherLines(target, end - 127, source, commands, 0, 1))
  assert.equal(native.gatherLines(target, end - 128, source, commands, 0, 1), 128)
  fails('ERR_OUT_OF_RANGE', () => native.gatherLines(target, end + 1, source, commands, 0, 0))
  assert.equal(native.gatherLines(target, end, source, commands, 0, 0), 0)
})

test('sealBatch refuses structures and fields that do not fit', () => {
  const end = pages * pageBytes
  for (const [offset, length, field] of [
    [end, 4, 0],
    [end - 4, 5, 0],
    [0, 0xffffffff, 0],
    [0xffffffff, 0xffffffff, 0],
    [0, 4, 1],
    [0, 3, 0],
    [0, 100, 97],
    [0, 100, 0xffffffff],
  ] as const) {
    words.set([offset, length, field, 0])
    fails('ERR_OUT_OF_RANGE', () => native.sealBatch(source, commands, 0, 1))
  }
  words.set([end - 4, 4, 0, 0])
  native.sealBatch(source, commands, 0, 1)
})
