/** A filesystem at a directory of this host, from mounting to the end. */
import type { FileSystem } from '../base/filesystem.js'
import { systemTimers } from '../base/timers.js'
import type { CoherenceOptions } from './coherence.js'
import { isOnTop, mountDirectory, type Mounted, type MountOptions } from './mounting.js'
import { FuseSession } from './session.js'
import { watchMount } from './watchdog.js'

/** The kernel asks again after this, in seconds: nobody tells of changes, or not always. */
const SECONDS_UNTOLD = 1
/** It is told of every change. */
const SECONDS_TOLD = 3600
/** Milliseconds that programs have to leave, and those that they have after that. */
const LEAVE_MS = 3000
const GO_MS = 2000
const RETRY_MS = 50
/** And the kernel to write back what they have left. */
const FLUSH_MS = 10_000

export interface FileSystemMountOptions extends MountOptions, CoherenceOptions {
  /** Whether it is told always: over a connection it is not, when that was lost for a while. */
  readonly tellsAlways: boolean
  /** Whether calls may be made in the name of others. */
  readonly decides: boolean
  /** False while the server of the volume is lost. */
  readonly reachable: () => boolean
  readonly failed: (error: unknown) => void
}

export class Mount {
  readonly session: FuseSession
  readonly #mounted: Mounted
  #isOver = false

  private constructor(session: FuseSession, mounted: Mounted) {
    this.session = session
    this.#mounted = mounted
    void this.over.then(() => (this.#isOver = true))
  }

  /** Programs may come when it resolves. `directory` is an absolute path. */
  static async at(
    directory: string,
    fs: FileSystem,
    options: FileSystemMountOptions,
  ): Promise<Mount> {
    const { mode, tells, alone, decides, reachable, failed } = options
    const root = await fs.lstat('/')
    const seconds = options.tellsAlways ? SECONDS_TOLD : SECONDS_UNTOLD
    const validity = { entry: seconds, attributes: seconds }
    const mounted = await mountDirectory(directory, options)
    const session = new FuseSession(fs, mounted.fd, root, {
      directory,
      device: mounted.device,
      mode,
      tells,
      alone,
      decides,
      reachable,
      validity,
      failed,
    })
    const calm = watchMount(mounted)
    void session.over.then(calm)
    return new Mount(session, mounted)
  }

  get directory(): string {
    return this.#mounted.directory
  }

  /** Resolves when it was unmounted, whoever did that. */
  get over(): Promise<void> {
    return this.session.over
  }

  /**
   * Takes it away. Programs that are in it have a while to leave; then it goes from the tree under
   * them, and after another while what they still do is ENOTCONN. Returns whether it went in order:
   * all had left, and nothing else is mounted above it.
   */
  async leave(): Promise<boolean> {
    if (this.#isOver) return true
    const end = systemTimers.now() + LEAVE_MS
    while (!(await this.#unmount(false))) {
      if (!isOnTop(this.#mounted) || systemTimers.now() >= end) {
        await this.#unmount(true)
        return this.#cutOff()
      }
      await Promise.race([this.over, after(RETRY_MS)])
    }
    // It may be mounted elsewhere, too: bound, or in another namespace.
    return this.#cutOff()
  }

  /** False: it has not ended by itself. What programs have written is in the volume, either way. */
  async #cutOff(): Promise<boolean> {
    await Promise.race([this.over, after(GO_MS)])
    if (this.#isOver) return true
    const { session } = this
    // Of a server that is lost nothing takes it.
    if (session.reachable) {
      await Promise.race([this.over, session.coherence.finish(), after(FLUSH_MS)])
    }
    this.session.abort()
    await this.over
    return false
  }

  /** False while programs are in it, or something else is above it. */
  async #unmount(lazily: boolean): Promise<boolean> {
    if (!isOnTop(this.#mounted)) return false
    try {
      await this.#mounted.unmount(lazily)
      return true
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === 'EBUSY') return false
      // Somebody was faster.
      if (code === 'EINVAL' || code === 'ENOENT') {
        this.session.abort()
        return true
      }
      throw error
    }
  }
}

const after = (milliseconds: number) =>
  new Promise<void>((resolve) => void systemTimers.after(milliseconds, resolve))
