/**
 * Where a run of `bench -- mount` has its programs, volumes and mounts: a directory on tmpfs. What
 * is mounted below it is unmounted before it goes, however the run ends.
 */
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { Daemon } from '../rdma/process.js'

export interface Scene {
  readonly directory: string
  /** A directory of that name below it, made when it is not there. */
  below(name: string): string
}

export async function onScene(run: (scene: Scene) => Promise<void>): Promise<void> {
  const directory = mkdtempSync('/dev/shm/holdfast-mount-')
  const below = (name: string) => {
    const path = `${directory}/${name}`
    mkdirSync(path, { recursive: true })
    return path
  }
  const remove = () => {
    for (const path of mountsBelow(directory)) spawnSync('umount', ['-l', path])
    // Never into a mount: what is behind it may be more than this run's.
    if (mountsBelow(directory).length === 0) rmSync(directory, { recursive: true, force: true })
  }
  process.once('exit', remove)
  try {
    await run({ directory, below })
  } finally {
    remove()
    process.off('exit', remove)
  }
}

/** The innermost first. */
function mountsBelow(directory: string): string[] {
  return readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(`${directory}/`))
    .reverse()
}

/** How a mount is made: a program that serves it in the foreground. */
export interface Server {
  readonly name: string
  /** What it puts at `directory`. */
  command(directory: string): readonly string[]
  /** Processes that work for it besides: a server behind it. */
  behind?(): readonly number[]
}

const UNMOUNT_ATTEMPTS = 100
const PAUSE_MILLISECONDS = 20
const END_MILLISECONDS = 10_000
/** passthrough_ll has a descriptor for each name that the kernel knows: as many as may be. */
const SHELL = 'ulimit -S -n "$(ulimit -H -n)"; exec "$@"'

export class Mounted {
  readonly name: string
  readonly directory: string
  readonly #daemon: Daemon
  readonly #behind: () => readonly number[]

  private constructor({ name, behind }: Server, directory: string, daemon: Daemon) {
    this.name = name
    this.directory = directory
    this.#daemon = daemon
    this.#behind = behind ?? (() => [])
  }

  /** On those processors: '0', '0,1'. */
  static async start(scene: Scene, server: Server, processors: string): Promise<Mounted> {
    const word = server.name.replace(/\W+/g, '-')
    const directory = scene.below(`mount-${word}`)
    const pinned = ['taskset', '-c', processors, ...server.command(directory)]
    const log = `${scene.directory}/${word}.log`
    const daemon = new Daemon('sh', ['-c', SHELL, 'sh', ...pinned], log)
    await daemon.until(async () => (mountsBelow(scene.directory).includes(directory) ? true : null))
    return new Mounted(server, directory, daemon)
  }

  pids(): number[] {
    return [...this.#daemon.pids(), ...this.#behind()]
  }

  /** Its process ends when it is unmounted. */
  async end(): Promise<void> {
    const { child } = this.#daemon
    const gone = once(child, 'exit')
    for (let left = UNMOUNT_ATTEMPTS; ; left--) {
      const { status, stderr } = spawnSync('umount', [this.directory], { encoding: 'utf8' })
      if (status === 0) break
      if (left === 0) throw new Error(`umount ${this.directory}: ${stderr}`)
      await setTimeout(PAUSE_MILLISECONDS)
    }
    if (child.exitCode !== null || child.signalCode !== null) return
    const late = new AbortController()
    const silence = setTimeout(END_MILLISECONDS, null, { signal: late.signal }).catch(() => null)
    if ((await Promise.race([gone, silence])) === null) {
      throw new Error(`${this.name} goes on after it was unmounted`)
    }
    late.abort()
  }
}
