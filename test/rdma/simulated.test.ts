/**
 * Two devices and a wire that is slow, narrow, cut anywhere, and lost at any byte: random programs
 * against a model.
 *
 * 200 programs, HOLDFAST_LONG=n n times as many. SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LONG, seed } from './random.js'
import { program } from './simulated_program.js'
import { Run } from './simulated_run.js'

const RUNS = 200 * LONG
const STEPS = 80

test(`work completes once, in order, with what was asked for, or fails (SEED=${seed})`, async () => {
  const causes = new Map<string, number>()
  await fc.assert(
    fc.asyncProperty(program(STEPS), async (one) => {
      const run = new Run(one)
      await run.go()
      for (const { ends } of run.links) {
        const cause = ends.map(({ ending }) => ending!.cause).join('/')
        causes.set(cause, (causes.get(cause) ?? 0) + 1)
      }
    }),
    { seed, numRuns: RUNS, interruptAfterTimeLimit: 60_000 * LONG },
  )
  assert.ok(causes.size > 1)
})
