/**
 * Random sequences of operations against the model, on every kind of region and in both sync modes,
 * with the volume mounted again in between: equal bytes, equal stats, equal errors.
 *
 * SEED repeats a run, RUNS is the number of sequences a configuration (the short run has the
 * default).
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { releaseMemory } from '../../src/volume/mount.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { operation } from './arbitraries.js'
import { moreOperation, type MoreOperation } from './more_operations.js'
import type { Operation } from './operations.js'
import { Pair, testMemory } from './pair.js'
import { TestRegion, type RegionName } from './regions.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const runsGiven = process.env['RUNS'] === undefined ? undefined : Number(process.env['RUNS'])
const KIB = 1024

// A stack for each of the errors that are expected costs nearly as much as all else.
if (process.env['SEED'] === undefined) Error.stackTraceLimit = 0

interface Setting {
  readonly region: RegionName
  readonly sync: SyncMode
  readonly bytes: number
  /** Sequences in the short run: fewer where every one waits for a disk. */
  readonly runs: number
}

const SETTINGS: readonly Setting[] = [
  { region: 'heap', sync: 'always', bytes: 32_768 * KIB, runs: 80 },
  { region: 'heap', sync: 'group', bytes: 32_768 * KIB, runs: 80 },
  { region: 'heap', sync: 'always', bytes: 768 * KIB, runs: 80 },
  { region: 'heap', sync: 'group', bytes: 768 * KIB, runs: 80 },
  { region: 'tmpfs', sync: 'always', bytes: 4096 * KIB, runs: 60 },
  { region: 'tmpfs', sync: 'group', bytes: 4096 * KIB, runs: 60 },
  { region: 'memfd', sync: 'always', bytes: 4096 * KIB, runs: 60 },
  { region: 'memfd', sync: 'group', bytes: 4096 * KIB, runs: 60 },
  { region: 'file', sync: 'always', bytes: 4096 * KIB, runs: 8 },
  { region: 'file', sync: 'group', bytes: 4096 * KIB, runs: 60 },
]

const memory = testMemory()
let total = 0
after(() => {
  releaseMemory(memory)
  console.log(`# ${total} operations, SEED=${seed}`)
})

const any = fc.oneof(
  { weight: 3, arbitrary: operation(true) },
  { weight: 2, arbitrary: moreOperation() },
)
const sequence = fc.array(any, { maxLength: 300, size: 'max' })

for (const [index, { region: name, sync, bytes, runs }] of SETTINGS.entries()) {
  test(`a volume of ${bytes / KIB} KiB on ${name} does as the model does, sync=${sync}`, (t) => {
    const region = new TestRegion(name, bytes)
    t.after(() => region.close())
    const counts = { operations: 0, refused: 0 }
    const run = (operations: (Operation | MoreOperation)[]) => {
      const pair = new Pair(region, sync, memory)
      for (const op of operations) pair.step(op)
      pair.finish()
      counts.operations += pair.done
      counts.refused += pair.refused
    }
    const numRuns = runsGiven ?? runs
    fc.assert(fc.property(sequence, run), {
      seed: seed + index,
      numRuns,
      includeErrorInReport: true,
      // Shrinking ends after a while: seed and path in the report take it up again.
      interruptAfterTimeLimit: Math.max(120_000, numRuns * 200),
      markInterruptAsFailure: true,
    })
    total += counts.operations
    t.diagnostic(`${counts.operations} operations, ${counts.refused} refused for want of space`)
    assert(counts.operations > 0)
  })
}
