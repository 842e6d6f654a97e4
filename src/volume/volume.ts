/**
 * An open volume: every operation, synchronous. A call either is done when it returns or throws a
 * HoldfastError and has changed nothing.
 */
import { HoldfastError, withContext } from '../base/errors.js'
import type {
  Credentials,
  DirectoryEntry,
  Layout,
  OpenFlags,
  Path,
  StatFs,
  Stats,
} from '../base/filesystem.js'
import { BLOCK_BYTES, HANDLES_MAX, NAME_BYTES_MAX, RESERVE_BLOCKS } from '../base/limits.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import { Inode, Mode } from '../media/inode.js'
import type { Region } from '../region/region.js'
import type { Core } from './core.js'
import { Files } from './files.js'
import { Mappings } from './mappings.js'
import {
  mountVolume,
  releaseMemory,
  unmountVolume,
  type MountOptions,
  type Mounted,
} from './mount.js'
import { Namespace } from './namespace.js'
import type { OpenInode } from './open_inodes.js'
import { OpenFile, parseFlags } from './open_file.js'
import { PathName } from './paths.js'

const at = Inode.word
const ROOT_USER: Credentials = { uid: 0, gid: 0 }
/** Steps of freeing what a crash left, done at mount; the rest goes on with later operations. */
const ORPHAN_STEPS_AT_MOUNT = 64

export class Volume {
  readonly core: Core
  readonly files: Files
  readonly mappings: Mappings
  /** Raised durably at each mount: half of a layout id. */
  readonly epoch: number
  /** Log records that this mount replayed. */
  readonly replayed: number

  readonly #mounted: Mounted
  readonly #ownsMemory: boolean
  readonly #namespace: Namespace
  readonly #name = new PathName()
  readonly #second = new PathName()
  readonly #handles: OpenFile[] = []
  #open = true
  /** Where to look for orphans of before the mount; -1: all done. */
  #orphanCursor = 1

