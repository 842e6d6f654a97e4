/**
 * Random operations on a file that is mapped, on every kind of region that can be mapped here and
 * in both sync modes: mapped bytes, read bytes and a plain buffer are the same, and what is stale
 * is detached. SEED repeats a run, RUNS is the number of sequences of a setting.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import { formatVolume } from '../../src/volume/format.js'
import { releaseMemory } from '../../src/volume/mount.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { Volume } from '../../src/volume/volume.js'
import { sameBytes } from './compare.js'
import { MappingPair, mappingOperation, type MappingOperation } from './mapping_pair.js'
import { testMemory } from './pair.js'
import { TestRegion, type RegionName } from './regions.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const runs = Number(process.env['RUNS'] ?? 40)
const checker = new Checker((bytes, start, length, crc) =>
  native.crc32cOf(bytes, start, length, crc),
)
const memory = testMemory()
let total = 0
after(() => {
  releaseMemory(memory)
  console.log(`# ${total} operations, SEED=${seed}`)
})

const sequence = fc.array(mappingOperation, { maxLength: 120, size: 'max' })

interface Setting {
  readonly region: RegionName
  readonly sync: SyncMode
  /** Free blocks to begin with, 0: as many as there are. */
  readonly spare: number
  readonly runs: number
}

const SETTINGS: readonly Setting[] = [
  { region: 'tmpfs', sync: 'always', spare: 0, runs },
  { region: 'tmpfs', sync: 'group', spare: 0, runs },
  { region: 'memfd', sync: 'always', spare: 0, runs },
  { region: 'memfd', sync: 'always', spare: 30, runs },
  { region: 'memfd', sync: 'group', spare: 30, runs },
  { region: 'file', sync: 'always', spare: 0, runs: Math.ceil(runs / 8) },
  { region: 'file', sync: 'group', spare: 0, runs: Math.ceil(runs / 2) },
]

for (const [index, { region: name, sync, spare, runs: numRuns }] of SETTINGS.entries()) {
  const room = spare === 0 ? '' : ` with ${spare} blocks left`
  test(`a mapped file is what a plain buffer is, on ${name}${room}, sync=${sync}`, (t) => {
    const region = new TestRegion(name, 4 << 20)
    t.after(() => region.close())
    let refused = 0
    const run = (operations: MappingOperation[], unmap: boolean) => {
      formatVolume(region.current)
      const volume = Volume.mount(region.current, { sync, memory })
      if (spare > 0) fill(volume, spare)
      const pair = new MappingPair(volume)
      for (const op of operations) pair.step(op)
      total += operations.length
      refused += pair.refused
      pair.finish(unmap)
      const report = checker.check(region.current)
      assert.equal(report.state, 'clean', formatReport(report))
      const again = Volume.mount(region.current, { memory })
      sameBytes(again.readFile('/mapped'), pair.content, 'mounted again')
      again.close()
    }
    fc.assert(fc.property(sequence, fc.boolean(), run), {
      seed: seed + index,
      numRuns,
      includeErrorInReport: true,
      interruptAfterTimeLimit: Math.max(120_000, runs * 200),
      markInterruptAsFailure: true,
    })
    t.diagnostic(`${refused} operations refused for want of space`)
  })
}

/** Takes all but `spare` blocks, or a few less. */
function fill(volume: Volume, spare: number): void {
  const ballast = volume.open('/ballast', 'a')
  const some = new Uint8Array(8 * 4096)
  while (volume.statfs().blocksAvailable > spare + 8) ballast.write(some)
  ballast.close()
}
