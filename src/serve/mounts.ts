/**
 * The directory at which a server shows its volume itself, to every program of its host.
 *
 * Invariants:
 * - what programs do there is done in the name of a session of its own: others are told of it, and
 *   it is told of others;
 * - before a client gets a hold through which it may store to a file, the kernel has written back
 *   and dropped what it has cached of that file;
 * - it is taken away before the volume is closed.
 */
import { Mount, type FileSystemMountOptions } from '../fuse/mount.js'
import { VolumeFileSystem, type Every } from '../layout/filesystem.js'
import type { Log } from './log.js'
import type { Server } from './server.js'

export interface ServerMountOptions extends Omit<
  FileSystemMountOptions,
  'tells' | 'tellsAlways' | 'alone' | 'reachable' | 'decides' | 'failed' | 'source'
> {
  readonly directory: string
}

/** The server commits by itself. */
const NEVER: Every = () => () => {}

export class ServerMount {
  readonly #mount: Mount
  readonly #log: Log
  #stopping = false

  private constructor(mount: Mount, log: Log) {
    this.#mount = mount
    this.#log = log
    void mount.over.then(() => {
      if (!this.#stopping) log.warn('the mount was taken away', { directory: mount.directory })
    })
  }

  static async start(server: Server, options: ServerMountOptions): Promise<ServerMount> {
    const { volume } = server.files
    const { log } = server
    const { directory } = options
    const session = volume.session({ name: `mount at ${directory}` })
    const files = new VolumeFileSystem(volume, NEVER, session)
    const mount = await Mount.at(directory, files, {
      ...options,
      source: volume.region.path,
      tells: true,
      tellsAlways: true,
      alone: false,
      decides: true,
      reachable: () => true,
      failed: (error) => {
        log.error('a request of the mount failed', { directory, error: error as Error })
      },
    })
    const { coherence } = mount.session
    const end = volume.pageCaches.add(session, (ino) => coherence.release(ino))
    await coherence.releaseHeld(volume.holds(), session.id)
    void mount.over.then(() => {
      end()
      try {
        if (!volume.closed) session.end()
      } catch (error) {
        log.error('the session of the mount did not end', { directory, error: error as Error })
      }
    })
    return new ServerMount(mount, log)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    const left = await this.#mount.leave()
    if (left) return
    this.#log.warn('programs were in the mount as it was taken away', {
      directory: this.#mount.directory,
    })
  }
}
