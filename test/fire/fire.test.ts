/**
 * A held block never moves, and never gains a second owner: random calls, holds, answers to
 * recalls, crashes and remounts, and an engine that goes on reading and writing at the addresses
 * that it was given.
 *
 * FIRE_STEPS steps, 20 000 unless given, half of them with each way to sync. SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { burn, shrink, tell, upTo } from './run.js'

const STEPS = Number(process.env['FIRE_STEPS'] ?? 20_000)
const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_0000))
/** A volume is used for so many steps; then there is a new one. */
const RUN = 5000

for (const sync of ['always', 'group'] as const) {
  test(`what is held stays where it is, and nobody else's: sync ${sync}`, async (t) => {
    t.diagnostic(`SEED=${SEED} FIRE_STEPS=${STEPS}`)
    const totals = new Map<string, number>()
    for (let done = 0, run = 0; done < STEPS / 2; done += RUN, run++) {
      const options = { seed: SEED + run, sync }
      const count = Math.min(RUN, Math.ceil(STEPS / 2) - done)
      const { failure, tally } = await burn(options, upTo(count))
      for (const [what, n] of tally) totals.set(what, (totals.get(what) ?? 0) + n)
      if (failure === null) continue
      const least = await shrink(options, failure)
      assert.fail(tell(options, least.steps, least.failure))
    }
    t.diagnostic(
      [...totals]
        .sort()
        .map(([what, n]) => `${what} ${n}`)
        .join(', '),
    )
  })
}
