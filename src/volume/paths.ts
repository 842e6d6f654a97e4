/**
 * Paths, as bytes: where one leads, and what its last name is.
 *
 * A `PathName` holds a copy of the bytes, so that nothing is allocated for a walk; a volume keeps
 * two (rename has two paths). A symlink on the way makes it another path, from another directory:
 * target and rest put together, in bytes of its own.
 */
import { HoldfastError } from '../base/errors.js'
import { NAME_BYTES_MAX, PATH_BYTES_MAX, SYMLINKS_MAX } from '../base/limits.js'
import { isPath, isPathAt, type Path, type PathAt } from '../base/path.js'
import { Mode, Want } from '../base/mode.js'
import { Inode, ROOT_INODE } from '../media/inode.js'
import type { Access } from './access.js'
import type { Directories } from './directories.js'
import type { Inodes } from './inodes.js'
import type { Pages } from './pages.js'
import type { Symlinks } from './symlinks.js'

const at = Inode.word
const SLASH = 0x2f
const DOT = 0x2e

/** What the last component is, when it is not a plain name. root: the walk ends where it begins. */
export const LastName = { plain: 0, dot: 1, dotDot: 2, root: 3 } as const

const encoder = new TextEncoder()

/** Bytes of a path that symlinks have made longer. */
const EXPANDED_BYTES_MAX = 64 * 1024
const SYMLINK_BITS = Mode.symlink >>> 12

export class PathName {
  readonly #own = new Uint8Array(PATH_BYTES_MAX + 1)
  bytes = this.#own
  length = 0
  /** Inode of the directory that the walk begins in. */
  base = ROOT_INODE
  /** Symlinks followed so far. */
  followed = 0
  /** Inode of the directory that holds, or is to hold, the last name. */
  parent = 0
  /** The last name: `bytes` from `start`, `nameLength` bytes. */
  start = 0
  nameLength = 0
  last: number = LastName.plain
  /** The path ends in a slash: only a directory will do. */
  directoryOnly = false

  /** The inode that a path begins at, or ESTALE. */
  readonly #inodeOf: (path: PathAt) => number

  constructor(inodeOf: (path: PathAt) => number) {
    this.#inodeOf = inodeOf
  }

  set(path: Path): void {
    if (!isPath(path)) throw new HoldfastError('EINVAL', 'a path is a string or bytes')
    this.bytes = this.#own
    this.base = ROOT_INODE
    this.followed = 0
    if (isPathAt(path)) {
      this.base = this.#inodeOf(path)
      return this.#setText(path.path)
    }
    this.#setText(path)
    if (this.length === 0) throw new HoldfastError('ENOENT', 'the path is empty')
  }

  #setText(path: string | Uint8Array): void {
    if (typeof path === 'string') this.#setString(path)
    else this.#setBytes(path)
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

  /**
   * The symlink whose name ends at byte `end` leads to `target`, seen from directory `base`: the
   * path from now on.
   */
  follow(target: Uint8Array, base: number, end: number): void {
    if (++this.followed > SYMLINKS_MAX) throw new HoldfastError('ELOOP')
    const length = target.length + this.length - end
    if (length > EXPANDED_BYTES_MAX) throw tooLong(length)
    const bytes = new Uint8Array(length)
    bytes.set(target)
    bytes.set(this.bytes.subarray(end, this.length), target.length)
    this.base = target[0] === SLASH ? ROOT_INODE : base
    this.bytes = bytes
    this.length = length
  }
}

