/**
 * `npm run test:long -- SECONDS [SEED]`: the randomised suites again and again, each round with the
 * next seed and with more of everything, until the time is over (a round that has begun is
 * finished) or one fails. The seed of each round is printed; `npm run test:long -- 1 SEED` repeats
 * one.
 */
import { spawnSync } from 'node:child_process'

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
    CRASH_STATES: String(100_000 * scale),
    KILLS: String(200 * scale),
    HOLDFAST_TEST_SECONDS: String(24 * 3600),
  }
}

const SUITES = ['unit', 'model', 'crash', 'repair', 'kill']

function main(): number {
  const seconds = Number(process.argv[2])
  const randomSeed = Math.floor(Math.random() * 0x7fff_0000)
  const firstSeed = Number(process.argv[3] ?? randomSeed)
  if (!(seconds > 0) || !Number.isSafeInteger(firstSeed)) {
    process.stderr.write('usage: npm run test:long -- SECONDS [SEED]\n')
    return 2
  }
  const deadline = performance.now() + seconds * 1000
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

process.exitCode = main()
