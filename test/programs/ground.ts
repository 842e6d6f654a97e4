/**
 * What a program gets that nobody here wrote: a directory of a volume that is mounted, and beside
 * it one on tmpfs, for what is compared with it.
 *
 * When the programs of a test are done, whatever they left is looked at through the mount; it is
 * unmounted, which ends `holdfast mount` with status 0 and leaves nothing in the table of mounts;
 * fsck finds the volume clean; and the library reads of it what the mount showed, file by file.
 *
 *     HOLDFAST_PROGRAMS_AT=/some/directory    the same programs on another filesystem
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { lacking, type ProgramName } from '../../scripts/program_needs.js'
import { processTest, type Program, type Programs } from '../processes/program.js'
import { assertSameTree, hostTree, volumeTree } from './tree.js'

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
/** Another filesystem, in the place of a mount. */
const ELSEWHERE = process.env['HOLDFAST_PROGRAMS_AT']
/** A mount outlives its programs by far. */
const MOUNT_SECONDS = 900
/** Of `holdfast mount`, to let go of a volume that nobody uses. */
const UNMOUNT_SECONDS = 60

export interface GroundOptions {
  /** Of the volume: bytes, as mkfs takes them. */
  readonly size: string
  readonly needs: readonly ProgramName[]
}

export interface RunOptions {
  /** The directory in which it runs; that of the ground unless given. */
  readonly in?: string
  readonly seconds?: number
  readonly env?: Readonly<Record<string, string>>
  /** The user that it runs as. */
  readonly user?: string
  /** What it has to end with, 0 unless given; null: anything. */
  readonly status?: number | null
}

export interface Finished {
  readonly status: number | null
  /** Of its standard output. */
  readonly lines: readonly string[]
  readonly errors: string
}

export class Ground {
  /** Where programs work. */
  readonly directory: string
  /** A directory on tmpfs. */
  readonly beside: string
  readonly #programs: Programs
  readonly #folder: string
  readonly #region: string
  readonly #mountpoint: string
  #mount: Program | null = null

