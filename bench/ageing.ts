/**
 * npm run bench -- ageing [--gib 1] [--months 3] [--seed 1]
 *
 * What is left of free space, and of files in one piece, after months of making, appending and
 * deleting at 90 % full? A day writes a twentieth of the volume. The same script runs on ext4 in a
 * file that is mounted (as root; SKIPPED else), made with mkfs.ext4 and no reserve for root.
 * Each is 90 % full, by what it says of itself.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { agedExt4, agedHoldfast, ext4Missing, type AgedVolume } from './aged_volumes.js'
import { DIRECTORIES, Life, pathOfFile, type Step } from './ageing_script.js'
import { table } from './table.js'

const MIB = 1024 * 1024
const GIB = 1024 * MIB
const BLOCK = 4096
/** Of the capacity; half a percent is for metadata. */
const CONTENT = 0.9 - 0.005
const DAYS_A_MONTH = 30
const A_DAY = 1 / 20
/** Operations between two moments at which all that was written has its place. */
const SETTLE = 200

interface State {
  readonly name: string
  readonly when: string
  readonly full: number
  readonly files: number
  readonly freeRuns: readonly number[]
  readonly extents: readonly number[]
  readonly two: boolean
  readonly sixtyFour: boolean
}

export function ageing(args: string[]): void {
  const { values } = parseArgs({
    args,
    options: {
      gib: { type: 'string', default: '1' },
      months: { type: 'string', default: '3' },
      seed: { type: 'string', default: '1' },
    },
  })
  const bytes = Number(values.gib) * GIB
  const days = Number(values.months) * DAYS_A_MONTH
  const seed = Number(values.seed)
  const missing = ext4Missing()
  const directory = mkdtempSync('/dev/shm/holdfast-ageing-')
  const states: State[] = []
  try {
    states.push(...growOld(agedHoldfast(directory, bytes), bytes, days, seed))
    if (missing === null) states.push(...growOld(agedExt4(directory, bytes), bytes, days, seed))
  } finally {
    rmSync(directory, { recursive: true })
  }
  console.log(
    `volumes of ${bytes / GIB} GiB, ${days} days, each writes ${A_DAY} of the volume; seed ${seed}\n`,
  )
  print(states)
  if (missing !== null) console.log(`\nSKIPPED: ext4: ${missing}`)
}

function growOld(volume: AgedVolume, bytes: number, days: number, seed: number): State[] {
  try {
    const life = new Life(seed, volume.capacity * CONTENT)
    for (let i = 0; i < DIRECTORIES; i++) volume.mkdir(`dir${i}`)
    live(volume, life.fill())
    const young = stateOf(volume, life, 'filled')
    for (let day = 0; day < days; day++) live(volume, life.go(bytes * A_DAY))
    return [young, stateOf(volume, life, `${days} days on`)]
  } finally {
    volume.close()
  }
}

const content = new Uint8Array(16 * MIB).fill(0x5a)

function live(volume: AgedVolume, steps: Iterable<Step>): void {
  let count = 0
  for (const step of steps) {
    const path = pathOfFile(step.file)
    if (step.do === 'create') volume.create(path, content.subarray(0, step.bytes))
    else if (step.do === 'append') volume.append(path, content.subarray(0, step.bytes))
    else volume.remove(path)
    if (++count % SETTLE === 0) volume.settle()
  }
  volume.settle()
}

function stateOf(volume: AgedVolume, life: Life, when: string): State {
  return {
    name: volume.name,
    when,
    full: volume.full(),
    files: life.files.length,
    freeRuns: volume.freeRuns(),
    extents: volume.extents(life.files.map(pathOfFile)),
    two: volume.contiguous(2 * MIB),
    sixtyFour: volume.contiguous(64 * MIB),
  }
}

const sum = (list: readonly number[]) => list.reduce((a, b) => a + b, 0)
const yes = (truth: boolean) => (truth ? 'yes' : 'no')
const size = (blocks: number) => `${((blocks * BLOCK) / MIB).toFixed(1)} MiB`

function print(states: readonly State[]): void {
  const head = ['volume', 'when', 'full', 'files', 'extents a file', 'most', 'in one piece']
  console.log(
    table(
      head,
      states.map(({ name, when, full, files, extents }) => [
        name,
        when,
        `${(full * 100).toFixed(1)} %`,
        String(files),
        (sum(extents) / extents.length).toFixed(2),
        String(Math.max(...extents)),
        `${((extents.filter((n) => n <= 1).length / extents.length) * 100).toFixed(0)} %`,
      ]),
    ),
  )
  const shares = ['free below 64 KiB', 'below 2 MiB', 'below 64 MiB', 'above']
  const runs = ['volume', 'when', 'free runs', 'largest', ...shares, '2 MiB', '64 MiB in one run']
  console.log()
  console.log(
    table(
      runs,
      states.map(({ name, when, freeRuns, two, sixtyFour }) => [
        name,
        when,
        String(freeRuns.length),
        size(Math.max(...freeRuns)),
        ...sharesOf(freeRuns),
        yes(two),
        yes(sixtyFour),
      ]),
    ),
  )
}

/** Of the free blocks, how many are in runs of each length. */
function sharesOf(freeRuns: readonly number[]): string[] {
  const bounds = [16, 512, 16_384, Infinity]
  const all = sum(freeRuns)
  return bounds.map((bound, i) => {
    const inside = freeRuns.filter((n) => n < bound && n >= (bounds[i - 1] ?? 0))
    return `${((sum(inside) / all) * 100).toFixed(1)} %`
  })
}
