import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { checksumOf, popcount, type Bytes } from '../../src/base/bytes.js'
import { SteppedClock, SystemClock, seededEntropy } from '../../src/base/clock.js'
import {
  assert as invariant,
  AssertionError,
  displayPath,
  ERRNO,
  HoldfastError,
  withContext,
} from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { defineStruct, magic } from '../../src/base/struct.js'
import { seeded } from './support.js'

describe('declarations of structures', () => {
  test('give the places of their fields', () => {
    const struct = defineStruct('good', 16, 'an example', {
      magic: [0, 4, 'm'],
      flags: [4, 1, 'one byte'],
      reserved: [5, 3, 'zero'],
      size: [8, 8, 'eight bytes'],
    })
    assert.deepEqual({ ...struct.at }, { magic: 0, flags: 4, reserved: 5, size: 8 })
    assert.deepEqual({ ...struct.word }, { magic: 0, flags: 1, size: 2 })
    assert.equal(struct.size, 16)
  })

  const refused = {
    'a gap': { a: [0, 4, ''], b: [8, 8, ''] },
    'an overlap': { a: [0, 8, ''], b: [4, 12, ''] },
    'a first field that is not at 0': { a: [4, 12, ''] },
    'an end before the size': { a: [0, 12, ''] },
    'an end past the size': { a: [0, 20, ''] },
    'fields out of order': { b: [8, 8, ''], a: [0, 8, ''] },
    'a crooked word': { a: [0, 2, ''], b: [2, 4, ''], c: [6, 10, ''] },
    'a crooked half word': { a: [0, 1, ''], b: [1, 2, ''], c: [3, 13, ''] },
    'a crooked double word': { a: [0, 2, ''], b: [2, 8, ''], c: [10, 6, ''] },
  } as const
  for (const [what, fields] of Object.entries(refused)) {
    test(`refuse ${what}`, () => {
      assert.throws(() => defineStruct('bad', 16, '', fields), /^Error: struct bad/)
    })
  }

  test('have magics of three letters and a digit, in the order of the bytes', () => {
    assert.equal(magic('HFX9'), 0x39584648)
    for (const bad of ['HFX', 'HFX10', 'hfx1', 'HF11', '']) assert.throws(() => magic(bad))
  })
})

/** Bytes with a checksum that is easy to foresee: the sum of all bytes and the seed. */
class Summed implements Bytes {
  readonly u8 = new Uint8Array(64)
  readonly u32 = new Uint32Array(this.u8.buffer)

  crc32c(offset: number, length: number, seed: number): number {
    return this.u8.subarray(offset, offset + length).reduce((sum, byte) => sum + byte, seed)
  }
}

test('a checksum takes its own field as zero and leaves it as it was', () => {
  const struct = defineStruct('sealed', 16, '', {
    magic: [0, 4, ''],
    checksum: [4, 4, ''],
    rest: [8, 8, ''],
  })
  const bytes = new Summed()
  bytes.u8.fill(1)
  bytes.u32[5] = 0xdeadbeef
  assert.equal(checksumOf(bytes, 16, struct), 12)
  assert.equal(bytes.u32[5], 0xdeadbeef)
  assert.equal(checksumOf(bytes, 16, struct, 32, 100), 128)
})

test('popcount counts the bits of any word', (t) => {
  const prng = seeded(t)
  const words = [0, 1, 0x8000_0000, 0xffff_ffff, -1]
  for (let i = 0; i < 1000; i++) words.push(prng.next())
  for (const word of words) {
    const slow = (word >>> 0).toString(2).replaceAll('0', '').length
    assert.equal(popcount(word), slow, `of ${word}`)
  }
})

