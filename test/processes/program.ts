/**
 * Processes of a test: real ones, that talk by lines, and that the test kills, stops and forgets.
 *
 * Invariants:
 * - none outlives its test: what still runs at its end is killed, what runs longer than it may is
 *   killed, and the kernel kills it when the test itself is (PR_SET_PDEATHSIG);
 * - one that ends by itself, when nobody waits for its end, fails the test, with what it said on
 *   its standard error;
 * - nobody waits by sleeping: a program says that it is ready, by a line.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test, type TestContext } from 'node:test'
import { createInterface } from 'node:readline'
import type { Writable } from 'node:stream'
import { noSetpriv } from '../../scripts/network_needs.js'

/** Where programs run, when it is not this machine as it is. */
export interface Place {
  /** The command that runs its arguments there, by exec: the process is the same. */
  readonly enter: readonly string[]
}

export interface StartOptions {
  readonly place?: Place
  readonly env?: Readonly<Record<string, string>>
  /** After so many it is killed, and the test has failed. 60 unless given. */
  readonly seconds?: number
  /** Descriptors of this process that it gets, as 3, 4 and so on. */
  readonly inherit?: readonly number[]
  /**
   * It is written to by a descriptor of its own, the one behind those that it inherits, and not by
   * its standard input, which node closes when the process has ended, though a child may have it.
   */
  readonly ownInput?: boolean
}

export interface End {
  readonly status: number | null
  readonly signal: NodeJS.Signals | null
}

/** What is still there then is stuck; no test is to wait for it. */
const SECONDS = 300
/** Nothing is promised about how soon: a machine may have other work. */
const PATIENCE_MS = 60_000
/** Of what a program says on its standard error, the last so many characters are shown. */
const SHOWN = 8000

/** Somebody waits for a line. */
interface Waiter {
  resolve(line: string): void
  reject(error: Error): void
}

export class Program {
  readonly name: string
  readonly pid: number
  /** All that it said on its standard error. */
  errors = ''
  readonly #child: ChildProcess
  readonly #input: Writable
  readonly #lines: string[] = []
  readonly #waiters: Waiter[] = []
  readonly #ended: Promise<End>
  /** Its streams are closed, too: nobody has them any more. */
  readonly closed: Promise<void>
  #end: End | null = null
  /** Somebody knows of its end, or wants it. */
  #expected = false
  #late = false

