/**
 * Random sequences of every verb, from several sessions at once, against a server that others use.
 */
import assert from 'node:assert/strict'
import { Prng } from '../../src/base/prng.js'
import { LONG, seed } from '../rdma/random.js'
import { processTest, type Programs } from '../processes/program.js'
import { FuzzProgram } from './fuzz_program.js'
import { HostileScene } from './hostile_scene.js'

const STEPS = 2500 * LONG
/** Servers that are started to find what a failure needs, and how long that goes on. */
const SHRINKS = 24
const SHRINK_MILLISECONDS = 60_000
/** Of more steps than these the seed says enough. */
const STEPS_SHOWN = 100

async function attempt(
  programs: Programs,
  steps: readonly number[],
): Promise<{ error: unknown; outcomes: ReadonlyMap<string, number> }> {
  const scene = new HostileScene()
  const program = new FuzzProgram(scene)
  try {
    await scene.start(programs, 300)
    const before = await scene.ask<{ heap: number; external: number }>('memory')
    await program.run(steps)
    for (const client of scene.clients.splice(0)) client.abort()
    await scene.settled()
    await scene.finish(before)
    return { error: null, outcomes: program.outcomes }
  } catch (error) {
    return { error, outcomes: program.outcomes }
  } finally {
    scene.close()
  }
}

/** Steps without which it fails no more, as far as few attempts find them. */
async function shrunk(programs: Programs, steps: readonly number[]): Promise<readonly number[]> {
  let all = steps
  let left = SHRINKS
  const end = performance.now() + SHRINK_MILLISECONDS
  for (let size = Math.ceil(all.length / 2); size >= 1 && left > 0; size = Math.floor(size / 2)) {
    for (let at = 0; at < all.length && left > 0; left--) {
      if (performance.now() > end) return all
      const fewer = all.toSpliced(at, size)
      if ((await attempt(programs, fewer)).error === null) at += size
      else all = fewer
    }
  }
  return all
}

processTest(`every verb, in random sequences (SEED=${seed})`, {}, async (programs, t) => {
  const random = new Prng(seed)
  const steps = Array.from({ length: STEPS }, () => random.next())
  const { error, outcomes } = await attempt(programs, steps)
  t.diagnostic([...outcomes].map(([code, count]) => `${code} ${count}`).join(', '))
  if (error !== null) {
    const few = await shrunk(programs, steps)
    const which = few.length > STEPS_SHOWN ? '' : `: ${few.join(' ')}`
    if (error instanceof Error) error.message += `\n${few.length} steps fail${which}`
    throw error
  }
  assert.ok((outcomes.get('ok') ?? 0) > STEPS / 50, 'many of them are carried out')
})
