/**
 * Every state that a power cut can leave, for each mutating call, for pairs and threes of calls
 * over a small tree, with crashes inside recovery, twice.
 *
 * CRASH_STATES is how many distinct states the run is to try (100 000 when not given); SEED repeats
 * it.
 */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import type { Tally } from './explorer.js'
import { describe, type Call } from './model.js'
import { Program, type Setting } from './program.js'
import { BASE, CALLS, ON_PIECES, PIECES, randomCall, SEQUENCES } from './programs.js'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
const wanted = Number(process.env['CRASH_STATES'] ?? 100_000)
const seen = new Set<number>()
let built = 0
let windows = 0

const memory: Setting = { sync: 'always', persistence: 'flush', seed, sample: 120, nested: 100 }
const settings: ReadonlyArray<readonly [string, Setting]> = [
  ['persistent memory, always', memory],
  ['persistent memory, always, short steps', { ...memory, shortSteps: true, sample: 40 }],
  ['persistent memory, group', { ...memory, sync: 'group', sample: 40 }],
  ['file, group', { ...memory, sync: 'group', persistence: 'sync', sample: 40 }],
  ['file, always', { ...memory, persistence: 'sync', sample: 40 }],
]

function explore(setting: Setting, calls: readonly Call[], before: readonly Call[] = []): Tally {
  const program = new Program(setting, seen)
  program.prepare([...BASE, ...before])
  const tally = program.run(calls)
  program.end()
  built += tally.built
  windows += tally.windows
  return tally
}

const told = ({ windows, exhaustive, built, distinct }: Tally) =>
  `${windows} windows (${exhaustive} exhaustive), ${built} states built, ${distinct} distinct`

after(() => {
  console.log(
    `# ${seen.size} distinct crash states of ${built} built in ${windows} windows, SEED=${seed}`,
  )
})

for (const [name, setting] of settings) {
  for (const call of CALLS) {
    test(`${name}: a cut during ${describe(call)} leaves it done or not done`, (t) => {
      t.diagnostic(told(explore(setting, [call])))
    })
  }
  for (const call of ON_PIECES) {
    test(`${name}: a cut during ${describe(call)} of a file in pieces leaves it done or not`, (t) => {
      t.diagnostic(told(explore(setting, [call], PIECES)))
    })
  }
  for (const calls of SEQUENCES) {
    test(`${name}: a cut during ${calls.map(describe).join(', ')} leaves each done or not done`, (t) => {
      t.diagnostic(told(explore(setting, calls)))
    })
  }
}

test('pairs and threes of calls over a small tree, until enough states were tried', (t) => {
  const prng = new Prng(seed)
  let programs = 0
  while (seen.size < wanted) {
    const program = new Program({ ...memory, seed: seed + ++programs, sample: 100 }, seen)
    program.prepare(BASE)
    const length = 2 + prng.below(2)
    for (let i = 0; i < length; i++) program.run([randomCall(prng, program.tree)])
    program.end()
    built += program.explorer.tally.built
    windows += program.explorer.tally.windows
  }
  t.diagnostic(`${programs} programs`)
  assert.ok(seen.size >= wanted)
})
