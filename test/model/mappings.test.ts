/**
 * Random operations on a file that is mapped, on every kind of region that can be mapped here and in
 * both sync modes: mapped bytes, read bytes and a plain buffer are the same, and what is stale is
 * detached. SEED repeats a run, RUNS is the number of sequences of a setting.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import { native } from '../../src/native/native.js'
import { formatVolume } from '../../src/volume/format.js'
import { releaseMemory } from '../../src/volume/mount.js'
import { Volume } from '../../src/volume/volume.js'
import { sameBytes } from './compare.js'
import { MappingPair, mappingOperation, type MappingOperation } from './mapping_pair.js'
import { testMemory } from './pair.js'
import { REGION_NAMES, TestRegion } from './regions.js'

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

for (const [index, name] of REGION_NAMES.filter((one) => one !== 'heap').entries()) {
  for (const sync of ['always', 'group'] as const) {
    test(`a mapped file is what a plain buffer is, on ${name}, sync=${sync}`, (t) => {
      const region = new TestRegion(name, 4 << 20)
      t.after(() => region.close())
      const run = (operations: MappingOperation[], unmap: boolean) => {
        formatVolume(region.current)
        const pair = new MappingPair(Volume.mount(region.current, { sync, memory }))
        for (const op of operations) pair.step(op)
        total += operations.length
        pair.finish(unmap)
        const report = checker.check(region.current)
        assert.equal(report.state, 'clean', formatReport(report))
        const again = Volume.mount(region.current, { memory })
        sameBytes(again.readFile('/mapped'), pair.content, 'mounted again')
        again.close()
      }
      fc.assert(fc.property(sequence, fc.boolean(), run), {
        seed: seed + index,
        numRuns: name === 'file' && sync === 'always' ? Math.ceil(runs / 8) : runs,
        includeErrorInReport: true,
        interruptAfterTimeLimit: Math.max(20_000, runs * 200),
        markInterruptAsFailure: true,
      })
    })
  }
}
