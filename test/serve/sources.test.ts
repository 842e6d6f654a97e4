/** What sources refuse, what they make durable, and files of any size, in any number of pieces. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { Prng } from '../../src/base/prng.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { Fault } from '../../src/rdma/source.js'
import { createRegion } from '../../src/region/file_region.js'
import { heapRegion } from '../../src/region/memory_region.js'
import { OverlayRegion } from '../../src/region/overlay_region.js'
import { DirtyRanges } from '../../src/serve/dirty_ranges.js'
import { HeldSource } from '../../src/serve/held_source.js'
import { RunTable } from '../../src/serve/run_table.js'
import { formatVolume } from '../../src/volume/format.js'
import { assertBytes, blocksOf } from '../layout/ground.js'
import { BLOCKS, Scene } from '../layout/scene.js'
import { connected, pattern } from '../rdma/pair.js'
import { seed } from '../rdma/random.js'
import { fetch, followed, store } from './sources.js'

const ALL = BLOCKS * B
const LONG_AGO = { seconds: 1, nanoseconds: 0 }

/** A volume in memory whose stores have to be written back, and what was. */
function traced() {
  const region = heapRegion(4 << 20, 'flush')
  formatVolume(region)
  const volume = LayoutVolume.mount(region, { sync: 'group' })
  volume.writeFile('/f', blocksOf('/f', 0, BLOCKS))
  volume.sync()
  const flushed: [number, number][] = []
  const { flush } = region
  region.flush = (offset, length) => {
    flushed.push([offset, length])
    flush.call(region, offset, length)
  }
  return { region, volume, flushed, file: volume.open('/f', 'r+') }
}

// ---- what is refused ---------------------------------------------------------------------------

test('held: a store takes more than a lease for reading, and a file that is not sealed', () => {
  using s = new Scene()
  const lease = new HeldSource(s.volume, s.lease('/f'))
  assert.equal(store(lease, 0, pattern(8)), Fault.rights)
  assertBytes(fetch(lease, 0, ALL) as Buffer, blocksOf('/f', 0, BLOCKS), 'as the peer reads it')
  s.make('/sealed')
  s.volume.fix('/sealed')
  s.volume.sealWrites('/sealed')
  const pinned = new HeldSource(s.volume, s.pin('/sealed'))
  assert.equal(store(pinned, 0, pattern(8)), Fault.rights)
  s.assertFile('/sealed')
})

test('held: nothing before its range, nor behind it, nor in a gap', () => {
  using s = new Scene()
  const hold = s.pin('/f', [2, 6])
  const source = new HeldSource(s.volume, hold)
  for (const [offset, length] of [
    [0, 1],
    [2 * B - 1, 2],
    [6 * B - 1, 2],
    [7 * B, 1],
  ] as const) {
    assert.equal(fetch(source, offset, length), Fault.bounds)
    assert.equal(store(source, offset, pattern(length)), Fault.bounds)
  }
  source.dropped(3 * B + 5, 10)
  hold.returnRange(3 * B + 5, 10)
  assert.equal(fetch(source, 2 * B, 2 * B), Fault.bounds)
  assert.equal(fetch(source, 4 * B - 1, 2), Fault.bounds)
  assertBytes(fetch(source, 2 * B, B) as Buffer, blocksOf('/f', 2, 3), 'before the gap')
  assertBytes(fetch(source, 4 * B, 2 * B) as Buffer, blocksOf('/f', 4, 6), 'behind it')
})

