/** Runs the command line as a shell would: spawned, with bytes for arguments. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, lstatSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { inspectVolume } from '../../src/layout/embedded.js'

export const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))

export interface Outcome {
  readonly code: number | null
  readonly out: string
  readonly bytes: Buffer
  readonly err: string
}

export function start(args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
}

export async function finish(child: ChildProcess): Promise<Outcome> {
  const out: Buffer[] = []
  const err: Buffer[] = []
  child.stdout!.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr!.on('data', (chunk: Buffer) => err.push(chunk))
  const [code] = (await once(child, 'close')) as [number | null]
  const bytes = Buffer.concat(out)
  return { code, out: bytes.toString(), bytes, err: Buffer.concat(err).toString() }
}

export const holdfast = (...args: string[]): Promise<Outcome> => finish(start(args))

/** A run that is done: exit code 0 and nothing on stderr. */
export async function done(...args: string[]): Promise<Outcome> {
  return checkDone(await holdfast(...args), args)
}

function checkDone(outcome: Outcome, args: readonly string[]): Outcome {
  assert.deepEqual([outcome.code, outcome.err], [0, ''], args.join(' '))
  return outcome
}

/** A run that fails in one line. */
export async function failed(code: number, line: RegExp, ...args: string[]): Promise<void> {
  checkFailed(await holdfast(...args), code, line, args)
}

function checkFailed(outcome: Outcome, code: number, line: RegExp, args: readonly string[]): void {
  assert.equal(outcome.code, code, `${args.join(' ')}: ${outcome.err}`)
  assert.match(outcome.err, line)
  if (code !== 2) assert.match(outcome.err, /^holdfast: [^\n]+\n$/, 'one line')
}

const SERVER = fileURLToPath(new URL('./server.js', import.meta.url))

/** Many command lines in one process; the same answers, sooner. */
export class Shell {
  readonly #child = spawn(process.execPath, [SERVER], { stdio: ['pipe', 'pipe', 'inherit'] })
  readonly #replies = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()

  async run(...args: string[]): Promise<Outcome> {
    this.#child.stdin.write(`${JSON.stringify(args)}\n`)
    const reply = await this.#replies.next()
    if (reply.done === true) throw new Error(`the process ended in ${args.join(' ')}`)
    const { code, out, err } = JSON.parse(reply.value) as { code: number; out: string; err: string }
    const bytes = Buffer.from(out, 'base64')
    return { code, bytes, out: bytes.toString(), err: Buffer.from(err, 'base64').toString() }
  }

  async done(...args: string[]): Promise<Outcome> {
    return checkDone(await this.run(...args), args)
  }

  async failed(code: number, line: RegExp, ...args: string[]): Promise<void> {
    checkFailed(await this.run(...args), code, line, args)
  }

  /** What a command with --json prints. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- the tests say what is in it
  async json(...args: string[]): Promise<any> {
    return JSON.parse((await this.done(...args)).out)
  }

  end(): void {
    this.#child.stdin.end()
  }
}

/** Waits until a process has the volume open. */
export async function untilOwned(path: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    if (inspectVolume(path).owner?.pid === child.pid) return
    await new Promise(setImmediate)
  }
}

/** A directory that goes when the test is over. */
export function temporary(t: { after(run: () => void): void }): string {
  const directory = mkdtempSync(join(tmpdir(), 'holdfast-cli-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return directory
}

/** Every file below, as 'mode path' -> content; bytes of names as latin1. */
export function treeOf(root: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>()
  const visit = (directory: Buffer, prefix: string) => {
    for (const name of readdirSync(directory, { encoding: 'buffer' })) {
      const path = Buffer.concat([directory, Buffer.from('/'), name])
      const stat = lstatSync(path)
      const key = `${prefix}/${name.toString('latin1')}`
      const mode = (stat.mode & 0o7777).toString(8)
      if (stat.isDirectory()) {
        found.set(`${mode} ${key}/`, Buffer.alloc(0))
        visit(path, key)
      } else if (stat.isFile()) found.set(`${mode} ${key}`, readFileSync(path))
    }
  }
  visit(Buffer.from(root), '')
  return found
}
