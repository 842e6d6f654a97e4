/** A filesystem at a directory of this host, from mounting to the end. */
import type { FileSystem } from '../base/filesystem.js'
import { HoldfastError } from '../base/errors.js'
import type { CacheMode } from './coherence.js'
import { mountDirectory, type Mounted, type MountOptions } from './mounting.js'
import { FuseSession } from './session.js'
import { watchMount } from './watchdog.js'

/** Nobody tells of changes: the kernel asks again after this, in seconds. */
const SECONDS_UNTOLD = 1
/** It is told of every change. */
const SECONDS_TOLD = 3600

export interface FileSystemMountOptions extends MountOptions {
  readonly mode: CacheMode
  /** Whether changes by others are told of (FileSystem.watch). */
  readonly tells: boolean
  /** Whether calls may be made in the name of others. */
  readonly decides: boolean
  readonly failed: (error: unknown) => void
}

export class Mount {
  readonly session: FuseSession
  readonly #mounted: Mounted

  private constructor(session: FuseSession, mounted: Mounted) {
    this.session = session
    this.#mounted = mounted
  }

  /** Programs may come when it resolves. `directory` is an absolute path. */
  static async at(
    directory: string,
    fs: FileSystem,
    options: FileSystemMountOptions,
  ): Promise<Mount> {
    const { mode, tells, decides, failed } = options
    const { generation } = await fs.lstat('/')
    const seconds = tells ? SECONDS_TOLD : SECONDS_UNTOLD
    const validity = { entry: seconds, attributes: seconds }
    const mounted = await mountDirectory(directory, options)
    const session = new FuseSession(fs, mounted.fd, generation, {
      mode,
      tells,
      decides,
      validity,
      failed,
    })
    const calm = watchMount(directory)
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

  /** EBUSY while programs are in it. */
  async unmount(): Promise<void> {
    await this.#mounted.unmount()
    await this.over
  }

  /** From the tree at once. Programs that are in it go on, until `over`, or `abort`. */
  detach(): Promise<void> {
    return this.#mounted.unmount(true).catch((error: unknown) => {
      // Somebody was faster.
      if (!(error instanceof HoldfastError) && (error as { code?: string }).code === 'EINVAL')
        return
      throw error
    })
  }

  /** Programs that are in it get errors from now on. */
  async abort(): Promise<void> {
    this.session.abort()
    await this.over
  }
}
