/**
 * What the log must get right, each promise by itself: the records that recovery takes and those it
 * must not, the tail, freed metadata, and operations larger than the log.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Checker } from '../../src/check/checker.js'
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { LogRecord } from '../../src/media/log.js'
import { native } from '../../src/native/native.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'

const checker = new Checker(native.crc32cOf)
const KIB = 1024

function newRegion(kib: number, seed = 1): TracedRegion {
  const region = new TracedRegion(kib * KIB)
  formatVolume(region, { entropy: seededEntropy(seed), clock: new SteppedClock() })
  return region
}

const mount = (region: TracedRegion, seed = 2) =>
  Volume.mount(region, {
    atime: 'never',
    cachePages: 256,
    entropy: seededEntropy(seed),
    clock: new SteppedClock(),
  })

/** The region as a power cut would leave it now, everything fenced being there. */
function cut(region: TracedRegion): TracedRegion {
  const copy = new TracedRegion(region.byteLength)
  copy.u8.set(region.u8)
  return copy
}

function assertClean(region: TracedRegion): void {
  const report = checker.check(region)
  assert.equal(report.state, 'clean', JSON.stringify(report.findings.slice(0, 5), null, 1))
}

const names = (volume: Volume) =>
  volume
    .readdir('/')
    .map((entry) => Buffer.from(entry.name).toString())
    .sort()

test('replaying a log twice gives what replaying it once gives', () => {
  const region = newRegion(1024)
  const volume = mount(region)
  for (let i = 0; i < 20; i++) volume.writeFile(`/f${i}`, new Uint8Array(100 + i * 37).fill(i))
  for (let i = 0; i < 20; i += 3) volume.unlink(`/f${i}`)
  const crashed = cut(region)
  const { tailBlock } = volume.core.geometry
  const tail = crashed.u8.slice(tailBlock * 4096, tailBlock * 4096 + 8)
  const salt = crashed.u8.slice(0, 8192)
  const first = mount(crashed)
  assert.ok(first.replayed > 10)
  const once = crashed.u8.slice()
  // As if the tail had not moved and the superblocks were the old ones: all of it again.
  const again = cut(crashed)
  again.u8.set(tail, tailBlock * 4096)
  again.u8.set(salt)
  const second = mount(again)
  assert.equal(second.replayed, first.replayed)
  assert.deepEqual(Buffer.compare(again.u8, once), 0)
  assertClean(again)
})

test('records of the mount before, at the very positions that come next, are not taken', () => {
  // The first mount logs two records and is cut; only the first is whole. The second mount logs one
  // of the same length: right behind it stands the old second record, with the right position and
  // sequence.
  const region = newRegion(1024)
  const volume = mount(region)
  volume.writeFile('/a', new Uint8Array(0))
  const { head } = volume.core.log
  volume.mkdir('/b')
  volume.mkdir('/c')
  const crashed = cut(region)
  const { logStart } = volume.core.geometry
  crashed.u8[logStart * 4096 + head * 64 + 70]! ^= 0xff // the record of /b is torn
  const next = mount(crashed, 3)
  assert.deepEqual(names(next), ['a'])
  next.mkdir('/d')
  assert.equal(
    next.core.log.head,
    head + (volume.core.log.head - head) / 2,
    'as long as that of /b',
  )
  const last = mount(cut(crashed), 4)
  assert.deepEqual(names(last), ['a', 'd'], '/c belongs to a mount that never got that far')
  assertClean(crashed)
})

test('records of an older volume in the same region are not taken', () => {
  const region = newRegion(1024, 1)
  const volume = mount(region)
  for (let i = 0; i < 20; i++) volume.mkdir(`/old${i}`)
  formatVolume(region, { entropy: seededEntropy(9), clock: new SteppedClock() })
  const fresh = mount(cut(region))
  assert.equal(fresh.replayed, 0)
  assert.deepEqual(names(fresh), [])
})

