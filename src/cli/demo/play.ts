/** The demo from its beginning to its end. */
import { setTimeout as pause } from 'node:timers/promises'
import { untilStopped } from '../interrupt.js'
import { kill, stop } from './killing.js'
import { clone, defer, truncate } from './pins.js'
import { fence, recall } from './recalls.js'
import { map, oneSided } from './sharing.js'
import type { Outcome, Show } from './show.js'
import { Stage } from './stage.js'
import type { Step, Told } from './step.js'

/** The end of a process is told a little later than that of its connections. */
const LOST_MS = 100

/** In their order; each can do without the others. */
export const STEPS: readonly Step[] = [
  map,
  oneSided,
  truncate,
  defer,
  clone,
  recall,
  fence,
  kill,
  stop,
]

export interface PlayOptions {
  readonly steps: readonly Step[]
  readonly show: Show
  /** Milliseconds between two steps, for who reads along. */
  readonly pause: number
}

/** Runs steps until one fails; whether none did. */
export async function play({ steps, show, pause: between }: PlayOptions): Promise<boolean> {
  const begin = performance.now()
  const stage = await Stage.open()
  let ok = true
  try {
    const { directory, server, alice, bob, nic, url } = stage
    await show.opening(
      `A volume in ${directory}, which goes away at the end, and\n` +
        `  server ${server.pid}, alice ${alice.pid} and bob ${bob.pid}: processes of this machine;\n` +
        `  nic ${nic.pid}: a peer that reaches the server by ${url} alone.`,
    )
    ok = await untilStopped(async (signal) => {
      for (const step of steps) {
        const outcome = await Promise.race([run(step, stage, show), stopped(signal)])
        if (!outcome.ok) {
          process.stderr.write(stage.said())
          return false
        }
        if (between > 0) await pause(between, undefined, { signal })
      }
      return true
    })
  } finally {
    await stage.close()
  }
  const seconds = ((performance.now() - begin) / 1000).toFixed(1)
  const count = steps.length === 1 ? '1 step' : `${steps.length} steps`
  await show.closing(
    ok
      ? `${count} in ${seconds} s, each verified; nothing is left behind.`
      : 'It is not as it should be: see above. Nothing is left behind.',
  )
  return ok
}

function stopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason as Error)
    if (signal.aborted) stop()
    else signal.addEventListener('abort', stop, { once: true })
  })
}

async function run(step: Step, stage: Stage, show: Show): Promise<Outcome> {
  const { name, title, linux } = step
  const [did, verified]: [string[], string[]] = [[], []]
  const begin = performance.now()
  const shown = await show.begin(step)
  const told: Told = {
    did: (text) => {
      did.push(text)
      shown.did(text)
    },
    verified: (text) => {
      verified.push(text)
      shown.verified(text)
    },
  }
  const facts = () => {
    const milliseconds = Math.round(performance.now() - begin)
    return { step: name, title, linux, did, verified, milliseconds }
  }
  let outcome: Outcome
  try {
    await Promise.race([step.run(stage, told), stage.lost])
    outcome = { ...facts(), ok: true }
  } catch (error) {
    // A process that has ended is why others had no answer.
    const lost = await Promise.race([
      stage.lost.catch((why: unknown) => why),
      pause(LOST_MS, error),
    ])
    outcome = { ...facts(), ok: false, error: (lost as Error).message }
  }
  await show.end(outcome)
  return outcome
}