  private constructor(programs: Programs) {
    this.#programs = programs
    this.#folder = mkdtempSync('/dev/shm/holdfast-programs-')
    // Other users come here, too.
    chmodSync(this.#folder, 0o755)
    this.#region = join(this.#folder, 'v.hf')
    this.beside = join(this.#folder, 'beside')
    mkdirSync(this.beside)
    this.#mountpoint = join(this.#folder, 'mount')
    mkdirSync(this.#mountpoint)
    this.directory =
      ELSEWHERE === undefined
        ? join(this.#mountpoint, 'work')
        : mkdtempSync(join(ELSEWHERE, 'holdfast-programs-'))
  }

  static async make(programs: Programs, size: string): Promise<Ground> {
    const ground = new Ground(programs)
    try {
      if (ELSEWHERE === undefined) {
        await ground.holdfast('mkfs', '--size', size, ground.#region)
        await ground.#start()
        mkdirSync(ground.directory)
      }
      chmodSync(ground.directory, 0o755)
    } catch (error) {
      ground.remove()
      throw error
    }
    return ground
  }

  /** Starts a program that goes on beside others. */
  start(command: readonly string[], options: RunOptions = {}): Program {
    const { in: place = this.directory, seconds = 60, env = {}, user } = options
    const as =
      user === undefined ? [] : ['setpriv', '--reuid', user, '--regid', user, '--init-groups']
    return this.#programs.start(command[0]!, [...as, ...command], {
      place: { enter: ['env', '-C', place] },
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C', ...env },
      seconds,
    })
  }

  /** Runs a program to its end, which has to be the one that is wanted. */
  async run(command: readonly string[], options: RunOptions = {}): Promise<Finished> {
    return await finished(this.start(command, options), command, options.status)
  }

  /** Runs a script of the shell. Its first failure ends it. */
  async shell(script: string, options: RunOptions = {}): Promise<Finished> {
    return await this.run(['bash', '-euo', 'pipefail', '-c', script], options)
  }

  async holdfast(...words: string[]): Promise<Finished> {
    return await this.run([process.execPath, MAIN, ...words], { in: '/' })
  }

  /** The volume is let go of and mounted anew: what is read then comes from it, not from a cache. */
  async remount(): Promise<void> {
    if (ELSEWHERE !== undefined) return
    await this.#stop()
    await this.#start()
  }

  /**
   * `holdfast mount` is killed, and with it goes all that the kernel has not written to it yet;
   * `kill` ends those who use it, then it is mounted anew.
   */
  async crash(kill: () => Promise<void>): Promise<void> {
    if (ELSEWHERE === undefined) await this.#mount!.kill()
    await kill()
    if (ELSEWHERE !== undefined) return
    spawnSync('umount', ['-l', this.#mountpoint])
    await this.#start()
  }

  /** The end of a test: see the head of this file. */
  async check(t: TestContext): Promise<void> {
    if (ELSEWHERE !== undefined) return
    const shown = await hostTree(this.#mountpoint)
    const { files, ffree } = await statfs(this.#mountpoint)
    const inodes = new Set([...shown.values()].map(({ ino }) => ino)).size
    await t.test(`its mount counts the ${inodes} inodes that are there`, async () => {
      assert.equal(files - ffree, inodes)
    })
    await t.test('its mount ends with status 0, and leaves nothing mounted', async () => {
      await this.#stop()
    })
    await t.test('fsck finds the volume clean', async () => {
      await this.holdfast('fsck', this.#region)
    })
    await t.test(`the volume holds the ${shown.size} files that the mount showed`, async () => {
      const { tree, inodesUsed } = await volumeTree(this.#region)
      assertSameTree(tree, shown)
      assert.equal(inodesUsed, inodes, 'inodes that no name leads to')
    })
  }

  /** Leaves nothing, also after a failure. */
  remove(): void {
    if (isMounted(this.#mountpoint)) spawnSync('umount', ['-l', this.#mountpoint])
    if (ELSEWHERE !== undefined) {
      spawnSync('chattr', ['-R', '-f', '-ia', this.directory])
      rmSync(this.directory, { recursive: true, force: true })
    }
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #start(): Promise<void> {
    const command = [process.execPath, MAIN, 'mount', this.#region, this.#mountpoint]
    this.#mount = this.#programs.start('holdfast mount', command, { seconds: MOUNT_SECONDS })
    const line = await this.#mount.line()
    assert.match(line, /\bmounted\b/)
    assert.ok(isMounted(this.#mountpoint), `it says "${line}", and is not mounted`)
  }

  async #stop(): Promise<void> {
    const mount = this.#mount!
    const late = setTimeout(() => void mount.kill(), UNMOUNT_SECONDS * 1000)
    const end = await mount.kill('SIGTERM')
    clearTimeout(late)
    assert.deepEqual(end, { status: 0, signal: null }, mount.said())
    assert.ok(!isMounted(this.#mountpoint), `${this.#mountpoint} is still mounted`)
  }
}

/** The end of a program, which has to be the one that is wanted. */
export async function finished(
  program: Program,
  command: readonly string[],
  status: number | null = 0,
): Promise<Finished> {
  const end = await program.ended()
  await program.closed
  const lines = program.rest()
  if (status !== null || end.signal !== null) {
    const said = [...lines.slice(-40), program.errors.slice(-4000)].join('\n')
    const what = command.join(' ').slice(0, 300)
    assert.deepEqual(end, { status, signal: null }, `${what} ended so:\n${said}`)
  }
  return { status: end.status, lines, errors: program.errors }
}

const isMounted = (path: string): boolean =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === path)

/** Why nothing can be mounted here; false: it can. */
function noMount(): string | false {
  if (process.getuid?.() !== 0) return 'only root mounts for all users'
  if (ELSEWHERE !== undefined) return false
  return spawnSync('sh', ['-c', 'test -r /dev/fuse -a -w /dev/fuse']).status === 0
    ? false
    : 'no /dev/fuse'
}

/** A test that has a volume for its programs. */
export function groundTest(
  name: string,
  options: GroundOptions,
  body: (ground: Ground, t: TestContext) => Promise<void>,
): void {
  const skip = noMount() || lacking(options.needs)
  processTest(name, { skip }, async (programs, t) => {
    const ground = await Ground.make(programs, options.size)
    try {
      await body(ground, t)
      await ground.check(t)
    } finally {
      await programs.end()
      ground.remove()
    }
  })
}
