import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { native } from '../../src/native/native.js'
import { fails, pageBytes, seeded, viewOf } from './support.js'

const memory = native.anonymous(pageBytes)
const words = new BigInt64Array(viewOf(memory).buffer, 0, pageBytes / 8)
after(() => native.unmap(memory))

const ALL = (1n << 64n) - 1n
const plain = new Uint8Array(64)

/** The eight halves of a change. */
function changeOf(data: bigint, mask: bigint, compare = 0n, compareMask = 0n): Uint32Array {
  return new Uint32Array(new BigUint64Array([data, mask, compare, compareMask]).buffer)
}

const originalOf = (change: Uint32Array) => new BigUint64Array(change.buffer, 0, 1)[0]!

/** What RFC 7306, 5.1 says, on numbers without end. */
function expectedOf(
  operation: 0 | 2,
  value: bigint,
  [data, mask, compare, compareMask]: readonly [bigint, bigint, bigint, bigint],
): bigint {
  if (operation === 2) {
    if ((value & compareMask) !== (compare & compareMask)) return value
    return (value & ~mask & ALL) | (data & mask)
  }
  let [sum, carry] = [0n, 0n]
  for (let bit = 0n; bit < 64n; bit++) {
    const ones = ((value >> bit) & 1n) + ((data >> bit) & 1n) + carry
    sum |= (ones & 1n) << bit
    carry = ((mask >> bit) & 1n) === 1n ? 0n : ones >> 1n
  }
  return sum
}

test('words change as the RFC says, in a memory and in a Uint8Array', () => {
  const random = seeded('atomics')
  const word = () => (BigInt(random()) << 32n) | BigInt(random())
  const some = () => [0n, ALL, word(), word() & word() & word()][random() % 4]!
  for (let i = 0; i < 4000; i++) {
    const operation = random() % 2 === 0 ? 0 : 2
    const value = word()
    const compare = random() % 2 === 0 ? value : word()
    const parts = [word(), some(), compare, some()] as const
    words[5] = BigInt.asIntN(64, value)
    new BigUint64Array(plain.buffer)[3] = value
    for (const run of [
      (change: Uint32Array) => native.atomic8(memory, 40, operation, change),
      (change: Uint32Array) => native.atomic8Of(plain, 24, operation, change),
    ]) {
      const change = changeOf(...parts)
      assert.equal(run(change), true)
      assert.equal(originalOf(change), value)
    }
    const expected = expectedOf(operation, value, parts)
    assert.equal(BigInt.asUintN(64, words[5]), expected, `${operation} ${value} ${parts.join(' ')}`)
    assert.equal(new BigUint64Array(plain.buffer)[3], expected)
  }
})

test('a word that is not aligned is left alone', () => {
  plain.fill(7)
  assert.equal(native.atomic8Of(plain, 12, 0, changeOf(1n, 0n)), false)
  assert.equal(native.atomic8(memory, 4, 0, changeOf(1n, 0n)), false)
  assert.equal(native.store8Of(plain, 3, 1, 2), false)
  assert.ok(plain.every((byte) => byte === 7))
})

test('store8Of stores low and high in little-endian order', () => {
  assert.equal(native.store8Of(plain, 16, 0x04030201, 0x08070605), true)
  assert.deepEqual([...plain.subarray(16, 24)], [1, 2, 3, 4, 5, 6, 7, 8])
})

test('places outside, and numbers that are none, are refused', () => {
  const change = changeOf(0n, 0n)
  fails('ERR_OUT_OF_RANGE', () => native.atomic8(memory, pageBytes - 4, 0, change))
  fails('ERR_OUT_OF_RANGE', () => native.atomic8Of(plain, 60, 0, change))
  fails('ERR_OUT_OF_RANGE', () => native.atomic8Of(plain, 0, 1 as 0, change))
  fails('ERR_OUT_OF_RANGE', () => native.store8Of(plain, 0, -1, 0))
  fails('ERR_OUT_OF_RANGE', () => native.copyBytes(plain, 60, plain, 0, 5))
  fails('ERR_OUT_OF_RANGE', () => native.copyBytes(plain, 0, plain, 60, 5))
  fails('ERR_INVALID_ARG_TYPE', () => native.copyBytes(plain, 0, [] as never, 0, 0))
})

test('copyBytes moves exactly its bytes, within one array too', () => {
  const from = Uint8Array.from({ length: 100 }, (_, i) => i)
  const to = new Uint8Array(100).fill(255)
  native.copyBytes(to, 3, from, 10, 50)
  const expected = new Uint8Array(100).fill(255)
  expected.set(from.subarray(10, 60), 3)
  assert.deepEqual(to, expected)
  native.copyBytes(from, 1, from, 0, 99)
  assert.deepEqual([...from.subarray(0, 4)], [0, 0, 1, 2])
})

test('additions from two threads are all there', async () => {
  const { Worker } = await import('node:worker_threads')
  const shared = new Uint8Array(new SharedArrayBuffer(8))
  const rounds = 20_000
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads')
     const words = new BigInt64Array(workerData.buffer)
     for (let i = 0; i < ${rounds}; i++) Atomics.add(words, 0, 1n)`,
    { eval: true, workerData: shared },
  )
  const ended = new Promise((resolve) => worker.once('exit', resolve))
  const change = new Uint32Array(8)
  for (let i = 0; i < rounds; i++) {
    change.fill(0)
    change[0] = 1
    native.atomic8Of(shared, 0, 0, change)
  }
  await ended
  assert.equal(new BigInt64Array(shared.buffer)[0], BigInt(2 * rounds))
})
