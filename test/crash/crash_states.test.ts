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
import { memory, Run, seed, SETTINGS } from './exploring.js'
import { describe } from './model.js'
import { Program } from './program.js'
import { BASE, CALLS, ON_PIECES, PIECES, randomCall, SEQUENCES } from './programs.js'

const wanted = Number(process.env['CRASH_STATES'] ?? 100_000)
const run = new Run()

after(() => run.report())

for (const [name, setting] of SETTINGS) {
  for (const call of CALLS) {
    test(`${name}: a cut during ${describe(call)} leaves it done or not done`, (t) => {
      t.diagnostic(run.explore(setting, [call]))
    })
  }
  for (const call of ON_PIECES) {
    test(`${name}: a cut during ${describe(call)} of a file in pieces leaves it done or not`, (t) => {
      t.diagnostic(run.explore(setting, [call], PIECES))
    })
  }
  for (const calls of SEQUENCES) {
    test(`${name}: a cut during ${calls.map(describe).join(', ')} leaves each done or not done`, (t) => {
      t.diagnostic(run.explore(setting, calls))
    })
  }
}

test('pairs and threes of calls over a small tree, until enough states were tried', (t) => {
  const prng = new Prng(seed)
  let programs = 0
  while (run.seen.size < wanted) {
    const program = new Program({ ...memory, seed: seed + ++programs, sample: 100 }, run.seen)
    program.prepare(BASE)
    const length = 2 + prng.below(2)
    for (let i = 0; i < length; i++) program.run([randomCall(prng, program.tree)])
    run.add(program)
  }
  t.diagnostic(`${programs} programs`)
  assert.ok(run.seen.size >= wanted)
})
