/** What stat(2) says of a file. */
import { Mode } from './mode.js'

export type FileType = 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'character' | 'block'

const TYPES: readonly FileType[] = (() => {
  const types = new Array<FileType>(16).fill('file')
  types[Mode.fifo >>> 12] = 'fifo'
  types[Mode.character >>> 12] = 'character'
  types[Mode.directory >>> 12] = 'directory'
  types[Mode.block >>> 12] = 'block'
  types[Mode.symlink >>> 12] = 'symlink'
  types[Mode.socket >>> 12] = 'socket'
  return types
})()

/** The type of a file, by bits 12 to 15 of its mode (inode(7)). */
export function typeOfBits(bits: number): FileType {
  return TYPES[bits & 15]!
}

/**
 * A stat record: plain fields, and the names of node:fs over them. Times are whole seconds since
 * 1970 and nanoseconds within the second; `atimeMs` and the like are the same in milliseconds.
 */
export class Stats {
  /** Inode number. */
  ino = 0
  /** With `ino`, names this file and no later one. */
  generation = 0
  /** Type and permissions (inode(7)). */
  mode = 0
  nlink = 0
  uid = 0
  gid = 0
  /** Number of a device file, 12 bits major and 20 minor: major * 2^20 + minor; 0 else. */
  rdev = 0
  /** Bytes. */
  size = 0
  /** 512-byte units, as stat(2) has them. */
  blocks = 0
  /** 4096. */
  blksize = 0
  atimeSeconds = 0
  atimeNanoseconds = 0
  mtimeSeconds = 0
  mtimeNanoseconds = 0
  ctimeSeconds = 0
  ctimeNanoseconds = 0
  birthtimeSeconds = 0
  birthtimeNanoseconds = 0
  /** With what a path may begin at it, of a server whose sessions are not privileged. */
  key: Uint8Array | undefined = undefined

  get type(): FileType {
    return TYPES[(this.mode >>> 12) & 15]!
  }
  get atimeMs(): number {
    return this.atimeSeconds * 1000 + this.atimeNanoseconds / 1e6
  }
  get mtimeMs(): number {
    return this.mtimeSeconds * 1000 + this.mtimeNanoseconds / 1e6
  }
  get ctimeMs(): number {
    return this.ctimeSeconds * 1000 + this.ctimeNanoseconds / 1e6
  }
  get birthtimeMs(): number {
    return this.birthtimeSeconds * 1000 + this.birthtimeNanoseconds / 1e6
  }
  isFile(): boolean {
    return (this.mode & Mode.typeMask) === Mode.file
  }
  isDirectory(): boolean {
    return (this.mode & Mode.typeMask) === Mode.directory
  }
  isSymbolicLink(): boolean {
    return (this.mode & Mode.typeMask) === Mode.symlink
  }
}

/** A point in time: whole seconds since 1970, may be negative, and nanoseconds in the second. */
export interface Timestamp {
  readonly seconds: number
  readonly nanoseconds: number
}

/**
 * A time for `utimes`: seconds since 1970 (as node:fs has it), a Date, a Timestamp, 'now', or
 * 'omit' to leave it as it is (utimensat(2)).
 */
export type Time = number | Date | Timestamp | 'now' | 'omit'

export const isTimestamp = (time: unknown): time is Timestamp =>
  typeof time === 'object' && time !== null && 'nanoseconds' in time
