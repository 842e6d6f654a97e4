import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { native } from '../../src/native/native.js'
import { fails, pageBytes, randomBytes, seeded, viewOf } from './support.js'

const memory = native.anonymous(4 * pageBytes)
const other = native.anonymous(4 * pageBytes)
const bytes = viewOf(memory)
const others = viewOf(other)
after(() => {
  native.unmap(memory)
  native.unmap(other)
})

const random = seeded('bytes')
const source = randomBytes(random, 3 * pageBytes)

/** Does `call` put exactly the source's bytes in place, and touch nothing around them? */
function check(start: number, length: number, from: Uint8Array, call: () => void, where = bytes) {
  const expected = where.slice()
  expected.set(from.subarray(0, length), start)
  call()
  native.fence()
  if (Buffer.compare(where, expected) !== 0) assert.fail(`${start} ${length}`)
}

const writers: Record<string, (to: number, from: number, length: number) => void> = {
  copyIn: (to, from, length) => native.copyIn(memory, to, source, from, length),
  streamIn: (to, from, length) => native.streamIn(memory, to, source, from, length),
  copy: (to, from, length) => native.copy(memory, to, other, from, length),
  stream: (to, from, length) => native.stream(memory, to, other, from, length),
}

for (const [name, write] of Object.entries(writers)) {
  test(`${name} moves exactly its bytes at every alignment`, () => {
    others.set(source)
    const lengths = [0, 1, 7, 8, 63, 64, 65, 127, 128, 129, 200, 300]
    for (let to = 64; to <= 128; to++) {
      for (const length of lengths) {
        const from = random() % 70
        bytes.fill(random() & 255, 0, 600)
        check(to, length, source.subarray(from), () => write(to, from, length))
      }
    }
    for (let i = 0; i < 300; i++) {
      const to = random() % 4096
      const from = random() % 4096
      const length = random() % 8000
      check(to, length, source.subarray(from), () => write(to, from, length))
    }
  })
}

for (const name of ['zero', 'streamZero'] as const) {
  test(`${name} clears exactly its bytes at every alignment`, () => {
    const none = new Uint8Array(8192)
    for (let to = 0; to <= 64; to++) {
      for (const length of [0, 1, 8, 63, 64, 65, 130, 300]) {
        bytes.fill(1 + (random() % 255), 0, 600)
        check(to, length, none, () => native[name](memory, to, length))
      }
    }
    bytes.fill(9)
    check(100, 8001, none, () => native[name](memory, 100, 8001))
  })
}

test('copyOut moves exactly its bytes at every alignment', () => {
  bytes.set(source)
  const target = new Uint8Array(700)
  for (let from = 0; from <= 64; from++) {
    for (const length of [0, 1, 8, 63, 64, 65, 200, 300]) {
      const start = random() % 300
      target.fill(random() & 255)
      check(
        start,
        length,
        source.subarray(from),
        () => native.copyOut(memory, from, target, start, length),
        target,
      )
    }
  }
})

test('copy within one memory may overlap', () => {
  for (const [to, from] of [
    [0, 100],
    [100, 0],
    [64, 65],
    [65, 64],
  ] as const) {
    bytes.set(source)
    const expected = bytes.slice()
    expected.copyWithin(to, from, from + 5000)
    native.copy(memory, to, memory, from, 5000)
    assert.deepEqual(bytes, expected)
  }
})

test('stream refuses ranges that overlap, and takes neighbours', () => {
  fails('EINVAL', () => native.stream(memory, 0, memory, 63, 64))
  fails('EINVAL', () => native.stream(memory, 63, memory, 0, 64))
  native.stream(memory, 0, memory, 64, 64)
  native.stream(memory, 64, memory, 0, 64)
})

test('copyIn from a view of the same memory is a move', () => {
  bytes.set(source)
  const expected = bytes.slice()
  expected.copyWithin(10, 0, 5000)
  native.copyIn(memory, 10, bytes, 0, 5000)
  assert.deepEqual(bytes, expected)
})

test('store8 stores low and high in little-endian order', () => {
  const data = new DataView(bytes.buffer)
  for (const [low, high] of [
    [0, 0],
    [0xffffffff, 0xffffffff],
    [0x89abcdef, 0x01234567],
    [1, 0x80000000],
  ] as const) {
    bytes.fill(0xaa, 0, 64)
    native.store8(memory, 8, low, high)
    assert.equal(data.getUint32(8, true), low)
    assert.equal(data.getUint32(12, true), high)
    assert.equal(data.getUint32(4, true), 0xaaaaaaaa)
    assert.equal(data.getUint32(16, true), 0xaaaaaaaa)
  }
})

test('store8 refuses unaligned places and halves that are no u32', () => {
  for (const offset of [1, 4, 7, -8, 0.5, NaN, 4 * pageBytes, 4 * pageBytes - 4]) {
    fails('ERR_OUT_OF_RANGE', () => native.store8(memory, offset, 0, 0))
  }
  for (const half of [-1, 0.5, NaN, 2 ** 32]) {
    fails('ERR_OUT_OF_RANGE', () => native.store8(memory, 0, half, 0))
    fails('ERR_OUT_OF_RANGE', () => native.store8(memory, 0, 0, half))
  }
  native.store8(memory, 4 * pageBytes - 8, 1, 2)
})

test('flush counts the lines that the range touches', () => {
  for (const [offset, length, lines] of [
    [0, 0, 0],
    [63, 0, 0],
    [0, 1, 1],
    [0, 64, 1],
    [63, 1, 1],
    [63, 2, 2],
    [1, 64, 2],
    [0, 4096, 64],
    [32, 4096, 65],
    [4 * pageBytes, 0, 0],
  ] as const) {
    assert.equal(native.flush(memory, offset, length), lines, `${offset} ${length}`)
  }
})

test('lines that were written back and dropped, or looked at, have the bytes that they had', () => {
  const bytes = new Uint8Array(native.view(memory, 0, 4 * pageBytes))
  for (let i = 0; i < bytes.length; i++) bytes[i] = i * 7
  const expected = bytes.slice()
  for (const [offset, length] of [
    [0, 0],
    [1, 1],
    [63, 2],
    [100, 5000],
    [0, 4 * pageBytes],
  ] as const) {
    native.evict(memory, offset, length)
    assert.deepEqual(bytes, expected, `evict ${offset} ${length}`)
    native.touch(memory, offset, length)
    assert.deepEqual(bytes, expected, `touch ${offset} ${length}`)
  }
})

test('the features of the processor have names', () => {
  assert.match(native.cpu.flush, /^(clwb|clflushopt|clflush|dc cvap|dc cvac)$/)
  assert.match(native.cpu.crc32c, /^(sse4\.2|armv8|portable)$/)
  assert.match(native.cpu.stream, /^(non-temporal|cached)$/)
})
