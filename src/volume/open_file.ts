/** An open file or directory: a position, what it may do, and the inode that it keeps alive. */
import { checkBytes } from '../base/bytes.js'
import { checkChoice } from '../base/choice.js'
import { HoldfastError } from '../base/errors.js'
import type {
  AllocateOptions,
  Credentials,
  DirectoryEntry,
  HeldLock,
  Layout,
  LockOwner,
  ShareOptions,
  LockWait,
  Path,
  RangeLock,
  Stats,
  Time,
} from '../base/filesystem.js'
import type { InodeHandle } from '../base/layout.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import type { BytePlaces } from '../base/places.js'
import { Inode } from '../media/inode.js'
import type { OpenInode } from './open_inodes.js'
import type { OpenWish } from '../base/open_flags.js'
import { checkSize } from './files.js'
import type { Volume } from './volume.js'

export class OpenFile {
  readonly #volume: Volume
  readonly #inode: OpenInode
  readonly #wish: OpenWish
  readonly #as: Credentials
  /** Whether it is a directory: those have no bytes. */
  readonly #isDirectory: boolean
  #position = 0
  #closed = false
  /** Owners that took byte-range locks through this handle: its close ends theirs. */
  #lockOwners: Set<LockOwner> | null = null

  /** Who asks through it, in the guard's terms; null: whoever asks by default. */
  asker: object | null = null

  /** Place in the volume's list of handles. */
  index: number

  constructor(volume: Volume, inode: OpenInode, wish: OpenWish, as: Credentials, index: number) {
    this.index = index
    this.#volume = volume
    this.#inode = inode
    this.#wish = wish
    this.#as = as
    const { inodes } = volume.core
    this.#isDirectory = inodes.isDirectory(inodes.get(inode.number))
  }

  /** Its inode, for what is built over it. */
  get inode(): OpenInode {
    return this.#inode
  }

  get wish(): OpenWish {
    return this.#wish
  }

  get as(): Credentials {
    return this.#as
  }

  /** Inode number. */
  get ino(): number {
    return this.#inode.number
  }

  /** What names this file, whatever becomes of its names, and no other file ever. */
  get handle(): InodeHandle {
    return { ino: this.ino, generation: this.stat().generation }
  }

  // ---- bytes -----------------------------------------------------------------------------------

