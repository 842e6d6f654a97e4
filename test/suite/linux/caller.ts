/**
 * The program in C that makes system calls, in a directory that it takes for the root: calls go to
 * it as lines, and so do its answers. Bytes of files come and go in memory that both have.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process'
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { constants, release } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Credentials } from '../../../src/base/filesystem.js'

/** The program that makes the calls, from the root of the project. */
export const CALLS = join('build', 'test', 'suite', 'linux', 'calls')
const SOURCES = ['calls.c', 'host_calls.c', 'program_calls.c'].map((name) =>
  join('test', 'suite', 'linux', name),
)

/** The most bytes that one call carries; they cost what is used of them. */
export const SHARED_BYTES = 64 << 20

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]))
// Two names for one number: those that a volume has.
NAMES.set(constants.errno.EAGAIN, 'EAGAIN').set(constants.errno.EOPNOTSUPP, 'EOPNOTSUPP')

/** Why it cannot be asked here, or null. */
export function prepareKernel(): string | null {
  if (process.getuid?.() !== 0) return 'only root can make calls as several users'
  const compiler = process.env['CC'] ?? 'cc'
  try {
    execFileSync(compiler, ['--version'], { stdio: 'pipe' })
  } catch {
    return 'no C compiler'
  }
  if (spawnSync('unshare', ['-m', 'true']).status !== 0) {
    return 'no mount namespace can be had here'
  }
  const [major = 0, minor = 0] = release().split('.').map(Number)
  // Before, tmpfs had no attributes of users.
  if (major < 6 || (major === 6 && minor < 6)) return 'the table is that of Linux 6.6 and later'
  compileCalls(CALLS)
  return null
}

/** Builds the program that makes the calls; one that runs is left alone. */
export function compileCalls(path: string): void {
  const compiler = process.env['CC'] ?? 'cc'
  const made = `${path}.${process.pid}`
  execFileSync(compiler, ['-Wall', '-Wextra', '-O1', '-o', made, ...SOURCES], { stdio: 'inherit' })
  renameSync(made, path)
}

export type Argument = number | Buffer
/** What the kernel answered: the name of an errno, or a value as text. */
export type Answer = { readonly errno: string } | { readonly value: string }

const nameOf = (code: number) => NAMES.get(code) ?? `errno ${code}`

/** An unnamed file in memory. */
function sharedFile(): number {
  const directory = mkdtempSync('/dev/shm/holdfast-calls-')
  const fd = openSync(join(directory, 'bytes'), 'wx+')
  rmSync(directory, { recursive: true })
  ftruncateSync(fd, SHARED_BYTES)
  return fd
}

export class Caller {
  readonly #child: ChildProcess
  readonly #shared: number | null
  readonly #asked: ((line: string | null) => void)[] = []
  /** Who waits for a lock, by number; an errno that came before its number was asked for. */
  readonly #waits = new Map<string, (errno: number) => void>()
  readonly #over = new Map<string, number>()
  readonly #ended: Promise<void>

  /** `shares`: bytes of files come and go by `bytes`. */
  constructor(directory: string, shares = false) {
    assert.ok(existsSync(CALLS), 'prepareKernel was called')
    this.#shared = shares ? sharedFile() : null
    const memory = this.#shared === null ? [] : [this.#shared]
    const room = shares ? [String(SHARED_BYTES)] : []
    this.#child = spawn(CALLS, [directory, ...room], {
      stdio: ['pipe', 'pipe', 'inherit', ...memory],
    })
    const lines = createInterface({ input: this.#child.stdout! })
    lines.on('line', (line) => this.#take(line))
    this.#ended = new Promise((resolve) => {
      this.#child.once('close', () => {
        for (const answer of this.#asked.splice(0)) answer(null)
        resolve()
      })
    })
  }

  async ask(as: Credentials, name: string, args: readonly Argument[]): Promise<Answer> {
    const words = args.map((arg) => (typeof arg === 'number' ? arg : `x${arg.toString('hex')}`))
    const { uid, gid, groups = [], umask = 0 } = as
    const line = [uid, gid, groups.join(',') || '-', umask, name, ...words].join(' ')
    const answered = new Promise<string | null>((resolve) => this.#asked.push(resolve))
    this.#child.stdin!.write(`${line}\n`)
    const answer = await answered
    assert.ok(answer !== null, `the program ended at ${name}`)
    if (answer.startsWith('!')) return { errno: nameOf(Number(answer.slice(1))) }
    return { value: answer.slice(1) }
  }

  /** The errno with which a wait ended that is known by this number, or null. */
  async waited(number: string): Promise<string | null> {
    const errno =
      this.#over.get(number) ??
      (await new Promise<number>((resolve) => this.#waits.set(number, resolve)))
    this.#waits.delete(number)
    this.#over.delete(number)
    return errno === 0 ? null : nameOf(errno)
  }

  /**
   * Resolves when it has answered, or waits in a call that it was asked to make: not for its next
   * line, which is descriptor 0 (proc_pid_syscall(5)).
   */
  async settled(): Promise<void> {
    while (this.#asked.length > 0) {
      const [call, descriptor] = readFileSync(`/proc/${this.#child.pid}/syscall`, 'utf8').split(' ')
      if (/^\d+$/.test(call!) && descriptor !== '0x0') return
      await sleep(1)
    }
  }

  /** What the next call writes. */
  give(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) at += writeSync(this.#shared!, bytes, at, null, at)
  }

  /** What the last call read. */
  take(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      at += readSync(this.#shared!, bytes, at, bytes.length - at, at)
    }
  }

  /** The program ends, and closes what it has open. */
  async end(): Promise<void> {
    this.#child.stdin!.end()
    await this.#ended
    if (this.#shared !== null) closeSync(this.#shared)
  }

  #take(line: string): void {
    if (!line.startsWith('@')) {
      this.#asked.shift()!(line)
      return
    }
    const [number, errno] = line.slice(1).split(' ')
    const wait = this.#waits.get(number!)
    if (wait === undefined) this.#over.set(number!, Number(errno))
    else wait(Number(errno))
  }
}
