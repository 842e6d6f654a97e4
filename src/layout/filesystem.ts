/**
 * The FileSystem interface over a volume of this process.
 *
 * With sync 'group' it commits by itself every few seconds while something waits, on a thread; the
 * `sync` of the filesystem and of a file do so too, so that other work goes on.
 */
import type {
  AttributeFlags,
  Change,
  Credentials,
  DirectoryEntry,
  FileHandle,
  FileSystem,
  FollowOptions,
  InodeFlags,
  Layout,
  OpenFlags,
  Path,
  ReflinkOptions,
  RenameOptions,
  SetXattrOptions,
  WatchOptions,
  ConflictOptions,
  StatFs,
  Stats,
  Time,
} from '../base/filesystem.js'
import type { Defragmented, Evacuated, LayoutPolicy, MoveOptions } from '../base/layout.js'
import type { Session } from './session.js'
import { VolumeHandle } from './handle.js'
import type { LayoutVolume } from './volume.js'

/** Calls `run` every `milliseconds`; returns what ends it. */
export type Every = (milliseconds: number, run: () => void) => () => void

const COMMIT_INTERVAL_MS = 5000

const everyInterval: Every = (milliseconds, run) => {
  const timer = setInterval(run, milliseconds)
  timer.unref()
  return () => clearInterval(timer)
}

export class VolumeFileSystem implements FileSystem {
  readonly volume: LayoutVolume
  /** In whose name it asks; null: that of the program. */
  readonly asker: { readonly session: Session } | null
  readonly #stopCommits: () => void
  /** The commit on the thread, if one is under way. */
  #committing: Promise<void> | null = null

  /** Takes the volume over: closing the filesystem closes it. */
  constructor(volume: LayoutVolume, every: Every = everyInterval, session?: Session) {
    this.volume = volume
    this.asker = session === undefined ? null : { session }
    const group = volume.core.transaction.syncMode === 'group'
    this.#stopCommits = group ? every(COMMIT_INTERVAL_MS, () => this.#commitInterval()) : () => {}
  }

  /** A failed commit has stopped the volume, and the next call says so. */
  #commitInterval(): void {
    if (this.#committing === null && this.volume.core.log.staged) this.sync().catch(() => {})
  }

  /** What changes a layout recalls leases, and waits where the policy says so. */
  settle<T>(run: () => T, options?: ConflictOptions): Promise<T> {
    const { asker, volume } = this
    if (asker === null) return volume.promises.settle(run, options)
    return volume.promises.settle(() => volume.arbiter.during(asker, run), options)
  }

  /** A call in the name of who asks, which waits for nothing. */
  #own<T>(run: () => T): T {
    const { asker, volume } = this
    return asker === null ? run() : volume.arbiter.during(asker, run)
  }

  async open(
    path: Path,
    flags: OpenFlags | number = 'r',
    mode?: number,
    as?: Credentials,
    options?: ConflictOptions,
  ): Promise<FileHandle> {
    const file = await this.settle(() => this.volume.open(path, flags, mode, as), options)
    return new VolumeHandle(this, file)
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

  async truncate(
    path: Path,
    size: number,
    as?: Credentials,
    options?: ConflictOptions,
  ): Promise<void> {
    return this.settle(() => this.volume.truncate(path, size, as), options)
  }

  async mkdir(path: Path, mode?: number, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.mkdir(path, mode, as))
  }

  async rmdir(path: Path, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.rmdir(path, as))
  }

  async unlink(path: Path, as?: Credentials, options?: ConflictOptions): Promise<void> {
    return this.settle(() => this.volume.unlink(path, as), options)
  }

  async rename(from: Path, to: Path, options?: RenameOptions, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.rename(from, to, options, as), options)
  }

  async link(existing: Path, path: Path, options?: FollowOptions, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.link(existing, path, options, as))
  }

  async symlink(target: Path, path: Path, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.symlink(target, path, as))
  }

  async readlink(path: Path, as?: Credentials): Promise<Uint8Array> {
    return this.volume.readlink(path, as)
  }

  async mknod(path: Path, mode: number, device?: number, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.mknod(path, mode, device, as))
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
    return this.settle(() => this.volume.chmod(path, mode, as))
  }

  async chown(
    path: Path,
    uid: number,
    gid: number,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void> {
    return this.settle(() => this.volume.chown(path, uid, gid, options, as))
  }

  async utimes(
    path: Path,
    atime: Time,
    mtime: Time,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void> {
    this.#own(() => this.volume.utimes(path, atime, mtime, options, as))
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
    return this.settle(() => this.volume.setXattr(path, name, value, options, as))
  }

  async removeXattr(
    path: Path,
    name: string,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void> {
    return this.settle(() => this.volume.removeXattr(path, name, options, as))
  }

  async listXattrs(path: Path, options?: FollowOptions, as?: Credentials): Promise<string[]> {
    return this.volume.listXattrs(path, options, as)
  }

  async inodeFlags(path: Path, as?: Credentials): Promise<InodeFlags> {
    return this.volume.inodeFlags(path, as)
  }

  async setInodeFlags(path: Path, flags: Partial<AttributeFlags>, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.setInodeFlags(path, flags, as))
  }

  async extents(path: Path, as?: Credentials): Promise<Layout> {
    return this.volume.extents(path, as)
  }

  async fix(path: Path, options?: MoveOptions, as?: Credentials): Promise<void> {
    return this.volume.promises.fix(path, { ...options, as })
  }

  async unfix(path: Path, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.unfix(path, as))
  }

  async sealWrites(
    path: Path,
    options?: { readonly off?: boolean },
    as?: Credentials,
  ): Promise<void> {
    this.#own(() => this.volume.sealWrites(path, options, as))
  }

  async setPolicy(path: Path, policy: LayoutPolicy | null, as?: Credentials): Promise<void> {
    return this.settle(() => this.volume.setPolicy(path, policy, as))
  }

  async reflink(from: Path, to: Path, options?: ReflinkOptions, as?: Credentials): Promise<void> {
    return this.volume.promises.reflink(from, to, { ...options, as })
  }

  async snapshot(from: Path, to: Path, options?: ReflinkOptions, as?: Credentials): Promise<void> {
    return this.volume.promises.snapshot(from, to, { ...options, as })
  }

  async defragment(path: Path, options?: MoveOptions, as?: Credentials): Promise<Defragmented> {
    return this.volume.promises.defragment(path, { ...options, as })
  }

  async evacuate(
    from: number,
    to: number,
    options?: MoveOptions,
    as?: Credentials,
  ): Promise<Evacuated> {
    return this.volume.promises.evacuate(from, to, { ...options, as })
  }

  async statfs(): Promise<StatFs> {
    return this.volume.statfs()
  }

  watch(listener: (change: Change) => void, options?: WatchOptions): () => void {
    const { volume } = this
    return volume.watchFor(options?.others === true ? this.session : null, listener)
  }

  get session(): Session {
    return this.asker?.session ?? this.volume.self
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
