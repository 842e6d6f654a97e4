/**
 * Users of a host, who mount volumes of their own: in a mount namespace, where /dev/fuse is
 * everybody's and /etc/fuse.conf says what the test wants, as the machine's own may be otherwise.
 */
import assert from 'node:assert/strict'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Place, Program, Programs } from '../processes/program.js'
import { lacking } from '../../scripts/program_needs.js'
import { NETWORK_NEEDS } from '../../scripts/network_needs.js'
import { Caller } from './caller.js'
import { cannotMount, MAIN } from './scene.js'

/** Who mounts, and somebody else: fusermount3 wants a name for its user. */
export const [NOBODY, OTHER] = [65534, 1]

/** Major and minor number of /dev/fuse (the kernel's devices.txt). */
const DEVICE = 'c 10 229'

/** Of the namespace, which is gone with this shell. $1: a folder, $2: what fuse.conf says. */
const SCRIPT = `
set -e
mkdir "$1/host"
mount -t tmpfs -o mode=0755 holdfast-users "$1/host"
mknod -m 666 "$1/host/fuse" ${DEVICE}
echo "$2" >"$1/host/fuse.conf"
mount --bind "$1/host/fuse" /dev/fuse
mount --bind "$1/host/fuse.conf" /etc/fuse.conf
echo ready
read -r end
`

/** Why users cannot mount here, or null. */
export function usersCannotMount(): string | null {
  const missing = NETWORK_NEEDS.find(({ lack, met }) => /nsenter|setpriv/.test(lack) && !met())
  return cannotMount() ?? missing?.lack ?? (lacking(['fusermount3']) || null)
}

export class Users {
  readonly folder: string
  /** The volume of who mounts, and his directory. */
  readonly region: string
  readonly directory: string
  readonly #programs: Programs
  readonly #shell: Program

  private constructor(programs: Programs, config: string) {
    this.#programs = programs
    this.folder = mkdtempSync('/dev/shm/holdfast-users-')
    chmodSync(this.folder, 0o755)
    const own = this.makeDirectory('own', NOBODY)
    this.directory = this.makeDirectory('own/mnt', NOBODY)
    this.region = join(own, 'v.hf')
    const command = ['unshare', '--mount', 'sh', '-c', SCRIPT, 'sh', this.folder, config]
    this.#shell = programs.start('the namespace', command, { seconds: 1200 })
  }

  /** `config`: what /etc/fuse.conf says. */
  static async start(programs: Programs, config = ''): Promise<Users> {
    const users = new Users(programs, config)
    assert.equal(await users.#shell.line(), 'ready')
    await users.done(NOBODY, ['mkfs', '--size', '16M', users.region])
    return users
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  makeDirectory(name: string, uid: number): string {
    const directory = join(this.folder, name)
    mkdirSync(directory)
    chownSync(directory, uid, uid)
    return directory
  }

  /** Starts a program as a user: no privilege, no group but his own. */
  start(uid: number, command: readonly string[]): Program {
    const ids = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups']
    const enter = ['nsenter', '--mount', '--target', String(this.#shell.pid), 'setpriv', ...ids]
    // Another user is another's child as far as the kernel is concerned: it is said once more.
    const place: Place = { enter: [...enter, '--pdeathsig', 'KILL'] }
    return this.#programs.start(command[0]!, command, { place })
  }

  /** holdfast as a user. `before`: a command that runs it, by exec. */
  holdfast(uid: number, args: readonly string[], before: readonly string[] = []): Program {
    return this.start(uid, [...before, process.execPath, MAIN, ...args])
  }

  /** A program that makes the calls it is told, as a user. */
  caller(uid: number): Caller {
    const start = (_: string, command: readonly string[]) => this.start(uid, command)
    return Caller.start({ start })
  }

  /** What one says that is done. */
  async done(uid: number, args: readonly string[]): Promise<void> {
    const program = this.holdfast(uid, args)
    assert.deepEqual(await program.ended(), { status: 0, signal: null }, program.said())
  }

  /** What one says that fails: one line. */
  async refused(
    uid: number,
    args: readonly string[],
    before: readonly string[] = [],
  ): Promise<string> {
    const program = this.holdfast(uid, args, before)
    assert.deepEqual(await program.ended(), { status: 1, signal: null }, program.said())
    await program.closed
    const lines = program.errors.trim().split('\n')
    assert.equal(lines.length, 1, program.said())
    return lines[0]!
  }

  /** Mounts the volume of who mounts. */
  async mount(words = ''): Promise<Program> {
    const options = words === '' ? [] : ['-o', words]
    const args = ['mount', ...options, this.region, this.directory]
    const program = this.holdfast(NOBODY, args)
    assert.match(await program.line(), /^mounted /)
    return program
  }

  /** What mountinfo says of the mount; null: it is not there. */
  get mounted(): string | null {
    const all = readFileSync(`/proc/${this.#shell.pid}/mountinfo`, 'utf8').split('\n')
    return all.find((line) => line.includes(` ${this.directory} `)) ?? null
  }

  async end(): Promise<void> {
    await this.#programs.end()
    rmSync(this.folder, { recursive: true, force: true })
  }
}
