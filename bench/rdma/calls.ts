/**
 * System calls of a round, for an operation: strace attached to both processes, for the timed part
 * alone. It slows them, so that more goes with each call than without it.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Pair } from './pair.js'
import { installed } from './process.js'
import type { Round } from './work.js'

export interface Calls {
  readonly client: string
  readonly server: string
}

export async function countCalls(pair: Pair, round: Round, directory: string): Promise<Calls> {
  if (!installed('strace')) throw new Error('strace is not installed: apt install strace')
  const [client, server] = [`${directory}/calls.client`, `${directory}/calls.server`]
  await pair.prepare(round)
  const tracers = [
    await attach([pair.client.pid], client),
    await attach(pair.server.pids(), server),
  ]
  await pair.run()
  for (const tracer of tracers) await detach(tracer)
  await pair.verify()
  return { client: counted(client, round.count), server: counted(server, round.count) }
}

export async function attach(pids: readonly number[], file: string): Promise<ChildProcess> {
  const which = pids.flatMap((pid) => ['-p', String(pid)])
  const tracer = spawn('strace', ['-c', '-f', '-o', file, ...which], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  // It says so of each process that it has.
  for await (const line of createInterface({ input: tracer.stderr })) {
    if (/attached/.test(line)) break
    throw new Error(`strace: ${line}`)
  }
  return tracer
}

/** Then its summary is in the file. */
export async function detach(tracer: ChildProcess): Promise<void> {
  const gone = once(tracer, 'exit')
  tracer.kill('SIGINT')
  await gone
}

/** The calls of a summary, the most frequent first. */
export function counted(file: string, operations: number): string {
  const rows = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => /^\d+\.\d+$/.test(fields[0] ?? '') && fields.at(-1) !== 'total')
    .map((fields) => ({ name: fields.at(-1)!, count: Number(fields[3]) / operations }))
  rows.sort((a, b) => b.count - a.count)
  const sum = rows.reduce((total, { count }) => total + count, 0)
  const most = rows.filter(({ count }) => count >= 0.01)
  return `${sum.toFixed(2)}: ${most.map((row) => `${row.name} ${row.count.toFixed(2)}`).join(', ')}`
}
