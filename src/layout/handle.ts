/** An open file of a volume of this process, as the FileSystem interface has them. */
import type {
  AllocateOptions,
  ConflictOptions,
  Credentials,
  DirectFile,
  DirectoryEntry,
  FileHandle,
  HeldLock,
  HeldRange,
  Layout,
  LockWait,
  Path,
  PinOptions,
  RangeLock,
  Readable,
  ReflinkOptions,
  Stats,
  StreamOptions,
  Time,
  Writable,
} from '../base/filesystem.js'
import { HoldfastError } from '../base/errors.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import type { BytePlaces } from '../base/places.js'
import { readStreamOf, writeStreamOf } from '../base/streams.js'
import type { Region } from '../region/region.js'
import { BEHIND } from './alone.js'
import type { LayoutFile } from './file.js'
import type { VolumeFileSystem } from './filesystem.js'

export class VolumeHandle implements FileHandle, DirectFile {
  readonly #files: VolumeFileSystem
  readonly #file: LayoutFile
  readonly #region: Region

  constructor(files: VolumeFileSystem, file: LayoutFile) {
    this.#files = files
    this.#file = file
    this.#region = files.volume.region
    file.asker = files.asker
  }

  /** What changes a layout recalls leases, and waits where the policy says so. */
  #settle<T>(run: () => T, options?: ConflictOptions): Promise<T> {
    return this.#files.settle(run, options)
  }

  get direct(): DirectFile | undefined {
    return this.#region.memory === null ? undefined : this
  }

  get memory(): number {
    return this.#region.memory!
  }

  locate(position: number, length: number, places: BytePlaces): number {
    return this.#file.locate(position, length, places)
  }

  writeNow(buffer: Uint8Array, position: number, later: boolean): boolean {
    const { arbiter, waiting } = this.#files.volume
    if (waiting.alone.keeps(BEHIND)) return false
    arbiter.beginTry()
    try {
      if (later) this.#file.writeBack(buffer, position)
      else this.#file.write(buffer, position)
      return true
    } catch (error) {
      // What waiting would do away with.
      if (arbiter.conflict !== null && (error as HoldfastError).code === 'EBUSY') return false
      throw error
    } finally {
      arbiter.trying = false
    }
  }

  statNow(): Stats {
    return this.#file.stat()
  }

  readdirNow(cookie: number, limit: number): DirectoryEntry[] {
    return this.#file.readdir(cookie, limit)
  }

  closeNow(): void {
    this.#file.close()
  }

  async read(buffer: Uint8Array, position: number | null = null): Promise<number> {
    return this.#file.read(buffer, position)
  }

  async write(
    buffer: Uint8Array,
    position: number | null = null,
    options?: ConflictOptions,
  ): Promise<number> {
    return this.#settle(() => this.#file.write(buffer, position), options)
  }

  async truncate(size: number, options?: ConflictOptions): Promise<void> {
    return this.#settle(() => this.#file.truncate(size), options)
  }

  async stat(): Promise<Stats> {
    return this.#file.stat()
  }

  async extents(): Promise<Layout> {
    return this.#file.extents()
  }

  async chmod(mode: number): Promise<void> {
    return this.#settle(() => this.#file.chmod(mode))
  }

  async chown(uid: number, gid: number): Promise<void> {
    return this.#settle(() => this.#file.chown(uid, gid))
  }

  async utimes(atime: Time, mtime: Time): Promise<void> {
    this.#file.utimes(atime, mtime)
  }

  async getXattr(name: string): Promise<Uint8Array> {
    return this.#file.getXattr(name)
  }

  async setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): Promise<void> {
    return this.#settle(() => this.#file.setXattr(name, value, mode))
  }

  async removeXattr(name: string): Promise<void> {
    return this.#settle(() => this.#file.removeXattr(name))
  }

  async listXattrs(): Promise<string[]> {
    return this.#file.listXattrs()
  }

  async readdir(cookie?: number, limit?: number): Promise<DirectoryEntry[]> {
    return this.#file.readdir(cookie, limit)
  }

  async allocate(offset: number, length: number, options?: AllocateOptions): Promise<void> {
    return this.#settle(() => this.#file.allocate(offset, length, options), options)
  }

  async punch(offset: number, length: number, options?: ConflictOptions): Promise<void> {
    return this.#settle(() => this.#file.punch(offset, length), options)
  }

  async zeroRange(
    offset: number,
    length: number,
    options?: { readonly keepSize?: boolean } & ConflictOptions,
  ): Promise<void> {
    return this.#settle(() => this.#file.zeroRange(offset, length, options), options)
  }

  async collapse(offset: number, length: number, options?: ConflictOptions): Promise<void> {
    return this.#settle(() => this.#file.collapse(offset, length), options)
  }

  async insert(offset: number, length: number, options?: ConflictOptions): Promise<void> {
    return this.#settle(() => this.#file.insert(offset, length), options)
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
    return this.#settle(() => this.#file.link(path, as))
  }

  async close(): Promise<void> {
    this.#file.close()
  }

  async pin(options: PinOptions): Promise<HeldRange> {
    return this.#files.volume.promises.pin(this.#file, options)
  }

  async map(options?: MapOptions): Promise<FileMapping> {
    return this.#settle(() => this.#file.map(options))
  }

  async copyRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
  ): Promise<number> {
    if (!(to instanceof VolumeHandle)) throw new HoldfastError('EXDEV')
    return this.#settle(() => this.#file.copyRange(offset, to.#file, toOffset, length))
  }

  async reflinkRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
    options: ReflinkOptions = {},
  ): Promise<void> {
    if (!(to instanceof VolumeHandle)) throw new HoldfastError('EXDEV')
    const run = () => this.#file.reflinkRange(offset, to.#file, toOffset, length, options)
    return this.#settle(run, options)
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
