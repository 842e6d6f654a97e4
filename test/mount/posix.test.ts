/**
 * What programs see of a mount is what the table of POSIX cases says, and what Linux answers to
 * calls at random: in each way of mounting. SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { checkStep, runSteps, type PosixCase } from '../suite/posix.js'
import { posixCases } from '../suite/posix_cases.js'
import { fullCases } from '../suite/posix_full.js'
import { programCases } from '../suite/posix_programs.js'
import { EVERYTHING, FIRST, randomLine } from '../suite/posix_random.js'
import { KernelSubject, prepareKernel } from '../suite/linux/kernel.js'
import { compare, shrink } from '../suite/linux/compare.js'
import { differs, excuse } from './differences.js'
import { cannotMount, MountScene, WAYS, type Way } from './scene.js'

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const SEQUENCES = Number(process.env['HOLDFAST_LONG'] ?? 1)
const STEPS = 80

/** Bytes of a volume that is to be full soon. */
const SMALL = 4 << 20
const CASES = [...posixCases, ...programCases]

const missing = cannotMount() ?? prepareKernel()

for (const way of WAYS) {
  describe(`a mount that is ${way}`, { skip: missing ?? false }, () => {
    test('answers as the table says', (t) => tableCases(t.diagnostic.bind(t), way, CASES))
    test('answers as the table says when it is full', async (t) => {
      for (const one of fullCases)
        await tableCases(t.diagnostic.bind(t), way, [one], { bytes: SMALL })
    })
    test('answers calls at random as a volume does', async (t) => {
      t.diagnostic(`SEED=${SEED}`)
      await randomCalls(way)
    })
  })
}

for (const mode of ['cache', 'exclusive']) {
  test(`a mount in the mode ${mode} answers as the table says`, { skip: missing ?? false }, (t) =>
    tableCases(t.diagnostic.bind(t), 'embedded', CASES, { mode }),
  )
}

async function tableCases(
  tell: (text: string) => void,
  way: Way,
  cases: readonly PosixCase[],
  { mode = 'direct', bytes }: { mode?: string; bytes?: number } = {},
): Promise<void> {
  const scene = await MountScene.start(way, mode, bytes)
  const failures: string[] = []
  try {
    for (const { name, steps } of cases) {
      const subject = new KernelSubject(scene.directory)
      try {
        await runSteps(subject, steps, (step, found) => {
          if (differs(`${way}, ${mode}`, step, found)) return 'end'
          return checkStep(step, found)
        })
      } catch (error) {
        failures.push(`${name}: ${(error as Error).message}`)
      } finally {
        await subject.finish()
      }
    }
  } finally {
    await scene.end()
  }
  tell(`${cases.length} cases`)
  assert.deepEqual(failures, [])
}

async function randomCalls(way: Way): Promise<void> {
  const scene = await MountScene.start(way)
  try {
    for (let i = 0; i < SEQUENCES; i++) await sameAnswers(scene.directory, SEED + i)
  } finally {
    await scene.end()
  }
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
      .concat([`volume: ${last?.volume}`, `mount:  ${last?.linux}`])
      .join('\n'),
  )
}
