/** What the tests of crash states have in common: their settings, and what a run has seen. */
import type { Tally } from './explorer.js'
import type { Call } from './model.js'
import { Program, type Setting } from './program.js'
import { BASE } from './programs.js'

export const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))

export const memory: Setting = {
  sync: 'always',
  persistence: 'flush',
  seed,
  sample: 120,
  nested: 100,
}

export const SETTINGS: ReadonlyArray<readonly [string, Setting]> = [
  ['persistent memory, always', memory],
  ['persistent memory, always, short steps', { ...memory, shortSteps: true, sample: 40 }],
  ['persistent memory, group', { ...memory, sync: 'group', sample: 40 }],
  ['file, group', { ...memory, sync: 'group', persistence: 'sync', sample: 40 }],
  ['file, always', { ...memory, persistence: 'sync', sample: 40 }],
]

/** The crash states of a run, counted. */
export class Run {
  readonly seen = new Set<number>()
  #built = 0
  #windows = 0

  /** Explores calls on the small tree, and on what `before` has made of it. */
  explore(setting: Setting, calls: readonly Call[], before: readonly Call[] = []): string {
    const program = new Program(setting, this.seen)
    program.prepare([...BASE, ...before])
    const tally = program.run(calls)
    this.add(program)
    return said(tally)
  }

  /** The same with calls that wait. */
  async exploreLate(setting: Setting, calls: readonly Call[]): Promise<string> {
    const program = new Program(setting, this.seen)
    program.prepare(BASE)
    const tally = await program.runLate(calls)
    this.add(program)
    return said(tally)
  }

  add(program: Program): void {
    program.end()
    const { built, windows }: Tally = program.explorer.tally
    this.#built += built
    this.#windows += windows
  }

  /** Says what was tried. */
  report(): void {
    console.log(
      `# ${this.seen.size} distinct crash states of ${this.#built} built in ` +
        `${this.#windows} windows, SEED=${seed}`,
    )
  }
}

const said = ({ windows, exhaustive, built, distinct }: Tally) =>
  `${windows} windows (${exhaustive} exhaustive), ${built} states built, ${distinct} distinct`
