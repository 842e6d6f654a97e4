/**
 * npm run bench [-- --large] [-- --pairs N] [-- --json] [-- --flush]: operations against node:fs.
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
import { compare, type Result } from './pairs.js'
import { durations, factors, table } from './table.js'

const MIB = 1024 * 1024

interface Options {
  readonly large: boolean
  readonly pairs: number
  readonly json: boolean
  readonly flush: boolean
}

function parse(args: string[]): Options {
  const { values: given } = parseArgs({
    args,
    options: {
      large: { type: 'boolean', default: false },
      pairs: { type: 'string', default: '9' },
      json: { type: 'boolean', default: false },
      flush: { type: 'boolean', default: false },
    },
  })
  return { ...given, pairs: Math.max(7, Number(given.pairs)) }
}

export function operations(args: string[]): void {
  const options = parse(args)
  const directory = mkdtempSync('/dev/shm/holdfast-bench-')
  try {
    const results = measure(directory, options)
    if (options.json) console.log(JSON.stringify(results, null, 2))
    else print(results, options)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function measure(directory: string, options: Options): Result[] {
  const workingSet = (options.large ? 1024 : 256) * MIB
  const names = options.large ? 50_000 : 10_000
  const persistence = options.flush ? { persistence: 'flush' as const } : {}
  const region = createRegion(`${directory}/volume.hf`, workingSet * 2 + 256 * MIB, persistence)
  const plain = createRegion(`${directory}/plain`, workingSet, persistence)
  formatVolume(region)
  const volume = Volume.mount(region, { sync: 'always' })
  const results: Result[] = []
  for (const comparison of [
    ...metadataComparisons(volume, directory, names),
    ...dataComparisons({ volume, directory, plain, workingSet }),
  ]) {
    results.push(compare(comparison, volume, region, options.pairs))
    if (!options.json) process.stderr.write('.')
  }
  process.stderr.write('\n')
  volume.close()
  region.close()
  plain.close()
  return results
}

function print(results: readonly Result[], options: Options): void {
  const { flush, crc32c } = native.cpu
  console.log(
    `node ${process.version}, ${flush}, crc32c by ${crc32c}; region on tmpfs, sync=always, ` +
      `${options.flush ? 'lines flushed as on persistent memory' : 'fences only'}; ` +
      `median of ${results[0]!.pairs} interleaved pairs (least to most)\n`,
  )
  const head = ['operation', 'holdfast', 'node:fs on tmpfs', 'ratio', 'x plain copy', 'wanted', '']
  const rows = results.map((r) => [
    r.question,
    durations(r.ours),
    durations(r.peer),
    factors(r.ratio),
    r.overFloor === undefined ? '' : factors(r.overFloor),
    r.wanted,
    r.met ? 'met' : 'missed',
  ])
  console.log(table(head, rows))
  const counts = results.map(({ question, perOperation: c }) => [
    question,
    ...[c.bytesLogged, c.bytesStored, c.linesFlushed, c.fences].map((n) => n.toFixed(2)),
  ])
  console.log(`\n${table(COUNTED, counts)}`)
}

const COUNTED = ['operation', 'bytes logged', 'bytes stored', 'lines flushed', 'fences']
