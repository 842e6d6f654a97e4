/**
 * fsck on volumes that the filesystem itself wrote: two readings of one format, and each finds the
 * other sound. HOLDFAST_SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport, type Report } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import { heapRegion, type MemoryRegion } from '../../src/region/memory_region.js'
import type { Region } from '../../src/region/region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import { formatVolume } from '../../src/volume/format.js'
import { Volume } from '../../src/volume/volume.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { DIRECTORIES, History } from './operations.js'

const seed = Number(process.env['HOLDFAST_SEED'] ?? 1)
const MIB = 1 << 20
const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)

function assertClean(region: Region, when: string): Report {
  const report = checker.check(region)
  assert.equal(report.state, 'clean', `${when}:\n${formatReport(report)}`)
  return report
}

/** A region with a new volume in it; closed when the test is over. */
function freshRegion(t: { after(fn: () => void): void }, bytes: number): MemoryRegion {
  const region = heapRegion(bytes)
  t.after(() => region.close())
  formatVolume(region, { label: 'real' })
  return region
}

test('a new volume of any size is clean', (t) => {
  const blocks = [128, 129, 256, 3839, 3840, 3841, 8 * 3840, 8 * 3840 + 1, 65_536]
  for (const count of blocks) {
    const region = freshRegion(t, count * 4096)
    const { counts, volume } = assertClean(region, `${count} blocks`)
    assert.deepEqual([counts.files, counts.directories, counts.names], [0, 1, 0])
    assert.equal(volume!.blocks, count)
    assert.equal(counts.blocksUsed + counts.blocksFree, count)
  }
})

test('what was written is what is counted', (t) => {
  const region = freshRegion(t, 16 * MIB)
  const volume = Volume.mount(region)
  volume.mkdir('/a')
  volume.mkdir('/a/b')
  for (let i = 0; i < 500; i++) volume.writeFile(`/a/b/${i}`, new Uint8Array(i))
  volume.link('/a/b/7', '/seven')
  const mounted = assertClean(region, 'mounted')
  volume.close()
  const { counts } = assertClean(region, 'closed')
  assert.deepEqual(counts, mounted.counts)
  assert.deepEqual([counts.files, counts.directories, counts.names], [500, 3, 503])
  assert.equal(counts.extents, 499)
})

test('a file that is open without a name is clean, and so is what a crash leaves of it', (t) => {
  const region = freshRegion(t, 16 * MIB)
  const volume = Volume.mount(region)
  const file = volume.open('/gone', 'w+')
  file.write(new Uint8Array(100_000), 0)
  volume.unlink('/gone')
  assert.equal(assertClean(region, 'unlinked').counts.files, 1)
  file.truncate(5000)
  file.write(new Uint8Array(100_000), 200_000)
  assertClean(region, 'unlinked and written')
  const crashed = heapRegion(region.byteLength)
  t.after(() => crashed.close())
  native.copy(crashed.memory, 0, region.memory, 0, region.byteLength)
  assert.equal(assertClean(crashed, 'crashed').counts.files, 1)
  Volume.mount(crashed).close()
  assert.equal(assertClean(crashed, 'mounted again').counts.files, 0)
  file.close()
  assert.equal(assertClean(region, 'closed').counts.files, 0)
  volume.close()
})

test('a file of many pieces, cut and filled again, is clean all the way', (t) => {
  const region = freshRegion(t, 32 * MIB)
  const volume = Volume.mount(region)
  const block = new Uint8Array(4096)
  const [one, two] = [volume.open('/one', 'w+'), volume.open('/two', 'w+')]
  for (let i = 0; i < 1000; i++) {
    one.write(block, i * 2 * 4096)
    two.write(block, i * 4096)
  }
  assert.ok(assertClean(region, 'written').counts.extents > 1000)
  one.truncate(500 * 4096)
  assertClean(region, 'cut')
  two.truncate(0)
  one.write(new Uint8Array(20 * MIB), 0)
  assertClean(region, 'filled')
  volume.close()
  assertClean(region, 'closed')
})

/**
 * Changes to a file of twenty blocks and 600 single ones; each takes many transactions. `other` has
 * 30 single blocks.
 */
