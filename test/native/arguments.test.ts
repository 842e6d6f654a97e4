import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { native, type MemoryId } from '../../src/native/native.js'
import { fails } from './support.js'

const length = 8192
const memory = native.anonymous(length)
const other = native.anonymous(length)
const bytes = new Uint8Array(length)
after(() => {
  native.unmap(memory)
  native.unmap(other)
})

type Ranged = (memory: MemoryId, offset: number, length: number) => unknown

const ranged: Record<string, Ranged> = {
  overlay: (m, o, l) => native.overlay(m, o, l),
  view: (m, o, l) => native.view(m, o, l),
  detach: (m, o, l) => native.detach(m, o, l),
  copyOut: (m, o, l) => native.copyOut(m, o, bytes, 0, l),
  copyIn: (m, o, l) => native.copyIn(m, o, bytes, 0, l),
  streamIn: (m, o, l) => native.streamIn(m, o, bytes, 0, l),
  'copy to': (m, o, l) => native.copy(m, o, other, 0, l),
  'copy from': (m, o, l) => native.copy(other, 0, m, o, l),
  'stream to': (m, o, l) => native.stream(m, o, other, 0, l),
  'stream from': (m, o, l) => native.stream(other, 0, m, o, l),
  zero: (m, o, l) => native.zero(m, o, l),
  streamZero: (m, o, l) => native.streamZero(m, o, l),
  flush: (m, o, l) => native.flush(m, o, l),
  touch: (m, o, l) => native.touch(m, o, l),
  evict: (m, o, l) => native.evict(m, o, l),
  crc32c: (m, o, l) => native.crc32c(m, o, l, 0),
  forget: (m, o, l) => native.forget(m, o, l, 0),
  msync: (m, o, l) => native.msync(m, o, l),
  msyncAsync: (m, o, l) => native.msyncAsync(m, o, l),
  map: (m, o, l) => native.map(m, o, 0, 0, l, 3),
}

/** Numbers that are no offset and no length at all. */
const senseless = [-1, -4096, 0.5, 4096.25, NaN, Infinity, -Infinity, 2 ** 53, 2 ** 64, 1e300]

for (const [name, call] of Object.entries(ranged)) {
  test(`${name} refuses ranges outside the memory`, () => {
    for (const bad of senseless) {
      fails('ERR_OUT_OF_RANGE', () => call(memory, bad, 64))
      fails('ERR_OUT_OF_RANGE', () => call(memory, 0, bad))
    }
    const max = Number.MAX_SAFE_INTEGER
    for (const [offset, size] of [
      [length, 1],
      [length - 1, 2],
      [0, length + 1],
      [length + 1, 0],
      [max, max],
      [1, max],
      [max, 1],
      [2 ** 32, 1],
    ] as const) {
      fails('ERR_OUT_OF_RANGE', () => call(memory, offset, size))
    }
  })

  test(`${name} refuses a memory that is not alive`, () => {
    const dead = native.anonymous(length)
    native.unmap(dead)
    for (const id of [0, dead, dead + 1000, 2 ** 32 + memory, Number.MAX_SAFE_INTEGER]) {
      fails('EINVAL', () => call(id as MemoryId, 0, 64))
    }
    for (const id of [-1, 0.5, NaN, 2 ** 53]) {
      fails('ERR_OUT_OF_RANGE', () => call(id as MemoryId, 0, 64))
    }
  })
}

test('a call with a Uint8Array refuses what does not fit the array', () => {
  const small = new Uint8Array(100)
  const calls = [
    (start: number, size: number) => native.copyOut(memory, 0, small, start, size),
    (start: number, size: number) => native.copyIn(memory, 0, small, start, size),
    (start: number, size: number) => native.streamIn(memory, 0, small, start, size),
    (start: number, size: number) => native.crc32cOf(small, start, size, 0),
    (start: number, size: number) => native.crc32cPortable(small, start, size, 0),
  ]
  for (const call of calls) {
    for (const bad of senseless) {
      fails('ERR_OUT_OF_RANGE', () => call(bad, 1))
      fails('ERR_OUT_OF_RANGE', () => call(0, bad))
    }
    fails('ERR_OUT_OF_RANGE', () => call(0, 101))
    fails('ERR_OUT_OF_RANGE', () => call(100, 1))
    fails('ERR_OUT_OF_RANGE', () => call(101, 0))
    fails('ERR_OUT_OF_RANGE', () => call(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER))
    call(100, 0)
    call(0, 100)
  }
})

test('only a Uint8Array is taken for bytes', () => {
  const wrong = [undefined, null, {}, [1, 2, 3], 'text', new Uint16Array(4), new ArrayBuffer(8)]
  for (const value of [...wrong, new DataView(new ArrayBuffer(8)), new Float64Array(2)]) {
    const bad = value as Uint8Array
    fails('ERR_INVALID_ARG_TYPE', () => native.copyOut(memory, 0, bad, 0, 0))
    fails('ERR_INVALID_ARG_TYPE', () => native.copyIn(memory, 0, bad, 0, 0))
    fails('ERR_INVALID_ARG_TYPE', () => native.crc32cOf(bad, 0, 0, 0))
  }
  native.copyIn(memory, 0, Buffer.from('a Buffer is one'), 0, 8)
})

test('a detached Uint8Array is empty', () => {
  const scratch = native.anonymous(4096)
  const view = new Uint8Array(native.view(scratch, 0, 4096))
  native.unmap(scratch)
  native.copyOut(memory, 0, view, 0, 0)
  fails('ERR_OUT_OF_RANGE', () => native.copyOut(memory, 0, view, 0, 1))
})

test('arguments that are no numbers are refused', () => {
  for (const bad of [undefined, {}, 'text', [1, 2]]) {
    fails('ERR_OUT_OF_RANGE', () => native.zero(memory, bad as number, 8))
    fails('ERR_INVALID_ARG_TYPE', () => native.reserve(bad as number))
    fails('ERR_INVALID_ARG_TYPE', () => native.view(memory, 0, bad as number))
    fails('ERR_INVALID_ARG_TYPE', () => native.lock(0, 0, 1, bad as boolean))
  }
  assert.throws(() => native.zero(memory, 8n as unknown as number, 8), TypeError)
})

test('a message names the call, the place and the bound', () => {
  assert.throws(
    () => native.zero(memory, 4096, 5000),
    /zero: 0x1388 bytes at offset 0x1000 do not fit memory \d+ of 0x2000 bytes; /,
  )
  assert.throws(
    () => native.zero(memory, -1, 1),
    /zero: argument 1 \(offset\) is -1; pass an integer/,
  )
})