test('on demand: stores are by the rights of the handle, and by the flags of the file', () => {
  using s = new Scene()
  const writes = (flags: string) => {
    using file = s.volume.open('/f', flags as 'r+')
    using source = followed(s.volume, file, ALL)
    return store(source, 0, blocksOf('/f', 0, 1).subarray(0, 8))
  }
  assert.equal(writes('r'), Fault.rights)
  assert.equal(writes('a+'), Fault.rights)
  assert.equal(writes('r+'), Fault.none)
  using file = s.volume.open('/f', 'r+')
  using source = followed(s.volume, file, ALL)
  for (const flag of ['immutable', 'append'] as const) {
    assert.equal(store(source, 0, pattern(8)), Fault.none)
    s.volume.setInodeFlags('/f', { [flag]: true })
    assert.equal(store(source, 0, pattern(8, 2)), Fault.rights, flag)
    assertBytes((fetch(source, 0, 8) as Buffer).subarray(0, 8), pattern(8), flag)
    s.volume.setInodeFlags('/f', { [flag]: false })
  }
  s.volume.fix('/f')
  s.volume.sealWrites('/f')
  assert.equal(store(source, 0, pattern(8, 2)), Fault.rights)
  using blind = s.volume.open('/f', 'r')
  Object.defineProperty(blind, 'wish', { value: { ...blind.wish, read: false } })
  using unread = followed(s.volume, blind, ALL)
  assert.equal(fetch(unread, 0, 8), Fault.rights)
})

test('on demand: a store takes set-id bits away, as a write does, whenever they came', () => {
  using s = new Scene()
  const user = s.volume.session({ name: 'a user', as: { uid: 1000, gid: 1000 } })
  s.volume.chmod('/f', 0o666)
  using file = s.volume.openAs(user, '/f', 'r+')
  using source = followed(s.volume, file, ALL)
  for (let i = 0; i < 2; i++) {
    assert.equal(store(source, 0, pattern(8)), Fault.none)
    s.volume.chmod('/f', 0o4777)
    assert.equal(store(source, 0, pattern(8)), Fault.none)
    assert.equal(s.volume.stat('/f').mode & 0o7777, 0o777)
  }
})

test('on demand: what is in the way of a block is told to the session, and moves nothing', () => {
  using s = new Scene()
  s.volume.reflink('/f', '/clone')
  const lease = s.lease('/f', [0, 4])
  using file = s.volume.open('/f', 'r+')
  const refused: HoldfastError[] = []
  using source = followed(s.volume, file, ALL, refused)
  assert.equal(store(source, B, pattern(8)), Fault.failed)
  assert.equal(refused[0]?.code, 'EBUSY')
  assert.deepEqual(
    refused[0].holds?.map(({ id }) => id),
    [lease.id],
  )
  s.assertFile('/f')
  assert.equal(store(source, 5 * B, pattern(8)), Fault.none)
  s.assertFile('/clone', '/f')
  lease.release()
  assert.equal(store(source, B, pattern(8)), Fault.none)
  s.assertFile('/clone', '/f')
})

test('on demand: the file is its own until the source is closed, whoever closes the handle', () => {
  using s = new Scene()
  const file = s.volume.open('/f', 'r+')
  const source = followed(s.volume, file, ALL)
  s.volume.unlink('/f')
  file.close()
  s.make('/new')
  assertBytes(fetch(source, 0, ALL) as Buffer, blocksOf('/f', 0, BLOCKS), 'without a name')
  const { free } = s
  source.close()
  source.close()
  assert.equal(s.free, free + BLOCKS)
  assert.equal(fetch(source, 0, 8), Fault.failed)
})

test('a listener of holds that makes an access gets none: the call goes on undisturbed', () => {
  using s = new Scene()
  using file = s.volume.open('/f', 'r+')
  using source = followed(s.volume, file, ALL)
  const got: unknown[] = []
  const end = s.volume.watchHolds(() => got.push(fetch(source, 0, 8)))
  s.pin('/f').release()
  end()
  assert.deepEqual(got, [Fault.failed, Fault.failed])
})

test('a region that is no memory has no sources', () => {
  const below = heapRegion(1 << 20)
  formatVolume(below)
  const first = LayoutVolume.mount(below)
  first.writeFile('/f', pattern(B))
  first.close()
  using volume = LayoutVolume.mount(new OverlayRegion(below), { readOnly: true })
  using file = volume.open('/f')
  assert.throws(() => followed(volume, file, B), { code: 'EOPNOTSUPP' })
})

// ---- durability --------------------------------------------------------------------------------

