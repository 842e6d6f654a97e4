/**
 * Every state that a power cut can leave while blocks are shared, copied on a write, moved, or sent
 * to limbo. A clone is a copy to the model: what the other files show must not change.
 *
 * The short run tries a sample of the states of every call, HOLDFAST_LONG=2 all of them while they
 * are few, in every setting. SEED repeats a run.
 */
import { after, test } from 'node:test'
import { memory, Run, SETTINGS } from './exploring.js'
import { describe, type Call } from './model.js'
import type { Setting } from './program.js'
import { SCENES, SHARING_SEQUENCES } from './sharing_programs.js'

const LONG = Number(process.env['HOLDFAST_LONG'] ?? 1) > 1
const run = new Run()

after(() => run.report())

function cut(name: string, setting: Setting, calls: readonly Call[], before: readonly Call[] = []) {
  test(name, (t) => {
    t.diagnostic(run.explore(setting, calls, before))
  })
}

const few: Setting = { ...memory, sample: 4, exhaustive: 4, nested: 150 }
const always = ['persistent memory, always', few] as const
/** Where a call of many steps differs from one of few: those, and what spans several calls. */
const shortSteps = ['persistent memory, always, short steps', { ...few, shortSteps: true }] as const
const file = ['file, group', { ...few, sync: 'group', persistence: 'sync' }] as const

for (const [name, setting] of LONG ? SETTINGS : [always, shortSteps]) {
  for (const { name: scene, before, calls, steps } of SCENES) {
    if (!LONG && setting.shortSteps === true && !steps) continue
    for (const call of calls) {
      const what = `${name}: a cut during ${describe(call)} ${scene} leaves it done or not done`
      cut(what, setting, [call], before)
    }
  }
}
for (const [name, setting] of LONG ? SETTINGS : [always, file]) {
  for (const calls of SHARING_SEQUENCES) {
    const what = `${name}: a cut during ${calls.map(describe).join(', ')} leaves each done or not done`
    cut(what, setting, calls)
  }
}
