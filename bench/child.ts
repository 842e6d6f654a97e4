/**
 * A job in a process of its own: what it measures has no compiled code, no cache and no memory of
 * the job before, and it may end by SIGKILL once it has said what it found.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** Runs `module` (of this directory) with `job`; what its last line says. */
export function runJob(module: string, job: unknown, nodeOptions: readonly string[] = []): unknown {
  const script = fileURLToPath(new URL(module, import.meta.url))
  const args = [...nodeOptions, '--expose-gc', script, JSON.stringify(job)]
  const { status, signal, stdout } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 26,
  })
  const line = stdout.trimEnd().split('\n').at(-1) ?? ''
  // A job that kills itself says first what it has to say.
  if (line === '' || (status !== 0 && signal !== 'SIGKILL')) {
    throw new Error(`${module} ended with ${signal ?? status}: ${JSON.stringify(job)}`)
  }
  return JSON.parse(line)
}

/** In the job: what it was given. */
export function job(): unknown {
  return JSON.parse(process.argv[2]!)
}

/** In the job: its answer, out before anything else can happen. */
export function answer(result: unknown): void {
  writeSync(1, `${JSON.stringify(result)}\n`)
}

/** In the job: memory that is in use, garbage taken away. */
export interface Memory {
  /** Bytes of the process in memory, pages of the region not counted. */
  readonly resident: number
  readonly heap: number
}

export function memory(): Memory {
  global.gc!()
  const status = readFileSync('/proc/self/status', 'utf8')
  const kilobytes = Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)![1])
  return { resident: kilobytes * 1024, heap: process.memoryUsage().heapUsed }
}

/** Nanoseconds that `run` takes. */
export function timed(run: () => void): number {
  const start = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - start)
}