test('held: what was stored is written back where it is, and nothing else, before a fence', async () => {
  const { volume, region, flushed, file } = traced()
  using hold = file.pin()
  const source = new HeldSource(volume, hold)
  const { regionOffset } = hold.runs()[0]!
  store(source, 100, pattern(50))
  store(source, 150, pattern(50))
  store(source, 5 * B, pattern(8))
  assert.ok(source.dirty)
  const { fences } = region.counters
  await source.persist()
  assert.deepEqual(flushed, [
    [regionOffset + 100, 100],
    [regionOffset + 5 * B, 8],
  ])
  assert.equal(region.counters.fences, fences + 1)
  await source.persist()
  assert.equal(flushed.length, 2, 'once is enough')
  // Many places are one range.
  for (let i = 0; i < 200; i++) store(source, 2 * B + i * 64, pattern(8, i))
  await source.persist()
  const ranges = flushed.slice(2)
  assert.ok(ranges.length <= 32, `${ranges.length} ranges`)
  for (let i = 0; i < 200; i++) {
    const at = regionOffset + 2 * B + i * 64
    assert.ok(ranges.some(([offset, length]) => offset <= at && at + 8 <= offset + length))
  }
  volume.close()
})

for (const told of [true, false]) {
  test(`held: what is given back was written back before (${told ? 'told' : 'untold'})`, () => {
    const { volume, flushed, file } = traced()
    using hold = file.pin()
    const source = new HeldSource(volume, hold)
    const { regionOffset } = hold.runs()[0]!
    store(source, 2 * B + 8, pattern(16))
    if (told) source.dropped(2 * B, B)
    hold.returnRange(2 * B, B)
    assert.equal(fetch(source, 2 * B, 1), Fault.bounds)
    assert.deepEqual(flushed, [[regionOffset + 2 * B + 8, 16]])
    hold.release()
    volume.close()
  })
}

test('on demand: a commit makes data, blocks and time durable, and they survive', async () => {
  const { volume, region, flushed, file } = traced()
  file.punch(3 * B, 2 * B)
  volume.utimes('/f', LONG_AGO, LONG_AGO)
  const source = followed(volume, file, ALL)
  store(source, 3 * B + 10, pattern(100))
  store(source, 0, pattern(10))
  await source.persist()
  assert.ok(flushed.some(([, length]) => length === 100) && flushed.some(([, n]) => n === 10))
  assert.ok(volume.stat('/f').mtimeSeconds > 1)
  const { log } = volume.core
  assert.equal(log.durable, log.head)
  assert.equal(source.dirty, false)
  // Cut off here: what is durable is what the next mount finds.
  const bytes = new Uint8Array(region.byteLength)
  region.read(0, bytes, 0, bytes.length)
  const after = heapRegion(bytes.length)
  after.stream(0, bytes, 0, bytes.length)
  using again = LayoutVolume.mount(after)
  const expected = blocksOf('/f', 0, BLOCKS)
  expected.fill(0, 3 * B, 5 * B)
  expected.set(pattern(100), 3 * B + 10)
  expected.set(pattern(10))
  assertBytes(again.readFile('/f'), expected, '/f after the cut')
  source.close()
  volume.close()
})

test('on demand: stores without a commit are dated when the source is closed', () => {
  const { volume, flushed, file } = traced()
  volume.utimes('/f', LONG_AGO, LONG_AGO)
  const source = followed(volume, file, ALL)
  store(source, 0, pattern(10))
  source.close()
  assert.equal(flushed.length, 1)
  assert.ok(volume.stat('/f').mtimeSeconds > 1)
  volume.close()
})

test('where the medium fails, the access does, no commit says otherwise, and others live on', async (t) => {
  const directory = mkdtempSync('/dev/shm/holdfast-cut-')
  t.after(() => rmSync(directory, { recursive: true }))
  const path = join(directory, 'v.hf')
  const region = createRegion(path, 8 << 20)
  formatVolume(region)
  const volume = LayoutVolume.mount(region)
  volume.writeFile('/f', blocksOf('/f', 0, 1500))
  const file = volume.open('/f', 'r+')
  const hold = file.pin()
  const sources = [new HeldSource(volume, hold), followed(volume, file, 1500 * B)]
  truncateSync(path, 4 << 20)
  for (const source of sources) {
    for (let i = 0; i < 2; i++) assert.equal(fetch(source, 1499 * B, B), Fault.failed)
    assertBytes(fetch(source, 0, B) as Buffer, blocksOf('/f', 0, 1), 'what is there')
    store(source, 1499 * B, pattern(8))
    assert.equal(fetch(source, 0, B), Fault.failed, 'after a store that went nowhere')
    await assert.rejects(source.persist(), { code: 'EIO' })
    await assert.rejects(source.persist(), { code: 'EIO' })
  }
  const block = new Uint8Array(B)
  assert.equal(file.read(block, 0), B, 'nobody else is blamed for it')
  truncateSync(path, 8 << 20)
  volume.close()
  region.close()
})

