/**
 * Owners are killed one after the other while processes hold blocks by address, in random orders:
 * each checks its own bytes through its addresses all the time, and nobody else's ever come there.
 * SEED repeats a run.
 */
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES as B } from '../../src/base/limits.js'
import { Prng } from '../../src/base/prng.js'
import type { Hold } from '../../src/layout/hold.js'
import { blocksOf } from './ground.js'
import { known, Survivors, type Known } from './survivors.js'

const SEED = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const RUNS = Number(process.env['HOLDFAST_LONG'] ?? 1) > 1 ? 400 : 12
const PATHS = ['/a', '/b', '/c', '/d']

/** A process, which maps the region whatever becomes of the owner. */
interface Process {
  readonly known: Known
  hold: Hold | null
}

class Story {
  readonly #prng: Prng
  readonly #scene: Survivors
  readonly #processes: Process[] = []
  #stamp = 0
  readonly log: string[] = []

  constructor(seed: number, scene: Survivors) {
    this.#prng = new Prng(seed)
    this.#scene = scene
    for (const path of PATHS) scene.make(path, 1 + this.#prng.below(12))
  }

  step(): void {
    const { volume, stakes } = this.#scene
    const what = this.#prng.below(20)
    const path = PATHS[this.#prng.below(PATHS.length)]!
    if (what < 5) this.#try(`hold ${path}`, () => this.#hold(path))
    else if (what < 7) this.#letGo()
    else if (what === 7) this.#crash()
    else if (what === 8 && volume.inGrace) this.#endGrace()
    else this.#change(what, path)
    stakes.assertKept(this.#scene.region, `after ${this.log.at(-1)}`)
  }

  #hold(path: string): void {
    const { volume } = this.#scene
    const size = volume.stat(path).size / B
    const from = this.#prng.below(Math.ceil(size) + 1)
    // Blocks of its own: of those that others hold, the bytes are not its alone.
    if (volume.core.guard.held(volume.stat(path).ino, 0, Infinity)) return
    const hold = this.#scene.take(path, from, from + 1 + this.#prng.below(6))
    const one = known(volume, hold)
    this.#processes.push({ known: one, hold })
    this.#scene.stakes.store(this.#scene.region, one, `process ${++this.#stamp}`)
  }

  #letGo(): void {
    if (this.#processes.length === 0) return
    const [gone] = this.#processes.splice(this.#prng.below(this.#processes.length), 1)
    this.log.push(`a process ends, ${gone!.hold === null ? 'a survivor' : 'a holder'}`)
    this.#scene.stakes.forget(gone!.known)
    gone!.hold?.release()
  }

  #crash(): void {
    this.log.push('the owner is killed')
    for (const one of this.#processes) one.hold = null
    this.#scene.crash(this.#processes.length > 0)
  }

  #endGrace(): void {
    this.log.push('the grace period ends')
    for (const one of this.#processes) one.hold ??= this.#scene.reclaim(one.known)
    this.#scene.volume.endGrace()
  }

  #change(what: number, path: string): void {
    const { volume, session } = this.#scene
    const at = this.#prng.below(14) * B
    const length = (1 + this.#prng.below(6)) * B
    const other = PATHS[this.#prng.below(PATHS.length)]!
    // Not in place over what others hold: those bytes are theirs in this story.
    const write = () => {
      using file = volume.open(path, 'r+')
      const last = file.extents().extents.at(-1)
      const end = last === undefined ? 0 : last.fileBlock + last.count
      file.write(blocksOf('w', 0, length / B), Math.max(end * B, at))
    }
    const calls: [string, () => void][] = [
      [`truncate ${path} to ${at}`, () => volume.truncate(path, at, undefined, DEFER)],
      [`punch ${path} ${at} ${length}`, () => volume.open(path, 'r+').punch(at, length, DEFER)],
      [`write behind all of ${path}`, write],
      [`reflink ${path} ${other}`, () => volume.reflink(path, other, { share: 'copy', ...DEFER })],
      [`unlink and make ${path}`, () => (volume.unlink(path), this.#scene.make(path, 4))],
      [`reclaim`, () => this.#reclaimOne()],
      [`fsync ${path}`, () => volume.openAs(session, path).sync()],
      [`make ${path}`, () => volume.writeFile(path, blocksOf('m', 0, 3))],
    ]
    const [name, run] = calls[what % calls.length]!
    this.#try(name, run)
  }

  #reclaimOne(): void {
    const one = this.#processes.find(({ hold }) => hold === null)
    if (one !== undefined) one.hold = this.#scene.reclaim(one.known)
  }

  #try(name: string, run: () => void): void {
    try {
      run()
      this.log.push(name)
    } catch (error) {
      if (!(error instanceof HoldfastError) || !REFUSALS.has(error.code)) throw error
      this.log.push(`${name}: ${error.code}`)
    }
  }
}

const DEFER = { policy: 'defer' } as const
const REFUSALS: ReadonlySet<string> = new Set([
  'EBUSY',
  'ENOSPC',
  'ENOENT',
  'EINVAL',
  'EEXIST',
  'EMFILE',
])

test(`processes keep their blocks whichever owner comes (SEED=${SEED})`, (t) => {
  let [crashes, ends] = [0, 0]
  for (let run = 0; run < RUNS; run++) {
    const scene = new Survivors()
    const story = new Story(SEED + run, scene)
    try {
      for (let i = 0; i < 60; i++) story.step()
      crashes += story.log.filter((line) => line === 'the owner is killed').length
      ends += story.log.filter((line) => line === 'the grace period ends').length
      scene[Symbol.dispose]()
    } catch (error) {
      t.diagnostic(`SEED=${SEED + run}:\n${story.log.join('\n')}`)
      throw error
    }
  }
  t.diagnostic(`${crashes} owners killed, ${ends} grace periods ended`)
})
