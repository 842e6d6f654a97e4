/**
 * The FileSystem interface over a volume of this process.
 *
 * With sync 'group' it commits by itself every few seconds while something waits, on a thread; the
 * `sync` of the filesystem and of a file do so too, so that other work goes on.
 */
import type {
  AllocateOptions,
  Change,
  Credentials,
  DirectoryEntry,
  FileHandle,
  FileSystem,
  FollowOptions,
  HeldLock,
  InodeFlags,
  Layout,
  LockWait,
  OpenFlags,
  Path,
  RangeLock,
  Readable,
  RenameOptions,
  SetXattrOptions,
  StatFs,
  Stats,
  StreamOptions,
  Time,
  Writable,
} from '../base/filesystem.js'
import { HoldfastError } from '../base/errors.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import { readStreamOf, writeStreamOf } from '../base/streams.js'
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

  async extents(): Promise<Layout> {
    return this.#file.extents()
  }

  async chmod(mode: number): Promise<void> {
    this.#file.chmod(mode)
  }

  async chown(uid: number, gid: number): Promise<void> {
    this.#file.chown(uid, gid)
  }

  async utimes(atime: Time, mtime: Time): Promise<void> {
    this.#file.utimes(atime, mtime)
  }

  async getXattr(name: string): Promise<Uint8Array> {
    return this.#file.getXattr(name)
  }

  async setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): Promise<void> {
    this.#file.setXattr(name, value, mode)
  }

  async removeXattr(name: string): Promise<void> {
    this.#file.removeXattr(name)
  }

  async listXattrs(): Promise<string[]> {
    return this.#file.listXattrs()
  }

  async readdir(cookie?: number, limit?: number): Promise<DirectoryEntry[]> {
    return this.#file.readdir(cookie, limit)
  }

  async allocate(offset: number, length: number, options?: AllocateOptions): Promise<void> {
    this.#file.allocate(offset, length, options)
  }

  async punch(offset: number, length: number): Promise<void> {
    this.#file.punch(offset, length)
  }

  async zeroRange(
    offset: number,
    length: number,
    options?: { readonly keepSize?: boolean },
  ): Promise<void> {
    this.#file.zeroRange(offset, length, options)
  }

  async collapse(offset: number, length: number): Promise<void> {
    this.#file.collapse(offset, length)
  }

  async insert(offset: number, length: number): Promise<void> {
    this.#file.insert(offset, length)
  }

  async seek(offset: number, what: 'data' | 'hole'): Promise<number> {
    return this.#file.seek(offset, what)
  }

  async lock(lock: RangeLock, options?: LockWait): Promise<void> {
    return this.#file.lock(lock, options)
  }

  async unlock(range: Omit<RangeLock, 'type'>): Promise<void> {
    this.#file.unlock(range)
  }

  async testLock(lock: RangeLock): Promise<HeldLock | null> {
    return this.#file.testLock(lock)
  }

  async flock(type: 'shared' | 'exclusive' | 'unlock', options?: LockWait): Promise<void> {
    return this.#file.flock(type, options)
  }

  async link(path: Path, as?: Credentials): Promise<void> {
    this.#file.link(path, as)
  }

  async close(): Promise<void> {
    this.#file.close()
  }

  async map(options?: MapOptions): Promise<FileMapping> {
    return this.#file.map(options)
  }

  async copyRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
  ): Promise<number> {
    if (!(to instanceof VolumeHandle)) throw new HoldfastError('EXDEV')
    return this.#file.copyRange(offset, to.#file, toOffset, length)
  }

  async sync(): Promise<void> {
    const { transaction } = this.#files.volume.core
    if (transaction.syncMode === 'always' || !transaction.usable) return this.#file.sync()
    this.#file.stat() // a closed handle is EBADF, before anything is flushed
    await this.#files.sync()
  }

  createReadStream(options?: StreamOptions): Readable {
    return readStreamOf(this, options)
  }

  createWriteStream(options?: StreamOptions): Writable {
    return writeStreamOf(this, options)
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
    flags: OpenFlags | number = 'r',
    mode?: number,
    as?: Credentials,
  ): Promise<FileHandle> {
    return new VolumeHandle(this, this.volume.open(path, flags, mode, as))
  }

  async stat(path: Path, as?: Credentials): Promise<Stats> {
    return this.volume.stat(path, as)
  }

  async lstat(path: Path, as?: Credentials): Promise<Stats> {
    return this.volume.lstat(path, as)
  }

  async access(path: Path, want: number, as?: Credentials): Promise<void> {
    this.volume.access(path, want, as)
  }

  async truncate(path: Path, size: number, as?: Credentials): Promise<void> {
    this.volume.truncate(path, size, as)
  }

  async mkdir(path: Path, mode?: number, as?: Credentials): Promise<void> {
    this.volume.mkdir(path, mode, as)
  }

  async rmdir(path: Path, as?: Credentials): Promise<void> {
    this.volume.rmdir(path, as)
  }

  async unlink(path: Path, as?: Credentials): Promise<void> {
    this.volume.unlink(path, as)
  }

  async rename(from: Path, to: Path, options?: RenameOptions, as?: Credentials): Promise<void> {
    this.volume.rename(from, to, options, as)
  }

  async link(existing: Path, path: Path, options?: FollowOptions, as?: Credentials): Promise<void> {
    this.volume.link(existing, path, options, as)
  }

  async symlink(target: Path, path: Path, as?: Credentials): Promise<void> {
    this.volume.symlink(target, path, as)
  }

  async readlink(path: Path, as?: Credentials): Promise<Uint8Array> {
    return this.volume.readlink(path, as)
  }

  async mknod(path: Path, mode: number, device?: number, as?: Credentials): Promise<void> {
    this.volume.mknod(path, mode, device, as)
  }

  async readdir(
    path: Path,
    cookie?: number,
    limit?: number,
    as?: Credentials,
  ): Promise<DirectoryEntry[]> {
    return this.volume.readdir(path, cookie, limit, as)
  }

  async chmod(path: Path, mode: number, as?: Credentials): Promise<void> {
    this.volume.chmod(path, mode, as)
  }

  async chown(
    path: Path,
    uid: number,
    gid: number,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void> {
    this.volume.chown(path, uid, gid, options, as)
  }

  async utimes(
    path: Path,
    atime: Time,
    mtime: Time,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void> {
    this.volume.utimes(path, atime, mtime, options, as)
  }

  async getXattr(
    path: Path,
    name: string,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<Uint8Array> {
    return this.volume.getXattr(path, name, options, as)
  }

  async setXattr(
    path: Path,
    name: string,
    value: Uint8Array,
    options?: SetXattrOptions,
    as?: Credentials,
  ): Promise<void> {
    this.volume.setXattr(path, name, value, options, as)
  }

  async removeXattr(
    path: Path,
    name: string,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void> {
    this.volume.removeXattr(path, name, options, as)
  }

  async listXattrs(path: Path, options?: FollowOptions, as?: Credentials): Promise<string[]> {
    return this.volume.listXattrs(path, options, as)
  }

  async inodeFlags(path: Path, as?: Credentials): Promise<InodeFlags> {
    return this.volume.inodeFlags(path, as)
  }

  async setInodeFlags(path: Path, flags: Partial<InodeFlags>, as?: Credentials): Promise<void> {
    this.volume.setInodeFlags(path, flags, as)
  }

  async extents(path: Path, as?: Credentials): Promise<Layout> {
    return this.volume.extents(path, as)
  }

  async statfs(): Promise<StatFs> {
    return this.volume.statfs()
  }

  watch(listener: (change: Change) => void): () => void {
    return this.volume.watch(listener)
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
