/** Whatever is done to files and holds, sources show the bytes of theirs, and no others. */
import { test } from 'node:test'
import fc from 'fast-check'
import { runs, seed } from '../rdma/random.js'
import { Program, STEPS, type Step } from './program.js'

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(...STEPS),
  which: fc.nat(5),
  a: fc.nat(0xffff),
  b: fc.nat(0xffff),
  c: fc.nat(7),
})

test(`random programs of files, holds and accesses, beside a model (SEED=${seed})`, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60 }), async (steps) => {
      using program = new Program()
      for (const one of steps) await program.run(one)
      program.finish()
    }),
    { ...runs(120), includeErrorInReport: true },
  )
})
