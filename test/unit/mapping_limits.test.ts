/** Mappings in very many pieces, and longer than one ArrayBuffer can be. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { givePieces, piecesLeft, takePieces } from '../../src/mapping/pieces.js'
import {
  BLOCK,
  bytesOf,
  contentOf,
  fails,
  MIB,
  newVolume,
  same,
  scattered,
} from './mapping_support.js'

const GIB = 1024 * MIB

test('ten thousand scattered extents are one ArrayBuffer', (t) => {
  const { volume } = newVolume(t, { bytes: 64 * MIB })
  const file = scattered(volume, '/f', 10_000)
  const before = piecesLeft()
  const start = performance.now()
  const mapping = file.map({ write: true })
  t.diagnostic(`mapped in ${(performance.now() - start).toFixed(1)} ms`)
  const bytes = bytesOf(mapping)
  same(bytes, contentOf(file), 'as read')
  for (let i = 0; i < 10_000; i += 7) bytes[i * BLOCK + (i % BLOCK)]! ^= 0xff
  same(contentOf(file), bytes, 'as stored')
  assert.ok(before - piecesLeft() >= 10_000, 'each extent is counted')
  mapping.unmap()
  assert.equal(piecesLeft(), before)
})

test('runs that follow each other in the region are one piece', (t) => {
  const { volume } = newVolume(t)
  const file = volume.open('/f', 'w+')
  for (let i = 0; i < 200; i++) file.write(new Uint8Array(BLOCK).fill(i))
  const { extents } = file.extents()
  const before = piecesLeft()
  using mapping = file.map()
  same(bytesOf(mapping), contentOf(file), 'as read')
  assert.ok(before - piecesLeft() <= extents.length + 2, `${extents.length} extents`)
})

test('more pieces than the process may map are ENOMEM, and nothing is kept of them', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 500)
  const taken = piecesLeft() - 400
  takePieces(taken)
  t.after(() => givePieces(taken))
  fails('ENOMEM', () => file.map(), /vm\.max_map_count/)
  assert.equal(piecesLeft(), 400)
  using part = file.map({ length: 300 * BLOCK })
  same(bytesOf(part), contentOf(file).subarray(0, 300 * BLOCK), 'a part of it')
})

test('a mapping that changes for ever does not use up the pieces', (t) => {
  const { volume } = newVolume(t)
  const file = volume.open('/f', 'w+')
  file.truncate(64 * BLOCK)
  using mapping = file.map()
  const before = piecesLeft()
  for (let i = 0; i < 3000; i++) {
    file.write(Uint8Array.of(i), (i % 64) * BLOCK)
    if (i % 64 === 63) {
      file.truncate(0)
      file.truncate(64 * BLOCK)
    }
  }
  same(bytesOf(mapping), contentOf(file), 'in the end')
  assert.ok(before - piecesLeft() < 1500, `${before - piecesLeft()} pieces`)
})

test('the kernel refuses a piece: ENOMEM that names the limit, and the process goes on', async () => {
  const script = fileURLToPath(new URL('mapping_exhausted.js', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [script])
  assert.match(stdout, /ENOMEM: the kernel has no room .* raise vm\.max_map_count/)
  assert.match(stdout, /a smaller one: equal/)
  assert.match(stdout, /a change that cannot be followed: ESTALE.*vm\.max_map_count/)
  assert.match(stdout, /all of it, when there is room again: equal/)
})

test('a file longer than an ArrayBuffer can be is mapped, and seen through windows', (t) => {
  const { volume } = newVolume(t)
  const file = volume.open('/sparse', 'w+')
  const size = 6 * GIB + 12_345
  file.truncate(size)
  const places = [0, GIB + 1, 4 * GIB - 3, 4 * GIB + 77, 6 * GIB + 12_300]
  for (const [i, at] of places.entries()) file.write(Uint8Array.of(1 + i, 2, 3, 4, 5), at)
  using mapping = file.map()
  assert.equal(mapping.byteLength, size)
  const old = Number(process.versions.node.split('.')[0]) < 22
  if (old) fails('EFBIG', () => mapping.buffer, /allows 4294967296 at most.*window/)
  else assert.equal(bytesOf(mapping)[4 * GIB + 77], 4)
  for (const [i, at] of places.entries()) {
    const from = at - (at % 8)
    const window = new Uint8Array(mapping.window(from, 16))
    assert.deepEqual([...window.subarray(at % 8, (at % 8) + 5)], [1 + i, 2, 3, 4, 5])
  }
  const large = new Uint8Array(mapping.window(3 * GIB, 3 * GIB))
  assert.deepEqual([large[GIB - 3], large[GIB + 77], large[2 * GIB]], [3, 4, 0])
  file.write(Uint8Array.of(9), 5 * GIB)
  assert.equal(large[2 * GIB], 9)
})

test('a store past 4 GiB through a window for writing is in the file', (t) => {
  const { volume } = newVolume(t)
  const file = volume.open('/sparse', 'w+')
  file.truncate(5 * GIB)
  using mapping = file.map({ write: true, offset: 5 * GIB - 4 * BLOCK })
  bytesOf(mapping)[4 * BLOCK - 1] = 42
  const last = new Uint8Array(1)
  assert.equal(file.read(last, 5 * GIB - 1), 1)
  assert.equal(last[0], 42)
  assert.equal(file.stat().blocks, (4 * BLOCK) / 512)
})
