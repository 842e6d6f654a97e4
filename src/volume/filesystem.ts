/**
 * The FileSystem interface over a volume of this process.
 *
 * With sync 'group' it commits by itself every few seconds while something waits, on a thread; the
 * `sync` of the filesystem and of a file do so too, so that other work goes on.
 */
import type {
  Credentials,
  DirectoryEntry,
  FileHandle,
  FileSystem,
  Layout,
  OpenFlags,
  Path,
  StatFs,
  Stats,
} from '../base/filesystem.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import type { OpenFile } from './open_file.js'
import type { Volume } from './volume.js'

/** Calls `run` every `milliseconds`; returns what ends it. */
export type Every = (milliseconds: number, run: () => void) => () => void

const COMMIT_INTERVAL_MS = 5000

const everyInterval: Every = (milliseconds, run) => {
  const timer = setInterval(run, milliseconds)
  timer.unref()
  return () => clearInterval(timer)
}

class VolumeHandle implements FileHandle {
  readonly #files: VolumeFileSystem
  readonly #file: OpenFile

  constructor(files: VolumeFileSystem, file: OpenFile) {
    this.#files = files
    this.#file = file
  }

  async read(buffer: Uint8Array, position: number | null = null): Promise<number> {
    return this.#file.read(buffer, position)
  }

  async write(buffer: Uint8Array, position: number | null = null): Promise<number> {
    return this.#file.write(buffer, position)
  }

  async truncate(size: number): Promise<void> {
    this.#file.truncate(size)
  }

  async stat(): Promise<Stats> {
    return this.#file.stat()
  }

  async sync(): Promise<void> {
    const { transaction } = this.#files.volume.core
    if (transaction.syncMode === 'always' || !transaction.usable) return this.#file.sync()
    this.#file.stat() // a closed handle is EBADF, before anything is flushed
    await this.#files.sync()
  }

  async extents(): Promise<Layout> {
    return this.#file.extents()
  }

  async map(options?: MapOptions): Promise<FileMapping> {
    return this.#file.map(options)
  }

  async close(): Promise<void> {
    this.#file.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

export class VolumeFileSystem implements FileSystem {
  readonly volume: Volume
  readonly #stopCommits: () => void
  /** The commit on the thread, if one is under way. */
  #committing: Promise<void> | null = null

  /** Takes the volume over: closing the filesystem closes it. */
  constructor(volume: Volume, every: Every = everyInterval) {
    this.volume = volume
    const group = volume.core.transaction.syncMode === 'group'
    this.#stopCommits = group ? every(COMMIT_INTERVAL_MS, () => this.#commitInterval()) : () => {}
  }

  /** A failed commit has stopped the volume, and the next call says so. */
  #commitInterval(): void {
    if (this.#committing === null && this.volume.core.log.staged) this.sync().catch(() => {})
  }

  async open(
    path: Path,
    flags: OpenFlags = 'r',
    mode?: number,
    as?: Credentials,
  ): Promise<FileHandle> {
    return new VolumeHandle(this, this.volume.open(path, flags, mode, as))
  }

  async stat(path: Path, _as?: Credentials): Promise<Stats> {
    return this.volume.stat(path)
  }

  async truncate(path: Path, size: number, _as?: Credentials): Promise<void> {
    this.volume.truncate(path, size)
  }

  async mkdir(path: Path, mode?: number, as?: Credentials): Promise<void> {
    this.volume.mkdir(path, mode, as)
  }

  async rmdir(path: Path, _as?: Credentials): Promise<void> {
    this.volume.rmdir(path)
  }

  async unlink(path: Path, _as?: Credentials): Promise<void> {
    this.volume.unlink(path)
  }

  async rename(from: Path, to: Path, _as?: Credentials): Promise<void> {
    this.volume.rename(from, to)
  }

  async link(existing: Path, path: Path, _as?: Credentials): Promise<void> {
    this.volume.link(existing, path)
  }

  async readdir(
    path: Path,
    cookie?: number,
    limit?: number,
    _as?: Credentials,
  ): Promise<DirectoryEntry[]> {
    return this.volume.readdir(path, cookie, limit)
  }

  async extents(path: Path, _as?: Credentials): Promise<Layout> {
    return this.volume.extents(path)
  }

  async statfs(): Promise<StatFs> {
    return this.volume.statfs()
  }

  async sync(): Promise<void> {
    // One at a time: a second would be finished by the calling thread.
    while (this.#committing !== null) await this.#committing.catch(() => {})
    const commit = this.volume.syncAsync()
    this.#committing = commit
    try {
      await commit
    } finally {
      this.#committing = null
    }
  }

  async close(): Promise<void> {
    this.#stopCommits()
    // Whoever waited for the commit under way may begin another.
    while (this.#committing !== null) await this.#committing.catch(() => {})
    this.volume.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
