/**
 * What a filesystem is, without any medium: a tree of maps in memory, written from the manual pages
 * (path_resolution(7), open(2), rename(2), ...) and not from the volume. Its methods are named as
 * those of a Volume, so that one interpreter drives both.
 *
 * Where the manuals leave open which of several errors comes first, the model names all of them.
 */
import type { ErrorCode } from '../../src/base/errors.js'
import type { Credentials } from '../../src/base/filesystem.js'
import { Content, type RangeKind } from './content.js'

export class ModelError extends Error {
  /** The codes that are right here. */
  readonly codes: readonly ErrorCode[]

  constructor(...codes: ErrorCode[]) {
    super(codes.join(' or '))
    this.codes = codes
  }
}

export type ModelKind = 'file' | 'directory' | 'symlink'

export class ModelInode {
  readonly kind: ModelKind
  /** Permissions, without the type. */
  mode: number
  uid: number
  gid: number
  readonly born: number
  modified: number
  changed: number
  links: number
  opens = 0
  /** Opened with O_TMPFILE and not named yet: a link may still give it a name. */
  linkable = false
  /** Of a file. */
  readonly content = new Content()
  /** Of a directory: names in latin1. */
  readonly entries = new Map<string, ModelInode>()
  /** Of a symlink. */
  readonly target: string
  /** Attributes: names and values. */
  readonly xattrs = new Map<string, Uint8Array>()
  parent: ModelInode

  constructor(kind: ModelKind, mode: number, now: number, parent: ModelInode | null, target = '') {
    this.kind = kind
    this.mode = mode
    this.uid = 0
    this.gid = 0
    this.target = target
    this.born = this.modified = this.changed = now
    this.links = kind === 'directory' ? 2 : 1
    this.parent = parent ?? this
  }

  touch(now: number): void {
    this.modified = this.changed = now
  }
}

/** Where a path ends: the directory of its last name, and what stands there. */
interface Walk {
  readonly directory: ModelInode
  readonly name: string
  readonly last: 'name' | '.' | '..' | '/'
  readonly slash: boolean
  readonly found: ModelInode | undefined
}

/**
 * What becomes of a symlink that is the last name: it is left when its place is asked for, also
 * with a slash behind it; else the slash makes that it is followed.
 */
type Last = 'place' | 'leave' | 'follow'

const SYMLINKS_MAX = 40
const BLOCK = 4096
export const ROOT: Credentials = { uid: 0, gid: 0 }
const [READ, WRITE, EXECUTE] = [4, 2, 1]

export class FilesystemModel {
  readonly root: ModelInode
  /** Seconds: the time of the operation under way. */
  now: number
  /** Who asks. */
  as: Credentials = ROOT
  /** A symlink at the end of a walk had a slash behind its target. */
  #slashed = false

  constructor(now: number) {
    this.now = now
    this.root = new ModelInode('directory', 0o755, now, null)
  }

