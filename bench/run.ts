/**
 * npm run bench [-- --large] [-- --pairs N] [-- --json] [-- --flush]
 *
 * The volume is on tmpfs, sync=always. `--flush` has it flush cache lines and use non-temporal
 * stores as on persistent memory; without it a fence is all that tmpfs needs.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { createRegion } from '../src/region/file_region.js'
import { formatVolume } from '../src/volume/format.js'
import { Volume } from '../src/volume/volume.js'
import { native } from '../src/native/native.js'
import { dataComparisons } from './data.js'
import { metadataComparisons } from './metadata.js'
import { compare, type Result, type Spread } from './pairs.js'

const MIB = 1024 * 1024

const { values } = parseArgs({
  options: {
    large: { type: 'boolean', default: false },
    pairs: { type: 'string', default: '9' },
    json: { type: 'boolean', default: false },
    flush: { type: 'boolean', default: false },
  },
})

function main(): void {
  const directory = mkdtempSync('/dev/shm/holdfast-bench-')
  try {
    const results = measure(directory)
    if (values.json) console.log(JSON.stringify(results, null, 2))
    else print(results)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function measure(directory: string): Result[] {
  const workingSet = (values.large ? 1024 : 256) * MIB
  const names = values.large ? 50_000 : 10_000
  const persistence = values.flush ? { persistence: 'flush' as const } : {}
  const region = createRegion(`${directory}/volume.hf`, workingSet * 2 + 256 * MIB, persistence)
  const plain = createRegion(`${directory}/plain`, workingSet, persistence)
  formatVolume(region)
  const volume = Volume.mount(region, { sync: 'always' })
  const results: Result[] = []
  const pairs = Math.max(7, Number(values.pairs))
  for (const comparison of [
    ...metadataComparisons(volume, directory, names),
    ...dataComparisons({ volume, directory, plain, workingSet }),
  ]) {
    results.push(compare(comparison, volume, region, pairs))
    if (!values.json) process.stderr.write('.')
  }
  process.stderr.write('\n')
  volume.close()
  region.close()
  plain.close()
  return results
}

function nanoseconds({ median, min, max }: Spread): string {
  const scale = (n: number) => (n >= 10_000 ? `${(n / 1000).toFixed(1)} µs` : `${n.toFixed(0)} ns`)
  return `${scale(median)} (${scale(min)} to ${scale(max)})`
}

const factor = ({ median, min, max }: Spread): string =>
  `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`

function print(results: readonly Result[]): void {
  const { flush, crc32c } = native.cpu
  console.log(
    `node ${process.version}, ${flush}, crc32c by ${crc32c}; region on tmpfs, sync=always, ` +
      `${values.flush ? 'lines flushed as on persistent memory' : 'fences only'}; ` +
      `median of ${results[0]!.pairs} interleaved pairs (least to most)\n`,
  )
  console.log('| operation | holdfast | node:fs on tmpfs | ratio | x plain copy | wanted | |')
  console.log('| --- | --- | --- | --- | --- | --- | --- |')
  for (const r of results) {
    const floor = r.overFloor === undefined ? '' : factor(r.overFloor)
    console.log(
      `| ${r.question} | ${nanoseconds(r.ours)} | ${nanoseconds(r.peer)} | ${factor(r.ratio)} ` +
        `| ${floor} | ${r.wanted} | ${r.met ? 'met' : 'missed'} |`,
    )
  }
  console.log('\n| operation | bytes logged | bytes stored | lines flushed | fences |')
  console.log('| --- | --- | --- | --- | --- |')
  for (const { question, perOperation: c } of results) {
    const cells = [c.bytesLogged, c.bytesStored, c.linesFlushed, c.fences]
    console.log(`| ${question} | ${cells.map((n) => n.toFixed(2)).join(' | ')} |`)
  }
}

main()
