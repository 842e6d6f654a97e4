/**
 * Every state that a power cut can leave while blocks are shared, copied on a write, moved, or sent
 * to limbo. A clone is a copy to the model: what the other files show must not change. SEED repeats
 * a run.
 */
import { after, test } from 'node:test'
import { Run, SETTINGS } from './exploring.js'
import { describe } from './model.js'
import { SCENES, SHARING_SEQUENCES } from './sharing_programs.js'

const run = new Run()

after(() => run.report())

for (const [name, setting] of SETTINGS) {
  for (const { name: scene, before, calls } of SCENES) {
    for (const call of calls) {
      test(`${name}: a cut during ${describe(call)} ${scene} leaves it done or not done`, (t) => {
        t.diagnostic(run.explore(setting, [call], before))
      })
    }
  }
  for (const calls of SHARING_SEQUENCES) {
    test(`${name}: a cut during ${calls.map(describe).join(', ')} leaves each done or not done`, (t) => {
      t.diagnostic(run.explore(setting, calls))
    })
  }
}