  /** Reads into `buffer`; returns bytes, fewer at the end of the file. `position` null: its own. */
  read(buffer: Uint8Array, position: number | null = null): number {
    this.#enter('read', this.#wish.read, position)
    if (this.#isDirectory) throw new HoldfastError('EISDIR', undefined, { syscall: 'read' })
    checkBytes(buffer)
    const at = position ?? this.#position
    const n = this.#volume.files.read(this.#inode.number, buffer, 0, buffer.length, at)
    if (!this.#wish.noAtime && buffer.length > 0) this.#volume.times.accessed(this.#inode)
    if (position === null) this.#position += n
    return n
  }

  /**
   * Tells where bytes [position, position + length) are, for who moves them in this turn; returns
   * how many, fewer at the end of the file. `Region.check` afterwards says whether they were good.
   */
  locate(position: number, length: number, places: BytePlaces): number {
    this.#enter('read', this.#wish.read, position)
    if (this.#isDirectory) throw new HoldfastError('EISDIR', undefined, { syscall: 'read' })
    const n = this.#volume.files.locate(this.#inode.number, length, position, places)
    if (!this.#wish.noAtime && length > 0) this.#volume.times.accessed(this.#inode)
    return n
  }

  /** Writes all of `buffer`; on an append handle always at the end. Returns bytes. */
  write(buffer: Uint8Array, position: number | null = null): number {
    this.#enter('write', this.#wish.write, position)
    checkBytes(buffer)
    const { core, writes } = this.#volume
    let offset = position ?? this.#position
    if (this.#wish.append) offset = core.inodes.size(core.inodes.get(this.#inode.number))
    writes.write(this.#inode, buffer, 0, buffer.length, offset)
    if (position === null) this.#position = offset + buffer.length
    if (this.#wish.sync) this.#volume.syncInode(this.#inode)
    return buffer.length
  }

  /** The same of what a cache writes later, which says itself when that was changed. */
  writeBack(buffer: Uint8Array, position: number): number {
    const { mtimeSeconds, mtimeNanoseconds } = this.stat()
    const n = this.write(buffer, position)
    this.#volume.times.keep(this.#inode, mtimeSeconds, mtimeNanoseconds)
    return n
  }

  truncate(size: number): void {
    checkSize(size)
    this.#enter('ftruncate', true, 0)
    if (!this.#wish.write || this.#isDirectory) {
      throw new HoldfastError('EINVAL', 'the handle does not write', { syscall: 'ftruncate' })
    }
    this.#change('ftruncate', () => this.#volume.files.truncate(this.#inode.number, size))
  }

  /** Blocks for a range, zeroed where there were none. */
  allocate(offset: number, length: number, options: AllocateOptions = {}): void {
    this.#changeRange(offset, length, () => {
      this.#volume.ranges.allocate(this.#inode, offset, length, options)
    })
  }

  /** Frees the blocks of a range; it reads as zeros, the size stays. */
  punch(offset: number, length: number): void {
    this.#changeRange(offset, length, () => {
      this.#volume.ranges.punch(this.#inode, offset, length)
    })
  }

  /** The range reads as zeros and has blocks. */
  zeroRange(offset: number, length: number, options: { readonly keepSize?: boolean } = {}): void {
    this.#changeRange(offset, length, () => {
      this.#volume.ranges.zero(this.#inode, offset, length, options.keepSize)
    })
  }

  /** Takes a range of whole blocks out; what is behind it moves down. */
  collapse(offset: number, length: number): void {
    this.#changeRange(offset, length, () => {
      this.#volume.ranges.collapse(this.#inode, offset, length)
    })
  }

  /** Puts a hole of whole blocks in; what is behind it moves up. */
  insert(offset: number, length: number): void {
    this.#changeRange(offset, length, () => {
      this.#volume.ranges.insert(this.#inode, offset, length)
    })
  }

  /** The next byte from `offset` on that is in data or in a hole; ENXIO past the end. */
  seek(offset: number, what: 'data' | 'hole'): number {
    return this.#call('lseek', () => {
      if (this.#isDirectory) throw new HoldfastError('EINVAL', 'a directory has no holes')
      checkChoice('what', what, ['data', 'hole'])
      if (!Number.isSafeInteger(offset) || offset < 0) throw new HoldfastError('ENXIO')
      return this.#volume.ranges.seek(this.#inode.number, offset, what)
    })
  }

  /** Copies bytes to another handle of the same volume; returns how many. */
  copyRange(offset: number, to: OpenFile, toOffset: number, length: number): number {
    return this.#call('copy_file_range', () => {
      if (to.#volume !== this.#volume) throw new HoldfastError('EXDEV')
      if (this.#isDirectory || to.#isDirectory) throw new HoldfastError('EISDIR')
      if (!this.#wish.read || !to.#wish.write || to.#wish.append || to.#closed) {
        throw new HoldfastError(
          'EBADF',
          'read from one handle, written (not appended) to the other',
        )
      }
      const { times, copying } = this.#volume
      const n = copying.copy(this.ino, offset, to.#inode, toOffset, length)
      if (!this.#wish.noAtime) times.accessed(this.#inode)
      return n
    })
  }

  /**
   * A range of this file becomes a range of another handle's, without a copy: both have the same
   * blocks until one is written to (FICLONERANGE). Whole blocks; length 0: to the end of the file.
   */
  reflinkRange(
    offset: number,
    to: OpenFile,
    toOffset: number,
    length: number,
    _options: ShareOptions = {},
  ): void {
    const { sharing } = this.#volume
    this.#shareInto(to, () => sharing.reflink(this.ino, offset, to.#inode, toOffset, length))
  }

  /** All of this file becomes all of another handle's (FICLONE, with the size). */
  reflinkAll(to: OpenFile): void {
    const { sharing } = this.#volume
    this.#shareInto(to, () => sharing.clone(this.ino, to.#inode))
  }

  #shareInto(to: OpenFile, run: () => void): void {
    this.#call(
      'reflink',
      () => {
        if (to.#volume !== this.#volume) throw new HoldfastError('EXDEV')
        if (this.#isDirectory || to.#isDirectory) throw new HoldfastError('EISDIR')
        if (!this.#wish.read || !to.#wish.write || to.#wish.append || to.#closed) {
          throw new HoldfastError(
            'EBADF',
            'read from one handle, written (not appended) to the other',
          )
        }
        run()
      },
      true,
    )
  }

  // ---- attributes ------------------------------------------------------------------------------

  stat(): Stats {
    this.#enter('fstat', true, 0)
    return this.#volume.statInode(this.#inode.number)
  }

  chmod(mode: number): void {
    this.#call('fchmod', () => this.#attributes.chmod(this.ino, mode), true)
  }

  /** -1 leaves the one as it is. */
  chown(uid: number, gid: number): void {
    this.#call('fchown', () => this.#attributes.chown(this.ino, uid, gid), true)
  }

  utimes(atime: Time, mtime: Time): void {
    this.#call('futimens', () => this.#attributes.utimes(this.ino, atime, mtime), true)
  }

  getXattr(name: string): Uint8Array {
    return this.#call('fgetxattr', () => this.#attributes.getXattr(this.ino, name))
  }

  setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): void {
    this.#call('fsetxattr', () => this.#attributes.setXattr(this.ino, name, value, mode), true)
  }

  removeXattr(name: string): void {
    this.#call('fremovexattr', () => this.#attributes.removeXattr(this.ino, name), true)
  }

  listXattrs(): string[] {
    return this.#call('flistxattr', () => this.#attributes.listXattrs(this.ino))
  }

  get #attributes() {
    return this.#volume.attributes
  }

  /** Entries of an open directory. */
  readdir(cookie = 0, limit = Infinity): DirectoryEntry[] {
    return this.#call('readdir', () => {
      if (!this.#isDirectory) throw new HoldfastError('ENOTDIR')
      const { core } = this.#volume
      if (core.pages.u32[core.inodes.get(this.ino) + Inode.word.links]! === 0) return []
      return this.#volume.readdirInode(this.ino, cookie, limit)
    })
  }

  /** The layout, where the blocks are, and its id; or a part of it, as `Volume.extents`. */
  extents(from = 0, most = Infinity): Layout {
    this.#enter('extents', true, 0)
    return this.#volume.layoutOf(this.#inode.number, from, most)
  }

  /** How often the layout has changed: half of its id. */
  get layoutGeneration(): number {
    this.#enter('extents', true, 0)
    return this.#volume.files.generation(this.ino)
  }

  /**
   * The file as memory: one run of addresses over all its extents. It stays when this handle is
   * closed. EOPNOTSUPP where the region cannot be mapped, or not in pieces as small as the file's.
   */
  map(options: MapOptions = {}): FileMapping {
    return this.#call('mmap', () => {
      this.demandMappable(options)
      return this.#volume.mappings.map(this.#inode, options)
    })
  }

  protected demandMappable(options: MapOptions): void {
    const { read, write } = this.#wish
    if (!read || (options.write === true && !write)) {
      throw new HoldfastError('EACCES', 'mapping takes a handle that reads, and writes to write')
    }
    if (this.#isDirectory) throw new HoldfastError('ENODEV', 'a directory has no bytes to map')
  }

  /** EISDIR: what a directory is made of is the volume's. */
  protected demandBytes(): void {
    if (this.#isDirectory) throw new HoldfastError('EISDIR')
  }

  /** Gives a file that was opened with O_TMPFILE a name. */
  link(path: Path, as: Credentials = this.#as): void {
    this.#enter('link', true, 0)
    this.#volume.linkInode(this.ino, path, as)
  }

  // ---- locks -----------------------------------------------------------------------------------

  /** Takes a byte-range lock, or throws EAGAIN. */
  tryLock(lock: RangeLock): void {
    this.#enterLock(lock)
    this.#volume.locks.tryLock(this.ino, this.#locker(lock.owner), rangeOf(lock))
  }

  /** Waits for it: EDEADLK, EINTR, or EBADF when the handle is closed meanwhile. */
  async lock(lock: RangeLock, options: LockWait = {}): Promise<void> {
    if (options.wait !== true) return this.tryLock(lock)
    this.#enterLock(lock)
    const { locks } = this.#volume
    await locks.lock(this.ino, this.#locker(lock.owner), rangeOf(lock), options.signal)
  }

  unlock(range: Omit<RangeLock, 'type'>): void {
    this.#enter('unlock', true, 0)
    const lock = rangeOf({ ...range, type: 'read' })
    this.#volume.locks.unlock(this.ino, this.#locker(range.owner), lock)
  }

  /** The first lock that is in the way of this one. */
  testLock(lock: RangeLock): HeldLock | null {
    this.#enter('lock', true, 0)
    const found = this.#volume.locks.test(this.ino, this.#locker(lock.owner), rangeOf(lock))
    if (found === null) return null
    const { type, start, length, owner, ofd } = found
    return { type, start, length, owner: ofd ? undefined : owner }
  }

  /** A lock on the whole file for this handle, or EAGAIN. */
  tryFlock(type: 'shared' | 'exclusive' | 'unlock'): void {
    this.#enter('flock', true, 0)
    const { locks } = this.#volume
    if (type === 'unlock') locks.unlockWhole(this.ino, this.#locker(undefined))
    else locks.tryLockWhole(this.ino, this.#locker(undefined), type)
  }

  async flock(type: 'shared' | 'exclusive' | 'unlock', options: LockWait = {}): Promise<void> {
    if (type === 'unlock' || options.wait !== true) return this.tryFlock(type)
    this.#enter('flock', true, 0)
    const { locks } = this.#volume
    await locks.lockWhole(this.ino, this.#locker(undefined), type, options.signal)
  }

  #enterLock(lock: RangeLock): void {
    // As fcntl(2): a read lock needs a handle that reads, a write lock one that writes.
    const may = lock.type === 'read' ? this.#wish.read : this.#wish.write
    this.#enter('lock', may, 0)
    if (lock.owner === undefined) return
    this.#lockOwners ??= new Set()
    this.#lockOwners.add(lock.owner)
  }

  #locker(owner: LockOwner): { owner: LockOwner; handle: OpenFile } {
    return { owner: owner ?? this, handle: this }
  }

  // ---- durability and the end ------------------------------------------------------------------

  /** Data and metadata of this file are durable when it returns. */
  sync(): void {
    this.#enter('fsync', true, 0)
    this.#volume.syncInode(this.#inode)
  }

  close(): void {
    if (this.#closed) return
    const { locks, core } = this.#volume
    core.guard.demandOutside()
    this.#closed = true
    if (this.#lockOwners !== null) {
      for (const owner of this.#lockOwners) locks.releaseOwner(this.ino, owner)
    }
    locks.releaseHandle(this.ino, this)
    this.#volume.release(this, this.#inode)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** fallocate(2) looks at its range before the handle. */
  #changeRange(offset: number, length: number, run: () => void): void {
    this.#enter('fallocate', true, 0)
    if (!(offset >= 0) || !(length > 0)) {
      throw new HoldfastError('EINVAL', `a range of ${length} bytes at ${offset}`, {
        syscall: 'fallocate',
      })
    }
    this.#change('fallocate', run)
  }

  /** Runs a call of what is built over it, as one of its own. */
  protected enter<T>(syscall: string, run: () => T, changes = false): T {
    return this.#call(syscall, run, changes)
  }

  /** A call on the bytes of a file, by a handle that writes. */
  #change(syscall: string, run: () => void): void {
    if (this.#wish.write && this.#isDirectory) throw new HoldfastError('EISDIR')
    this.#enter(syscall, this.#wish.write, 0)
    this.#call(syscall, run, true)
  }

  #call<T>(syscall: string, run: () => T, changes = false): T {
    this.#enter(syscall, true, 0)
    return this.#volume.call(syscall, undefined, this.#as, () => {
      this.#volume.core.guard.ask(this.asker)
      if (changes) this.#volume.checkWritable()
      return run()
    })
  }

  /** What comes before everything else; nothing here is made but on failure. */
  #enter(syscall: string, allowed: boolean, position: number | null): void {
    if (this.#closed) throw new HoldfastError('EBADF', 'the handle is closed', { syscall })
    if (!allowed)
      throw new HoldfastError('EBADF', `the handle is not open for ${syscall}`, { syscall })
    if (position !== null && (!Number.isSafeInteger(position) || position < 0)) {
      throw new HoldfastError('EINVAL', `position ${position}`, { syscall })
    }
    const { core } = this.#volume
    core.transaction.checkReadable()
    core.access.as = this.#as
    core.guard.ask(this.asker)
    core.pages.tick()
  }
}

/** A lock as the lock table has it. */
function rangeOf({ type, start = 0, length = 0, owner }: RangeLock) {
  return { type, start, length, ofd: owner === undefined }
}
