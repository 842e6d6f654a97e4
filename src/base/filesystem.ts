/**
 * The one promise-shaped interface of a filesystem. The command line and the filesystem tests know
 * nothing else; a volume in this process is one implementation of it, others come with the server.
 *
 * Names and shapes are those of node:fs/promises where the thing is the same thing. Paths are
 * strings or bytes; `/` separates, a leading `/` is optional, `.` and `..` are resolved. Every
 * failure is a HoldfastError with the errno's name as its code.
 */

import type { FileMapping, MapOptions } from './mapping.js'

export type Path = string | Uint8Array

/** Who asks. New files belong to `uid` and `gid`. */
export interface Credentials {
  readonly uid: number
  readonly gid: number
  /** Supplementary groups. */
  readonly groups?: readonly number[]
}

export type FileType = 'file' | 'directory'

export interface Stats {
  /** Inode number. */
  readonly ino: number
  /** With `ino`, names this file and no later one. */
  readonly generation: number
  readonly type: FileType
  /** Type and permissions (inode(7)). */
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** Bytes. */
  readonly size: number
  /** 512-byte units, as stat(2) has them. */
  readonly blocks: number
  /** 4096. */
  readonly blksize: number
  /** Milliseconds since 1970, with fractions. */
  readonly atimeMs: number
  readonly mtimeMs: number
  readonly ctimeMs: number
  readonly birthtimeMs: number
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
 * Open flags of node:fs: 'r' read, 'r+' read and write, 'w' create and truncate, 'wx' create or
 * EEXIST, 'a' create and append, 'ax', and 'w+', 'wx+', 'a+', 'ax+' that also read.
 */
export type OpenFlags = 'r' | 'r+' | 'w' | 'wx' | 'w+' | 'wx+' | 'a' | 'ax' | 'a+' | 'ax+'

export interface FileHandle extends AsyncDisposable {
  /**
   * Bytes read, fewer at the end of the file. `position` null: the handle's own, which moves on.
   */
  read(buffer: Uint8Array, position?: number | null): Promise<number>
  /** Bytes written, all of them. On an append handle always at the end of the file. */
  write(buffer: Uint8Array, position?: number | null): Promise<number>
  truncate(size: number): Promise<void>
  stat(): Promise<Stats>
  /** Data and metadata of this file are durable when it returns. */
  sync(): Promise<void>
  extents(): Promise<Layout>
  /** The file as memory of this process; EOPNOTSUPP or EPERM where that cannot be. */
  map(options?: MapOptions): Promise<FileMapping>
  close(): Promise<void>
}

export interface FileSystem extends AsyncDisposable {
  open(path: Path, flags?: OpenFlags, mode?: number, as?: Credentials): Promise<FileHandle>
  stat(path: Path, as?: Credentials): Promise<Stats>
  truncate(path: Path, size: number, as?: Credentials): Promise<void>
  mkdir(path: Path, mode?: number, as?: Credentials): Promise<void>
  rmdir(path: Path, as?: Credentials): Promise<void>
  unlink(path: Path, as?: Credentials): Promise<void>
  /** Replaces `to` in one step, as rename(2) does. */
  rename(from: Path, to: Path, as?: Credentials): Promise<void>
  link(existing: Path, path: Path, as?: Credentials): Promise<void>
  /** At most `limit` entries after `cookie` (0: from the start), without `.` and `..`. */
  readdir(path: Path, cookie?: number, limit?: number, as?: Credentials): Promise<DirectoryEntry[]>
  extents(path: Path, as?: Credentials): Promise<Layout>
  statfs(): Promise<StatFs>
  /** Everything is durable when it returns. */
  sync(): Promise<void>
  close(): Promise<void>
}
