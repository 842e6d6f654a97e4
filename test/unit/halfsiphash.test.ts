import assert from 'node:assert/strict'
import { test } from 'node:test'
import { halfSipHash } from '../../src/base/halfsiphash.js'
import { seeded } from './support.js'

const U32 = 0xffff_ffffn

/** HalfSipHash-2-4 as its authors describe it, word by word, in BigInt: slow and plain. */
function reference(key: Uint8Array, message: Uint8Array): number {
  const word = (bytes: Uint8Array, i: number) =>
    BigInt(bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16)) |
    (BigInt(bytes[i + 3]!) << 24n)
  const rotate = (x: bigint, n: bigint) => ((x << n) | (x >> (32n - n))) & U32
  const k0 = word(key, 0)
  const k1 = word(key, 4)
  let [v0, v1, v2, v3] = [k0, k1, 0x6c796765n ^ k0, 0x74656462n ^ k1]
  const round = () => {
    v0 = (v0 + v1) & U32
    v1 = rotate(v1, 5n) ^ v0
    v0 = rotate(v0, 16n)
    v2 = (v2 + v3) & U32
    v3 = rotate(v3, 8n) ^ v2
    v0 = (v0 + v3) & U32
    v3 = rotate(v3, 7n) ^ v0
    v2 = (v2 + v1) & U32
    v1 = rotate(v1, 13n) ^ v2
    v2 = rotate(v2, 16n)
  }
  const padded = new Uint8Array((message.length & ~3) + 4)
  padded.set(message)
  padded[padded.length - 1] = message.length & 0xff
  for (let i = 0; i < padded.length; i += 4) {
    const m = word(padded, i)
    v3 ^= m
    round()
    round()
    v0 ^= m
  }
  v2 ^= 0xffn
  for (let i = 0; i < 4; i++) round()
  return Number(v1 ^ v3)
}

/** Results of the authors' own vectors: key 00 01 … 07, messages of 0, 1, 2… bytes 00 01 02…. */
const VECTORS = [
  'a9359f5b',
  '27475ab8',
  'fa62a603',
  '8afee704',
  '2a6e4689',
  'c5fab669',
  '5863fc23',
  '8bcf63c5',
  'd0b8848f',
  'f806e779',
  '94b07934',
  '08083050',
  '57f0872f',
  '77e663ff',
  'd6fff87c',
  '74fe2b97',
]

function ours(key: Buffer, message: Uint8Array, start = 0, length = message.length): number {
  return halfSipHash(key.readUInt32LE(0), key.readUInt32LE(4), message, start, length)
}

test('the published vectors come out', () => {
  const key = Buffer.from([0, 1, 2, 3, 4, 5, 6, 7])
  VECTORS.forEach((wanted, length) => {
    const message = Uint8Array.from({ length }, (_, i) => i)
    const result = Buffer.alloc(4)
    result.writeUInt32LE(ours(key, message))
    assert.equal(result.toString('hex'), wanted, `${length} bytes`)
    assert.equal(reference(key, message), ours(key, message))
  })
})

test('it agrees with the plain form for any key, length and place', (t) => {
  const prng = seeded(t)
  const bytes = new Uint8Array(600)
  const key = Buffer.alloc(8)
  for (let i = 0; i < 2000; i++) {
    prng.fill(bytes)
    prng.fill(key)
    const start = prng.below(8)
    const length = prng.below(i < 1000 ? 20 : 500)
    const message = bytes.subarray(start, start + length)
    assert.equal(ours(key, bytes, start, length), reference(key, message), `${length} at ${start}`)
  }
})
