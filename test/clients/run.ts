/**
 * `npm run test:serve -- [SECONDS] [SEED]`: crowds of dozens of clients, one after another, each
 * with the next seed, for two minutes unless told otherwise. `npm run test:serve -- 3600` is the
 * long form. Prints the seed of each; HOLDFAST_CROWD=2x3 has fewer programs and clients.
 */
import { randomInt } from 'node:crypto'
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const TEST = fileURLToPath(new URL('crowd.test.js', import.meta.url))
/** Of one crowd; the next one begins on an empty volume. */
const SECONDS_MAX = 300
const SECONDS_MIN = 20

function main(): number {
  const [seconds = 120, first = randomInt(0x7fff_0000)] = process.argv.slice(2).map(Number)
  if (!(seconds > 0) || !Number.isSafeInteger(first)) {
    process.stderr.write('usage: npm run test:serve -- [SECONDS] [SEED]\n')
    return 2
  }
  const end = performance.now() + seconds * 1000
  for (let seed = first; ; seed++) {
    const left = (end - performance.now()) / 1000
    // The last one is not cut short: it takes what the others have left over.
    if (seed > first && left < SECONDS_MIN) return 0
    const now = Math.max(1, Math.min(SECONDS_MAX, left))
    process.stdout.write(`a crowd for ${now.toFixed(0)} s, seed ${seed}\n`)
    const { status } = spawnSync(process.execPath, ['--test-reporter=spec', TEST], {
      stdio: 'inherit',
      env: {
        HOLDFAST_CROWD: '4x10',
        ...process.env,
        SEED: String(seed),
        HOLDFAST_CROWD_SECONDS: String(now),
      },
    })
    if (status !== 0) {
      process.stdout.write(`failed: npm run test:serve -- ${now.toFixed(0)} ${seed}\n`)
      return 1
    }
  }
}

process.exitCode = main()
