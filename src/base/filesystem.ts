/**
 * The one promise-shaped interface of a filesystem. The command line and the filesystem tests know
 * nothing else; a volume in this process is one implementation of it, others come with the server.
 *
 * Names and shapes are those of node:fs/promises where the thing is the same thing. Paths are
 * strings or bytes; `/` separates, a leading `/` is optional, `.` and `..` and symlinks are
 * resolved. Every failure is a HoldfastError with the errno's name as its code, the one that Linux
 * gives. `as` says who asks; root when it is left out.
 */
import type { Readable, Writable } from 'node:stream'
import type {
  ChangeOptions,
  Defragmented,
  Evacuated,
  LayoutPolicy,
  MoveOptions,
  ShareOptions,
  WaitOptions,
} from './layout.js'
import type { FileMapping, MapOptions } from './mapping.js'
import type { Path } from './path.js'
import type { BytePlaces } from './places.js'
import type { FileType, Stats, Time } from './stats.js'

export { Stats } from './stats.js'
export type {
  ChangeOptions,
  Defragmented,
  Evacuated,
  LayoutPolicy,
  MoveOptions,
  ShareOptions,
  WaitOptions,
} from './layout.js'
export type { Readable, Writable } from 'node:stream'
export type { FileType, Time, Timestamp } from './stats.js'
export type { Path, PathAt } from './path.js'

/** Who asks. New files belong to `uid` and `gid`; uid 0 may do everything that root may. */
export interface Credentials {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups. */
  readonly groups?: readonly number[]
  /** Permission bits that new files do not get (umask(2)); 0 when left out. */
  readonly umask?: number
  /**
   * What they may do was decided before, by a kernel that knows more of them (`default_permissions`
   * of a mount): they are asked for as owners of what is new, and as writers, who lose set-id bits.
   */
  readonly decided?: boolean | undefined
}

export interface StatFs {
  /** Bytes of a block. */
  readonly blockSize: number
  readonly blocks: number
  readonly blocksFree: number
  /** Free blocks that are not kept back for freeing. */
  readonly blocksAvailable: number
  readonly files: number
  /** Inodes that can still be made. */
  readonly filesFree: number
  readonly nameMax: number
}

export interface DirectoryEntry {
  readonly name: Uint8Array
  readonly ino: number
  readonly type: FileType
  /**
   * Where to go on after this entry: a number below 2^53 that stays good while the directory
   * changes. An entry that stands there throughout is seen exactly once.
   */
  readonly cookie: number
}

/** A run of blocks. All in blocks of 4096 bytes. */
export interface Extent {
  readonly fileBlock: number
  readonly regionBlock: number
  readonly count: number
}

export interface Layout {
  /** Mount epoch and layout generation: the layout id. */
  readonly epoch: number
  readonly generation: number
  readonly extents: readonly Extent[]
}

/**
 * Open flags: the strings of node:fs ('r' read, 'r+' read and write, 'w' create and truncate, 'wx'
 * create or EEXIST, 'a' create and append, 'ax'; 'w+', 'wx+', 'a+', 'ax+' also read; with an 's'
 * every write is durable when it returns). `open` also takes the numbers of open(2) on Linux:
 * O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_DSYNC, O_SYNC, O_DIRECTORY,
 * O_NOFOLLOW, O_NOATIME, O_TMPFILE.
 */
export type OpenFlags =
  'r' | 'r+' | 'rs+' | 'w' | 'wx' | 'w+' | 'wx+' | 'a' | 'ax' | 'a+' | 'ax+' | 'as' | 'as+'

/** Whether the last name of a path is followed when it is a symlink. By default it is. */
export interface FollowOptions {
  readonly follow?: boolean
}

/** Of the file that is replaced, what it does to its pinned blocks. */
export interface RenameOptions extends ConflictOptions {
  /** RENAME_NOREPLACE: EEXIST when the destination is there. */
  readonly noReplace?: boolean
  /** RENAME_EXCHANGE: both must be there, and trade places. */
  readonly exchange?: boolean
}

export interface SetXattrOptions extends FollowOptions {
  /** 'create': EEXIST when it is there; 'replace': ENODATA when it is not. */
  readonly mode?: 'create' | 'replace'
}

/** Inode flags of chattr(1) that are kept. */
export interface AttributeFlags {
  /** Written only at its end, never removed or renamed. */
  readonly append: boolean
  /** Not changed at all. */
  readonly immutable: boolean
}

