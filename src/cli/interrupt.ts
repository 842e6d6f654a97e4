/**
 * Being told to stop: ^C, a polite kill, a reader of our output that went away.
 *
 * A command stops between two steps, takes back what would be half done, and closes the volume. So
 * long loops call `breathe`: it lets signals in now and then and throws `Stopped` after one. A
 * second signal does not wait.
 */
import { setImmediate } from 'node:timers/promises'

/** Thrown through a command that was told to stop; nothing is printed for it. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
  readonly exitCode: number

  constructor(exitCode: number) {
    super(`stopped, exit code ${exitCode}`)
    this.exitCode = exitCode
  }
}

const BREATHE_MS = 20
const EXIT_CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const
/** What a shell shows for a process that died of SIGPIPE. */
const EXIT_PIPE = 141

let exitCode = 0
const stopping = new AbortController()
let lastBreath = 0
/** What SIGHUP does in a command that lasts until it is stopped; null: it is none. */
let hangUp: (() => void) | null = null
/** Who takes signals in place of the command, as long as it runs another one. */
let taker: ((signal: NodeJS.Signals) => void) | null = null

/** From now on signals end the command in order. */
export function watchSignals(): void {
  for (const [signal, code] of Object.entries(EXIT_CODES)) {
    process.on(signal, () => {
      if (taker !== null) return taker(signal as NodeJS.Signals)
      if (signal === 'SIGHUP' && hangUp !== null) return hangUp()
      if (exitCode !== 0) process.exit(code)
      exitCode = code
      stopping.abort()
    })
  }
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
    if (hangUp !== null) return
    exitCode = EXIT_PIPE
    stopping.abort()
  })
}

/** Calls `run` when the command is told to stop; returns what ends that. */
export function whenStopped(run: () => void): () => void {
  stopping.signal.addEventListener('abort', run)
  return () => stopping.signal.removeEventListener('abort', run)
}

/** The exit code of a command that was told to stop; 0: it was not. */
export function stoppedWith(): number {
  return exitCode
}

/** While `run` is under way signals go to `take`, and stop nothing here. */
export async function whileTaking<T>(
  take: (signal: NodeJS.Signals) => void,
  run: () => Promise<T>,
): Promise<T> {
  taker = take
  try {
    return await run()
  } finally {
    taker = null
  }
}

/** As `lastUntilStopped`, for what SIGHUP stops too, and a reader that went away. */
export async function stayUntilStopped(
  run: (stopped: AbortSignal) => Promise<void>,
): Promise<void> {
  await run(stopping.signal)
  if (exitCode !== EXIT_PIPE) exitCode = 0
}

/** Throws when the command is to stop. Cheap: call it in every turn of a loop. */
export async function breathe(): Promise<void> {
  const now = performance.now()
  if (now - lastBreath >= BREATHE_MS) {
    await setImmediate()
    lastBreath = performance.now()
  }
  if (exitCode !== 0) throw new Stopped(exitCode)
}

/** Lets signals in now, and throws after one. */
export async function breatheDeep(): Promise<void> {
  lastBreath = 0
  await breathe()
}

/** Runs what waits or takes long, with a signal that ends it; being told to stop is no failure. */
export async function untilStopped<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  try {
    return await run(stopping.signal)
  } catch (error) {
    await breatheDeep()
    throw error
  }
}

/**
 * Runs what serves others until it is told to stop: having stopped it has done what it was asked.
 * SIGHUP stops nothing there, nor does a reader that went away.
 */
export async function lastUntilStopped(
  run: (stopped: AbortSignal) => Promise<void>,
  onHangUp: () => void,
): Promise<void> {
  hangUp = onHangUp
  await run(stopping.signal)
  exitCode = 0
}