test('ranges that touch are one, and many are one with what is between', () => {
  const dirty = new DirtyRanges()
  dirty.add(100, 10)
  dirty.add(110, 10)
  dirty.add(95, 5)
  dirty.add(500, 1)
  assert.deepEqual([dirty.count, dirty.from(0), dirty.to(0)], [2, 95, 120])
  for (let i = 0; i < 100; i++) dirty.add(1000 + 10 * i, 1)
  assert.ok(dirty.count <= 32 && dirty.touches(95, 96) && dirty.touches(1990, 1991))
  assert.ok(!dirty.touches(0, 95) && !dirty.touches(1991, 5000))
})

// ---- files of any size, in any number of pieces ------------------------------------------------

test('a file of 5 TiB has its bytes at their offsets, held and on demand', () => {
  using s = new Scene()
  using file = s.volume.open('/big', 'wx+')
  const size = 5 * 2 ** 40
  file.truncate(size)
  using source = followed(s.volume, file, size)
  for (const at of [2 ** 32 - 3, 2 ** 32 + B, 4 * 2 ** 40 - 1, size - 10]) {
    assert.equal(store(source, at, pattern(10, at)), Fault.none)
    const first = Math.floor(at / B)
    using hold = file.pin({ offset: first * B, length: 2 * B })
    const held = new HeldSource(s.volume, hold)
    assertBytes(fetch(held, at, 10) as Buffer, pattern(10, at), `held, at ${at}`)
    assertBytes(fetch(source, at, 10) as Buffer, pattern(10, at), `on demand, at ${at}`)
    assert.equal(store(held, at, pattern(10, 7)), Fault.none)
    const bytes = Buffer.alloc(10)
    file.read(bytes, at)
    assertBytes(bytes, pattern(10, 7), `the file, at ${at}`)
    assert.equal(fetch(held, first * B - 1, 2), Fault.bounds)
  }
  assert.ok((fetch(source, 2 ** 41, 1 << 16) as Buffer).every((byte) => byte === 0))
  assert.equal(fetch(source, size - 1, 2), Fault.bounds)
})

test(`of 10^5 runs each is found, and none that is not there (SEED=${seed})`, () => {
  const random = new Prng(seed)
  const runs = []
  const places = new Map<number, number>()
  let block = 0
  for (let i = 0; i < 100_000; i++) {
    block += random.below(3)
    const count = 1 + random.below(4)
    const place = 1000 + random.below(1 << 30)
    for (let j = 0; j < count; j++) places.set(block + j, place + j)
    runs.push({ offset: block * B, regionOffset: place * B, length: count * B })
    block += count
  }
  const table = new RunTable([{ offset: 0, length: block * B }], runs)
  const gone = new Set<number>()
  for (let i = 0; i < 20; i++) {
    const from = random.below(block)
    const to = from + random.below(200)
    table.cut(from, to)
    for (let one = from; one < to; one++) gone.add(one)
  }
  for (let i = 0; i < 100_000; i++) {
    const at = random.below(block)
    const run = table.find(at * B)
    const there = run < table.count && table.from(run) <= at * B
    assert.equal(there, !gone.has(at))
    if (!there) continue
    assert.equal(table.isHole(run), !places.has(at))
    if (table.isHole(run)) continue
    assert.equal(table.place(run) + (at * B - table.from(run)), places.get(at)! * B)
  }
})