const LONG_WORK: Array<[what: string, change: (file: OpenFile, other: OpenFile) => void]> = [
  ['a punch', (file) => file.punch(15 * 4096, 900 * 4096 + 5)],
  ['a collapse', (file) => file.collapse(10 * 4096, 400 * 4096)],
  ['a collapse of a hole', (file) => file.collapse(101 * 4096, 4096)],
  ['an insertion', (file) => file.insert(10 * 4096, 7 * 4096)],
  ['an insertion of a whole file', (file) => file.insert(0, 300 * 4096)],
  ['a truncate', (file) => file.truncate(5000)],
  ['a clone', (file, other) => other.reflinkRange(0, file, 0, 0)],
  ['a clone of a range', (file, other) => other.reflinkRange(4096, file, 50 * 4096, 40 * 4096)],
  ['a clone behind the end', (file, other) => other.reflinkRange(0, file, 2000 * 4096, 0)],
  ['a clone of its own blocks', (file) => file.reflinkRange(4096, file, 100 * 4096, 80 * 4096)],
]
for (const [what, change] of LONG_WORK) {
  test(`what ${what} leaves half done is clean, and completed when the file is read`, (t) => {
    const region = new TracedRegion(4 * MIB)
    const crashed = heapRegion(region.byteLength)
    t.after(() => region.close())
    t.after(() => crashed.close())
    formatVolume(region)
    const volume = Volume.mount(region)
    const file = volume.open('/file', 'w+')
    const block = new Uint8Array(4096)
    file.write(new Uint8Array(20 * 4096).fill(255), 0)
    // Another order in the region than in the file: each is a line of its own in the log.
    for (let i = 0; i < 600; i++) {
      const place = (i * 191) % 600
      file.write(block.fill(place), (30 + place * 2) * 4096)
    }
    using other = volume.open('/other', 'w+')
    for (let i = 0; i < 30; i++) {
      other.write(block.fill(i + 7), ((i * 191) % 30) * 2 * 4096)
    }
    const before = volume.readFile('/file')
    const left: Uint8Array[] = []
    const nothing = () => {}
    const fenced = () => {
      assertClean(region, `after ${left.length} fences`)
      native.copy(crashed.memory, 0, region.memory, 0, region.byteLength)
      const again = Volume.mount(crashed)
      left.push(again.readFile('/file'))
      assertClean(crashed, `after ${left.length} fences, mounted and read`)
      again.close()
    }
    region.listener = {
      beforeStore: nothing,
      stored: nothing,
      flushed: nothing,
      fenced,
      synced: nothing,
    }
    change(file, other)
    region.listener = null
    const after = volume.readFile('/file')
    assert.ok(left.length > 3, `${left.length} fences`)
    for (const bytes of left) {
      const same = Buffer.compare(bytes, before) === 0 || Buffer.compare(bytes, after) === 0
      assert.ok(same, 'neither the file from before nor the one from after')
    }
    assert.equal(Buffer.compare(left.at(-1)!, after), 0)
    t.diagnostic(`${left.length} fences`)
    volume.close()
  })
}

// ---- histories from a seed ---------------------------------------------------------------------

/** Bytes of the region, steps, and after how many fsck looks. */
const histories: Array<[bytes: number, sync: SyncMode, steps: number, every: number]> = [
  [512 * 1024, 'always', 2000, 1],
  [MIB, 'always', 2000, 1],
  [MIB, 'group', 2000, 1],
  [16 * MIB, 'always', 4000, 10],
  [16 * MIB, 'group', 4000, 10],
]
for (const [bytes, sync, steps, every] of histories) {
  const title = `${bytes / 1024} KiB, ${sync}, HOLDFAST_SEED=${seed}`
  test(`a volume is clean throughout a random history (${title})`, (t) => {
    const region = freshRegion(t, bytes)
    const crashed = heapRegion(bytes)
    t.after(() => crashed.close())
    const prng = new Prng(seed)
    const run = new History(Volume.mount(region, { sync }), prng)
    for (const directory of DIRECTORIES.slice(1)) run.volume.mkdir(directory)
    for (let i = 0; i < steps; i++) {
      run.step()
      // What is in the log, or not even there yet, is as sound as what is at home.
      if (i % every === 0) assertClean(region, `step ${i}, ${run.last}`)
      if (i % 400 === 200) {
        native.copy(crashed.memory, 0, region.memory, 0, bytes)
        const again = Volume.mount(crashed, { sync })
        assertClean(crashed, `mounted after a crash after step ${i}`)
        again.close()
        assertClean(crashed, `closed after a crash after step ${i}`)
      }
      if (i % 1000 !== 999) continue
      run.closeAll()
      run.volume.close()
      assertClean(region, `closed after step ${i}`)
      run.volume = Volume.mount(region, { sync })
    }
    run.closeAll()
    run.volume.close()
    assertClean(region, 'closed')
    t.diagnostic([...run.done].map(([name, times]) => `${name} ${times}`).join(', '))
  })
}

for (const mib of [1, 3]) {
  const title = `${mib} MiB, HOLDFAST_SEED=${seed}`
  test(`a volume is clean whenever something of it is durable (${title})`, (t) => {
    const region = new TracedRegion(mib * MIB)
    t.after(() => region.close())
    formatVolume(region)
    const run = new History(Volume.mount(region, { sync: 'always' }), new Prng(seed))
    for (const directory of DIRECTORIES.slice(1)) run.volume.mkdir(directory)
    let fences = 0
    const nothing = () => {}
    const fenced = () => {
      fences++
      assertClean(region, `fence ${fences} in ${run.last}`)
    }
    region.listener = {
      beforeStore: nothing,
      stored: nothing,
      flushed: nothing,
      fenced,
      synced: nothing,
    }
    for (let i = 0; i < 2000; i++) run.step()
    region.listener = null
    run.closeAll()
    run.volume.close()
    assertClean(region, 'closed')
    t.diagnostic(`${fences} fences`)
  })
}

test('a region of 1 MiB with ten files is checked in a fraction of a millisecond', (t) => {
  const region = freshRegion(t, MIB)
  const volume = Volume.mount(region)
  for (let i = 0; i < 10; i++) volume.writeFile(`/file-${i}`, new Uint8Array(9000))
  const rounds = 1000
  for (let i = 0; i < rounds; i++) checker.check(region)
  const start = performance.now()
  for (let i = 0; i < rounds; i++) checker.check(region)
  const microseconds = ((performance.now() - start) / rounds) * 1000
  t.diagnostic(`${microseconds.toFixed(0)} µs a check`)
  // It is about 40; the bound is for slow and busy machines.
  assert.ok(microseconds < 1000, `${microseconds} µs`)
  volume.close()
})