/** All inode flags; what a file says of its own layout is changed by calls of its own. */
export interface InodeFlags extends AttributeFlags {
  /** Its blocks stay where they are, and its size what it is. */
  readonly fixed: boolean
  /** Its data does not change either. */
  readonly writeSealed: boolean
  /** What a shrink or punch does to its pinned blocks; null: as the volume has it. */
  readonly policy: LayoutPolicy | null
}

/** How a change goes about what is held: recalled, waited for, refused or left behind. */
export type ConflictOptions = ChangeOptions & WaitOptions

/** A range of one file becomes a range of another, recalling and waiting for what is held. */
export type ReflinkOptions = ShareOptions & ConflictOptions

export interface AllocateOptions extends ConflictOptions {
  /** The size stays, also when blocks past it are allocated (FALLOC_FL_KEEP_SIZE). */
  readonly keepSize?: boolean
  /** All of the range in one run of blocks, or ENOSPC and nothing done. */
  readonly contiguous?: boolean
}

/** Who holds a byte-range lock: any value, compared as Map keys are; the same owner, one lock. */
export type LockOwner = unknown

export interface RangeLock {
  readonly type: 'read' | 'write'
  /** Bytes from the start of the file. */
  readonly start?: number
  /** Bytes; 0 or left out: to the end, wherever that moves. */
  readonly length?: number
  /**
   * Left out: the lock belongs to the handle (F_OFD_SETLK). Given: to this owner, as fcntl(2) has
   * it for a process: one close of any of its handles on the file releases all of them.
   */
  readonly owner?: LockOwner
}

/** A lock that is in the way. */
export interface HeldLock {
  readonly type: 'read' | 'write'
  readonly start: number
  /** 0: to the end. */
  readonly length: number
  /** Undefined for a lock that belongs to a handle. */
  readonly owner: LockOwner
}

export interface LockWait {
  /** Waits until the lock can be had; else EAGAIN at once. */
  readonly wait?: boolean
  /** Ends the wait with EINTR. */
  readonly signal?: AbortSignal
}

export interface WatchOptions {
  readonly others?: boolean
}

export interface StreamOptions {
  /** First byte; a write stream of an append handle always writes at the end. */
  readonly start?: number
  /** Last byte, included; read streams only. */
  readonly end?: number
  /** Bytes of one read. */
  readonly highWaterMark?: number
  /** Closes the handle when the stream ends. */
  readonly autoClose?: boolean
}

/** One change of the volume, for who keeps copies of what it says. */
export interface Change {
  readonly kind:
    'create' | 'remove' | 'rename' | 'exchange' | 'link' | 'attributes' | 'content' | 'layout'
  readonly ino: number
  /** Of names: the directory and the name; of a rename: the new ones. */
  readonly parent?: number
  readonly name?: Uint8Array
  /** Of a rename: where it was. */
  readonly oldParent?: number
  readonly oldName?: Uint8Array
}

/** A file of this process's own memory: its bytes are moved where they are, without waiting. */
export interface DirectFile {
  /** The memory of the addon that the places are in. */
  readonly memory: number
  /** Tells where bytes are, for this turn; returns how many, fewer at the end of the file. */
  locate(position: number, length: number, places: BytePlaces): number
  /**
   * Writes all of it, or does nothing and returns false: it has to wait for something. `later`: it
   * was changed when a cache says, and mtime stays as it is.
   */
  writeNow(buffer: Uint8Array, position: number, later: boolean): boolean
  statNow(): Stats
  /** Entries of an open directory; see FileSystem.readdir. */
  readdirNow(cookie: number, limit: number): DirectoryEntry[]
  closeNow(): void
}

/**
 * A volume of this process: calls that are made in the turn that they are asked in. Where one would
 * have to wait for something it does nothing and returns false, or no file: its promise form waits.
 */
export interface DirectFileSystem {
  /** As lstat; null: the directory has no such name. */
  lookUp(path: Path, as?: Credentials): Stats | null
  lstat(path: Path, as?: Credentials): Stats
  open(path: Path, flags: number, mode: number, as?: Credentials): (FileHandle & DirectFile) | null
  mkdir(path: Path, mode: number, as?: Credentials): boolean
  rmdir(path: Path, as?: Credentials): boolean
  unlink(path: Path, as?: Credentials): boolean
  rename(from: Path, to: Path, options: RenameOptions, as?: Credentials): boolean
}

/** Of a pin: bytes, and the holder's word for it. */
export interface PinOptions {
  readonly offset: number
  readonly length: number
  readonly reason: string
  readonly signal?: AbortSignal
}