test('a record of the lap before is not taken, however valid it is by itself', () => {
  const region = newRegion(512)
  const volume = mount(region)
  const { logLines } = volume.core.geometry
  let i = 0
  while (volume.core.log.head < logLines * 3) {
    volume.writeFile(`/f${i % 20}`, new Uint8Array(50))
    volume.unlink(`/f${i++ % 20}`)
  }
  volume.mkdir('/last')
  const { durable } = volume.core.log
  const crashed = cut(region)
  const again = mount(crashed)
  assert.equal(again.core.log.tail, durable, 'recovery ends where the log ended')
  assert.ok(names(again).includes('last'))
  assertClean(crashed)
})

test('a tail that was torn is found out, not followed', () => {
  const region = newRegion(1024)
  const volume = mount(region)
  volume.mkdir('/a')
  volume.close()
  const { tailBlock } = volume.core.geometry
  region.u8[tailBlock * 4096]! ^= 0x40
  assert.throws(() => mount(region), { code: 'EUCLEAN' })
  assert.notEqual(checker.check(region).state, 'clean')
})

test('a freed metadata page is not handed out while a record could still write it', () => {
  const region = newRegion(1024)
  const volume = mount(region)
  volume.mkdir('/d')
  for (let i = 0; i < 300; i++) volume.writeFile(`/d/${i}`, new Uint8Array(0))
  const before = volume.statfs().blocksFree
  for (let i = 0; i < 300; i++) volume.unlink(`/d/${i}`)
  volume.rmdir('/d')
  assert.ok(volume.statfs().blocksFree > before, 'nodes and slabs were freed')
  const { allocator, transaction } = volume.core
  assert.ok(allocator.quarantined > 0, 'and wait')
  const rest = allocator.available
  volume.writeFile('/data', new Uint8Array((rest - 60) * 4096).fill(0xdd))
  assert.ok(allocator.quarantined > 0, 'there was room without them')
  const crashed = cut(region)
  const again = mount(crashed)
  const content = again.readFile('/data')
  assert.equal(
    content.findIndex((byte) => byte !== 0xdd),
    -1,
    'replay wrote over no data',
  )
  assertClean(crashed)
  transaction.checkpoint()
  assert.equal(allocator.quarantined, 0, 'home is durable: they are free')
})

test('a truncate larger than the log is finished after a crash in the middle of it', () => {
  const region = newRegion(8 * KIB)
  const volume = mount(region)
  // One block of each two is freed: what is written then has an extent a block.
  const file = volume.open('/other', 'w')
  const holes = volume.open('/holes', 'w')
  const block = new Uint8Array(4096).fill(1)
  for (let i = 0; i < 600; i++) {
    file.write(block, i * 2 * 4096)
    holes.write(block, i * 2 * 4096)
  }
  holes.close()
  assert.ok(volume.extents('/other').extents.length >= 600)
  let cuts = 0
  let crashed = cut(region)
  region.listener = {
    beforeStore: () => {},
    stored: () => {},
    flushed: () => {},
    fenced: () => {
      // Somewhere in the middle of the chain of transactions.
      if (++cuts === 2) crashed = cut(region)
    },
    synced: () => {},
  }
  file.truncate(4096)
  region.listener = null
  assert.ok(cuts > 2, `it took ${cuts} transactions`)
  assertClean(crashed)
  const again = mount(crashed)
  assert.equal(again.stat('/other').size, 4096, 'the size changed in the first of them')
  while (again.extents('/other').extents.length > 1) again.statfs()
  assert.equal(again.stat('/other').blocks, 8)
  again.unlink('/other')
  again.unlink('/holes')
  assert.equal(again.statfs().blocksFree, again.statfs().blocks - 1)
  assertClean(crashed)
  file.close()
})

test('a record header says how long it is, and a length beyond the ring ends the log', () => {
  const region = newRegion(1024)
  const volume = mount(region)
  volume.mkdir('/a')
  const { head } = volume.core.log
  volume.mkdir('/b')
  const { logStart, logLines } = volume.core.geometry
  const crashed = cut(region)
  const words = new Uint32Array(crashed.u8.buffer, logStart * 4096 + head * 64, 16)
  words[LogRecord.word.lines] = logLines
  assert.deepEqual(names(mount(crashed)), ['a'])
})
