/**
 * Every state that a power cut can leave of the calls of the layout contract: what a file says of
 * its layout, snapshots, bad blocks, limbo, and holds.
 *
 * A hold promises places: once it is granted, whatever it takes for a remount to find the blocks
 * there, and the file to have them, is durable. So others store there by address, and write that
 * back themselves; whenever the power is cut, the file shows it.
 *
 * The short run tries a sample of the states of every call, HOLDFAST_LONG=2 all of them while they
 * are few, in every setting. SEED repeats a run.
 */
import { after, test } from 'node:test'
import { memory, Run, SETTINGS } from './exploring.js'
import { LATE_SEQUENCES, LAYOUT_SCENES, LAYOUT_SEQUENCES } from './layout_programs.js'
import { describe, type Call } from './model.js'
import type { Setting } from './program.js'

const LONG = Number(process.env['HOLDFAST_LONG'] ?? 1) > 1
const run = new Run()

after(() => run.report())

function cut(name: string, setting: Setting, calls: readonly Call[], before: readonly Call[] = []) {
  test(name, (t) => {
    t.diagnostic(run.explore(setting, calls, before))
  })
}

const few: Setting = { ...memory, sample: 4, exhaustive: 4, nested: 300 }
const always = ['persistent memory, always', few] as const
/** Many windows, each like the one before: of each a few states. */
const shortSteps = [
  'persistent memory, always, short steps',
  { ...few, shortSteps: true, sample: 2, exhaustive: 2 },
] as const
const group = ['persistent memory, group', { ...few, sync: 'group' }] as const
const file = ['file, group', { ...few, sync: 'group', persistence: 'sync' }] as const

for (const [name, setting] of LONG ? SETTINGS : [always, shortSteps, group]) {
  for (const { name: scene, before, calls, steps } of LAYOUT_SCENES) {
    if (!LONG && (setting.shortSteps === true) !== steps) continue
    for (const call of calls) {
      const what = `${name}: a cut during ${describe(call)} ${scene} leaves it done or not done`
      // In a group nothing reaches the medium before that.
      const after: Call[] = setting.sync === 'group' ? [{ op: 'sync' }] : []
      cut(what, setting, [call, ...after], before)
    }
  }
}
const all = (calls: readonly Call[]) => calls.map(describe).join(', ')
const survived = [
  'persistent memory, always, with survivors',
  { ...few, survivors: true, sample: 2, exhaustive: 2 },
] as const
const survivedGroup = [
  'persistent memory, group, with survivors',
  { ...few, survivors: true, sync: 'group', sample: 2, exhaustive: 2 },
] as const
const outlived = LAYOUT_SEQUENCES.filter((calls) => {
  const holds = calls.some(({ op }) => op === 'grant')
  return holds && (LONG || calls.some(({ op }) => op === 'defer'))
})
for (const [name, setting] of LONG ? [survived, survivedGroup] : [survived]) {
  for (const calls of outlived) {
    cut(`${name}: a cut during ${all(calls)} leaves what each holds`, setting, calls)
  }
}
for (const [name, setting] of LONG ? SETTINGS : [always, group, file]) {
  for (const calls of LAYOUT_SEQUENCES) {
    cut(`${name}: a cut during ${all(calls)} leaves what was promised`, setting, calls)
  }
  for (const calls of LATE_SEQUENCES) {
    test(`${name}: a cut during ${all(calls)} leaves what was promised`, async (t) => {
      t.diagnostic(await run.exploreLate(setting, calls))
    })
  }
}