/** A range that is held. */
export interface HeldRange {
  readonly id: number
  release(): void | Promise<void>
}

export interface FileHandle extends AsyncDisposable {
  /** Undefined where bytes are moved by calls alone. */
  readonly direct?: DirectFile | undefined
  /**
   * Bytes read, fewer at the end of the file. `position` null: the handle's own, which moves on.
   */
  read(buffer: Uint8Array, position?: number | null): Promise<number>
  /** Bytes written, all of them. On an append handle always at the end of the file. */
  write(buffer: Uint8Array, position?: number | null, options?: ConflictOptions): Promise<number>
  truncate(size: number, options?: ConflictOptions): Promise<void>
  stat(): Promise<Stats>
  /** Data and metadata of this file are durable when it returns. */
  sync(): Promise<void>
  extents(): Promise<Layout>

  chmod(mode: number): Promise<void>
  /** -1 leaves the one as it is. */
  chown(uid: number, gid: number): Promise<void>
  utimes(atime: Time, mtime: Time): Promise<void>
  getXattr(name: string): Promise<Uint8Array>
  setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): Promise<void>
  removeXattr(name: string): Promise<void>
  listXattrs(): Promise<string[]>
  /** Entries of an open directory; see FileSystem.readdir. */
  readdir(cookie?: number, limit?: number): Promise<DirectoryEntry[]>

  /** Blocks for a range, zeroed where there were none (fallocate(2)). */
  allocate(offset: number, length: number, options?: AllocateOptions): Promise<void>
  /** Frees the blocks of a range, which reads as zeros from then on (FALLOC_FL_PUNCH_HOLE). */
  punch(offset: number, length: number, options?: ConflictOptions): Promise<void>
  /** The range reads as zeros and has blocks (FALLOC_FL_ZERO_RANGE). */
  zeroRange(
    offset: number,
    length: number,
    options?: { readonly keepSize?: boolean } & ConflictOptions,
  ): Promise<void>
  /** Takes a range of whole blocks out; what is behind it moves down (FALLOC_FL_COLLAPSE_RANGE). */
  collapse(offset: number, length: number, options?: ConflictOptions): Promise<void>
  /** Puts a hole of whole blocks in; what is behind it moves up (FALLOC_FL_INSERT_RANGE). */
  insert(offset: number, length: number, options?: ConflictOptions): Promise<void>
  /** The next byte from `offset` on that is in data or in a hole; ENXIO past the end (lseek(2)). */
  seek(offset: number, what: 'data' | 'hole'): Promise<number>
  /** Copies bytes to another file of the same volume; returns how many (copy_file_range(2)). */
  copyRange(offset: number, to: FileHandle, toOffset: number, length: number): Promise<number>

  /**
   * A range of whole blocks becomes a range of another file, without a copy; length 0: to the end
   * (FICLONERANGE).
   */
  reflinkRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
    options?: ReflinkOptions,
  ): Promise<void>

  /** Pins a range: its blocks stay where they are, until it is released. Not of every handle. */
  pin?(options: PinOptions): Promise<HeldRange>
  /** The file as memory of this process; EOPNOTSUPP or EPERM where that cannot be. */
  map(options?: MapOptions): Promise<FileMapping>

  /** Takes a byte-range lock, or converts one that the same owner holds. */
  lock(lock: RangeLock, options?: LockWait): Promise<void>
  /** Ends what the owner holds of a range. */
  unlock(range: Omit<RangeLock, 'type'>): Promise<void>
  /** The first lock that is in the way of this one, null when none is (F_GETLK). */
  testLock(lock: RangeLock): Promise<HeldLock | null>
  /** Locks the whole file for this handle (flock(2)). */
  flock(type: 'shared' | 'exclusive' | 'unlock', options?: LockWait): Promise<void>

  /** Gives a file that was opened with O_TMPFILE a name. */
  link(path: Path, as?: Credentials): Promise<void>
  createReadStream(options?: StreamOptions): Readable
  createWriteStream(options?: StreamOptions): Writable
  close(): Promise<void>
}