/** A path from the root, or the target of a symlink, as bytes. */
export function asBytes(path: Path): Uint8Array {
  if (isPathAt(path)) throw new HoldfastError('EINVAL', 'a path from the root is wanted here')
  const bytes = typeof path === 'string' ? encoder.encode(path) : path
  if (bytes.indexOf(0) >= 0) throw hasNul()
  return bytes
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
  readonly #symlinks: Symlinks
  readonly #access: Access

  /**
   * The last directory walked to from the root without a symlink on the way: its path with the
   * slash behind it, its inode (0: forgotten), and who walked there.
   */
  readonly #prefix = new Uint8Array(PATH_BYTES_MAX + 1)
  #prefixLength = 0
  #prefixInode = 0
  #prefixPrivileged = false
  #prefixUid = 0
  #prefixGid = 0
  #prefixGroups: readonly number[] | undefined

  constructor(
    pages: Pages,
    inodes: Inodes,
    directories: Directories,
    symlinks: Symlinks,
    access: Access,
  ) {
    this.#pages = pages
    this.#inodes = inodes
    this.#directories = directories
    this.#symlinks = symlinks
    this.#access = access
  }

  /**
   * A directory went away, got another name, or lets others in than before: no walk is remembered.
   */
  forget(): void {
    this.#prefixInode = 0
  }

  /** Walks to the directory of the last name; sets `parent`, `start`, `nameLength`, `last`. */
  toParent(name: PathName): void {
    do this.#findLast(name)
    while (!this.#walkToLast(name))
  }

  /** Where the last name stands in the path. */
  #findLast(name: PathName): void {
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
      name.parent = name.length === 0 ? name.base : ROOT_INODE
      name.last = LastName.root
      return
    }
    name.last = kindOf(bytes, start, end - start)
  }

  /** False when a symlink on the way made it another path. */
  #walkToLast(name: PathName): boolean {
    const { bytes, start } = name
    if (name.nameLength === 0) return true
    if (bytes[0] === SLASH) name.base = ROOT_INODE
    // Most walks lead where the one before led.
    if (name.base === ROOT_INODE && this.#isPrefix(bytes, start)) {
      name.parent = this.#prefixInode
      return true
    }
    const base = name.base
    if (!this.#walk(name, start)) return false
    this.#directory(name.parent)
    if (base === ROOT_INODE && start <= PATH_BYTES_MAX) this.#remember(bytes, start, name.parent)
    return true
  }

  #remember(bytes: Uint8Array, length: number, inode: number): void {
    for (let i = 0; i < length; i++) this.#prefix[i] = bytes[i]!
    this.#prefixLength = length
    this.#prefixInode = inode
    const { uid, gid, groups } = this.#access.as
    this.#prefixPrivileged = this.#access.privileged
    this.#prefixUid = uid
    this.#prefixGid = gid
    this.#prefixGroups = groups
  }

  #isPrefix(bytes: Uint8Array, length: number): boolean {
    if (this.#prefixInode === 0 || this.#prefixLength !== length) return false
    const { uid, gid, groups } = this.#access.as
    if (this.#prefixPrivileged !== this.#access.privileged) return false
    if (this.#prefixUid !== uid || this.#prefixGid !== gid || this.#prefixGroups !== groups) {
      return false
    }
    for (let i = 0; i < length; i++) if (this.#prefix[i] !== bytes[i]) return false
    return true
  }

  /**
   * Follows the first `length` bytes to an inode, `parent`. False when a symlink among them made it
   * another path.
   */
  #walk(name: PathName, length: number): boolean {
    const { bytes } = name
    let inode = name.base
    for (let i = 0; i < length;) {
      if (bytes[i] === SLASH) {
        i++
        continue
      }
      const start = i
      while (i < length && bytes[i] !== SLASH) i++
      if (i - start > NAME_BYTES_MAX) throw nameTooLong(i - start)
      const w = this.#directory(inode)
      const kind = kindOf(bytes, start, i - start)
      if (kind === LastName.dot) continue
      if (kind === LastName.dotDot) {
        inode = this.#pages.u32[w + at.parent]!
        continue
      }
      if (!this.#directories.find(w, bytes, start, i - start)) throw new HoldfastError('ENOENT')
      const found = this.#directories.target
      if (this.#directories.byte === SYMLINK_BITS) {
        name.follow(this.#symlinks.read(found), inode, i)
        return false
      }
      inode = found
    }
    name.parent = inode
    return true
  }

  /**
   * The inode that the last name leads to, 0 when there is none. After `toParent`. `follow`: also
   * when that is a symlink; then the name is the one that the symlink leads to. `creates`: EISDIR
   * when that one ends in a slash, whatever stands there.
   */
  lookUp(name: PathName, follow = false, creates = false): number {
    for (;;) {
      if (name.last === LastName.root) return name.parent
      const w = this.#directory(name.parent)
      if (name.nameLength > NAME_BYTES_MAX) throw nameTooLong(name.nameLength)
      if (name.last === LastName.dot) return name.parent
      if (name.last === LastName.dotDot) return this.#pages.u32[w + at.parent]!
      if (!this.#directories.find(w, name.bytes, name.start, name.nameLength)) return 0
      const inode = this.#directories.target
      if (this.#directories.byte === SYMLINK_BITS && (follow || name.directoryOnly)) {
        const target = this.#symlinks.read(inode)
        name.follow(target, name.parent, name.start + name.nameLength)
        this.toParent(name)
        if (creates) this.refuseSlash(name)
        continue
      }
      if (name.directoryOnly && !this.#inodes.isDirectory(this.#inodes.get(inode))) {
        throw new HoldfastError('ENOTDIR')
      }
      return inode
    }
  }

  /** Who creates gives a name without a slash behind it (open_last_lookups of fs/namei.c). */
  refuseSlash(name: PathName): void {
    if (name.directoryOnly && name.last === LastName.plain) {
      throw new HoldfastError('EISDIR', 'mkdir makes directories')
    }
  }

  /** The inode that a path leads to. */
  resolve(name: PathName, follow = true): number {
    this.toParent(name)
    const inode = this.lookUp(name, follow)
    if (inode === 0) throw new HoldfastError('ENOENT')
    return inode
  }

  /** Word index of an inode that must be a directory, and may be walked through. */
  #directory(inode: number): number {
    const w = this.#inodes.get(inode)
    if (!this.#inodes.isDirectory(w)) throw new HoldfastError('ENOTDIR')
    if (!this.#access.privileged) this.#access.demand(w, Want.execute)
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
