/** Files as memory: what a mapping shows, and what becomes of it when its file changes. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, read, rmSync, truncateSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { MessageChannel } from 'node:worker_threads'
import { createRegion } from '../../src/region/file_region.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'
import {
  BLOCK,
  bytesOf,
  contentOf,
  fails,
  MIB,
  newVolume,
  patterned,
  same,
  scattered,
} from './mapping_support.js'

test('scattered extents are one run of bytes, the same for reads, writes and stores', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 50)
  const mapping = file.map({ write: true })
  const bytes = bytesOf(mapping)
  same(bytes, contentOf(file), 'as mapped')
  file.write(patterned(99, 3 * BLOCK), 10 * BLOCK - 100)
  same(bytes, contentOf(file), 'after a write over several extents')
  bytes.set(patterned(98, 5 * BLOCK), 20 * BLOCK + 7)
  same(bytes, contentOf(file), 'after stores over several extents')
  mapping.unmap()
  assert.equal(bytes.length, 0)
  fails('ESTALE', () => mapping.buffer, /was unmapped/)
  mapping.unmap()
})

test('a mapping has the offset and length that were asked for', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 9)
  file.write(new Uint8Array(10), 9 * BLOCK)
  const all = file.map()
  assert.equal(all.byteLength, 9 * BLOCK + 10)
  using part = file.map({ offset: 4 * BLOCK, length: 3 * BLOCK + 1, populate: true })
  assert.deepEqual([part.offset, part.byteLength, part.writable], [4 * BLOCK, 3 * BLOCK + 1, false])
  same(bytesOf(part), contentOf(file).subarray(4 * BLOCK, 7 * BLOCK + 1), 'the part')
  const window = new Uint8Array(part.window(BLOCK - 8, 24))
  same(window, contentOf(file).subarray(5 * BLOCK - 8, 5 * BLOCK + 16), 'the window')
  assert.equal(part.buffer, part.buffer, 'one ArrayBuffer, however often it is asked for')
  all.unmap()
})

test('what cannot be mapped is refused, and says why', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 3)
  for (const offset of [-BLOCK, 1, 0.5, NaN, 3 * BLOCK, 2 ** 53]) {
    fails('EINVAL', () => file.map({ offset }))
  }
  for (const length of [0, -1, 0.5, 3 * BLOCK + 1]) fails('EINVAL', () => file.map({ length }))
  fails('EINVAL', () => volume.open('/empty', 'w+').map(), /truncate/)
  fails('EACCES', () => volume.open('/f', 'r').map({ write: true }))
  fails('EACCES', () => volume.open('/f', 'a').map())
  using mapping = file.map({ length: 2 * BLOCK })
  fails('EINVAL', () => mapping.window(4, 8), /multiple of 8/)
  for (const [offset, length] of [
    [0, 2 * BLOCK + 1],
    [-8, 8],
    [0, -1],
    [NaN, 8],
  ] as const) {
    fails('EINVAL', () => mapping.window(offset, length))
    fails('EINVAL', () => mapping.persist(offset, length))
  }
  file.close()
  fails('EBADF', () => file.map())
})

test('memory of the process alone cannot be mapped twice, nor can what is traced', (t) => {
  for (const [region, text] of [
    [heapRegion(4 << 20), /memfdRegion/],
    [new TracedRegion(4 << 20), /traced/],
  ] as const) {
    formatVolume(region)
    const volume = Volume.mount(region)
    t.after(() => {
      volume.close()
      region.close()
    })
    const file = volume.open('/f', 'w+')
    file.write(patterned(1))
    fails('EOPNOTSUPP', () => file.map(), text)
    file.truncate(2 * BLOCK)
    fails('EOPNOTSUPP', () => file.map({ write: true }), text)
    assert.equal(file.extents().extents.length, 1, 'nothing was populated')
  }
})

test('a hole under a mapping shows zeros, until a write fills it', (t) => {
  const { volume } = newVolume(t)
  const file = volume.open('/f', 'w+')
  file.truncate(100 * BLOCK)
  file.write(patterned(1), 50 * BLOCK)
  using mapping = file.map()
  const bytes = bytesOf(mapping)
  assert.equal(file.extents().extents.length, 1, 'looking allocates nothing')
  same(bytes, contentOf(file), 'holes')
  for (const at of [0, 49.5 * BLOCK, 51 * BLOCK - 1, 98 * BLOCK + 3]) {
    file.write(patterned(at, BLOCK + 10), at)
    same(bytes, contentOf(file), `filled at ${at}`)
  }
})

test('a mapping for writing gives its holes blocks, durable ones', (t) => {
  for (const sync of ['always', 'group'] as const) {
    const { volume, region } = newVolume(t, { sync })
    const file = volume.open('/f', 'w+')
    file.write(patterned(2), 7 * BLOCK)
    file.truncate(20 * BLOCK + 1)
    const mapping = file.map({ write: true, offset: BLOCK })
    const bytes = bytesOf(mapping)
    same(bytes, contentOf(file).subarray(BLOCK), 'populated with zeros')
    assert.equal(file.stat().blocks, (20 * BLOCK) / 512)
    bytes.set(patterned(3), 10 * BLOCK)
    mapping.persist(10 * BLOCK, BLOCK)
    const expected = contentOf(file)
    // The process dies here; the volume is opened by another.
    const again = Volume.mount(region)
    same(again.readFile('/f'), expected, `after a crash, sync=${sync}`)
    again.close()
  }
})

test('persist makes the layout durable that came under the mapping later', (t) => {
  const { volume, region } = newVolume(t, { sync: 'group' })
  const file = scattered(volume, '/f', 6)
  using mapping = file.map({ write: true })
  file.truncate(2 * BLOCK)
  file.write(patterned(1, 4 * BLOCK), 2 * BLOCK)
  const bytes = bytesOf(mapping)
  bytes.set(patterned(2, 3 * BLOCK), BLOCK)
  mapping.persist()
  const again = Volume.mount(region)
  same(again.readFile('/f'), bytes, 'after a crash')
  again.close()
})

test('a populating map without room is ENOSPC, and the file stays as it is', (t) => {
  const { volume } = newVolume(t, { bytes: 1 << 20 })
  const file = volume.open('/f', 'w+')
  file.truncate(16 << 20)
  const free = volume.statfs().blocksFree
  fails('ENOSPC', () => file.map({ write: true }))
  assert.equal(volume.statfs().blocksFree, free)
  assert.equal(file.extents().extents.length, 0)
  file.map({ write: true, length: 8 * BLOCK }).unmap()
})

test('a truncate detaches what it cuts, and the rest can still be looked at', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 10)
  for (const write of [false, true]) {
    file.write(patterned(5, 10 * BLOCK), 0)
    const mapping = file.map({ write })
    const whole = bytesOf(mapping)
    const low = new Uint8Array(mapping.window(0, 4 * BLOCK))
    const high = new Uint8Array(mapping.window(4 * BLOCK, BLOCK))
    file.truncate(4 * BLOCK - 100)
    assert.deepEqual([whole.length, low.length, high.length], [0, 4 * BLOCK, 0])
    same(low.subarray(0, 4 * BLOCK - 100), contentOf(file), 'what is left')
    fails('ESTALE', () => mapping.buffer, /4 blocks/)
    fails('ESTALE', () => mapping.persist(), /4 blocks/)
    mapping.persist(0, 4 * BLOCK)
    same(new Uint8Array(mapping.window(BLOCK, 16)), contentOf(file).subarray(BLOCK, BLOCK + 16), '')
    file.truncate(10 * BLOCK)
    if (write) fails('ESTALE', () => mapping.buffer, /hole/)
    else same(bytesOf(mapping), contentOf(file), 'regrown')
    file.write(patterned(6, 6 * BLOCK), 4 * BLOCK)
    same(bytesOf(mapping), contentOf(file), 'written again')
    mapping.unmap()
  }
})

test('a punch shows zeros under a mapping, and detaches one for writing', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 10)
  using reading = file.map()
  using writing = file.map({ write: true })
  const seen = bytesOf(reading)
  const stored = bytesOf(writing)
  const before = new Uint8Array(writing.window(0, 3 * BLOCK))
  file.punch(3 * BLOCK - 10, 2 * BLOCK + 20)
  assert.deepEqual([stored.length, before.length], [0, 3 * BLOCK])
  same(seen, contentOf(file), 'zeros')
  assert.ok(seen.subarray(3 * BLOCK - 10, 5 * BLOCK + 10).every((byte) => byte === 0))
  fails('ESTALE', () => writing.window(4 * BLOCK, 8), /a hole now; map it again/)
  fails('ESTALE', () => writing.persist(2 * BLOCK, 2 * BLOCK))
  file.write(patterned(3), 3 * BLOCK)
  same(new Uint8Array(writing.window(0, 4 * BLOCK)), contentOf(file).subarray(0, 4 * BLOCK), '')
  using again = file.map({ write: true })
  bytesOf(again).fill(4, 4 * BLOCK, 5 * BLOCK)
  same(seen, contentOf(file), 'filled again')
})

test('a mapping follows what collapse and insert move', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 12)
  using mapping = file.map()
  const front = new Uint8Array(mapping.window(0, 8 * BLOCK))
  file.collapse(2 * BLOCK, 3 * BLOCK)
  same(front, contentOf(file).subarray(0, 8 * BLOCK), 'collapsed')
  fails('ESTALE', () => mapping.buffer)
  file.insert(BLOCK, 5 * BLOCK)
  same(front, contentOf(file).subarray(0, 8 * BLOCK), 'inserted')
  same(bytesOf(mapping), contentOf(file).subarray(0, 12 * BLOCK), 'long enough again')
})

test('an append-only file is EACCES to map for writing, an immutable one EPERM', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 2)
  volume.setInodeFlags('/f', { append: true, immutable: false })
  fails('EACCES', () => file.map({ write: true }), /append-only/)
  volume.setInodeFlags('/f', { append: false, immutable: true })
  fails('EPERM', () => file.map({ write: true }), /immutable/)
  file.map().unmap()
  volume.setInodeFlags('/f', { append: false, immutable: false })
})

test('a read that is under way ends in memory that no file has any more', async (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 4)
  using mapping = file.map({ write: true })
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-fifo-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const fifo = join(directory, 'fifo')
  execFileSync('mkfifo', [fifo])
  const fd = openSync(fifo, 'r+')
  t.after(() => closeSync(fd))
  const reading = promisify(read)(fd, bytesOf(mapping), 0, 4 * BLOCK, null)
  // The thread that reads waits for bytes; meanwhile the blocks get another owner.
  file.punch(0, 4 * BLOCK)
  const other = volume.open('/other', 'w+')
  const content = patterned(5, 8 * BLOCK)
  other.write(content, 0)
  writeSync(fd, patterned(6))
  assert.equal((await reading).bytesRead, BLOCK)
  same(contentOf(other), content, 'the new owner')
  same(contentOf(file), new Uint8Array(4 * BLOCK), 'the old one')
})

test('addresses that were moved away from the mapping do not reach blocks that were freed', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 10)
  const mapping = file.map({ write: true })
  const { transfer } = ArrayBuffer.prototype as { transfer?: () => ArrayBuffer }
  if (transfer === undefined) return
  assert.throws(() => (mapping.buffer as { transfer?: () => void }).transfer!(), { code: 'EPERM' })
  const moved = new Uint8Array(transfer.call(mapping.buffer))
  same(moved, contentOf(file), 'moved')
  file.truncate(0)
  const other = volume.open('/other', 'w+')
  other.write(patterned(7, 10 * BLOCK), 0)
  assert.ok(moved.every((byte) => byte === 0))
  moved.fill(1)
  same(contentOf(other), patterned(7, 10 * BLOCK), 'the new owner of the blocks')
  volume.close()
  assert.equal(moved[0], 0, 'still there, and leads nowhere')
  moved[0] = 1
})

test('no ArrayBuffer over a file is transferred to a worker', (t) => {
  const { volume } = newVolume(t)
  using mapping = scattered(volume, '/f', 2).map({ write: true })
  const { buffer } = mapping
  const { port1, port2 } = new MessageChannel()
  for (const transfer of [
    () => structuredClone(buffer, { transfer: [buffer] }),
    () => port1.postMessage(buffer, [buffer]),
  ]) {
    // Node 20 sends a copy, later ones refuse.
    const old = Number(process.versions.node.split('.')[0]) < 21
    if (old) transfer()
    else assert.throws(transfer, { name: 'DataCloneError' })
    assert.equal(buffer.byteLength, 2 * BLOCK)
  }
  const copy = structuredClone(buffer)
  bytesOf(mapping)[0]! ^= 1
  assert.notEqual(new Uint8Array(copy)[0], bytesOf(mapping)[0], 'a clone is a copy')
  port1.close()
  port2.close()
})

test('a mapping keeps its file open: the handle and the name may go', (t) => {
  const { volume } = newVolume(t)
  const free = volume.statfs().blocksFree
  const file = scattered(volume, '/f', 20)
  const expected = contentOf(file)
  const mapping = file.map({ write: true })
  file.close()
  volume.unlink('/f')
  volume.writeFile('/other', patterned(8, 100 * BLOCK))
  same(bytesOf(mapping), expected, 'unlinked')
  bytesOf(mapping).fill(9)
  mapping.persist()
  same(volume.readFile('/other'), patterned(8, 100 * BLOCK), 'the other file')
  mapping.unmap()
  volume.unlink('/other')
  volume.sync()
  assert.equal(volume.statfs().blocksFree, free)
})

test('closing the volume ends every mapping', (t) => {
  const { volume, region } = newVolume(t)
  const file = scattered(volume, '/f', 20)
  const one = file.map({ write: true })
  const two = file.map()
  const bytes = bytesOf(one)
  bytes[0] = 77
  volume.unlink('/f')
  volume.close()
  assert.equal(bytes.length, 0)
  fails('ESTALE', () => one.buffer, /the volume was closed/)
  fails('ESTALE', () => two.persist(), /the volume was closed/)
  one.unmap()
  two.unmap()
  const again = Volume.mount(region)
  assert.equal(again.statfs().files, 1, 'the unlinked file is gone')
  again.close()
})

test('persist writes back the lines of its range, and no other', (t) => {
  const { volume, region } = newVolume(t, { persistence: 'flush' })
  const file = scattered(volume, '/f', 8)
  using mapping = file.map({ write: true })
  for (const [offset, length, lines] of [
    [0, 1, 1],
    [63, 2, 2],
    [BLOCK - 64, 128, 2],
    [100, 5 * BLOCK, 5 * 64 + 1],
    [0, 8 * BLOCK, 8 * 64],
    [17, 0, 0],
  ] as const) {
    const { linesFlushed, fences } = region.counters
    mapping.persist(offset, length)
    assert.equal(region.counters.linesFlushed - linesFlushed, lines, `${length} at ${offset}`)
    assert.equal(region.counters.fences - fences, lines === 0 ? 0 : 1)
  }
})

test('persist moves the time of the last change', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 2)
  using mapping = file.map({ write: true })
  const before = file.stat()
  bytesOf(mapping)[0]! ^= 1
  mapping.persist()
  const after = file.stat()
  assert.ok(after.mtimeMs > before.mtimeMs)
})

test('what is stored past the end of the file is in no file', (t) => {
  const { volume } = newVolume(t)
  const file = volume.open('/f', 'w+')
  file.write(patterned(1, BLOCK + 100))
  using mapping = file.map({ write: true, length: 2 * BLOCK })
  const bytes = bytesOf(mapping)
  bytes.fill(0xee, BLOCK + 100)
  assert.equal(file.stat().size, BLOCK + 100)
  same(contentOf(file), patterned(1, BLOCK + 100), 'as it was')
  file.truncate(BLOCK + 200)
  assert.ok(
    contentOf(file)
      .subarray(BLOCK + 100)
      .every((byte) => byte === 0),
  )
  bytes.fill(0xee, BLOCK + 200)
  file.write(Uint8Array.of(5), 2 * BLOCK - 1)
  const expected = new Uint8Array(2 * BLOCK)
  expected.set(patterned(1, BLOCK + 100))
  expected[2 * BLOCK - 1] = 5
  same(contentOf(file), expected, 'grown by a write')
  same(bytes, expected, 'the mapping shows the same')
})

test('a store to a mapping that is not for writing is dropped, and reported', (t) => {
  const { volume } = newVolume(t)
  const file = scattered(volume, '/f', 4)
  file.truncate(6 * BLOCK)
  using mapping = file.map()
  const expected = contentOf(file)
  const bytes = bytesOf(mapping)
  for (const at of [BLOCK + 5, 5 * BLOCK]) {
    bytes[at] = 1
    same(contentOf(file), expected, 'the file')
    fails('EACCES', () => mapping.check(), /not for writing/)
    same(bytes, expected, 'the mapping again')
    mapping.check()
  }
})

test('a region that is cut short under a mapping is EIO, and ends nothing', (t) => {
  const directory = mkdtempSync('/dev/shm/holdfast-cut-')
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'volume')
  const region = createRegion(path, 8 * MIB)
  formatVolume(region)
  const volume = Volume.mount(region)
  const file = scattered(volume, '/f', 4)
  const mapping = file.map({ write: true })
  const bytes = bytesOf(mapping)
  bytes.fill(7)
  mapping.check()
  truncateSync(path, 64 * 1024)
  assert.equal(bytes[BLOCK], 0, 'zeros in the place of what is gone')
  bytes[BLOCK] = 1
  fails('EIO', () => mapping.check(), /SIGBUS.*near byte 4096 of the file/)
  assert.equal(bytes[2 * BLOCK], 0)
  fails('EIO', () => mapping.persist())
  mapping.unmap()
  fails('EIO', () => contentOf(file))
  assert.throws(() => volume.close())
  region.close()
})
