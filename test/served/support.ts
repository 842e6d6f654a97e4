/** A server of its own for tests of the command line, and volumes reached in three ways. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { done, MAIN } from '../cli/support.js'

export interface Served {
  readonly region: string
  readonly key: string
  /** hf://127.0.0.1:PORT */
  readonly url: string
  readonly socket: string
  readonly child: ChildProcess
  /** Ends it, by SIGTERM unless another signal is asked for. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** A directory in memory, where regions have direct mappings. */
export const memoryDirectory = () => mkdtempSync('/dev/shm/holdfast-served-')
export const remove = (directory: string) => rmSync(directory, { recursive: true, force: true })

/** A key file in a directory, with one key of root. */
export async function makeKey(directory: string): Promise<string> {
  const key = join(directory, 'keys')
  await done('keys', 'make', '--id', 'test', '--uid', '0', '--gid', '0', key)
  return key
}

/** Starts `holdfast serve`, and returns when it serves. */
export async function serveRegion(region: string, key: string, port = 0): Promise<Served> {
  const listen = ['--listen', `127.0.0.1:${port}`, '--keys', key]
  const options = ['--json', '--log-level', 'error', '--stop-timeout', '1']
  const child = spawn(process.execPath, [MAIN, 'serve', region, ...listen, ...options], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const line = await firstLine(child)
  const said = JSON.parse(line) as { socket: string; listen: { port: number } }
  return {
    region,
    key,
    url: `hf://127.0.0.1:${said.listen.port}`,
    socket: said.socket,
    child,
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null) return
      const over = once(child, 'exit')
      child.kill(signal)
      await over
    },
  }
}

/** Reads lines of a process as they come; the end of its output is an error. */
export function linesOf(child: ChildProcess): () => Promise<string> {
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]()
  return async () => {
    const line = await lines.next()
    if (line.done === true) throw new Error('the process ended')
    return line.value
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  const lines = createInterface({ input: child.stdout! })
  for await (const line of lines) return line
  throw new Error('the server ended before it served')
}