export interface FileSystem extends AsyncDisposable {
  /** Undefined where all calls have to wait. */
  readonly direct?: DirectFileSystem | undefined
  /** `options`: of O_TRUNC, which cuts what is there. */
  open(
    path: Path,
    flags?: OpenFlags | number,
    mode?: number,
    as?: Credentials,
    options?: ConflictOptions,
  ): Promise<FileHandle>
  stat(path: Path, as?: Credentials): Promise<Stats>
  lstat(path: Path, as?: Credentials): Promise<Stats>
  /** `want`: sum of Want.read, write, execute; rejects with EACCES when it is not granted. */
  access(path: Path, want: number, as?: Credentials): Promise<void>
  truncate(path: Path, size: number, as?: Credentials, options?: ConflictOptions): Promise<void>
  mkdir(path: Path, mode?: number, as?: Credentials): Promise<void>
  rmdir(path: Path, as?: Credentials): Promise<void>
  /** `options`: of the last name, whose blocks go. */
  unlink(path: Path, as?: Credentials, options?: ConflictOptions): Promise<void>
  /** Replaces `to` in one step, as rename(2) does. */
  rename(from: Path, to: Path, options?: RenameOptions, as?: Credentials): Promise<void>
  /** A second name. A symlink is linked itself unless `follow` is true (linkat(2)). */
  link(existing: Path, path: Path, options?: FollowOptions, as?: Credentials): Promise<void>
  symlink(target: Path, path: Path, as?: Credentials): Promise<void>
  readlink(path: Path, as?: Credentials): Promise<Uint8Array>
  /** A FIFO, socket, device or empty file; `mode` says which (mknod(2)). */
  mknod(path: Path, mode: number, device?: number, as?: Credentials): Promise<void>
  /** At most `limit` entries after `cookie` (0: from the start), without `.` and `..`. */
  readdir(path: Path, cookie?: number, limit?: number, as?: Credentials): Promise<DirectoryEntry[]>

  chmod(path: Path, mode: number, as?: Credentials): Promise<void>
  /** -1 leaves the one as it is. */
  chown(
    path: Path,
    uid: number,
    gid: number,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void>
  utimes(
    path: Path,
    atime: Time,
    mtime: Time,
    options?: FollowOptions,
    as?: Credentials,
  ): Promise<void>
  getXattr(path: Path, name: string, options?: FollowOptions, as?: Credentials): Promise<Uint8Array>
  setXattr(
    path: Path,
    name: string,
    value: Uint8Array,
    options?: SetXattrOptions,
    as?: Credentials,
  ): Promise<void>
  removeXattr(path: Path, name: string, options?: FollowOptions, as?: Credentials): Promise<void>
  /** Names, sorted; those that the asking user may not see left out. */
  listXattrs(path: Path, options?: FollowOptions, as?: Credentials): Promise<string[]>
  inodeFlags(path: Path, as?: Credentials): Promise<InodeFlags>
  setInodeFlags(path: Path, flags: Partial<AttributeFlags>, as?: Credentials): Promise<void>

  extents(path: Path, as?: Credentials): Promise<Layout>
  /**
   * Fixes a file: its layout and size do not change any more; data is written in place. `signal`
   * stops it between two steps: then it is not fixed.
   */
  fix(path: Path, options?: MoveOptions, as?: Credentials): Promise<void>
  unfix(path: Path, as?: Credentials): Promise<void>
  /** Seals a fixed file's data: nothing of it changes any more. `off`: takes the seal away. */
  sealWrites(path: Path, options?: { readonly off?: boolean }, as?: Credentials): Promise<void>
  /** What a shrink or punch does to pinned blocks of a file; null: as the volume has it. */
  setPolicy(path: Path, policy: LayoutPolicy | null, as?: Credentials): Promise<void>
  /** Makes `to` a clone of the file `from`: the same blocks, until one of them is written to. */
  reflink(from: Path, to: Path, options?: ReflinkOptions, as?: Credentials): Promise<void>
  /** Clones a directory tree, all of it at one point in time. `to` is not there yet. */
  snapshot(from: Path, to: Path, options?: ReflinkOptions, as?: Credentials): Promise<void>
  /** Moves a file into one run of blocks, where there is one. */
  defragment(path: Path, options?: MoveOptions, as?: Credentials): Promise<Defragmented>
  /** Moves what files have of bytes [from, to) of the region elsewhere; root may. */
  evacuate(from: number, to: number, options?: MoveOptions, as?: Credentials): Promise<Evacuated>
  statfs(): Promise<StatFs>
  /**
   * Calls `listener` for every change from now on; returns what ends it. `others`: not for those
   * that this interface makes itself.
   */
  watch(listener: (change: Change) => void, options?: WatchOptions): () => void
  /** Everything is durable when it returns. */
  sync(): Promise<void>
  close(): Promise<void>
}
