/**
 * What a filesystem is, without any medium: a tree of maps in memory, written from the manual pages
 * (path_resolution(7), open(2), rename(2), ...) and not from the volume. Its methods are named as
 * those of a Volume, so that one interpreter drives both.
 *
 * Where the manuals leave open which of several errors comes first, the model names all of them.
 */
import type { ErrorCode } from '../../src/base/errors.js'
import { Content } from './content.js'

export class ModelError extends Error {
  /** The codes that are right here. */
  readonly codes: readonly ErrorCode[]

  constructor(...codes: ErrorCode[]) {
    super(codes.join(' or '))
    this.codes = codes
  }
}

export class ModelInode {
  readonly kind: 'file' | 'directory'
  readonly mode: number
  readonly born: number
  modified: number
  changed: number
  links: number
  opens = 0
  /** Of a file. */
  readonly content = new Content()
  /** Of a directory: names in latin1. */
  readonly entries = new Map<string, ModelInode>()
  parent: ModelInode

  constructor(kind: 'file' | 'directory', mode: number, now: number, parent: ModelInode | null) {
    this.kind = kind
    this.mode = mode
    this.born = this.modified = this.changed = now
    this.links = kind === 'file' ? 1 : 2
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

export class FilesystemModel {
  readonly root: ModelInode
  /** Seconds: the time of the operation under way. */
  now: number

  constructor(now: number) {
    this.now = now
    this.root = new ModelInode('directory', 0o755, now, null)
  }

  walk(path: string): Walk {
    if (path === '') throw new ModelError('ENOENT')
    if (path.includes('\0')) throw new ModelError('EINVAL')
    if (path.length > 4095) throw new ModelError('ENAMETOOLONG')
    const names = path.split('/').filter((name) => name !== '')
    const tooLong = names.some((name) => name.length > 255)
    const fail = (code: ErrorCode) =>
      tooLong ? new ModelError('ENAMETOOLONG', code) : new ModelError(code)
    const slash = path.endsWith('/')
    let directory = this.root
    let name = ''
    let found: ModelInode | undefined = this.root
    let last: Walk['last'] = '/'
    for (name of names) {
      if (found === undefined) throw fail('ENOENT')
      if (found.kind !== 'directory') throw fail('ENOTDIR')
      directory = found
      if (name.length > 255) throw new ModelError('ENAMETOOLONG')
      last = name === '.' || name === '..' ? name : 'name'
      if (name === '.') found = directory
      else if (name === '..') found = directory.parent
      else found = directory.entries.get(name)
    }
    return { directory, name, last, slash, found }
  }

  #find(path: string): ModelInode {
    const { found, slash } = this.walk(path)
    if (found === undefined) throw new ModelError('ENOENT')
    if (slash && found.kind !== 'directory') throw new ModelError('ENOTDIR')
    return found
  }

  #file(path: string): ModelInode {
    const inode = this.#find(path)
    if (inode.kind === 'directory') throw new ModelError('EISDIR')
    return inode
  }

  inode(path: string): ModelInode {
    return this.#find(path)
  }

  open(path: string, flags: string): ModelFile {
    const { directory, name, slash, found } = this.walk(path)
    const creates = flags[0] !== 'r'
    let inode = found
    if (inode === undefined) {
      if (!creates) throw new ModelError('ENOENT')
      if (slash) throw new ModelError('EISDIR')
      inode = new ModelInode('file', 0o666, this.now, directory)
      directory.entries.set(name, inode)
      directory.touch(this.now)
    } else {
      // A slash after a file's name: Linux says EISDIR when creating, path_resolution(7) ENOTDIR.
      const exclusive = flags.includes('x')
      if (slash && inode.kind === 'file') {
        throw new ModelError(
          'ENOTDIR',
          ...(creates ? (['EISDIR'] as const) : []),
          ...(exclusive ? (['EEXIST'] as const) : []),
        )
      }
      if (exclusive) throw new ModelError('EEXIST')
      if (inode.kind === 'directory') throw new ModelError('EISDIR')
      if (flags[0] === 'w') {
        inode.content.truncate(0)
        inode.touch(this.now)
      }
    }
    return new ModelFile(this, inode, flags)
  }