test(`a file in thousands of pieces is read and written anywhere (SEED=${seed})`, () => {
  const random = new Prng(seed)
  const region = heapRegion(48 << 20)
  formatVolume(region)
  using volume = LayoutVolume.mount(region)
  const pieces = 2500
  using one = volume.open('/one', 'wx+')
  one.write(blocksOf('one', 0, 2 * pieces), 0)
  const model = Buffer.from(blocksOf('one', 0, 2 * pieces))
  for (let i = 0; i < pieces; i++) {
    one.punch(2 * i * B, B)
    model.fill(0, 2 * i * B, (2 * i + 1) * B)
  }
  assert.ok(one.extents().extents.length >= pieces)
  using hold = one.lease({ iomode: 'read' })
  const held = new HeldSource(volume, hold)
  using source = followed(volume, one, model.length)
  for (let i = 0; i < 2000; i++) {
    const offset = random.below(model.length - 3 * B)
    const length = 1 + random.below(3 * B)
    const wanted = model.subarray(offset, offset + length)
    assertBytes(fetch(held, offset, length) as Buffer, wanted, `held, at ${offset}`)
    assertBytes(fetch(source, offset, length) as Buffer, wanted, `on demand, at ${offset}`)
    const at = (2 * random.below(pieces) + 1) * B
    const bytes = pattern(100, i)
    assert.equal(store(source, at, bytes), Fault.none)
    model.set(bytes, at)
  }
})

test('held: blocks that left the file stay, where a part is given back without a word', () => {
  using s = new Scene()
  using file = s.volume.open('/f', 'r+')
  const hold = s.pin('/f')
  const source = new HeldSource(s.volume, hold)
  // Out of the middle, so that what is kept begins in the middle of a run.
  file.punch(4 * B, 2 * B, { policy: 'defer' })
  file.write(blocksOf('new', 4, 5), 4 * B)
  hold.returnRange(B, B)
  hold.returnRange(6 * B, B)
  for (const [block, wanted] of ['/f', null, '/f', '/f', '/f', '/f', null, '/f'].entries()) {
    const got = fetch(source, block * B, B)
    if (wanted === null) assert.equal(got, Fault.bounds, `block ${block}`)
    else assertBytes(got as Buffer, blocksOf(wanted, block, block + 1), `block ${block}`)
  }
  assert.equal(store(source, 5 * B, pattern(B, 3)), Fault.none)
  assertBytes(fetch(source, 5 * B, B) as Buffer, pattern(B, 3), 'what was stored where it was')
  assertBytes(s.block('/f', 4), blocksOf('new', 4, 5), 'what the file has there now')
  assertBytes(s.block('/f', 5), new Uint8Array(B), 'the hole')
})

for (const crc of [false, true]) {
  test(`a peer gets no zeros of what the medium has lost (CRC ${crc ? 'on' : 'off'})`, async (t) => {
    const directory = mkdtempSync('/dev/shm/holdfast-cut-')
    t.after(() => rmSync(directory, { recursive: true }))
    const path = join(directory, 'v.hf')
    const region = createRegion(path, 8 << 20)
    formatVolume(region)
    const volume = LayoutVolume.mount(region)
    const content = blocksOf('/f', 0, 1500)
    volume.writeFile('/f', content)
    using file = volume.open('/f', 'r+')
    for (const source of [new HeldSource(volume, file.pin()), followed(volume, file, 1500 * B)]) {
      using each = await connected({ crc }, { crc })
      const { stag } = each.server.domain.register(source, { access: ['remoteRead'] })
      truncateSync(path, 4 << 20)
      const local = new Uint8Array(content.length).fill(0xee)
      each.client.post({ op: 'read', local, remote: { stag, address: 0 } })
      await each.ends()
      for (let at = 0; at < local.length; at += 64) {
        const got = local[at]
        if (got !== 0xee && got !== content[at]) assert.fail(`byte ${at} is ${String(got)}`)
      }
      // A stream that is reset takes what has come with it; a Terminate does not.
      if (crc) assert.equal(local[0], content[0], 'what is there has come')
      truncateSync(path, 8 << 20)
    }
    volume.close()
    region.close()
  })
}
