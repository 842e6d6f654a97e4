/**
 * What Linux answers to the same calls, on tmpfs and on whatever holds the temporary directory: the
 * cases of the suite, and calls at random. SEED repeats a run.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { tmpdir } from 'node:os'
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { KernelSubject, prepareKernel } from './linux/kernel.js'
import { checkStep, runSteps } from './posix.js'
import { posixCases } from './posix_cases.js'
import { programCases } from './posix_programs.js'
import { compare, shrink } from './linux/compare.js'
import { differs, excuse } from './linux/differences.js'
import { EVERYTHING, FIRST, randomLine } from './posix_random.js'
import { Prng } from '../../src/base/prng.js'

const LONG = Number(process.env['HOLDFAST_LONG'] ?? 1)
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const SEQUENCES = 16 * LONG
const STEPS = 120

const missing = prepareKernel()

function typeOf(path: string): string {
  return execFileSync('stat', ['-f', '-c', '%T', path], { encoding: 'utf8' }).trim()
}

const places = ['/dev/shm', tmpdir()].filter((path) => existsSync(path))
/**
 * What is asked: filesystems of whose ways differences.ts knows. An overlay has ways of its own.
 */
const ASKED = /^(tmpfs|ext2\/ext3|xfs)$/
const directories = new Map(
  places.map((path) => [typeOf(path), path] as const).filter(([type]) => ASKED.test(type)),
)

for (const [filesystem, directory] of directories) {
  describe(`Linux on ${filesystem}`, { skip: missing ?? false }, () => {
    for (const { name, steps } of [...posixCases, ...programCases]) {
      test(name, async () => {
        const linux = new KernelSubject(directory)
        try {
          await runSteps(linux, steps, (step, found) => {
            if (differs(filesystem, step, found)) return 'end'
            return checkStep(step, found)
          })
        } finally {
          await linux.finish()
        }
      })
    }

    test('answers calls at random as a volume does', async (t) => {
      t.diagnostic(`SEED=${SEED}`)
      for (let i = 0; i < SEQUENCES; i++) await sameAnswers(directory, SEED + i)
    })
  })
}

async function sameAnswers(directory: string, seed: number): Promise<void> {
  const prng = new Prng(seed)
  const lines = [...FIRST, ...Array.from({ length: STEPS }, () => randomLine(prng))]
  const differ = (some: readonly string[]) => compare(directory, some, EVERYTHING, excuse)
  const found = await differ(lines)
  if (found === null) return
  const shortest = await shrink(lines.slice(0, found.index + 1), async (some) => {
    return (await differ(some)) !== null
  })
  const last = await differ(shortest)
  assert.fail(
    [`SEED=${seed}`, ...shortest, `after '${last?.line}'`]
      .concat([`volume: ${last?.volume}`, `Linux:  ${last?.linux}`])
      .join('\n'),
  )
}
