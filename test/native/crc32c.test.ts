import assert from 'node:assert/strict'
import { test } from 'node:test'
import { native } from '../../src/native/native.js'
import { fails, randomBytes, seeded } from './support.js'

/** The definition, bit by bit. */
function reference(bytes: Uint8Array, seed: number): number {
  let state = ~seed
  for (const byte of bytes) {
    state ^= byte
    for (let bit = 0; bit < 8; bit++) state = (state >>> 1) ^ (state & 1 ? 0x82f63b78 : 0)
  }
  return ~state >>> 0
}

const vectors: [string, Uint8Array, number][] = [
  ['the check value', Buffer.from('123456789'), 0xe3069283],
  ['nothing', new Uint8Array(0), 0],
  ['32 zeros (RFC 3720 B.4)', new Uint8Array(32), 0x8a9136aa],
  ['32 ones (RFC 3720 B.4)', new Uint8Array(32).fill(255), 0x62a8ab43],
  ['32 ascending (RFC 3720 B.4)', Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ['32 descending (RFC 3720 B.4)', Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
]

for (const [name, bytes, expected] of vectors) {
  test(`crc32c of ${name} is 0x${expected.toString(16)}`, () => {
    assert.equal(reference(bytes, 0), expected)
    assert.equal(native.crc32cOf(bytes, 0, bytes.length, 0), expected)
    assert.equal(native.crc32cPortable(bytes, 0, bytes.length, 0), expected)
  })
}

test('every implementation agrees at every alignment and every short length', () => {
  const random = seeded('crc32c alignments')
  const bytes = randomBytes(random, 400)
  const memory = native.anonymous(4096)
  native.copyIn(memory, 0, bytes, 0, 400)
  for (let length = 0; length <= 300; length++) {
    for (let start = 0; start <= 64; start++) {
      const fast = native.crc32cOf(bytes, start, length, 0)
      assert.equal(fast, native.crc32cPortable(bytes, start, length, 0), `${start} ${length}`)
      assert.equal(fast, native.crc32c(memory, start, length, 0))
    }
    assert.equal(
      native.crc32cOf(bytes, 3, length, 0),
      reference(bytes.subarray(3, 3 + length), 0),
      `${length}`,
    )
  }
  native.unmap(memory)
})

test('every implementation agrees on long runs with any seed', () => {
  const random = seeded('crc32c long')
  const bytes = randomBytes(random, 70_000)
  for (let i = 0; i < 400; i++) {
    const start = random() % 1000
    const length = random() % (i % 10 === 0 ? 69_000 : 13_000)
    const seed = random()
    const fast = native.crc32cOf(bytes, start, length, seed)
    assert.equal(fast, native.crc32cPortable(bytes, start, length, seed))
    if (i % 20 === 0) assert.equal(fast, reference(bytes.subarray(start, start + length), seed))
  }
})

test('a crc continues where another ended', () => {
  const random = seeded('crc32c parts')
  const bytes = randomBytes(random, 9_000)
  const whole = native.crc32cOf(bytes, 0, bytes.length, 0)
  for (let i = 0; i < 200; i++) {
    const cut = random() % bytes.length
    const first = native.crc32cOf(bytes, 0, cut, 0)
    assert.equal(native.crc32cOf(bytes, cut, bytes.length - cut, first), whole)
  }
})

test('a seed that is no u32 is refused', () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 32]) {
    fails('ERR_OUT_OF_RANGE', () => native.crc32cOf(new Uint8Array(8), 0, 8, seed))
  }
})