  #inGroup(gid: number): boolean {
    return this.as.gid === gid || this.as.groups?.includes(gid) === true
  }

  /** Whether who asks may read, write, search. */
  permits(inode: ModelInode, want: number): boolean {
    if (this.as.uid === 0) return true
    const shift = this.as.uid === inode.uid ? 6 : this.#inGroup(inode.gid) ? 3 : 0
    return ((inode.mode >> shift) & want) === want
  }

  owns(inode: ModelInode): boolean {
    return this.as.uid === 0 || this.as.uid === inode.uid
  }

  /** What keeps who asks from making or removing a name in a directory. */
  #forbidden(directory: ModelInode, removed?: ModelInode): ErrorCode[] {
    if (!this.permits(directory, WRITE | EXECUTE)) return ['EACCES']
    const sticky = removed !== undefined && (directory.mode & 0o1000) !== 0
    return sticky && !this.owns(removed) && !this.owns(directory) ? ['EPERM'] : []
  }

  #refuse(directory: ModelInode, removed?: ModelInode): void {
    const codes = this.#forbidden(directory, removed)
    if (codes.length > 0) throw new ModelError(...codes)
  }

  walk(path: string, end: Last = 'place'): Walk {
    if (path === '') throw new ModelError('ENOENT')
    if (path.includes('\0')) throw new ModelError('EINVAL')
    if (path.length > 4095) throw new ModelError('ENAMETOOLONG')
    const names = path.split('/').filter((name) => name !== '')
    const tooLong = names.some((name) => name.length > 255)
    const fail = (code: ErrorCode) =>
      tooLong ? new ModelError('ENAMETOOLONG', code) : new ModelError(code)
    let slash = path.endsWith('/')
    let directory = this.root
    let name = ''
    let found: ModelInode | undefined = this.root
    let last: Walk['last'] = '/'
    for (let followed = 0; names.length > 0;) {
      name = names.shift()!
      if (found === undefined) throw fail('ENOENT')
      if (found.kind !== 'directory') throw fail('ENOTDIR')
      directory = found
      if (!this.permits(directory, EXECUTE)) throw fail('EACCES')
      if (name.length > 255) throw new ModelError('ENAMETOOLONG')
      last = name === '.' || name === '..' ? name : 'name'
      if (name === '.') found = directory
      else if (name === '..') found = directory.parent
      else found = directory.entries.get(name)
      const isLast = names.length === 0
      const follow = !isLast || end === 'follow' || (end === 'leave' && slash)
      if (found?.kind !== 'symlink' || !follow) continue
      if (++followed > SYMLINKS_MAX) throw fail('ELOOP')
      const { target } = found
      if (isLast && target.endsWith('/')) slash = this.#slashed = true
      names.unshift(...target.split('/').filter((part) => part !== ''))
      found = target.startsWith('/') ? this.root : directory
      last = '/'
    }
    return { directory, name, last, slash, found }
  }

  #find(path: string, end: Last = 'follow'): ModelInode {
    const { found, slash } = this.walk(path, end)
    if (found === undefined) throw new ModelError('ENOENT')
    if (slash && found.kind !== 'directory') throw new ModelError('ENOTDIR')
    return found
  }

  #file(path: string): ModelInode {
    const inode = this.#find(path)
    if (inode.kind === 'directory') throw new ModelError('EISDIR')
    return inode
  }

  /** `follow` false: a symlink itself. */
  inode(path: string, follow = true): ModelInode {
    return this.#find(path, follow ? 'follow' : 'leave')
  }

  /** A new inode, with the group and the bit that its directory hands down. */
  #bear(kind: ModelKind, mode: number, parent: ModelInode, target = ''): ModelInode {
    const inode = new ModelInode(kind, mode, this.now, parent, target)
    inode.uid = this.as.uid
    inode.gid = (parent.mode & 0o2000) !== 0 ? parent.gid : this.as.gid
    if (kind === 'directory') inode.mode |= parent.mode & 0o2000
    return inode
  }

  open(path: string, flags: string): ModelFile {
    const creates = flags[0] !== 'r'
    const exclusive = flags.includes('x')
    if (creates) this.#refuseSlash(path)
    const { directory, name, slash, found } = this.#walkToOpen(path, creates, exclusive)
    let inode = found
    if (inode === undefined) {
      if (!creates) throw new ModelError('ENOENT')
      if (slash) throw new ModelError('EISDIR')
      this.#refuse(directory)
      inode = this.#bear('file', 0o666, directory)
      directory.entries.set(name, inode)
      directory.touch(this.now)
    } else {
      if (slash && inode.kind !== 'directory') throw new ModelError(creates ? 'EISDIR' : 'ENOTDIR')
      if (exclusive) throw new ModelError('EEXIST')
      if (inode.kind === 'directory' && flags !== 'r') throw new ModelError('EISDIR')
      const want = (flags[0] === 'r' ? READ : WRITE) | (flags.endsWith('+') ? READ | WRITE : 0)
      if (!this.permits(inode, want)) throw new ModelError('EACCES')
      if (flags[0] === 'w') {
        inode.content.truncate(0)
        inode.touch(this.now)
      }
    }
    return new ModelFile(this, inode, flags)
  }

  /** Who creates gives a name without a slash: Linux says so before it looks for the name. */
  #refuseSlash(path: string): void {
    if (!path.endsWith('/')) return
    const problems: ErrorCode[] = []
    const place = attempt(problems, () => this.walk(path))
    if (problems.includes('ENAMETOOLONG')) problems.push('EISDIR')
    if (place?.last === 'name') problems.push('EISDIR')
    if (problems.length > 0) throw new ModelError(...problems)
  }

  /** As before, the slash of a symlink's target says it before that is walked to its end. */
  #walkToOpen(path: string, creates: boolean, exclusive: boolean): Walk {
    this.#slashed = false
    const problems: ErrorCode[] = []
    const found = attempt(problems, () => this.walk(path, exclusive ? 'leave' : 'follow'))
    if (found !== undefined) return found
    throw new ModelError(...problems, ...(creates && this.#slashed ? (['EISDIR'] as const) : []))
  }

  /** O_TMPFILE, for reading and writing. */
  openUnnamed(path: string): ModelFile {
    const directory = this.#find(path)
    if (directory.kind !== 'directory') throw new ModelError('ENOTDIR')
    this.#refuse(directory)
    const inode = this.#bear('file', 0o666, directory)
    inode.links = 0
    inode.linkable = true
    return new ModelFile(this, inode, 'r+')
  }

  truncate(path: string, size: number): void {
    const inode = this.#file(path)
    if (!this.permits(inode, WRITE)) throw new ModelError('EACCES')
    inode.content.truncate(size)
    inode.touch(this.now)
  }

  readFile(path: string): Uint8Array {
    return this.#file(path).content.read(0, Infinity)
  }

  mkdir(path: string): void {
    const { directory, name, found } = this.walk(path)
    if (found !== undefined) throw new ModelError('EEXIST')
    this.#refuse(directory)
    directory.entries.set(name, this.#bear('directory', 0o777, directory))
    directory.links++
    directory.touch(this.now)
  }

  symlink(target: string, path: string): void {
    const { directory, name, slash, found } = this.walk(path)
    if (found !== undefined) throw new ModelError('EEXIST')
    if (slash) throw new ModelError('ENOENT')
    this.#refuse(directory)
    directory.entries.set(name, this.#bear('symlink', 0o777, directory, target))
    directory.touch(this.now)
  }

  readlink(path: string): string {
    const inode = this.#find(path, 'leave')
    if (inode.kind !== 'symlink') throw new ModelError('EINVAL')
    return inode.target
  }

  rmdir(path: string): void {
    const { directory, name, last, found } = this.walk(path)
    if (last === '/') throw new ModelError('EBUSY')
    if (last === '.') throw new ModelError('EINVAL')
    if (last === '..') throw new ModelError('ENOTEMPTY')
    if (found === undefined) throw new ModelError('ENOENT')
    this.#refuse(directory, found)
    if (found.kind !== 'directory') throw new ModelError('ENOTDIR')
    if (found.entries.size > 0) throw new ModelError('ENOTEMPTY')
    directory.entries.delete(name)
    directory.links--
    directory.touch(this.now)
    found.changed = this.now
    found.links = 0
  }

  unlink(path: string): void {
    const { directory, name, last, slash, found } = this.walk(path)
    if (last !== 'name') throw new ModelError('EISDIR')
    if (found === undefined) throw new ModelError('ENOENT')
    const isDirectory = found.kind === 'directory'
    if (slash) throw new ModelError(isDirectory ? 'EISDIR' : 'ENOTDIR')
    this.#refuse(directory, found)
    if (isDirectory) throw new ModelError('EISDIR')
    directory.entries.delete(name)
    directory.touch(this.now)
    found.links--
    found.changed = this.now
  }

  /** A file with the content of another: new, or one that was there. */
  clone(from: string, to: string): void {
    const source = this.open(from, 'r')
    try {
      const target = this.#cloneTarget(to)
      target.close()
      const { inode } = target
      if (source.inode.kind === 'directory') throw new ModelError('EISDIR')
      if (inode.links === 0) {
        inode.mode = source.inode.mode & 0o777
        this.linkInode(inode, to)
      }
      if (inode === source.inode) return
      inode.content.truncate(0)
      inode.content.shareFrom(source.inode.content, 0, 0, source.inode.content.size)
      inode.touch(this.now)
    } finally {
      source.close()
    }
  }

  #cloneTarget(path: string): ModelFile {
    const problems: ErrorCode[] = []
    const found = attempt(problems, () => this.open(path, 'r+'))
    if (found !== undefined) return found
    if (!problems.includes('ENOENT')) throw new ModelError(...problems)
    return this.openUnnamed(path.slice(0, path.lastIndexOf('/') + 1) || '/')
  }

  // ---- attributes ------------------------------------------------------------------------------

  chmod(path: string, mode: number): void {
    const inode = this.#find(path)
    if (!this.owns(inode)) throw new ModelError('EPERM')
    const keeps = this.as.uid === 0 || this.#inGroup(inode.gid)
    inode.mode = keeps ? mode : mode & ~0o2000
    inode.changed = this.now
  }

  /** -1 leaves the one as it is. Files of this model have no set-id bits that could go. */
  chown(path: string, uid: number, gid: number, follow: boolean): void {
    const inode = this.#find(path, follow ? 'follow' : 'leave')
    const own = this.as.uid === inode.uid
    const uidStays = uid === -1 || (own && uid === inode.uid)
    const gidStays = gid === -1 || (own && (gid === inode.gid || this.#inGroup(gid)))
    if (this.as.uid !== 0 && !(uidStays && gidStays)) throw new ModelError('EPERM')
    if (uid !== -1) inode.uid = uid
    if (gid !== -1) inode.gid = gid
    inode.changed = this.now
  }

  setXattr(path: string, name: string, value: Uint8Array, mode?: 'create' | 'replace'): void {
    const inode = this.#find(path)
    if (mode === 'create' && inode.xattrs.has(name)) throw new ModelError('EEXIST')
    if (mode === 'replace' && !inode.xattrs.has(name)) throw new ModelError('ENODATA')
    inode.xattrs.set(name, value)
    inode.changed = this.now
  }

  removeXattr(path: string, name: string): void {
    const inode = this.#find(path)
    if (!inode.xattrs.delete(name)) throw new ModelError('ENODATA')
    inode.changed = this.now
  }

  // ---- names -----------------------------------------------------------------------------------

  link(existing: string, path: string): void {
    const problems: ErrorCode[] = []
    const source = attempt(problems, () => this.#find(existing, 'leave'))
    this.#linkTo(source, path, problems)
  }

  /** `source` undefined: what stands against it is among the problems already. */
  #linkTo(source: ModelInode | undefined, path: string, problems: ErrorCode[]): void {
    const to = attempt(problems, () => this.walk(path))
    if (source?.kind === 'directory') problems.push('EPERM')
    if (to?.found !== undefined) {
      problems.push('EEXIST')
      if (to.slash && to.found.kind !== 'directory') problems.push('ENOTDIR')
    } else if (to !== undefined) {
      if (to.slash) problems.push('ENOENT')
      problems.push(...this.#forbidden(to.directory))
    }
    if (problems.length > 0) throw new ModelError(...problems)
    to!.directory.entries.set(to!.name, source!)
    to!.directory.touch(this.now)
    source!.links++
    source!.changed = this.now
  }

  /** Gives a file of `openUnnamed` a name; one that lost its names gets none again. */
  linkInode(inode: ModelInode, path: string): void {
    const gone = inode.links === 0 && !inode.linkable
    this.#linkTo(inode, path, gone ? ['ENOENT'] : [])
    inode.linkable = false
  }

  rename(from: string, to: string, how: 'replace' | 'noReplace' | 'exchange' = 'replace'): void {
    const problems: ErrorCode[] = []
    const source = attempt(problems, () => this.walk(from))
    const target = attempt(problems, () => this.walk(to))
    if (how === 'exchange') problems.push(...exchangeProblems(source, target))
    else problems.push(...renameProblems(source, target))
    if (how === 'noReplace' && (target?.found !== undefined || target?.last !== 'name')) {
      problems.push('EEXIST')
    }
    if (source?.found !== undefined && source.found === target?.found && problems.length === 0) {
      return
    }
    problems.push(...this.#renameForbidden(source, target, how === 'exchange'))
    if (problems.length > 0) throw new ModelError(...problems)
    if (how === 'exchange') this.#exchange(source!, target!)
    else this.#move(source!, target!)
  }

  #renameForbidden(
    source: Walk | undefined,
    target: Walk | undefined,
    exchange: boolean,
  ): ErrorCode[] {
    const codes: ErrorCode[] = []
    if (source?.found !== undefined) codes.push(...this.#forbidden(source.directory, source.found))
    if (target !== undefined) codes.push(...this.#forbidden(target.directory, target.found))
    if (source === undefined || target === undefined) return codes
    if (source.directory === target.directory) return codes
    // The entry '..' of what moves changes.
    for (const moved of exchange ? [source.found, target.found] : [source.found]) {
      if (moved?.kind === 'directory' && !this.permits(moved, WRITE)) codes.push('EACCES')
    }
    return codes
  }

  #exchange(source: Walk, target: Walk): void {
    const [a, b] = [source.found!, target.found!]
    source.directory.entries.set(source.name, b)
    target.directory.entries.set(target.name, a)
    for (const [moved, left, entered] of [
      [a, source.directory, target.directory],
      [b, target.directory, source.directory],
    ] as const) {
      moved.changed = this.now
      left.touch(this.now)
      if (moved.kind !== 'directory') continue
      left.links--
      entered.links++
      moved.parent = entered
    }
  }

  #move(source: Walk, target: Walk): void {
    const moved = source.found!
    const replaced = target.found
    if (replaced === moved) return
    if (replaced !== undefined) {
      replaced.changed = this.now
      if (replaced.kind === 'directory') {
        replaced.links = 0
        target.directory.links--
      } else replaced.links--
    }
    source.directory.entries.delete(source.name)
    target.directory.entries.set(target.name, moved)
    if (moved.kind === 'directory') {
      source.directory.links--
      target.directory.links++
      moved.parent = target.directory
    }
    source.directory.touch(this.now)
    target.directory.touch(this.now)
    moved.changed = this.now
  }

  /** Every path there is, or every one of a kind, the root first, in the order of making. */
  paths(kind?: ModelKind): string[] {
    const list = ['/']
    const down = (directory: ModelInode, path: string) => {
      for (const [name, inode] of directory.entries) {
        if (kind === undefined || inode.kind === kind) list.push(`${path}/${name}`)
        if (inode.kind === 'directory') down(inode, `${path}/${name}`)
      }
    }
    down(this.root, '')
    return list
  }
}

/** A file that was opened in the model. */
export class ModelFile {
  readonly #model: FilesystemModel
  readonly inode: ModelInode
  readonly #reads: boolean
  readonly #writes: boolean
  readonly #appends: boolean
  #position = 0
  #closed = false

  constructor(model: FilesystemModel, inode: ModelInode, flags: string) {
    this.#model = model
    this.inode = inode
    inode.opens++
    this.#reads = flags[0] === 'r' || flags.endsWith('+')
    this.#writes = flags[0] !== 'r' || flags.endsWith('+')
    this.#appends = flags[0] === 'a'
  }

  #enter(allowed: boolean): void {
    if (this.#closed || !allowed) throw new ModelError('EBADF')
  }

  read(length: number, position: number | null): Uint8Array {
    this.#enter(this.#reads)
    if (this.inode.kind === 'directory') throw new ModelError('EISDIR')
    const bytes = this.inode.content.read(position ?? this.#position, length)
    if (position === null) this.#position += bytes.length
    return bytes
  }

  write(bytes: Uint8Array, position: number | null): number {
    this.#enter(this.#writes)
    const at = this.#appends ? this.inode.content.size : (position ?? this.#position)
    if (bytes.length > 0) {
      this.inode.content.write(at, bytes)
      this.inode.touch(this.#model.now)
    }
    if (position === null) this.#position = at + bytes.length
    return bytes.length
  }

  truncate(size: number): void {
    // ftruncate(2) leaves open which of the two it is.
    if (!this.#writes && !this.#closed) throw new ModelError('EBADF', 'EINVAL')
    this.#enter(this.#writes)
    this.inode.content.truncate(size)
    this.inode.touch(this.#model.now)
  }

  range(kind: RangeKind, offset: number, length: number): void {
    const { content } = this.inode
    const problem = length === 0 ? 'EINVAL' : content.refuses(kind, offset, length)
    const problems: ErrorCode[] = problem === null ? [] : [problem]
    if (!this.#writes || this.#closed) problems.push('EBADF')
    if (problems.length > 0) throw new ModelError(...problems)
    content.range(kind, offset, length)
    this.inode.touch(this.#model.now)
  }

  /** Returns bytes copied. */
  copy(offset: number, to: ModelFile, toOffset: number, length: number): number {
    const problems: ErrorCode[] = []
    const directory = this.inode.kind === 'directory' || to.inode.kind === 'directory'
    if (directory) problems.push('EISDIR')
    if (!this.#reads || !to.#writes || to.#appends || this.#closed || to.#closed) {
      problems.push('EBADF')
    }
    const count = Math.max(0, Math.min(length, this.inode.content.size - offset))
    const overlap = this.inode === to.inode && Math.abs(offset - toOffset) < count
    if (overlap) problems.push('EINVAL')
    if (problems.length > 0) throw new ModelError(...problems)
    if (count > 0) {
      to.inode.content.copyFrom(this.inode.content, offset, toOffset, count)
      to.inode.touch(this.#model.now)
    }
    return count
  }

  /** FICLONERANGE: blocks of this file become some of another's. */
  share(offset: number, to: ModelFile, toOffset: number, length: number): void {
    const problems: ErrorCode[] = []
    const directory = this.inode.kind === 'directory' || to.inode.kind === 'directory'
    if (directory) problems.push('EISDIR')
    if (!this.#reads || !to.#writes || to.#appends || this.#closed || to.#closed) {
      problems.push('EBADF')
    }
    if (problems.length > 0) throw new ModelError(...problems)
    const [from, into] = [this.inode.content, to.inode.content]
    const count = length === 0 ? from.size - offset : length
    const toEnd = offset + count === from.size && toOffset + count >= into.size
    const whole = (offset | toOffset) % BLOCK === 0 && (count % BLOCK === 0 || toEnd)
    const overlap = from === into && Math.abs(offset - toOffset) < count
    if (count < 0 || offset + count > from.size || !whole || overlap) throw new ModelError('EINVAL')
    if (count === 0) return
    into.shareFrom(from, offset, toOffset, count)
    to.inode.touch(this.#model.now)
  }

  /** The inode, for who asks after its fields. */
  stat(): ModelInode {
    this.#enter(true)
    return this.inode
  }

  sync(): void {
    this.#enter(true)
  }

  close(): void {
    if (!this.#closed) this.inode.opens--
    this.#closed = true
  }
}

/** What stands against a rename, all of it; undefined is a path that fails by itself. */
function renameProblems(source: Walk | undefined, target: Walk | undefined): ErrorCode[] {
  const problems: ErrorCode[] = []
  if ((source?.last ?? 'name') !== 'name' || (target?.last ?? 'name') !== 'name') {
    problems.push('EBUSY')
  }
  const moved = source?.found
  if (source !== undefined && moved === undefined) problems.push('ENOENT')
  const isDirectory = moved?.kind === 'directory'
  if (moved !== undefined && !isDirectory && source!.slash) problems.push('ENOTDIR')
  if (moved === undefined || target === undefined) return problems
  const replaced = target.found
  if (!isDirectory && target.slash) {
    problems.push('ENOTDIR', ...(replaced === undefined ? (['ENOENT'] as const) : []))
  }
  if (isDirectory && isWithin(target.directory, moved)) problems.push('EINVAL')
  if (replaced === undefined || replaced === moved) return problems
  if (isDirectory && replaced.kind !== 'directory') problems.push('ENOTDIR')
  if (!isDirectory && replaced.kind === 'directory') {
    problems.push('EISDIR')
    // Linux says ENOTEMPTY of a target that holds the source, whatever the source is.
    if (isWithin(source!.directory, replaced)) problems.push('ENOTEMPTY')
  }
  if (isDirectory && replaced.entries.size > 0) problems.push('ENOTEMPTY')
  // Of a directory above the source, too, it is not looked at whose it is.
  if (isDirectory && isWithin(source!.directory, replaced)) problems.push('ENOTEMPTY')
  return problems
}

/** What stands against two names trading places. */
function exchangeProblems(source: Walk | undefined, target: Walk | undefined): ErrorCode[] {
  const problems: ErrorCode[] = []
  for (const [one, other] of [
    [source, target],
    [target, source],
  ]) {
    if (one === undefined) continue
    if (one.last !== 'name') problems.push('EBUSY')
    else if (one.found === undefined) problems.push('ENOENT')
    else if (one.slash && one.found.kind !== 'directory') problems.push('ENOTDIR')
    if (one.found?.kind !== 'directory' || other === undefined) continue
    if (isWithin(other.directory, one.found)) problems.push('EINVAL')
  }
  return problems
}

function isWithin(directory: ModelInode, ancestor: ModelInode): boolean {
  for (let d = directory; ; d = d.parent) {
    if (d === ancestor) return true
    if (d === d.parent) return false
  }
}

function attempt<T>(problems: ErrorCode[], call: () => T): T | undefined {
  try {
    return call()
  } catch (error) {
    if (!(error instanceof ModelError)) throw error
    problems.push(...error.codes)
    return undefined
  }
}
