/** Volumes mounted by the command line, in processes of their own, in each way that there is. */
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createVolume, type CreateVolumeOptions } from '../../src/layout/embedded.js'
import { Programs, type Program } from '../processes/program.js'
import { Daemon } from '../serve/daemon.js'
import { formatSecret } from '../../src/control/keys.js'

export const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url))
/** Whom the key of a remote mount that is not privileged stands for. */
export const USER = 1000
/** That a scene may take. */
const SECONDS = 3600
const KEY = { id: 'mount', secret: new Uint8Array(32).map((_, i) => 5 * i + 3) }

/**
 * embedded: the mount has the region; served: it reaches a server through its socket; within: the
 * server itself mounts; remote: by RDMA; user: the same, with a key that is not privileged.
 */
export const WAYS = ['embedded', 'served', 'within', 'remote'] as const
export type Way = (typeof WAYS)[number] | 'user'

/** Why nothing can be mounted here, or null. */
export function cannotMount(): string | null {
  if (process.getuid?.() !== 0) return 'only root mounts for several users'
  try {
    readFileSync('/proc/filesystems', 'utf8')
    execFileSync('test', ['-r', '/dev/fuse'])
    return null
  } catch {
    return 'no /dev/fuse that can be opened'
  }
}

/** Why files of such a mount are not mapped; false: they are (FUSE_DIRECT_IO_ALLOW_MMAP). */
export function cannotMap(words: string): string | false {
  const [major = 0, minor = 0] = release().split('.').map(Number)
  const has = major > 6 || (major === 6 && minor >= 6)
  return words.includes('direct') && !has ? 'direct files are mapped from Linux 6.6 on' : false
}

export const isMounted = (directory: string): boolean =>
  readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[4] === directory)

export class MountScene {
  readonly folder: string
  readonly region: string
  readonly directory: string
  readonly programs = new Programs()
  /** What mounts. */
  program!: Program
  daemon: Daemon | null = null
  /** What the server was started with. */
  #served: readonly string[] = []

  private constructor(bytes: number, options: CreateVolumeOptions) {
    this.folder = mkdtempSync('/dev/shm/holdfast-mount-')
    this.region = join(this.folder, 'v.hf')
    this.directory = join(this.folder, 'mnt')
    mkdirSync(this.directory)
    createVolume(this.region, bytes, { label: 'mount', ...options })
  }

  static async start(
    way: Way,
    words = '',
    bytes = 64 << 20,
    options: CreateVolumeOptions = {},
  ): Promise<MountScene> {
    const scene = new MountScene(bytes, options)
    try {
      await scene.mount(way, words)
      return scene
    } catch (error) {
      await scene.remove()
      throw error
    }
  }

  get keys(): string {
    return join(this.folder, 'keys')
  }

  get socket(): string {
    return join(this.folder, 'socket')
  }

  async mount(way: Way, words = ''): Promise<void> {
    const options = words === '' ? [] : ['-o', words]
    if (way === 'embedded') return this.mountWhat(this.region, options)
    const args = ['--socket', this.socket, this.region]
    if (way === 'remote' || way === 'user') {
      const who = way === 'remote' ? 'uid=0 gid=0' : `uid=${USER} gid=${USER}`
      writeFileSync(this.keys, `${formatSecret(KEY)} ${who} rw\n`, { mode: 0o600 })
      args.unshift('--listen', '127.0.0.1:0', '--keys', this.keys)
    }
    if (way === 'within')
      args.unshift('--mount', this.directory, ...(words ? ['--mount-options', words] : []))
    this.#served = args
    this.daemon = await Daemon.start(this.programs, args, { seconds: SECONDS })
    if (way === 'within') this.program = this.daemon.program
    else if (way === 'served') await this.mountWhat(this.socket, options)
    else await this.mountWhat(this.daemon.url, [...options, '--key', this.keys])
  }

  /** The server as it was, after its end. */
  async serveAgain(): Promise<void> {
    const port = this.daemon?.ready.listen?.port ?? 0
    const args = this.#served.map((word) => word.replace(/:0$/, `:${port}`))
    this.daemon = await Daemon.start(this.programs, args, { seconds: SECONDS })
    if (args.includes('--mount')) this.program = this.daemon.program
  }

  async mountWhat(what: string, options: readonly string[] = []): Promise<void> {
    const command = [process.execPath, MAIN, 'mount', ...options, what, this.directory]
    this.program = this.programs.start('mount', command, { seconds: SECONDS })
    assert.match(await this.program.line(), /^mounted /)
  }

  path(name: string): string {
    return join(this.directory, name)
  }

  /** A command line of holdfast, for who runs it. */
  command(...args: readonly string[]): [string, string[]] {
    return [process.execPath, [MAIN, ...args]]
  }

  /** One that goes on. */
  start(...args: readonly string[]): Program {
    return this.programs.start(`holdfast ${args[0]}`, this.command(...args).flat())
  }

  /** What one prints. */
  holdfast(...args: readonly string[]): string {
    return execFileSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
  }

  /** SIGTERM: it is unmounted, and the volume closed in order. */
  async unmount(): Promise<void> {
    const end = await this.program.kill('SIGTERM')
    assert.deepEqual(end, { status: 0, signal: null }, this.program.said())
    assert.equal(isMounted(this.directory), false, 'it is not mounted any more')
    if (this.daemon !== null && this.daemon.program !== this.program) await this.daemon.stop()
    this.daemon = null
  }

  /** Unmounts, and looks at what is left. */
  async end(): Promise<void> {
    try {
      await this.unmount()
      this.holdfast('fsck', this.region)
    } finally {
      await this.remove()
    }
  }

  async remove(): Promise<void> {
    await this.programs.end()
    // The watchdog of what was killed may be faster.
    spawnSync('umount', ['-l', this.directory], { stdio: 'ignore' })
    assert.equal(isMounted(this.directory), false)
    rmSync(this.folder, { recursive: true, force: true })
  }
}
