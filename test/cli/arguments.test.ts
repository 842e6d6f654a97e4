/** What stands on the command line, taken apart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import {
  escapeBytes,
  formatSize,
  parseSeed,
  parseSize,
  parseTarget,
  parseVolumeTarget,
  unescapeBytes,
} from '../../src/cli/arguments.js'
import { seedPiece } from '../../src/cli/content.js'
import { displayName, modeText } from '../../src/cli/display.js'
import { baseName, joinPath } from '../../src/cli/session.js'

const seed = Number(process.env['SEED'] ?? 1)

test('any bytes come through the option parser as they were', () => {
  const random = new Prng(seed)
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.alloc(random.below(12))
    random.fill(bytes)
    // Half of them nearly UTF-8, where the mistakes are.
    if (i % 2 === 0) Buffer.from('aä€😀'.slice(random.below(3))).copy(bytes, random.below(6))
    const text = escapeBytes(bytes)
    assert.deepEqual(unescapeBytes(text), bytes, `SEED=${seed}, ${bytes.toString('hex')}`)
  }
  assert.equal(escapeBytes(Buffer.from('aä€😀')), 'aä€😀')
  for (const hex of ['eda080', 'c080', 'f4908080', 'efbbbf61', 'ff', '80', 'e282', '']) {
    assert.equal(unescapeBytes(escapeBytes(Buffer.from(hex, 'hex'))).toString('hex'), hex)
  }
})

test('VOLUME:PATH is split at the first :/', () => {
  const parts = (text: string) => {
    const { region, path } = parseTarget(text)
    return [region, path.toString()]
  }
  assert.deepEqual(parts('/dev/shm/v.hf:/a/b'), ['/dev/shm/v.hf', '/a/b'])
  assert.deepEqual(parts('v:/a:/b'), ['v', '/a:/b'])
  assert.deepEqual(parts('a:b:/'), ['a:b', '/'])
  assert.deepEqual(parts('a:b'), [null, 'a:b'])
  assert.deepEqual(parts('./file'), [null, './file'])
  assert.throws(() => parseVolumeTarget('./file'), /as in \.\/file:\//)
  assert.throws(() => parseTarget(':/a'), /empty/)
  assert.throws(() => parseTarget(`${escapeBytes(Buffer.of(0x61, 0xff))}:/a`), /UTF-8/)
})

test('sizes are 4K, 2M, 1G, and nothing that is not a number of bytes', () => {
  const sizes = { '0': 0, '4096': 4096, '4K': 4096, '2m': 2 << 20, '1G': 2 ** 30, '1.5KiB': 1536 }
  for (const [text, bytes] of Object.entries(sizes)) assert.equal(parseSize(text), bytes, text)
  for (const text of ['', 'K', '-1', '1X', '1e3', '0x10', '1.3', '9999999T', '1 K']) {
    assert.throws(() => parseSize(text), /a size is/, text)
  }
  assert.equal(parseSeed('4294967295'), 4294967295)
  for (const text of ['', '-1', '1.5', '4294967296', 'x'])
    assert.throws(() => parseSeed(text), text)
  assert.deepEqual([0, 1023, 1024, 1536, 2 ** 30].map(formatSize), [
    '0 B',
    '1023 B',
    '1.0 KiB',
    '1.5 KiB',
    '1.0 GiB',
  ])
})

test('paths are joined and taken apart as bytes', () => {
  const join = (a: string, b: string) => joinPath(Buffer.from(a), Buffer.from(b)).toString()
  assert.deepEqual([join('/', 'a'), join('/a', 'b'), join('', 'a')], ['/a', '/a/b', 'a'])
  const base = (path: string) => baseName(Buffer.from(path)).toString()
  assert.deepEqual(['/a/b', '/a/b//', 'a', '/', ''].map(base), ['b', 'b', 'a', '', ''])
})

test('modes and names are shown so that a terminal stays as it is', () => {
  assert.equal(modeText(0o100644), '-rw-r--r--')
  assert.equal(modeText(0o041777), 'drwxrwxrwt')
  assert.equal(modeText(0o106711), '-rws--s--x')
  assert.equal(modeText(0o106600), '-rwS--S---')
  assert.equal(displayName(Buffer.from('a\x1b[31mb\n')), 'a\\x1b[31mb\\x0a')
  assert.equal(displayName(Buffer.of(0x61, 0xff)), 'a\\xff')
})

test('seeded content is the same for ever, and no two pieces or seeds are alike', () => {
  const piece = (s: number, index: number, length = 64) => {
    const bytes = new Uint8Array(length)
    seedPiece(s, index, bytes)
    return Buffer.from(bytes).toString('hex')
  }
  assert.equal(piece(42, 0).slice(0, 16), piece(42, 0, 8))
  const all = new Set<string>()
  for (let s = 0; s < 100; s++) for (let i = 0; i < 100; i++) all.add(piece(s, i))
  assert.equal(all.size, 10_000)
})
