/**
 * Paths, as bytes: where one leads, and what its last name is.
 *
 * A `PathName` holds a copy of the bytes, so that nothing is allocated for a walk; a volume keeps two
 * (rename has two paths).
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

  constructor(pages: Pages, inodes: Inodes, directories: Directories) {
    this.#pages = pages
    this.#inodes = inodes
    this.#directories = directories
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
    name.parent = ROOT_INODE
    name.start = 0
    name.nameLength = 0
    name.last = LastName.root
    for (let i = 0; i < end; ) {
      if (bytes[i] === SLASH) {
        i++
        continue
      }
      const start = i
      while (i < end && bytes[i] !== SLASH) i++
      if (i - start > NAME_BYTES_MAX) {
        throw new HoldfastError('ENAMETOOLONG', `name of ${i - start} bytes, at most ${NAME_BYTES_MAX}`)
      }
      // What was the last name so far is a directory on the way.
      if (name.last !== LastName.root) name.parent = this.#enter(name)
      name.start = start
      name.nameLength = i - start
      name.last = kindOf(bytes, start, i - start)
    }
    this.#directory(name.parent)
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

  #enter(name: PathName): number {
    if (name.last === LastName.dot) return name.parent
    const w = this.#directory(name.parent)
    if (name.last === LastName.dotDot) return this.#pages.u32[w + at.parent]!
    if (!this.#directories.find(w, name.bytes, name.start, name.nameLength)) {
      throw new HoldfastError('ENOENT')
    }
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

function kindOf(bytes: Uint8Array, start: number, length: number): number {
  if (bytes[start] !== DOT || length > 2) return LastName.plain
  if (length === 1) return LastName.dot
  return bytes[start + 1] === DOT ? LastName.dotDot : LastName.plain
}
