/**
 * Paths, as bytes: where one leads, and what its last name is.
 *
 * A `PathName` holds a copy of the bytes, so that nothing is allocated for a walk; a volume keeps
 * two (rename has two paths).
 */
import { HoldfastError } from '../base/errors.js'
import { NAME_BYTES_MAX, PATH_BYTES_MAX } from '../base/limits.js'
import type { Path } from '../base/filesystem.js'
import { Inode, Mode, ROOT_INODE } from '../media/inode.js'
import type { Directories } from './directories.js'
import type { Inodes } from './inodes.js'
import type { Pages } from './pages.js'

const at = Inode.word
const SLASH = 0x2f
const DOT = 0x2e

/** What the last component is, when it is not a plain name. */
export const LastName = { plain: 0, dot: 1, dotDot: 2, root: 3 } as const

const encoder = new TextEncoder()

export class PathName {
  readonly bytes = new Uint8Array(PATH_BYTES_MAX + 1)
  length = 0
  /** Inode of the directory that holds, or is to hold, the last name. */
  parent = 0
  /** The last name: `bytes` from `start`, `nameLength` bytes. */
  start = 0
  nameLength = 0
  last: number = LastName.plain
  /** The path ends in a slash: only a directory will do. */
  directoryOnly = false

  set(path: Path): void {
    if (typeof path === 'string') this.#setString(path)
    else this.#setBytes(path)
    if (this.length === 0) throw new HoldfastError('ENOENT', 'the path is empty')
  }

  #setString(path: string): void {
    const length = path.length
    if (length > PATH_BYTES_MAX) throw tooLong(length)
    const bytes = this.bytes
    for (let i = 0; i < length; i++) {
      const code = path.charCodeAt(i)
      if (code >= 0x80) return this.#setBytes(encoder.encode(path))
      if (code === 0) throw hasNul()
      bytes[i] = code
    }
    this.length = length
  }

  #setBytes(path: Uint8Array): void {
    if (path.length > PATH_BYTES_MAX) throw tooLong(path.length)
    if (path.indexOf(0) >= 0) throw hasNul()
    this.bytes.set(path)
    this.length = path.length
  }
}

function hasNul(): HoldfastError {
  return new HoldfastError('EINVAL', 'a path has no NUL')
}

function tooLong(length: number): HoldfastError {
  return new HoldfastError('ENAMETOOLONG', `path of ${length} bytes, at most ${PATH_BYTES_MAX}`)
}

export class Paths {
  readonly #pages: Pages
  readonly #inodes: Inodes
  readonly #directories: Directories

  /** The last directory walked to: its path with the slash behind it, its inode (0: forgotten). */
  readonly #prefix = new Uint8Array(PATH_BYTES_MAX + 1)
  #prefixLength = 0
  #prefixInode = 0

  constructor(pages: Pages, inodes: Inodes, directories: Directories) {
    this.#pages = pages
    this.#inodes = inodes
    this.#directories = directories
  }

  /** A directory went away or got another name: no walk is remembered. */
  forget(): void {
    this.#prefixInode = 0
  }

  /** Walks to the directory of the last name; sets `parent`, `start`, `nameLength`, `last`. */
  toParent(name: PathName): void {
    const bytes = name.bytes
    let end = name.length
    name.directoryOnly = false
    while (end > 0 && bytes[end - 1] === SLASH) {
      end--
      name.directoryOnly = true
    }
    let start = end
    while (start > 0 && bytes[start - 1] !== SLASH) start--
    name.start = start
    name.nameLength = end - start
    if (end === 0) {
      name.parent = ROOT_INODE
      name.last = LastName.root
      return
    }
    if (end - start > NAME_BYTES_MAX) throw nameTooLong(end - start)
    name.last = kindOf(bytes, start, end - start)
    // Most walks lead where the one before led.
    if (this.#isPrefix(bytes, start)) name.parent = this.#prefixInode
    else {
      name.parent = this.#walk(bytes, start)
      this.#directory(name.parent)
      for (let i = 0; i < start; i++) this.#prefix[i] = bytes[i]!
      this.#prefixLength = start
      this.#prefixInode = name.parent
    }
  }

  #isPrefix(bytes: Uint8Array, length: number): boolean {
    if (this.#prefixInode === 0 || this.#prefixLength !== length) return false
    for (let i = 0; i < length; i++) if (this.#prefix[i] !== bytes[i]) return false
    return true
  }

  /** The inode that the first `length` bytes lead to. */
  #walk(bytes: Uint8Array, length: number): number {
    let inode = ROOT_INODE
    for (let i = 0; i < length;) {
      if (bytes[i] === SLASH) {
        i++
        continue
      }
      const start = i
      while (i < length && bytes[i] !== SLASH) i++
      if (i - start > NAME_BYTES_MAX) throw nameTooLong(i - start)
      inode = this.#enter(inode, bytes, start, i - start)
    }
    return inode
  }

  /** The inode that the last name leads to, 0 when there is none. After `toParent`. */
  lookUp(name: PathName): number {
    if (name.last === LastName.root || name.last === LastName.dot) return name.parent
    const w = this.#directory(name.parent)
    if (name.last === LastName.dotDot) return this.#pages.u32[w + at.parent]!
    if (!this.#directories.find(w, name.bytes, name.start, name.nameLength)) return 0
    const inode = this.#directories.inode
    if (name.directoryOnly) this.#directory(inode)
    return inode
  }

  /** The inode that a path leads to. */
  resolve(name: PathName): number {
    this.toParent(name)
    const inode = this.lookUp(name)
    if (inode === 0) throw new HoldfastError('ENOENT')
    return inode
  }

  #enter(inode: number, bytes: Uint8Array, start: number, length: number): number {
    const w = this.#directory(inode)
    const kind = kindOf(bytes, start, length)
    if (kind === LastName.dot) return inode
    if (kind === LastName.dotDot) return this.#pages.u32[w + at.parent]!
    if (!this.#directories.find(w, bytes, start, length)) throw new HoldfastError('ENOENT')
    return this.#directories.inode
  }

  /** Word index of an inode that must be a directory. */
  #directory(inode: number): number {
    const w = this.#inodes.get(inode)
    if ((this.#pages.u32[w + at.mode]! & Mode.typeMask) !== Mode.directory) {
      throw new HoldfastError('ENOTDIR')
    }
    return w
  }
}

function nameTooLong(length: number): HoldfastError {
  return new HoldfastError('ENAMETOOLONG', `name of ${length} bytes, at most ${NAME_BYTES_MAX}`)
}

function kindOf(bytes: Uint8Array, start: number, length: number): number {
  if (bytes[start] !== DOT || length > 2) return LastName.plain
  if (length === 1) return LastName.dot
  return bytes[start + 1] === DOT ? LastName.dotDot : LastName.plain
}