  truncate(path: string, size: number): void {
    const inode = this.#file(path)
    inode.content.truncate(size)
    inode.touch(this.now)
  }

  readFile(path: string): Uint8Array {
    return this.#file(path).content.read(0, Infinity)
  }

  mkdir(path: string): void {
    const { directory, name, found } = this.walk(path)
    if (found !== undefined) throw new ModelError('EEXIST')
    directory.entries.set(name, new ModelInode('directory', 0o777, this.now, directory))
    directory.links++
    directory.touch(this.now)
  }

  rmdir(path: string): void {
    const { directory, name, last, found } = this.walk(path)
    if (last === '/') throw new ModelError('EBUSY')
    if (last === '.') throw new ModelError('EINVAL')
    if (last === '..') throw new ModelError('ENOTEMPTY')
    if (found === undefined) throw new ModelError('ENOENT')
    if (found.kind !== 'directory') throw new ModelError('ENOTDIR')
    if (found.entries.size > 0) throw new ModelError('ENOTEMPTY')
    directory.entries.delete(name)
    directory.links--
    directory.touch(this.now)
    found.links = 0
  }

  unlink(path: string): void {
    const { directory, name, last, slash, found } = this.walk(path)
    if (last !== 'name') throw new ModelError('EISDIR')
    if (found === undefined) throw new ModelError('ENOENT')
    if (found.kind === 'directory') throw new ModelError('EISDIR')
    if (slash) throw new ModelError('ENOTDIR')
    directory.entries.delete(name)
    directory.touch(this.now)
    found.links--
    found.changed = this.now
  }

  link(existing: string, path: string): void {
    const problems: ErrorCode[] = []
    const source = attempt(problems, () => this.#find(existing))
    const to = attempt(problems, () => this.walk(path))
    if (source?.kind === 'directory') problems.push('EPERM')
    if (to?.found !== undefined) {
      problems.push('EEXIST')
      if (to.slash && to.found.kind === 'file') problems.push('ENOTDIR')
    } else if (to?.slash === true) problems.push('ENOENT')
    if (problems.length > 0) throw new ModelError(...problems)
    to!.directory.entries.set(to!.name, source!)
    to!.directory.touch(this.now)
    source!.links++
    source!.changed = this.now
  }

  rename(from: string, to: string): void {
    const problems: ErrorCode[] = []
    const source = attempt(problems, () => this.walk(from))
    const target = attempt(problems, () => this.walk(to))
    problems.push(...renameProblems(source, target))
    if (problems.length > 0) throw new ModelError(...problems)
    this.#move(source!, target!)
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

  /** Every path there is, the root first, in the order of making. */
  paths(): string[] {
    const list = ['/']
    const down = (directory: ModelInode, path: string) => {
      for (const [name, inode] of directory.entries) {
        list.push(`${path}/${name}`)
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
    this.#enter(this.#writes)
    this.inode.content.truncate(size)
    this.inode.touch(this.#model.now)
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
  if (moved?.kind === 'file' && source!.slash) problems.push('ENOTDIR')
  if (moved === undefined || target === undefined) return problems
  const replaced = target.found
  if (moved.kind === 'file' && target.slash) {
    problems.push('ENOTDIR', ...(replaced === undefined ? (['ENOENT'] as const) : []))
  }
  if (moved.kind === 'directory' && isWithin(target.directory, moved)) problems.push('EINVAL')
  if (replaced === undefined || replaced === moved) return problems
  if (moved.kind === 'directory' && replaced.kind === 'file') problems.push('ENOTDIR')
  if (moved.kind === 'file' && replaced.kind === 'directory') {
    problems.push('EISDIR')
    // Linux says ENOTEMPTY of a target that holds the source, whatever the source is.
    if (isWithin(source!.directory, replaced)) problems.push('ENOTEMPTY')
  }
  if (moved.kind === 'directory' && replaced.entries.size > 0) problems.push('ENOTEMPTY')
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
