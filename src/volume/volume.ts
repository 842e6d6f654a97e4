/**
 * An open volume: every operation, synchronous. A call either is done when it returns or throws a
 * HoldfastError and has changed nothing.
 */
import { HoldfastError } from '../base/errors.js'
import type {
  AttributeFlags,
  Credentials,
  DirectoryEntry,
  FollowOptions,
  InodeFlags,
  Layout,
  OpenFlags,
  Path,
  RenameOptions,
  SetXattrOptions,
  ShareOptions,
  StatFs,
  Time,
} from '../base/filesystem.js'
import type { InodeHandle } from '../base/layout.js'
import { BLOCK_BYTES, NAME_BYTES_MAX } from '../base/limits.js'
import { checkNode, Mode, Want } from '../base/mode.js'
import { Stats } from '../base/stats.js'
import { Inode, InodeFlag } from '../media/inode.js'
import type { Region } from '../region/region.js'
import { ROOT_USER } from './access.js'
import { checkSize } from './files.js'
import { mountVolume, type MountOptions } from './mount.js'
import { MountedVolume } from './mounted.js'
import type { OpenFile } from './open_file.js'
import { demandHandle, demandOpenable } from './opening.js'
import { O, parseFlags, type OpenWish } from '../base/open_flags.js'
import { asBytes } from './paths.js'

const at = Inode.word
const SLASH = 0x2f
/** Bytes that one typed array has on every engine that is supported (Node 20: 4 GiB). */
const WHOLE_FILE_BYTES_MAX = 0x1_0000_0000

export class Volume extends MountedVolume {
  /** Mounts the volume in `region`, which the caller keeps and closes after the volume. */
  static mount(region: Region, options: MountOptions = {}): Volume {
    return new Volume(mountVolume(region, options), options)
  }

  // ---- files -----------------------------------------------------------------------------------

  open(
    path: Path,
    flags: OpenFlags | number = 'r',
    mode = 0o666,
    as: Credentials = ROOT_USER,
  ): OpenFile {
    return this.call('open', path, as, () => {
      const wish = parseFlags(flags)
      this.checkHandles()
      if (wish.unnamed) return this.#openUnnamed(path, wish, mode, as)
      const { paths } = this.core
      const name = this.name
      name.set(path)
      paths.toParent(name)
      if (wish.create) paths.refuseSlash(name)
      let number = paths.lookUp(name, !wish.noFollow && !wish.exclusive, wish.create)
      if (number !== 0 && wish.exclusive) throw new HoldfastError('EEXIST')
      if (number === 0) {
        if (!wish.create) throw new HoldfastError('ENOENT')
        this.checkWritable()
        number = this.namespace.create(name, mode)
      } else this.#openThere(number, wish, name.directoryOnly)
      return this.addHandle(number, wish, as)
    })
  }

  /** Opens what a handle names (open_by_handle_at(2)): its own permissions count, no path's. */
  openInode(
    handle: InodeHandle,
    flags: OpenFlags | number = 'r',
    as: Credentials = ROOT_USER,
  ): OpenFile {
    return this.call('open', undefined, as, () => {
      const wish = parseFlags(flags)
      if (wish.create || wish.unnamed || wish.exclusive) {
        throw new HoldfastError('EINVAL', 'by its handle a file is opened, not made')
      }
      this.checkHandles()
      const number = demandHandle(this.core, handle)
      this.#openThere(number, wish, false)
      const file = this.addHandle(number, wish, as)
      const { inodes, pages } = this.core
      // An orphan of the crash: from here on it goes with its last handle.
      if (pages.u32[inodes.get(number) + at.links] === 0) file.inode.unlinked = true
      return file
    })
  }