describe('random numbers', () => {
  test('are the same for the same seed, for ever', () => {
    const prng = new Prng(42)
    const first = [prng.next(), prng.next(), prng.next(), prng.next()]
    // Written down, so that a change of the generator does not silently change what a seed means.
    assert.deepEqual(first, [2837322924, 544945897, 479756282, 3500138142])
    const again = new Prng(42)
    assert.deepEqual([again.next(), again.next(), again.next(), again.next()], first)
    assert.notEqual(new Prng(43).next(), first[0])
  })

  test('a seed of zero is as good as any', () => {
    const prng = new Prng(0)
    const seen = new Set(Array.from({ length: 1000 }, () => prng.next()))
    assert.equal(seen.size, 1000)
  })

  test('below stays below, and reaches everything', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 50 }), (seed, bound) => {
        const prng = new Prng(seed)
        const seen = new Set<number>()
        for (let i = 0; i < bound * 40; i++) {
          const n = prng.below(bound)
          assert.ok(Number.isInteger(n) && n >= 0 && n < bound)
          seen.add(n)
        }
        assert.ok(seen.size > bound / 2)
      }),
    )
  })

  test('fill is the same bytes whatever follows them', () => {
    for (let length = 0; length < 20; length++) {
      const bytes = new Uint8Array(length)
      new Prng(7).fill(bytes)
      const longer = new Uint8Array(length + 4)
      new Prng(7).fill(longer)
      assert.deepEqual(bytes.subarray(0, length & ~3), longer.subarray(0, length & ~3))
    }
    const entropy = new Uint8Array(16)
    seededEntropy(7).fill(entropy)
    const direct = new Uint8Array(16)
    new Prng(7).fill(direct)
    assert.deepEqual(entropy, direct)
  })
})

describe('clocks', () => {
  test('the stepped clock carries into the seconds', () => {
    const clock = new SteppedClock(10, 600_000_000)
    clock.read()
    assert.deepEqual([clock.seconds, clock.nanoseconds], [10, 600_000_000])
    clock.read()
    assert.deepEqual([clock.seconds, clock.nanoseconds], [11, 200_000_000])
  })

  test('the clock of the machine tells its time and does not go back', () => {
    const clock = new SystemClock()
    let last = 0
    for (let i = 0; i < 1000; i++) {
      clock.read()
      assert.ok(clock.nanoseconds >= 0 && clock.nanoseconds < 1_000_000_000)
      const now = clock.seconds * 1000 + clock.nanoseconds / 1e6
      assert.ok(now >= last)
      last = now
    }
    assert.ok(Math.abs(last - Date.now()) < 60_000)
  })
})

describe('errors', () => {
  test('say what, in which call, of which path', () => {
    const error = new HoldfastError('ENOENT', undefined, { syscall: 'open', path: '/a' })
    assert.equal(error.message, "ENOENT: no such file or directory, open '/a'")
    assert.deepEqual([error.code, error.errno, error.path], ['ENOENT', -2, '/a'])
    const two = new HoldfastError('EXDEV', 'x', { syscall: 'rename', path: 'a', destination: 'b' })
    assert.equal(two.message, "EXDEV: x, rename 'a' -> 'b'")
  })

  test('have the numbers of errno(3), each once', async () => {
    const { constants } = await import('node:os')
    const numbers = constants.errno as Record<string, number>
    for (const [code, [number]] of Object.entries(ERRNO)) {
      if (code in numbers) assert.equal(number, numbers[code], code)
    }
    const all = Object.values(ERRNO).map(([number]) => number)
    assert.equal(new Set(all).size, all.length)
  })

  test('get the call and the path from the layer above, once', () => {
    const inner = new HoldfastError('EIO', 'the medium failed')
    const outer = withContext(inner, { syscall: 'read', path: '/x' }) as HoldfastError
    assert.equal(outer.message, "EIO: the medium failed, read '/x'")
    assert.equal(withContext(outer, { syscall: 'close' }), outer)
    const other = new TypeError('not ours')
    assert.equal(withContext(other, { syscall: 'read' }), other)
  })

  test('show paths that are no UTF-8 in a form that names each byte', () => {
    assert.equal(displayPath(Buffer.from('/grün')), '/grün')
    assert.equal(displayPath(new Uint8Array([0x2f, 0xff, 0x41, 0x5c])), '/\\xffA\\x5c')
  })

  test('a broken invariant has no code', () => {
    assert.doesNotThrow(() => invariant(true, 'holds'))
    assert.throws(
      () => invariant(false, 'the sky is up'),
      (error) => error instanceof AssertionError && !('code' in error) && /sky/.test(error.message),
    )
  })
})
