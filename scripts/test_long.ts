/**
 * `npm run test:long -- SECONDS [SEED] [--soak SECONDS] [--crowd SECONDS]`: first the soak
 * (test/soak/), a volume with each way to sync in a process of its own, for half of the time but an
 * hour at most, unless `--soak` says otherwise. Then crowds of clients (test/clients/), for a
 * quarter of the time and an hour at most, unless `--crowd` does. Then the randomised suites again
 * and again, each round with the next seed and with more of everything, until the time is over (a
 * round that has begun is finished) or one fails. The seed of each round is printed;
 * `npm run test:long -- 1 SEED --soak 0 --crowd 0` repeats one.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { parseArgs } from 'node:util'

/** What each suite takes to do more, in a round that is `scale` times the short run. */
function settings(seed: number, scale: number): Record<string, string> {
  return {
    SEED: String(seed),
    HOLDFAST_SEED: String(seed),
    HOLDFAST_LONG: String(scale),
    HOLDFAST_IMAGES: String(2000 * scale),
    // Ten rounds of these are a million.
    HOLDFAST_REPAIRS: String(20_000 * scale),
    RUNS: String(60 * scale),
    FIRE_STEPS: String(200_000 * scale),
    CRASH_STATES: String(100_000 * scale),
    KILLS: String(200 * scale),
    HOLDFAST_CROWD_SECONDS: String(20 * scale),
    HOLDFAST_TEST_SECONDS: String(24 * 3600),
  }
}

const SUITES = [
  'unit',
  'model',
  'crash',
  'fire',
  'check',
  'repair',
  'rdma',
  'kill',
  'serve',
  'processes',
  'clients',
  'network',
]

const SOAK_SECONDS_MAX = 3600
const CROWD_SECONDS_MAX = 3600

/** Both volumes at the same time, one on each core; false when one of them failed. */
async function soak(seconds: number, seed: number): Promise<boolean> {
  const processes = ['always', 'group'].map((sync, i) => {
    const args = ['--expose-gc', 'build/test/soak/soak.js', String(seconds), String(seed + i), sync]
    return spawn(process.execPath, args, { stdio: 'inherit' })
  })
  const ends = await Promise.all(processes.map((one) => once(one, 'exit')))
  return ends.every(([status]) => status === 0)
}

/** Crowds of clients, one after another, each larger than those of the rounds. */
function crowds(seconds: number, seed: number): boolean {
  const args = ['build/test/clients/run.js', String(seconds), String(seed)]
  return spawnSync(process.execPath, args, { stdio: 'inherit' }).status === 0
}

function rounds(deadline: number, firstSeed: number): number {
  for (let round = 0; ; round++) {
    const seed = firstSeed + round
    process.stdout.write(`round ${round + 1}, seed ${seed}\n`)
    const { status } = spawnSync(process.execPath, ['build/scripts/test.js', ...SUITES], {
      stdio: 'inherit',
      // The second round is larger than the first, and so on, to a limit.
      env: { ...process.env, ...settings(seed, Math.min(10, round + 2)) },
    })
    if (status !== 0) {
      process.stdout.write(`failed with seed ${seed}; SEED=${seed} repeats it\n`)
      return 1
    }
    if (performance.now() >= deadline) return 0
  }
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { soak: { type: 'string' }, crowd: { type: 'string' } },
  })
  const seconds = Number(positionals[0])
  const randomSeed = Math.floor(Math.random() * 0x7fff_0000)
  const firstSeed = Number(positionals[1] ?? randomSeed)
  const soakSeconds = Number(values.soak ?? Math.min(SOAK_SECONDS_MAX, seconds / 2))
  const crowdSeconds = Number(values.crowd ?? Math.min(CROWD_SECONDS_MAX, seconds / 4))
  const good = seconds > 0 && soakSeconds >= 0 && crowdSeconds >= 0
  if (!good || !Number.isSafeInteger(firstSeed)) {
    const usage = 'SECONDS [SEED] [--soak SECONDS] [--crowd SECONDS]'
    process.stderr.write(`usage: npm run test:long -- ${usage}\n`)
    return 2
  }
  const deadline = performance.now() + seconds * 1000
  if (soakSeconds > 0) {
    process.stdout.write(`soak of ${soakSeconds} s, seeds ${firstSeed} and ${firstSeed + 1}\n`)
    if (!(await soak(soakSeconds, firstSeed))) {
      process.stdout.write(`the soak failed with seed ${firstSeed}\n`)
      return 1
    }
  }
  if (crowdSeconds > 0 && !crowds(crowdSeconds, firstSeed)) return 1
  return rounds(deadline, firstSeed)
}

process.exitCode = await main()
