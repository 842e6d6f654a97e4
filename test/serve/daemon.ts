/** `holdfast serve` in a process of its own, over a volume in a directory of the test's. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createVolume } from '../../src/layout/embedded.js'
import type { Program, Programs, StartOptions } from '../processes/program.js'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

/** The command line that serves, for who starts it by other means. */
export const serveCommand = (...args: readonly string[]): string[] => [
  process.execPath,
  MAIN,
  'serve',
  '--json',
  '--log-format',
  'json',
  ...args,
]

export interface Ready {
  readonly socket: string
  readonly listen: { readonly host: string; readonly port: number } | null
  readonly http: { readonly host: string; readonly port: number } | null
  readonly volume: string
  readonly pid: number
}

export interface LogLine {
  readonly level: string
  readonly event: string
  readonly [field: string]: unknown
}

export class Daemon {
  readonly program: Program
  readonly ready: Ready

  private constructor(program: Program, ready: Ready) {
    this.program = program
    this.ready = ready
  }

  /** Starts it; returns when clients can come. */
  static async start(
    programs: Programs,
    args: readonly string[],
    options: StartOptions = {},
  ): Promise<Daemon> {
    const program = programs.start('serve', serveCommand(...args), options)
    return new Daemon(program, JSON.parse(await program.line()) as Ready)
  }

  /** Where remote clients find it. */
  get url(): string {
    return `hf://127.0.0.1:${this.ready.listen!.port}`
  }

  get log(): LogLine[] {
    const lines = this.program.errors.split('\n').slice(0, -1)
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as LogLine)
  }

  logged(event: string): LogLine | undefined {
    return this.log.find((line) => line.event === event)
  }

  /** Ends it by SIGTERM; the volume is closed in order. */
  async stop(): Promise<void> {
    const end = await this.program.kill('SIGTERM')
    assert.deepEqual(end, { status: 0, signal: null }, this.program.said())
  }
}

/** A directory in shared memory with a volume; gone with the test. */
export function placeOfVolume(after: (clean: () => void) => void, bytes = 32 << 20) {
  const folder = mkdtempSync('/dev/shm/holdfast-serve-')
  after(() => rmSync(folder, { recursive: true, force: true }))
  const region = join(folder, 'v.hf')
  createVolume(region, bytes)
  return { folder, region, socket: join(folder, 'socket'), keys: join(folder, 'keys') }
}
