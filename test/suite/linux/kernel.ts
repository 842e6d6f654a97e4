/**
 * Linux as what steps are made to: a program in C makes the calls, each as the user that asks, in a
 * directory of its own. What it answers is the measure for a volume.
 */
import assert from 'node:assert/strict'
import { execFileSync, spawn, spawnSync, type ChildProcessByStdio } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { constants, release } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import type { Credentials } from '../../../src/base/filesystem.js'
import { USERS, type Call, type Subject } from '../steps.js'
import { valueText } from '../subject.js'

/** The program that makes the calls, from the root of the project. */
export const CALLS = join('build', 'test', 'suite', 'linux', 'calls')
const SOURCE = join('test', 'suite', 'linux', 'calls.c')

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
  execFileSync(compiler, ['-Wall', '-Wextra', '-O1', '-o', made, SOURCE], { stdio: 'inherit' })
  renameSync(made, path)
}

export class KernelSubject implements Subject {
  readonly #directory: string
  readonly #child: ChildProcessByStdio<Writable, Readable, null>
  readonly #lines: AsyncIterator<string>
  /** Whoever opened a slot makes the calls on it. */
  readonly #openers = new Map<number, Credentials>()

  /** `parent`: a directory on the filesystem that is asked. */
  constructor(parent: string) {
    assert.ok(existsSync(CALLS), 'prepareKernel was called')
    this.#directory = mkdtempSync(join(parent, 'holdfast-linux-'))
    chmodSync(this.#directory, 0o755)
    this.#child = spawn(CALLS, [this.#directory], { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  async run(as: Credentials, { name, args }: Call): Promise<string> {
    let asks = as
    const onHandle = typeof args[0] === 'number'
    if (onHandle && name !== 'open' && name !== 'linkfd')
      asks = this.#openers.get(args[0] as number) ?? as
    const words = args.map((arg) => (typeof arg === 'number' ? arg : `x${arg.toString('hex')}`))
    const { uid, gid, groups = [], umask = 0 } = asks
    const line = [uid, gid, groups.join(',') || '-', umask, name, ...words].join(' ')
    this.#child.stdin.write(`${line}\n`)
    const { value, done } = await this.#lines.next()
    assert.ok(done !== true, `the program ended at ${name}`)
    const answer = value as string
    if (answer.startsWith('!')) {
      const code = Number(answer.slice(1))
      return NAMES.get(code) ?? `errno ${code}`
    }
    if (name === 'open') this.#openers.set(args[0] as number, as)
    return valueOf(name, args, answer.slice(1))
  }

  async tick(): Promise<void> {
    await this.run(USERS.root, { name: 'tick', args: [] })
  }

  async readOnly(): Promise<void> {
    assert.equal(await this.run(USERS.root, { name: 'readonly', args: [] }), '')
  }

  async finish(): Promise<void> {
    await this.run(USERS.root, { name: 'writable', args: [] })
    await this.run(USERS.root, { name: 'unflag', args: [] })
    this.#child.stdin.end()
    await new Promise((resolve) => this.#child.once('close', resolve))
    rmSync(this.#directory, { recursive: true, force: true })
  }
}

function valueOf(name: string, args: readonly (number | Buffer)[], answer: string): string {
  const bytes = (hex: string) => Buffer.from(hex.slice(1), 'hex')
  const latin1 = (hex: string) => bytes(hex).toString('latin1')
  if (name === 'readdir') {
    return answer.split(' ').filter(Boolean).map(latin1).sort().join(' ')
  }
  if (name === 'listxattr') return latin1(answer).split('\0').filter(Boolean).sort().join(' ')
  if (name.endsWith('getxattr')) return valueText((args[1] as Buffer).toString(), bytes(answer))
  return answer.startsWith('x') ? latin1(answer) : answer
}
