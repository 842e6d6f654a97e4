/**
 * npm run bench -- scale [--sizes 1000,10000,100000,1000000] [--opens 7] [--gib 8]
 *
 * What do a thousand, ten thousand, a hundred thousand and a million files cost? For each number,
 * all in one directory and in a tree ten names wide, a process makes them, measures, fills the log
 * to the brim and dies by SIGKILL. A copy of what it left is then opened by process after process:
 * each recovers from the full log, with code that was not compiled yet.
 *
 * The region is a sparse file on tmpfs; sync=always, files without content. Resident memory is that
 * of the process without the mapped region, after a collection of garbage.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { runJob } from './child.js'
import type { Built, Checked, Opened, ScaleJob } from './scale_job.js'
import type { Shape } from './scale_tree.js'
import { duration, durations, mebibytes, spread, table, type Spread } from './table.js'

const GIB = 1024 * 1024 * 1024
const NANOSECONDS_WANTED = 20e6

interface Result {
  readonly shape: Shape
  readonly count: number
  readonly built: Built
  readonly recovery: Spread
  readonly clean: Spread
  readonly recovered: Opened
  readonly checked: Checked
}

interface Options {
  readonly directory: string
  readonly bytes: number
  readonly opens: number
}

export function scale(args: string[]): void {
  const { values } = parseArgs({
    args,
    options: {
      sizes: { type: 'string', default: '1000,10000,100000,1000000' },
      opens: { type: 'string', default: '7' },
      gib: { type: 'string', default: '8' },
    },
  })
  const directory = mkdtempSync('/dev/shm/holdfast-scale-')
  const options = { directory, bytes: Number(values.gib) * GIB, opens: Number(values.opens) }
  try {
    const results: Result[] = []
    for (const count of values.sizes.split(',').map(Number)) {
      for (const shape of ['flat', 'deep'] as const) {
        results.push(measure(options, shape, count))
        process.stderr.write('.')
      }
    }
    process.stderr.write('\n')
    print(results, options)
  } finally {
    rmSync(directory, { recursive: true })
  }
}

function measure({ directory, bytes, opens }: Options, shape: Shape, count: number): Result {
  const path = `${directory}/killed`
  const copy = `${directory}/opened`
  const run = (work: ScaleJob) => runJob('scale_job.js', work)
  const built = run({ task: 'build', path, bytes, shape, count }) as Built
  const recoveries: Opened[] = []
  const cleans: Opened[] = []
  for (let i = 0; i < opens; i++) {
    copySparse(path, copy)
    recoveries.push(run({ task: 'open', path: copy, shape, count }) as Opened)
    cleans.push(run({ task: 'open', path: copy, shape, count }) as Opened)
  }
  for (const { files, replayed } of recoveries) {
    if (files === built.files && replayed >= built.log.records) continue
    throw new Error(`${files} files of ${built.files}, ${replayed} records of ${built.log.records}`)
  }
  const checked = run({ task: 'check', path: copy, shape, count }) as Checked
  rmSync(path)
  rmSync(copy)
  return {
    shape,
    count,
    built,
    recovery: spread(recoveries.map((one) => one.open)),
    clean: spread(cleans.map((one) => one.open)),
    recovered: recoveries[0]!,
    checked,
  }
}

function copySparse(from: string, to: string): void {
  const { status, stderr } = spawnSync('cp', ['--sparse=always', from, to], { encoding: 'utf8' })
  if (status !== 0) throw new Error(`cp: ${stderr}`)
}

function print(results: readonly Result[], { bytes, opens }: Options): void {
  console.log(
    `node ${process.version}; region of ${bytes / GIB} GiB on tmpfs, sync=always; ` +
      `openings: median of ${opens} processes (least to most)\n`,
  )
  const kinds = ['files', 'shape', 'create', 'list, a name', 'look up', 'remove', 'fsck']
  console.log(
    table(
      kinds,
      results.map(({ count, shape, built, checked }) => [
        String(count),
        shape,
        ...[built.create, built.list, built.stat, built.remove].map(duration),
        `${checked.state}, ${duration(checked.nanoseconds)}`,
      ]),
    ),
  )
  console.log()
  const mounts = ['files', 'shape', 'log', 'records', 'pages', 'recovery', 'clean', '<= 20 ms']
  console.log(
    table(
      mounts,
      results.map(({ count, shape, built, recovery, clean }) => [
        String(count),
        shape,
        `${(built.log.bytes / 1024 / 1024).toFixed(1)} MiB`,
        String(built.log.records),
        String(built.log.dirtyPages),
        durations(recovery),
        durations(clean),
        recovery.median <= NANOSECONDS_WANTED ? 'met' : 'missed',
      ]),
    ),
  )
  console.log()
  const memories = [
    'files',
    'shape',
    'resident: empty',
    'all made',
    'recovered',
    'heap: empty',
    'all',
  ]
  console.log(
    table(
      memories,
      results.map(({ count, shape, built, recovered }) => [
        String(count),
        shape,
        ...[built.before, built.after, recovered.memory].map((one) => mebibytes(one.resident)),
        ...[built.before, built.after].map((one) => `${(one.heap / 1048576).toFixed(1)} MiB`),
      ]),
    ),
  )
}