  #openThere(number: number, wish: OpenWish, directoryOnly: boolean): void {
    demandOpenable(this.core, number, wish, directoryOnly)
    if (wish.truncate && this.core.inodes.isFile(this.core.inodes.get(number))) {
      this.files.truncate(number, 0)
    }
  }

  /** O_TMPFILE: a file in no directory; `path` says whose permissions count. */
  #openUnnamed(path: Path, wish: OpenWish, mode: number, as: Credentials): OpenFile {
    this.name.set(path)
    const directory = this.core.paths.resolve(this.name)
    if (!this.core.inodes.isDirectory(this.core.inodes.get(directory))) {
      throw new HoldfastError('ENOTDIR')
    }
    this.checkWritable()
    const number = this.namespace.createUnnamed(directory, mode)
    const file = this.addHandle(number, wish, as)
    const inode = this.core.opens.get(number)!
    inode.unlinked = true
    inode.linkable = !wish.exclusive
    return file
  }

  truncate(path: Path, size: number, as?: Credentials): void {
    this.call('truncate', path, as, () => {
      checkSize(size)
      const { inodes, access } = this.core
      const number = this.#resolve(path, true)
      const w = inodes.get(number)
      if (inodes.isDirectory(w)) throw new HoldfastError('EISDIR')
      if (!inodes.isFile(w)) throw new HoldfastError('EINVAL', 'only a file has a size to change')
      this.checkWritable()
      access.demand(w, Want.write)
      if (inodes.has(w, InodeFlag.append)) throw new HoldfastError('EPERM', 'it is append-only')
      this.files.truncate(number, size)
    })
  }

  /** Bytes of a whole file. */
  readFile(path: Path, as?: Credentials): Uint8Array {
    const file = this.open(path, 'r', 0, as)
    try {
      const { size } = file.stat()
      if (size > WHOLE_FILE_BYTES_MAX) {
        const why = `${size} bytes are too many for one array: read in parts`
        throw new HoldfastError('EFBIG', why, { syscall: 'read', path })
      }
      const bytes = new Uint8Array(size)
      file.read(bytes, 0)
      return bytes
    } finally {
      file.close()
    }
  }

  /** A file with exactly these bytes; one that was there is emptied first. */
  writeFile(path: Path, bytes: Uint8Array, mode = 0o666, as?: Credentials): void {
    const file = this.open(path, 'w', mode, as)
    try {
      file.write(bytes, 0)
    } finally {
      file.close()
    }
  }

  /**
   * Makes `to` a clone of the file `from`: the same blocks, until one of them is written to. All or
   * nothing. One that is there becomes the clone, and keeps its mode and owner.
   */
  reflink(from: Path, to: Path, _options: ShareOptions = {}, as?: Credentials): void {
    const source = this.open(from, 'r', 0, as)
    try {
      const { mode } = source.stat()
      this.call('reflink', from, as, () => this.sharing.demandClone(source.ino), to)
      const target = this.#cloneTarget(to, mode & 0o777, as)
      try {
        source.reflinkAll(target)
        // One that is new has no name before it is whole.
        if (target.stat().nlink === 0) target.link(to)
      } finally {
        target.close()
      }
    } finally {
      source.close()
    }
  }

  #cloneTarget(path: Path, mode: number, as?: Credentials): OpenFile {
    try {
      return this.open(path, 'r+', 0, as)
    } catch (error) {
      if ((error as HoldfastError).code !== 'ENOENT') throw error
    }
    const bytes = asBytes(path)
    const cut = bytes.lastIndexOf(SLASH)
    const parent = cut < 0 ? '/' : bytes.subarray(0, cut + 1)
    return this.open(parent, O.RDWR | O.TMPFILE, mode, as)
  }

  /** Runs a call on the inode that a path leads to. */
  onFile<T>(
    syscall: string,
    path: Path,
    as: Credentials | undefined,
    run: (number: number) => T,
  ): T {
    return this.call(syscall, path, as, () => run(this.#resolve(path, true)))
  }

  // ---- names -----------------------------------------------------------------------------------

  mkdir(path: Path, mode = 0o777, as?: Credentials): void {
    this.call('mkdir', path, as, () => {
      this.name.set(path)
      this.namespace.mkdir(this.name, mode)
    })
  }

  mknod(path: Path, mode: number, device = 0, as?: Credentials): void {
    this.call('mknod', path, as, () => {
      checkNode(mode, device)
      this.name.set(path)
      this.namespace.mknod(this.name, mode, device)
    })
  }

  symlink(target: Path, path: Path, as?: Credentials): void {
    this.call('symlink', path, as, () => {
      this.name.set(path)
      this.namespace.symlink(asBytes(target), this.name)
    })
  }

  readlink(path: Path, as?: Credentials): Uint8Array {
    return this.call('readlink', path, as, () => {
      const number = this.#resolve(path, false)
      const { inodes, symlinks } = this.core
      if (!inodes.isSymlink(inodes.get(number))) throw new HoldfastError('EINVAL', 'no symlink')
      const target = symlinks.read(number)
      this.times.accessedNow(number)
      return target
    })
  }

  rmdir(path: Path, as?: Credentials): void {
    this.call('rmdir', path, as, () => {
      this.name.set(path)
      this.namespace.rmdir(this.name)
    })
  }

  unlink(path: Path, as?: Credentials): void {
    this.call('unlink', path, as, () => {
      this.name.set(path)
      this.namespace.unlink(this.name)
    })
  }

  rename(from: Path, to: Path, options: RenameOptions = {}, as?: Credentials): void {
    const run = () => {
      if (options.noReplace === true && options.exchange === true) {
        throw new HoldfastError('EINVAL', 'noReplace and exchange exclude each other')
      }
      this.name.set(from)
      this.#setSecond(to, () => this.core.paths.toParent(this.name))
      this.namespace.rename(this.name, this.second, options)
    }
    this.call('rename', from, as, run, to)
  }

  link(existing: Path, path: Path, options: FollowOptions = {}, as?: Credentials): void {
    const run = () => {
      const follow = options.follow === true
      this.name.set(existing)
      this.#setSecond(path, () => this.core.paths.resolve(this.name, follow))
      this.namespace.link(this.name, this.second, follow)
    }
    this.call('link', existing, as, run, path)
  }

  /** What is wrong with the first path is told before what is wrong with the second. */
  #setSecond(path: Path, walkFirst: () => void): void {
    try {
      this.second.set(path)
    } catch (error) {
      walkFirst()
      throw error
    }
  }

  /** Gives a file that was opened with O_TMPFILE a name. */
  linkInode(number: number, path: Path, as?: Credentials): void {
    this.call('link', path, as, () => {
      this.second.set(path)
      this.namespace.linkInode(number, this.second, this.core.opens.get(number) ?? null)
    })
  }

  /** At most `limit` entries after `cookie` (0: from the start), without `.` and `..`. */
  readdir(path: Path, cookie = 0, limit = Infinity, as?: Credentials): DirectoryEntry[] {
    return this.call('readdir', path, as, () => {
      const { inodes, access } = this.core
      const number = this.#resolve(path, true)
      const w = inodes.get(number)
      if (!inodes.isDirectory(w)) throw new HoldfastError('ENOTDIR')
      access.demand(w, Want.read)
      return this.readdirInode(number, cookie, limit)
    })
  }

  readdirInode(number: number, cookie: number, limit: number): DirectoryEntry[] {
    const { inodes, pages, directories } = this.core
    const entries: DirectoryEntry[] = []
    for (let from = cookie; entries.length < limit;) {
      const step = Math.min(64, limit - entries.length)
      if (directories.read(inodes.get(number), from, step, entries) < step) break
      from = entries[entries.length - 1]!.cookie
      pages.tick()
    }
    this.times.accessedNow(number)
    return entries
  }

  // ---- attributes ------------------------------------------------------------------------------

  chmod(path: Path, mode: number, as?: Credentials): void {
    this.call('chmod', path, as, () => this.attributes.chmod(this.#toChange(path, true), mode))
  }

  /** -1 leaves the one as it is. */
  chown(path: Path, uid: number, gid: number, options: FollowOptions = {}, as?: Credentials): void {
    this.call('chown', path, as, () => {
      this.attributes.chown(this.#toChange(path, options.follow !== false), uid, gid)
    })
  }

  utimes(
    path: Path,
    atime: Time,
    mtime: Time,
    options: FollowOptions = {},
    as?: Credentials,
  ): void {
    // utimensat(2): with nothing to do not even the path is looked at.
    if (atime === 'omit' && mtime === 'omit') return
    this.call('utimes', path, as, () => {
      this.attributes.utimes(this.#toChange(path, options.follow !== false), atime, mtime)
    })
  }

  access(path: Path, want: number, as?: Credentials): void {
    this.call('access', path, as, () => {
      const w = this.core.inodes.get(this.#resolve(path, true))
      if (
        (want & Want.write) !== 0 &&
        (this.core.inodes.isFile(w) || this.core.inodes.isDirectory(w))
      ) {
        this.checkWritable()
      }
      this.core.access.demand(w, want)
    })
  }

  getXattr(path: Path, name: string, options: FollowOptions = {}, as?: Credentials): Uint8Array {
    return this.call('getxattr', path, as, () => {
      return this.attributes.getXattr(this.#resolve(path, options.follow !== false), name)
    })
  }

  setXattr(
    path: Path,
    name: string,
    value: Uint8Array,
    options: SetXattrOptions = {},
    as?: Credentials,
  ): void {
    this.call('setxattr', path, as, () => {
      const number = this.#toChange(path, options.follow !== false)
      this.attributes.setXattr(number, name, value, options.mode)
    })
  }

  removeXattr(path: Path, name: string, options: FollowOptions = {}, as?: Credentials): void {
    this.call('removexattr', path, as, () => {
      this.attributes.removeXattr(this.#toChange(path, options.follow !== false), name)
    })
  }

  listXattrs(path: Path, options: FollowOptions = {}, as?: Credentials): string[] {
    return this.call('listxattr', path, as, () => {
      return this.attributes.listXattrs(this.#resolve(path, options.follow !== false))
    })
  }

  inodeFlags(path: Path, as?: Credentials): InodeFlags {
    return this.call('inodeFlags', path, as, () => this.attributes.flags(this.#resolve(path, true)))
  }

  setInodeFlags(path: Path, flags: Partial<AttributeFlags>, as?: Credentials): void {
    this.call('setInodeFlags', path, as, () => {
      this.attributes.setFlags(this.#toChange(path, true), flags)
    })
  }

  // ---- what there is ---------------------------------------------------------------------------

  stat(path: Path, as?: Credentials): Stats {
    return this.call('stat', path, as, () => this.statInode(this.#resolve(path, true)))
  }

  lstat(path: Path, as?: Credentials): Stats {
    return this.call('lstat', path, as, () => this.statInode(this.#resolve(path, false)))
  }

  /** As lstat; null: the directory has no such name. */
  lookUp(path: Path, as?: Credentials): Stats | null {
    return this.call('lstat', path, as, () => {
      this.name.set(path)
      this.core.paths.toParent(this.name)
      const number = this.core.paths.lookUp(this.name)
      return number === 0 ? null : this.statInode(number)
    })
  }

  statInode(number: number): Stats {
    const { inodes, pages, opens } = this.core
    let w = inodes.get(number)
    if (inodes.has(w, InodeFlag.unfinished)) {
      this.work.settle(number)
      w = inodes.get(number)
    }
    const { u32 } = pages
    const stats = new Stats()
    const mode = u32[w + at.mode]!
    const directory = (mode & Mode.typeMask) === Mode.directory
    stats.ino = number
    stats.generation = u32[w + at.generation]!
    stats.mode = mode
    stats.nlink = u32[w + at.links]!
    stats.uid = u32[w + at.uid]!
    stats.gid = u32[w + at.gid]!
    stats.rdev = u32[w + at.device]!
    stats.size = directory ? u32[w + at.count]! * 64 : inodes.size(w)
    stats.blocks = u32[w + at.blocks]! * (BLOCK_BYTES / 512)
    stats.blksize = BLOCK_BYTES
    stats.atimeSeconds = inodes.seconds(w, at.accessed)
    stats.atimeNanoseconds = inodes.nanoseconds(w, at.accessed)
    stats.mtimeSeconds = inodes.seconds(w, at.modified)
    stats.mtimeNanoseconds = inodes.nanoseconds(w, at.modified)
    stats.ctimeSeconds = inodes.seconds(w, at.changed)
    stats.ctimeNanoseconds = inodes.nanoseconds(w, at.changed)
    stats.birthtimeSeconds = inodes.seconds(w, at.born)
    stats.birthtimeNanoseconds = inodes.nanoseconds(w, at.born)
    const open = opens.get(number)
    if (open !== undefined) this.times.overlay(open, stats)
    return stats
  }

  /** The layout, or a part of it: from a file block on, so many extents at most. */
  extents(path: Path, as?: Credentials, from = 0, most = Infinity): Layout {
    return this.call('extents', path, as, () => {
      const { inodes, access } = this.core
      const number = this.#resolve(path, true)
      const w = inodes.get(number)
      if (inodes.isDirectory(w)) throw new HoldfastError('EISDIR')
      access.demand(w, Want.read)
      return this.layoutOf(number, from, most)
    })
  }

  layoutOf(number: number, from = 0, most = Infinity): Layout {
    return this.files.layout(number, this.epoch, from, most)
  }

  statfs(): StatFs {
    return this.call('statfs', undefined, undefined, () => {
      const { state, geometry, inodes, allocator, transaction } = this.core
      const free = state.freeBlocks
      return {
        blockSize: BLOCK_BYTES,
        blocks: geometry.blockCount - geometry.dataStart,
        blocksFree: free,
        blocksAvailable: Math.max(0, free - transaction.reserve),
        files: state.inodes,
        filesFree: Math.min(inodes.room, allocator.available * 15),
        nameMax: NAME_BYTES_MAX,
      }
    })
  }

  // ---- frames ----------------------------------------------------------------------------------

  #resolve(path: Path, follow: boolean): number {
    this.name.set(path)
    return this.core.paths.resolve(this.name, follow)
  }

  /** The inode of what is to be changed. */
  #toChange(path: Path, follow: boolean): number {
    const number = this.#resolve(path, follow)
    this.checkWritable()
    return number
  }
}
