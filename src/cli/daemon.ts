/** A command that goes on in the background once it is ready. */
import { spawn } from 'node:child_process'
import { Stopped } from './interrupt.js'

/** Tells the process that goes on that it is the one. */
const MARK = 'HOLDFAST_IN_BACKGROUND'

export const inBackground = (): boolean => process.env[MARK] === '1'

/**
 * Runs this command line again, in a session of its own, and waits for its first line, which is
 * printed here, or for its end, which is this one's. `dropped`: the option that asks for it.
 */
export async function goToBackground(dropped: readonly string[]): Promise<void> {
  const [, script = '', ...args] = process.argv
  const rest = args.filter((arg) => !dropped.includes(arg))
  const child = spawn(process.execPath, [...process.execArgv, script, ...rest], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [MARK]: '1' },
  })
  child.stderr.on('data', (chunk: Buffer) => process.stderr.write(chunk))
  const code = await new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (exited) => resolve(exited ?? 1))
    child.stdout.once('data', (line: Buffer) => {
      process.stdout.write(line, () => resolve(0))
    })
  })
  child.stdout.destroy()
  child.stderr.destroy()
  child.unref()
  if (code !== 0) throw new Stopped(code)
}

/** Nobody reads any more what it prints from now on. */
export function letGo(): void {
  process.stderr.on('error', () => {})
  process.stdout.on('error', () => {})
}
