/**
 * What a program gets that nobody here wrote: a directory of a volume that is mounted, and beside
 * it one on tmpfs, for what is compared with it.
 *
 * When the programs of a test are done, whatever they left is looked at through the mount; it is
 * unmounted, which ends `holdfast mount` with status 0 and leaves nothing in the table of mounts;
 * fsck finds the volume clean; and the library reads of it what the mount showed, file by file.
 *
 *     HOLDFAST_PROGRAMS_WAY=served          or within, or remote: another way to mount it
 *     HOLDFAST_PROGRAMS_OPTIONS=cache       options of the mount
 *     HOLDFAST_PROGRAMS_AT=/some/directory  the same programs on another filesystem
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { lacking, type ProgramName } from '../../scripts/program_needs.js'
import { cannotMount, isMounted, MountScene, WAYS, type Way } from '../mount/scene.js'
import { processTest, until, type Program, type Programs } from '../processes/program.js'
import { assertSameTree, hostTree, volumeTree } from './tree.js'

const WAY = WAYS.find((way) => way === process.env['HOLDFAST_PROGRAMS_WAY']) ?? 'embedded'
const OPTIONS = process.env['HOLDFAST_PROGRAMS_OPTIONS'] ?? ''
/** Another filesystem, in the place of a mount. */
const ELSEWHERE = process.env['HOLDFAST_PROGRAMS_AT']
/** Of what mounts, to let go of a volume that nobody uses. */
const UNMOUNT_SECONDS = 480
const MIB = 1 << 20

export interface GroundOptions {
  /** Of the volume. */
  readonly mebibytes: number
  readonly needs: readonly ProgramName[]
  /** Its options; those of the environment unless given. */
  readonly mode?: string
  /** How it is mounted; as the environment says unless given. */
  readonly way?: Way
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
  readonly #way: Way
  readonly #options: string
  /** Null: on another filesystem. */
  readonly #scene: MountScene | null

  private constructor(programs: Programs, wanted: GroundOptions, scene: MountScene | null) {
    this.#programs = programs
    this.#way = wanted.way ?? WAY
    this.#options = wanted.mode ?? OPTIONS
    this.#scene = scene
    this.beside = mkdtempSync('/dev/shm/holdfast-programs-')
    if (scene === null) {
      this.directory = mkdtempSync(join(ELSEWHERE!, 'holdfast-programs-'))
    } else {
      this.directory = scene.path('work')
      mkdirSync(this.directory)
      chmodSync(scene.folder, 0o755)
    }
    // Other users come here, too.
    for (const place of [this.beside, this.directory]) chmodSync(place, 0o755)
  }

  static async make(programs: Programs, wanted: GroundOptions): Promise<Ground> {
    if (ELSEWHERE !== undefined) return new Ground(programs, wanted, null)
    const { way = WAY, mode = OPTIONS, mebibytes } = wanted
    const scene = await MountScene.start(way, mode, mebibytes * MIB)
    try {
      return new Ground(programs, wanted, scene)
    } catch (error) {
      await scene.remove()
      throw error
    }
  }

  /** Starts a program that goes on beside others. */
  start(command: readonly string[], options: RunOptions = {}): Program {
    const { in: place = this.directory, seconds = 720, env = {}, user } = options
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

  /** It is mounted anew: what is read then comes from the volume, not from a cache. */
  async remount(): Promise<void> {
    if (this.#scene === null) return
    await this.#unmount()
    await this.#scene.mount(this.#way, this.#options)
  }

  /**
   * What mounts is killed, its server too, and with it goes all that the kernel has not written to
   * it yet; `kill` ends those who use it, then it is mounted anew.
   */
  async crash(kill: () => Promise<void>): Promise<void> {
    const scene = this.#scene
    if (scene === null) return await kill()
    await Promise.all([scene.program.kill(), scene.daemon?.program.kill()])
    await kill()
    await until(() => !isMounted(scene.directory), 'that nothing is mounted')
    await scene.mount(this.#way, this.#options)
  }

  /** The end of a test: see the head of this file. */
  async check(t: TestContext): Promise<void> {
    const scene = this.#scene
    if (scene === null) return
    const shown = await hostTree(scene.directory)
    const { files, ffree } = await statfs(scene.directory)
    const inodes = new Set([...shown.values()].map(({ ino }) => ino)).size
    await t.test(`its mount counts the ${inodes} inodes that are there`, async () => {
      // A volume that lends blocks to clients may have an inode of its own for them.
      const own = this.#way === 'embedded' || files - ffree === inodes ? 0 : 1
      assert.equal(files - ffree, inodes + own)
    })
    await t.test('its mount ends with status 0, and leaves nothing mounted', async () => {
      await this.#unmount()
    })
    await t.test('fsck finds the volume clean', async () => {
      scene.holdfast('fsck', scene.region)
    })
    await t.test(`the volume holds the ${shown.size} files that the mount showed`, async () => {
      const { tree, inodesUsed } = await volumeTree(scene.region)
      assertSameTree(tree, shown)
      assert.equal(inodesUsed, inodes, 'inodes that no name leads to')
    })
  }

  /** Leaves nothing, also after a failure. */
  async remove(): Promise<void> {
    await this.#scene?.remove()
    rmSync(this.beside, { recursive: true, force: true })
    if (this.#scene !== null) return
    spawnSync('chattr', ['-R', '-f', '-ia', this.directory])
    rmSync(this.directory, { recursive: true, force: true })
  }

  async #unmount(): Promise<void> {
    const { program } = this.#scene!
    const late = setTimeout(() => void program.kill(), UNMOUNT_SECONDS * 1000)
    await this.#scene!.unmount()
    clearTimeout(late)
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

/** Why there is no ground here; false: there is. */
function noGround(): string | false {
  const reason = cannotMount()
  return ELSEWHERE !== undefined && process.getuid?.() === 0 ? false : (reason ?? false)
}

/** Nothing is said of how it is to be mounted. */
const OPEN = OPTIONS === '' && WAY === 'embedded' && ELSEWHERE === undefined

/** Modes of mounts for programs that share, map, lock or sync what they write. */
export const MODES: readonly string[] = OPEN ? ['direct', 'exclusive'] : [OPTIONS]

/** A way and a mode besides those, for a little of everything; of PostgreSQL where it is told. */
export interface OtherGround {
  readonly way: Way
  readonly mode: string
  readonly postgres: boolean
}

export const OTHER_GROUNDS: readonly OtherGround[] = OPEN
  ? [
      { way: 'embedded', mode: 'cache', postgres: false },
      { way: 'served', mode: 'direct', postgres: false },
      { way: 'within', mode: 'cache', postgres: false },
      { way: 'remote', mode: 'direct', postgres: false },
      { way: 'remote', mode: 'cache', postgres: true },
    ]
  : [{ way: WAY, mode: OPTIONS, postgres: true }]

/** A test that has a volume for its programs. */
export function groundTest(
  name: string,
  options: GroundOptions,
  body: (ground: Ground, t: TestContext) => Promise<void>,
): void {
  const skip = noGround() || lacking(options.needs)
  processTest(name, { skip }, async (programs, t) => {
    const ground = await Ground.make(programs, options)
    try {
      await body(ground, t)
      await ground.check(t)
    } finally {
      await programs.end()
      await ground.remove()
    }
  })
}
