/** What is left of a mount: processes, and itself. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { stateOf } from '../processes/program.js'
import { MountScene, type Way } from './scene.js'

/** Processes whose command line has a text in it. */
export function processesOf(text: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
        return words.includes(text) && stateOf(pid) !== 'Z'
      } catch {
        return false // gone meanwhile
      }
    })
}

/** The shell that takes the mount away when its server is dead. */
export function watchdogOf({ directory }: MountScene): number {
  const found = processesOf(`holdfast-watchdog\0${directory}\0`)
  assert.equal(found.length, 1, `watchdogs: ${found.join(' ')}`)
  return found[0]!
}

/** Runs with a mount, which ends in order, and leaves a volume that checks clean. */
export async function inScene(
  way: Way,
  words: string,
  run: (scene: MountScene) => Promise<void>,
  bytes?: number,
): Promise<void> {
  const scene = await MountScene.start(way, words, bytes)
  try {
    await run(scene)
    await scene.end()
  } catch (error) {
    await scene.remove()
    throw error
  }
}

/** Milliseconds that something takes. */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  const begin = performance.now()
  await run()
  return performance.now() - begin
}

/** Seconds that a busy machine may take, and programs in a mount that ends have to leave. */
const SECONDS = 30

/** What comes of it, if it comes before long. */
export const within = <T>(promise: Promise<T>): Promise<T | 'nothing'> =>
  Promise.race([promise, setTimeout(SECONDS * 1000, 'nothing' as const, { ref: false })])
