/** Items of XDR, and what messages are combined of: bounds, padding, where numbers end. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  bool,
  choice,
  either,
  fixed,
  list,
  long,
  named,
  nothing,
  opaque,
  optional,
  size,
  struct,
  text,
  u32,
  type Schema,
} from '../../src/control/schema.js'
import { XdrReader, XdrWriter } from '../../src/control/xdr.js'

const EPROTO = { code: 'EPROTO' }

function put<T>(schema: Schema<T>, value: T): number[] {
  const out = new XdrWriter(1)
  schema.write(out, value)
  return [...out.bytes]
}

function get<T>(schema: Schema<T>, bytes: readonly number[]): T {
  const from = new XdrReader(Uint8Array.from(bytes))
  const value = schema.read(from)
  from.end()
  return value
}

/** A value, its bytes, and that each shorter message is malformed. */
function both<T>(schema: Schema<T>, value: T, bytes: readonly number[]): void {
  assert.deepEqual(put(schema, value), bytes)
  assert.deepEqual(get(schema, bytes), value)
  for (let length = 0; length < bytes.length; length++) {
    assert.throws(() => get(schema, bytes.slice(0, length)), EPROTO)
  }
  for (const more of [[0], [0, 0, 0, 0]]) {
    assert.throws(() => get(schema, [...bytes, ...more]), EPROTO)
  }
}

const word = (value: number) => [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff)

test('an unsigned int has 32 bits, and nothing else is sent as one', () => {
  both(u32, 0, [0, 0, 0, 0])
  both(u32, 0x0102_0304, [1, 2, 3, 4])
  both(u32, 0xffff_ffff, [255, 255, 255, 255])
  for (const bad of [-1, 2 ** 32, 0.5, NaN]) assert.throws(() => put(u32, bad), /32 bits/)
})

test('an unsigned hyper is exact below 2^53, and malformed from there on', () => {
  both(size, 0, [0, 0, 0, 0, 0, 0, 0, 0])
  both(size, 2 ** 32, [0, 0, 0, 1, 0, 0, 0, 0])
  both(size, 2 ** 53 - 1, [0, 0x1f, 255, 255, 255, 255, 255, 255])
  assert.throws(() => get(size, [0, 0x20, 0, 0, 0, 0, 0, 0]), EPROTO)
  assert.throws(() => get(size, [0, 0x20, 0, 0, 0, 0, 0, 1]), EPROTO)
  assert.throws(() => get(size, Array<number>(8).fill(255)), EPROTO)
  for (const bad of [2 ** 53, -1, 0.5, Infinity]) assert.throws(() => put(size, bad), /safe/)
})

test('a hyper is exact between -2^53 and 2^53, and malformed beyond', () => {
  both(long, -1, Array<number>(8).fill(255))
  both(long, -(2 ** 32), [255, 255, 255, 255, 0, 0, 0, 0])
  both(long, 2 ** 53 - 1, [0, 0x1f, 255, 255, 255, 255, 255, 255])
  both(long, -(2 ** 53 - 1), [255, 0xe0, 0, 0, 0, 0, 0, 1])
  assert.throws(() => get(long, [0, 0x20, 0, 0, 0, 0, 0, 0]), EPROTO)
  assert.throws(() => get(long, [255, 0xe0, 0, 0, 0, 0, 0, 0]), EPROTO)
  assert.throws(() => get(long, [0x80, 0, 0, 0, 0, 0, 0, 0]), EPROTO)
  assert.throws(() => put(long, 2 ** 53), /safe/)
})

test('a bool is 0 or 1', () => {
  both(bool, false, word(0))
  both(bool, true, word(1))
  assert.throws(() => get(bool, word(2)), EPROTO)
})

test('opaque data has its bound, and zeros up to a whole word', () => {
  const bytes = opaque(5)
  for (let length = 0; length <= 5; length++) {
    const value = Uint8Array.from({ length }, (_, i) => i + 1)
    const padding = Array<number>((4 - (length % 4)) % 4).fill(0)
    both(bytes, value, [...word(length), ...value, ...padding])
    for (let i = 0; i < padding.length; i++) {
      const dirty = padding.with(i, 1)
      assert.throws(() => get(bytes, [...word(length), ...value, ...dirty]), EPROTO)
    }
  }
  assert.throws(() => get(bytes, [...word(6), 1, 2, 3, 4, 5, 6, 0, 0]), EPROTO)
  assert.throws(() => get(bytes, word(0xffff_ffff)), EPROTO)
  assert.throws(() => put(bytes, new Uint8Array(6)), /bound/)
})