  protected constructor(mounted: Mounted, ownsMemory: boolean) {
    this.#mounted = mounted
    this.#ownsMemory = ownsMemory
    this.core = mounted.core
    this.files = new Files(mounted.core)
    this.mappings = new Mappings(mounted.core, (inode) => this.#releaseInode(inode))
    this.#namespace = new Namespace(mounted.core, this.files)
    this.epoch = mounted.epoch
    this.replayed = mounted.replayed
    for (let i = 0; i < ORPHAN_STEPS_AT_MOUNT && this.#orphanCursor >= 0; i++) this.#freeOrphan()
  }

  /** Mounts the volume in `region`, which the caller keeps and closes after the volume. */
  static mount(region: Region, options: MountOptions = {}): Volume {
    return new Volume(mountVolume(region, options), options.memory === undefined)
  }

  get region(): Region {
    return this.core.region
  }

  /** Label of the volume. */
  get label(): string {
    return this.#mounted.superblock.text('label')
  }

  // ---- files -----------------------------------------------------------------------------------

  open(path: Path, flags: OpenFlags = 'r', mode = 0o666, as: Credentials = ROOT_USER): OpenFile {
    return this.#call('open', path, () => {
      const wanted = parseFlags(flags)
      if (this.#handles.length >= HANDLES_MAX) throw new HoldfastError('EMFILE')
      const { paths, inodes, pages, opens } = this.core
      const name = this.#name
      name.set(path)
      paths.toParent(name)
      let number = paths.lookUp(name)
      if (number !== 0 && wanted.exclusive) throw new HoldfastError('EEXIST')
      if (number === 0) {
        if (!wanted.create) throw new HoldfastError('ENOENT')
        number = this.#namespace.create(name, mode, as)
      } else {
        const w = inodes.get(number)
        if ((pages.u32[w + at.mode]! & Mode.typeMask) === Mode.directory) {
          throw new HoldfastError('EISDIR')
        }
        if (name.directoryOnly) throw new HoldfastError('ENOTDIR')
        if (wanted.truncate) this.files.truncate(number, 0)
      }
      const file = new OpenFile(this, opens.open(number), wanted, this.#handles.length)
      this.#handles.push(file)
      return file
    })
  }

  /** A handle is done with its inode. */
  release(file: OpenFile, inode: OpenInode): void {
    const last = this.#handles.pop()!
    if (last !== file) {
      last.index = file.index
      this.#handles[file.index] = last
    }
    this.#releaseInode(inode)
  }

  #releaseInode(inode: OpenInode): void {
    const { opens } = this.core
    this.core.pages.tick()
    if (inode.opens === 1 && !inode.unlinked) {
      this.files.writeTimes(inode)
      this.files.trimAhead(inode)
    }
    if (!opens.close(inode) || !inode.unlinked || !this.core.transaction.usable) return
    while (!this.files.freeStep(inode.number));
  }

  truncate(path: Path, size: number): void {
    this.#call('truncate', path, () => {
      checkSize(size)
      const number = this.#file(path)
      this.files.truncate(number, size)
    })
  }

  #file(path: Path): number {
    const { paths, inodes, pages } = this.core
    this.#name.set(path)
    const number = paths.resolve(this.#name)
    const type = pages.u32[inodes.get(number) + at.mode]! & Mode.typeMask
    if (type === Mode.directory) throw new HoldfastError('EISDIR')
    return number
  }

  /** Bytes of a whole file. */
  readFile(path: Path): Uint8Array {
    const file = this.open(path, 'r')
    try {
      const bytes = new Uint8Array(file.stat().size)
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

  // ---- names -----------------------------------------------------------------------------------

  mkdir(path: Path, mode = 0o777, as: Credentials = ROOT_USER): void {
    this.#call('mkdir', path, () => {
      this.#name.set(path)
      this.#namespace.mkdir(this.#name, mode, as)
    })
  }

  rmdir(path: Path): void {
    this.#call('rmdir', path, () => {
      this.#name.set(path)
      this.#namespace.rmdir(this.#name)
    })
  }

  unlink(path: Path): void {
    this.#call('unlink', path, () => {
      this.#name.set(path)
      this.#namespace.unlink(this.#name)
    })
  }

  rename(from: Path, to: Path): void {
    this.#call(
      'rename',
      from,
      () => {
        this.#name.set(from)
        this.#second.set(to)
        this.#namespace.rename(this.#name, this.#second)
      },
      to,
    )
  }

  link(existing: Path, path: Path): void {
    this.#call(
      'link',
      existing,
      () => {
        this.#name.set(existing)
        this.#second.set(path)
        this.#namespace.link(this.#name, this.#second)
      },
      path,
    )
  }

  /** At most `limit` entries after `cookie` (0: from the start), without `.` and `..`. */
  readdir(path: Path, cookie = 0, limit = Infinity): DirectoryEntry[] {
    return this.#call('readdir', path, () => {
      const { paths, inodes, pages, directories } = this.core
      this.#name.set(path)
      const number = paths.resolve(this.#name)
      if ((pages.u32[inodes.get(number) + at.mode]! & Mode.typeMask) !== Mode.directory) {
        throw new HoldfastError('ENOTDIR')
      }
      const entries: DirectoryEntry[] = []
      for (let from = cookie; entries.length < limit;) {
        const step = Math.min(64, limit - entries.length)
        const some = directories.read(inodes.get(number), from, step)
        for (const { name, inode, type, cookie: after } of some) {
          entries.push({ name, ino: inode, type: type === 4 ? 'directory' : 'file', cookie: after })
        }
        if (some.length < step) break
        from = some[some.length - 1]!.cookie
        pages.tick()
      }
      return entries
    })
  }

  // ---- what there is ---------------------------------------------------------------------------

  stat(path: Path): Stats {
    return this.#call('stat', path, () => {
      this.#name.set(path)
      return this.statInode(this.core.paths.resolve(this.#name))
    })
  }

  statInode(number: number): Stats {
    const { inodes, pages, opens } = this.core
    const w = inodes.get(number)
    const { u32 } = pages
    const directory = (u32[w + at.mode]! & Mode.typeMask) === Mode.directory
    let mtimeMs = milliseconds(u32, w + at.modified)
    let ctimeMs = milliseconds(u32, w + at.changed)
    const open = opens.get(number)
    if (open !== undefined && open.timesPending) {
      mtimeMs = open.seconds * 1000 + open.nanoseconds / 1e6
      ctimeMs = Math.max(ctimeMs, mtimeMs) // a rename or link after the write set a later one
    }
    return {
      ino: number,
      generation: u32[w + at.generation]!,
      type: directory ? 'directory' : 'file',
      mode: u32[w + at.mode]!,
      nlink: u32[w + at.links]!,
      uid: u32[w + at.uid]!,
      gid: u32[w + at.gid]!,
      size: directory ? u32[w + at.count]! * 64 : inodes.size(w),
      blocks: u32[w + at.blocks]! * (BLOCK_BYTES / 512),
      blksize: BLOCK_BYTES,
      atimeMs: milliseconds(u32, w + at.accessed),
      mtimeMs,
      ctimeMs,
      birthtimeMs: milliseconds(u32, w + at.born),
    }
  }

  extents(path: Path): Layout {
    return this.#call('extents', path, () => this.layoutOf(this.#file(path)))
  }

  layoutOf(number: number): Layout {
    const { inodes, extents, pages } = this.core
    const list = []
    for (let block = 0; ;) {
      pages.tick()
      const w = inodes.get(number)
      extents.find(w, block)
      if (extents.count === 0) break
      const { fileBlock, regionBlock, count } = extents
      list.push({ fileBlock, regionBlock, count })
      block = fileBlock + count
    }
    const w = inodes.get(number)
    const { u32 } = pages
    const generation =
      u32[w + at.layoutGeneration]! + u32[w + at.layoutGeneration + 1]! * 0x1_0000_0000
    return { epoch: this.epoch, generation, extents: list }
  }

  statfs(): StatFs {
    return this.#call('statfs', undefined, () => {
      const { state, geometry, inodes, allocator } = this.core
      const free = state.freeBlocks
      return {
        blockSize: BLOCK_BYTES,
        blocks: geometry.blockCount - geometry.dataStart,
        blocksFree: free,
        blocksAvailable: Math.max(0, free - RESERVE_BLOCKS),
        files: state.inodes,
        filesFree: Math.min(inodes.room, allocator.available * 15),
        nameMax: NAME_BYTES_MAX,
      }
    })
  }

  /** Blocks of an open file as memory. */
  map(inode: OpenInode, options: MapOptions): FileMapping {
    return this.#call('mmap', undefined, () => this.mappings.map(inode, options))
  }

  // ---- durability ------------------------------------------------------------------------------

  /** Everything is durable when it returns. */
  sync(): void {
    this.#call('sync', undefined, () => {
      for (const inode of this.core.opens.values()) this.files.writeTimes(inode)
      this.core.transaction.flush()
    })
  }

  /** The same on a thread: operations go on meanwhile, and are not part of it. */
  async syncAsync(): Promise<void> {
    this.#call('sync', undefined, () => {
      for (const inode of this.core.opens.values()) this.files.writeTimes(inode)
    })
    await this.core.transaction.flushAsync()
  }

  /** Data and metadata of one inode. */
  syncInode(inode: OpenInode): void {
    this.core.transaction.checkUsable()
    this.files.writeTimes(inode)
    const { transaction, region } = this.core
    if (transaction.syncMode === 'always' && region.persistence !== 'sync') {
      region.fence() // what was written in place was streamed; metadata is durable already
      region.check()
    } else transaction.flush()
  }

  /** Everything to its place; the volume is done. Open handles are closed. */
  close(): void {
    if (!this.#open) return
    try {
      this.mappings.end()
      for (const file of [...this.#handles]) file.close()
      this.core.pages.tick()
      if (this.core.transaction.usable) unmountVolume(this.#mounted)
    } finally {
      this.#open = false
      if (this.#ownsMemory) releaseMemory(this.#mounted.memory)
    }
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // ---- every call ------------------------------------------------------------------------------

  /** Runs one operation; an error gets the call's name and path. */
  call<T>(syscall: string, path: Path | undefined, run: () => T): T {
    return this.#call(syscall, path, run)
  }

  #call<T>(syscall: string, path: Path | undefined, run: () => T, destination?: Path): T {
    try {
      if (!this.#open) throw new HoldfastError('EBADF', 'the volume is closed')
      this.core.transaction.checkReadable()
      this.core.pages.tick()
      if (this.#orphanCursor >= 0 && this.core.transaction.usable) {
        this.#freeOrphan()
        this.core.pages.tick()
      }
      return run()
    } catch (error) {
      throw withContext(error, {
        syscall,
        ...(path === undefined ? {} : { path }),
        ...(destination === undefined ? {} : { destination }),
      })
    }
  }

  /** One step of freeing what was left at the last crash. */
  #freeOrphan(): void {
    const { orphans, opens, inodes, pages } = this.core
    pages.tick()
    const number = orphans.from(this.#orphanCursor)
    if (number === 0) {
      this.#orphanCursor = -1
      return
    }
    const w = inodes.get(number)
    let done: boolean
    if (opens.get(number)?.unlinked === true) done = true
    else if (pages.u32[w + at.links] === 0) done = this.files.freeStep(number)
    else done = this.files.freeBeyondStep(number)
    if (done) this.#orphanCursor = number + 1
  }
}

/** mtime and the like: bits 0 to 33 seconds, bits 34 to 63 nanoseconds. */
function milliseconds(u32: Uint32Array, w: number): number {
  const high = u32[w + 1]!
  return (u32[w]! + (high & 3) * 0x1_0000_0000) * 1000 + (high >>> 2) / 1e6
}

export function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new HoldfastError('EINVAL', `size ${size} is not a number of bytes`)
  }
}
