import assert from 'node:assert/strict'
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { after, test, type TestContext } from 'node:test'
import { Mapping, type MappedFile } from '../../src/mapping/mapping.js'
import { createRegion } from '../../src/region/file_region.js'
import type { MemoryRegion } from '../../src/region/memory_region.js'
import { PassedRegion, type ToldRegion } from '../../src/region/passed_region.js'
import type { Persistence } from '../../src/region/region.js'
import { grantDescriptor, heldSlots } from '../../src/region/survivor_locks.js'
import type { OpenFile } from '../../src/volume/open_file.js'
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

const folder = mkdtempSync(join(tmpdir(), 'holdfast-passed-'))
after(() => rmSync(folder, { recursive: true }))

/** What an owner says of its region. */
function told(region: MemoryRegion): ToldRegion {
  const { path, kind, byteLength, grain, persistence, coherent } = region
  return { path, kind, byteLength, grain, persistence, coherent }
}

/** As a client has it. */
function passed(t: TestContext, region: MemoryRegion, slot = 0): PassedRegion {
  const client = new PassedRegion(grantDescriptor(region, slot), told(region))
  t.after(() => client.close())
  return client
}

/** A file of which a client knows its extents alone. */
function granted(file: OpenFile): MappedFile {
  const { extents } = file.extents()
  const { size } = file.stat()
  return {
    demandOutside: () => {},
    blocks: () => Math.ceil(size / BLOCK),
    walk: (from, to, visit) => {
      for (const { fileBlock, regionBlock, count } of extents) {
        const first = Math.max(from, fileBlock)
        const end = Math.min(to, fileBlock + count)
        if (first < end) visit(first, regionBlock + first - fileBlock, end - first)
      }
    },
    changed: () => {},
    device: () => {},
    poisoned: () => assert.fail('no medium fails here'),
    persist: (flush) => flush(),
    release: () => {},
  }
}

/** Bytes of this process's addresses that lead to the file of a descriptor. */
function mappedBytes(fd: number): number {
  const { ino } = fstatSync(fd)
  const lines = readFileSync('/proc/self/maps', 'latin1').split('\n')
  const ours = lines.map((line) => line.split(/ +/)).filter((columns) => columns[4] === `${ino}`)
  return ours.reduce((sum, [range]) => {
    const [from, to] = range!.split('-').map((digits) => parseInt(digits, 16))
    return sum + to! - from!
  }, 0)
}

test('a client maps the pieces that it was granted, and nothing else', (t) => {
  const { region, volume } = newVolume(t)
  const file = scattered(volume, '/pieces', 20)
  const client = passed(t, region)
  const before = mappedBytes(region.fd)
  assert.equal(before, region.byteLength, 'the owner has all of it')
  const range = { offset: 0, byteLength: 20 * BLOCK, write: true, populate: true }
  const mapping = new Mapping(client, granted(file), range)
  assert.equal(mappedBytes(region.fd), before + 20 * BLOCK)
  const bytes = bytesOf(mapping)
  same(bytes, contentOf(file), 'what the owner wrote')
  bytes.set(patterned(77), 3 * BLOCK)
  mapping.persist(3 * BLOCK, BLOCK)
  same(contentOf(file), bytes, 'what the client stored')
  file.write(patterned(78), 5 * BLOCK)
  same(bytes.subarray(5 * BLOCK, 6 * BLOCK), patterned(78), 'what the owner wrote since')
  client.close()
  client.close()
  same(bytes, contentOf(file), 'the mapping outlives the descriptor')
  assert.deepEqual(heldSlots(region), [0])
  mapping.unmap()
  assert.deepEqual(heldSlots(region), [])
  assert.equal(mappedBytes(region.fd), before)
})