test('padding is zero where memory is used again', () => {
  const out = new XdrWriter()
  out.fixed(new Uint8Array(8).fill(255))
  out.reset()
  out.opaque(Uint8Array.of(7))
  assert.deepEqual([...out.bytes], [0, 0, 0, 1, 7, 0, 0, 0])
  out.reset()
  out.filled(8, (target) => {
    target.fill(255)
    return 1
  })
  assert.deepEqual([...out.bytes], [0, 0, 0, 1, 255, 0, 0, 0])
})

test('bytes of a number that both sides know have no length', () => {
  both(fixed(3), Uint8Array.of(1, 2, 3), [1, 2, 3, 0])
  assert.throws(() => get(fixed(3), [1, 2, 3, 9]), EPROTO)
  assert.throws(() => put(fixed(3), new Uint8Array(4)), /length/)
})

test('texts are UTF-8, and nothing is taken away from them', () => {
  both(text(8), 'é€', [...word(5), 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0, 0, 0])
  both(text(8), '\ufeffa', [...word(4), 0xef, 0xbb, 0xbf, 0x61])
  both(text(4), 'a\0b', [...word(3), 0x61, 0, 0x62, 0])
  for (const bad of [[0xc3], [0xff], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
    const padding = Array<number>(4 - bad.length).fill(0)
    assert.throws(() => get(text(8), [...word(bad.length), ...bad, ...padding]), EPROTO)
  }
})

test('a text that is too long is cut between two characters', () => {
  assert.deepEqual(get(text(5), put(text(5), 'abcdefgh')), 'abcde')
  assert.deepEqual(get(text(5), put(text(5), '€€€')), '€')
  const cut = get(text(6), put(text(6), 'a\u{1f600}\u{1f600}'))
  assert.equal(cut, 'a\u{1f600}')
  const long = '€'.repeat(200_000)
  assert.equal(get(text(4096), put(text(4096), long)), '€'.repeat(1365))
})

test('a list has its bound before any of it is looked at', () => {
  const numbers = list(u32, 2)
  both(numbers, [], word(0))
  both(numbers, [5, 6], [...word(2), ...word(5), ...word(6)])
  assert.throws(() => get(numbers, [...word(3), ...word(1), ...word(1), ...word(1)]), EPROTO)
  assert.throws(() => get(numbers, word(0xffff_ffff)), EPROTO)
  assert.throws(() => put(numbers, [1, 2, 3]), /bound/)
  assert.throws(() => get(list(nothing, 1 << 20), word(0xffff_ffff)), EPROTO)
})

test('what may be left out says whether it is there', () => {
  both(optional(u32), undefined, word(0))
  both(optional(u32), 9, [...word(1), ...word(9)])
  assert.throws(() => get(optional(u32), [...word(2), ...word(9)]), EPROTO)
})

test('words, unions and structures are those that are declared', () => {
  both(choice('colour', 'red', 'green'), 'green', word(1))
  assert.throws(() => get(choice('colour', 'red'), word(1)), EPROTO)
  const union = either('one_of', { number: u32, word: choice('w', 'x', 'y') })
  both(union, { number: 3 }, [...word(0), ...word(3)])
  both(union, { word: 'y' }, [...word(1), ...word(1)])
  assert.throws(() => get(union, [...word(2), ...word(0)]), EPROTO)
  assert.throws(() => put(union, {} as never), /arms/)
  const pair = struct('pair', { first: u32, second: optional(size) })
  both(pair, { first: 1, second: undefined }, [...word(1), ...word(0)])
  both(pair, { first: 1, second: 2 }, [...word(1), ...word(1), ...word(0), ...word(2)])
  both(nothing, {}, [])
  both(named('number', u32), 4, word(4))
})

test('declarations are in the language of XDR', () => {
  const fields = { firstOne: named('number', u32), more: optional(size), all: list(u32, 3) }
  const lines = ['number first_one;', 'unsigned hyper *more;', 'unsigned int all<3>;']
  const { definition } = struct('some', fields)
  assert.equal(definition, `struct some {\n${lines.map((line) => `  ${line}\n`).join('')}};`)
  assert.equal(named('number', u32).definition, 'typedef unsigned int number;')
  assert.equal(choice('c', 'shareInto').definition, 'enum c {\n  C_SHARE_INTO = 0\n};')
})