  constructor(name: string, command: readonly string[], options: StartOptions) {
    const { place, env = {}, seconds = SECONDS, inherit = [], ownInput } = options
    const line = ['--pdeathsig', 'KILL', ...(place?.enter ?? []), ...command]
    this.name = name
    this.#child = spawn('setpriv', line, {
      stdio: ['pipe', 'pipe', 'pipe', ...inherit, ...(ownInput === true ? ['pipe' as const] : [])],
      env: { ...process.env, ...env },
    })
    this.#input = (ownInput === true ? this.#child.stdio.at(-1) : this.#child.stdin) as Writable
    this.#ended = new Promise((resolve) => {
      this.#child.once('exit', (status, signal) => resolve((this.#end = { status, signal })))
      this.#child.once('error', (error) => {
        this.errors += error.message
        resolve((this.#end = { status: null, signal: null }))
      })
    })
    this.pid = this.#child.pid ?? 0
    const timer = setTimeout(() => {
      this.#late = true
      this.#child.kill('SIGKILL')
    }, seconds * 1000)
    void this.#ended.then(() => clearTimeout(timer))
    this.closed = new Promise((resolve) => this.#child.once('close', () => resolve()))
    void this.closed.then(() => this.#hangUp())
    // Lines to one that has ended are lost, which its end tells.
    this.#input.on('error', () => {})
    this.#child.stderr!.on('data', (text: Buffer) => (this.errors += text.toString()))
    createInterface({ input: this.#child.stdout! }).on('line', (text) => this.take(text))
  }

  /** How it ended, once it has. The caller is content with any end. */
  ended(): Promise<End> {
    this.#expected = true
    return this.#ended
  }

  get running(): boolean {
    return this.#end === null
  }

  write(line: string): void {
    this.#input.write(`${line}\n`)
  }

  /** Ends its input, by which it is told to end. */
  finish(): Promise<End> {
    this.#input.end()
    return this.ended()
  }

  /** The next line of its standard output. */
  line(): Promise<string> {
    const line = this.#lines.shift()
    if (line !== undefined) return Promise.resolve(line)
    if (this.#hungUp) return Promise.reject(this.lost())
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }

  /** Lines that nobody has taken. */
  rest(): string[] {
    return this.#lines.splice(0)
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<End> {
    this.#child.kill(signal)
    return this.ended()
  }

  /** Stops it, as SIGSTOP does; resolves when each of its threads stands still. */
  async stop(): Promise<void> {
    this.#child.kill('SIGSTOP')
    while (this.running && stateOf(this.pid) !== 'T') await turn()
    if (!this.running) throw this.lost()
  }

  continue(): void {
    this.#child.kill('SIGCONT')
  }

  /** Whoever kills it knows of its end. */
  expectEnd(): void {
    this.#expected = true
  }

  /** Why nothing more comes from it. */
  lost(): Error {
    // Who waits for it is told of its end, and so is the test.
    this.#expected = true
    return new Error(`${this.name} has ended: ${this.#how()}${this.said()}`)
  }

  /** What is wrong with how it ended; null: nothing. */
  complaint(): string | null {
    if (this.#late) return `${this.name} ran longer than it may, and was killed${this.said()}`
    if (this.#end === null || this.#expected || this.#end.status === 0) return null
    return `${this.name} ended by itself: ${this.#how()}${this.said()}`
  }

  said(): string {
    const text = this.errors.length > SHOWN ? `…${this.errors.slice(-SHOWN)}` : this.errors
    return text === '' ? '' : `\n--- ${this.name}, ${this.pid}, said:\n${text.trimEnd()}`
  }

  protected take(line: string): void {
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#lines.push(line)
    else waiter.resolve(line)
  }

  #hungUp = false

  #hangUp(): void {
    this.#hungUp = true
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.lost())
  }

  #how(): string {
    if (this.#end === null) return 'its streams are closed'
    const { status, signal } = this.#end
    if (this.#late) return 'it ran longer than it may'
    return signal === null ? `status ${String(status)}` : signal
  }
}

/** The letter that the kernel has for the state of a process; '' when there is none. */
export function stateOf(pid: number): string {
  try {
    return /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, 'latin1'))![1]!
  } catch {
    return ''
  }
}

export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** Waits for what nobody tells, by looking again and again. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !(await holds());) {
    if (Date.now() > end) assert.fail(`it never came: ${what}`)
    await turn()
  }
}

/** The programs of a test. */
export class Programs {
  readonly #all: Program[] = []
  /** Processes that no child of ours is: their parents have ended. */
  readonly #adopted: number[] = []

  add<P extends Program>(program: P): P {
    this.#all.push(program)
    return program
  }

  /** Starts a command. */
  start(name: string, command: readonly string[], options: StartOptions = {}): Program {
    return this.add(new Program(name, command, options))
  }

  /** A process that one of them has left behind, which is killed with the others. */
  adopt(pid: number): void {
    this.#adopted.push(pid)
  }

  /** Kills a process of the test, whichever it is. */
  kill(pid: number): void {
    this.#all.find((one) => one.pid === pid)?.expectEnd()
    killIfThere(pid)
  }

  /** Kills all that still run, and waits until they are gone; what is wrong with the others. */
  async end(): Promise<string[]> {
    const complaints = this.#all.map((one) => one.complaint()).filter((one) => one !== null)
    for (const pid of this.#adopted) killIfThere(pid)
    await Promise.all(this.#all.map((one) => (one.running ? one.kill() : one.ended())))
    return complaints
  }

  /** What all of them said on their standard errors. */
  said(): string {
    return this.#all.map((one) => one.said()).join('')
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

let noProcesses: string | false | null = null

export interface ProcessTestOptions {
  readonly skip?: string | false
}

/**
 * A test with processes: none is left when it ends, and when it fails its message has what they
 * said.
 */
export function processTest(
  name: string,
  options: ProcessTestOptions,
  body: (programs: Programs, t: TestContext) => Promise<void>,
): void {
  noProcesses ??= noSetpriv()
  void test(name, { skip: noProcesses || (options.skip ?? false) }, async (t) => {
    const programs = new Programs()
    // Also when the body never returns.
    t.after(() => programs.end())
    try {
      await body(programs, t)
    } catch (error) {
      const [first, ...more] = await programs.end()
      const also = [first, ...more].filter((one) => one !== undefined).join('\n')
      const failure = error instanceof Error ? error : new Error(String(error))
      failure.message += [also, programs.said()].filter((one) => one !== '').join('\n')
      throw failure
    }
    const complaints = await programs.end()
    assert.equal(complaints.length, 0, complaints.join('\n'))
  })
}

/** The seed of a test, which it prints: SEED repeats it. */
export function seedOf(t: TestContext): number {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))
  t.diagnostic(`SEED=${seed}`)
  return seed
}