test('stores become durable as the owner says', (t) => {
  const counted = (persistence: Persistence) => {
    const { region, volume } = newVolume(t, { persistence })
    const file = scattered(volume, '/file', 8)
    const client = passed(t, region)
    const range = { offset: 0, byteLength: 8 * BLOCK, write: true, populate: false }
    const mapping = new Mapping(client, granted(file), range)
    mapping.persist(BLOCK, 2 * BLOCK)
    mapping.persist()
    mapping.unmap()
    file.close()
    return client.counters
  }
  const none = { bytesStored: 0, linesFlushed: 0, fences: 0, syncs: 0 }
  assert.deepEqual(counted('flush'), { ...none, linesFlushed: (10 * BLOCK) / 64, fences: 2 })
  assert.deepEqual(counted('fence'), { ...none, fences: 2 })
  // A few pieces by msync(2), many by fdatasync(2).
  assert.deepEqual(counted('sync'), { ...none, syncs: 2 })
})

test('what is on disk is synced through the descriptor', async (t) => {
  const region = createRegion(join(folder, 'disk'), MIB)
  t.after(() => region.close())
  // An overlay keeps no locks: a descriptor without one does here.
  const fd = openSync(region.path, 'r+')
  const client = new PassedRegion(fd, told(region))
  t.after(() => client.close())
  assert.equal(client.persistence, 'sync')
  client.sync(0, MIB)
  await client.syncAsync(0, MIB)
  assert.equal(client.counters.syncs, 2)
})

test('caches are written back and dropped without a mapping of one’s own', (t) => {
  for (const persistence of ['flush', 'sync'] as const) {
    const { region } = newVolume(t, { persistence })
    const fd = grantDescriptor(region, 0)
    const client = new PassedRegion(fd, { ...told(region), coherent: false })
    t.after(() => client.close())
    const before = mappedBytes(region.fd)
    client.syncDevice('flush', BLOCK + 100, 2 * BLOCK)
    client.syncDevice('invalidate', BLOCK + 100, 2 * BLOCK)
    client.syncDevice('flush', region.byteLength - 64, 64)
    client.syncDevice('flush', 0, 0)
    const { linesFlushed, syncs } = client.counters
    const expected = persistence === 'flush' ? [129 + 1, 0] : [0, 2]
    assert.deepEqual([linesFlushed, syncs], expected)
    assert.equal(mappedBytes(region.fd), before)
    assert.throws(() => client.syncDevice('flush', region.byteLength, 1), {
      code: 'ERR_OUT_OF_RANGE',
    })
  }
})

test('a descriptor for reading gives no mapping for writing', (t) => {
  const { region, volume } = newVolume(t)
  const file = scattered(volume, '/file', 3)
  const fd = grantDescriptor(region, 1, { readOnly: true })
  const client = new PassedRegion(fd, told(region))
  t.after(() => client.close())
  const range = { offset: 0, byteLength: 3 * BLOCK, write: false, populate: false }
  const mapping = new Mapping(client, granted(file), range)
  same(bytesOf(mapping), contentOf(file), 'for reading')
  mapping.unmap()
  fails('EACCES', () => new Mapping(client, granted(file), { ...range, write: true }))
})

test('a descriptor that is not what its owner says is closed, and said so', (t) => {
  const { region } = newVolume(t)
  const good = told(region)
  const refused = (say: Partial<ToldRegion>, fd = grantDescriptor(region, 2)) => {
    fails(
      'EPROTO',
      () => new PassedRegion(fd, { ...good, ...say }),
      /its owner says .* descriptor is/,
    )
    assert.throws(() => fstatSync(fd), { code: 'EBADF' })
    assert.deepEqual(heldSlots(region), [])
  }
  refused({ kind: 'tmpfs' })
  refused({ grain: 2 * MIB })
  for (const byteLength of [0, -BLOCK, BLOCK / 2, region.byteLength + BLOCK, NaN, 2 ** 60]) {
    refused({ byteLength })
  }
  refused({}, openSync(import.meta.filename, 'r'))
  const directory = openSync(folder, 'r')
  fails('ENODEV', () => new PassedRegion(directory, good))
  assert.throws(() => closeSync(directory), { code: 'EBADF' })
  const smaller = new PassedRegion(grantDescriptor(region, 2), { ...good, byteLength: MIB })
  assert.equal(smaller.byteLength, MIB)
  smaller.close()
})
