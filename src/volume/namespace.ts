/**
 * The namespace: create, mkdir, unlink, rmdir, rename, link. Each is one transaction.
 *
 * Invariants:
 * - an inode with links has as many entries (a directory: 2 and its subdirectories, and one entry);
 * - an inode without links is open and an orphan, or freed in the transaction that took the last;
 * - a rename never leaves a moment, not even in a crash, in which the file has no name;
 * - no directory is its own ancestor.
 */
import { HoldfastError } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'
import { LINKS_MAX } from '../base/limits.js'
import { Inode, Mode, ROOT_INODE } from '../media/inode.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import { ORPHAN_BLOCKS, OrphanKind } from './orphans.js'
import { LastName, type PathName } from './paths.js'

const at = Inode.word

export class Namespace {
  readonly #core: Core
  readonly #files: Files

  constructor(core: Core, files: Files) {
    this.#core = core
    this.#files = files
  }

  #isDirectory(w: number): boolean {
    return (this.#core.pages.u32[w + at.mode]! & Mode.typeMask) === Mode.directory
  }

  #type(w: number): number {
    return this.#core.pages.u32[w + at.mode]! >>> 12
  }

  #links(w: number, delta: number): number {
    const u32 = this.#core.pages.u32
    const links = u32[w + at.links]! + delta
    u32[w + at.links] = links
    this.#core.inodes.changed(w)
    return links
  }

  /** Makes a file. `name` was walked to its parent and leads nowhere. Returns the inode. */
  create(name: PathName, mode: number, as: Credentials): number {
    if (name.directoryOnly) throw new HoldfastError('EISDIR')
    return this.#make(name, (mode & 0o7777) | Mode.file, 1, as)
  }

  mkdir(name: PathName, mode: number, as: Credentials): void {
    const { paths, inodes } = this.#core
    paths.toParent(name)
    name.directoryOnly = false
    if (paths.lookUp(name) !== 0) throw new HoldfastError('EEXIST')
    if (this.#core.pages.u32[inodes.get(name.parent) + at.links]! >= LINKS_MAX) {
      throw new HoldfastError('EMLINK')
    }
    this.#make(name, (mode & 0o7777) | Mode.directory, 2, as)
  }

  #make(name: PathName, mode: number, links: number, as: Credentials): number {
    const { inodes, directories, transaction, pages } = this.#core
    const parent = inodes.get(name.parent)
    if (pages.u32[parent + at.links] === 0)
      throw new HoldfastError('ENOENT', 'the directory was removed')
    if (inodes.room <= 0) throw new HoldfastError('ENOSPC', 'no inode left')
    transaction.begin(directories.entryBlocks(parent) + 1)
    let number: number
    try {
      const w = inodes.create(mode, as.uid, as.gid, links)
      number = pages.u32[w + at.number]!
      if (links === 2) {
        pages.u32[w + at.parent] = name.parent
        pages.u32[parent + at.links]!++
      }
      directories.add(parent, name.bytes, name.start, name.nameLength, number, mode >>> 12)
    } catch (error) {
      throw transaction.abandon(error)
    }
    transaction.commit()
    return number
  }

  link(existing: PathName, name: PathName): void {
    const { paths, inodes, directories, transaction, pages } = this.#core
    const number = paths.resolve(existing)
    const w = inodes.get(number)
    if (this.#isDirectory(w)) throw new HoldfastError('EPERM', 'a directory has one name')
    paths.toParent(name)
    if (paths.lookUp(name) !== 0) throw new HoldfastError('EEXIST')
    if (name.directoryOnly) throw new HoldfastError('ENOENT')
    if (pages.u32[w + at.links]! >= LINKS_MAX) throw new HoldfastError('EMLINK')
    const parent = inodes.get(name.parent)
    transaction.run(directories.entryBlocks(parent), false, () => {
      this.#links(w, 1)
      directories.add(parent, name.bytes, name.start, name.nameLength, number, this.#type(w))
    })
  }

  unlink(name: PathName): void {
    const { paths, inodes, directories, transaction } = this.#core
    paths.toParent(name)
    if (name.last !== LastName.plain) throw new HoldfastError('EISDIR')
    const number = paths.lookUp(name)
    if (number === 0) throw new HoldfastError('ENOENT')
    const w = inodes.get(number)
    if (this.#isDirectory(w)) throw new HoldfastError('EISDIR')
    this.#files.settle(number)
    const parent = inodes.get(name.parent)
    let left = false
    transaction.run(ORPHAN_BLOCKS, true, () => {
      directories.remove(parent, name.bytes, name.start, name.nameLength)
      left = this.#drop(number, w)
    })
    if (left) this.#freeRest(number)
  }

  rmdir(name: PathName): void {
    const { paths, inodes, directories, transaction } = this.#core
    paths.toParent(name)
    if (name.last === LastName.root) throw new HoldfastError('EBUSY', 'the root directory')
    if (name.last === LastName.dot) throw new HoldfastError('EINVAL', "the last name is '.'")
    if (name.last === LastName.dotDot) throw new HoldfastError('ENOTEMPTY', "the last name is '..'")
    const number = paths.lookUp(name)
    if (number === 0) throw new HoldfastError('ENOENT')
    const w = inodes.get(number)
    if (!this.#isDirectory(w)) throw new HoldfastError('ENOTDIR')
    if (!directories.isEmpty(w)) throw new HoldfastError('ENOTEMPTY')
    const parent = inodes.get(name.parent)
    paths.forget()
    transaction.run(0, true, () => {
      directories.remove(parent, name.bytes, name.start, name.nameLength)
      this.#links(parent, -1)
      this.#files.freeWithin(number)
    })
  }

  rename(from: PathName, to: PathName): void {
    const { paths, inodes, directories, transaction, pages } = this.#core
    paths.toParent(from)
    if (from.last !== LastName.plain) throw new HoldfastError('EBUSY', 'the source is . or .. or /')
    const number = paths.lookUp(from)
    if (number === 0) throw new HoldfastError('ENOENT')
    const w = inodes.get(number)
    const directory = this.#isDirectory(w)
    paths.toParent(to)
    if (to.last !== LastName.plain)
      throw new HoldfastError('EBUSY', 'the destination is . or .. or /')
    if (directory) this.#refuseCycle(number, to.parent)
    if (directory) to.directoryOnly = false
    const target = paths.lookUp(to)
    if (to.directoryOnly) throw new HoldfastError(target === 0 ? 'ENOENT' : 'ENOTDIR')
    if (target === number) return
    const replaced = target === 0 ? -1 : inodes.get(target)
    if (replaced >= 0) {
      this.#checkReplaced(directory, replaced)
      this.#files.settle(target)
    }
    const parent = inodes.get(from.parent)
    const newParent = inodes.get(to.parent)
    if (pages.u32[newParent + at.links] === 0) throw new HoldfastError('ENOENT')
    if (directory) paths.forget()
    let left = false
    const need = replaced >= 0 ? ORPHAN_BLOCKS : directories.entryBlocks(newParent)
    transaction.run(need, replaced >= 0, () => {
      const type = this.#type(w)
      if (replaced >= 0) {
        directories.replace(newParent, to.bytes, to.start, to.nameLength, number, type)
      } else directories.add(newParent, to.bytes, to.start, to.nameLength, number, type)
      directories.remove(parent, from.bytes, from.start, from.nameLength)
      if (directory && from.parent !== to.parent) {
        this.#links(parent, -1)
        this.#links(newParent, 1)
        pages.u32[w + at.parent] = to.parent
        inodes.touch(w, Inode.at.parent, 4)
      }
      inodes.changed(w)
      if (replaced < 0) return
      if (directory) {
        this.#links(newParent, -1)
        this.#files.freeWithin(target)
      } else left = this.#drop(target, replaced)
    })
    if (left) this.#freeRest(target)
  }

  /** What a rename may replace. */
  #checkReplaced(directory: boolean, replaced: number): void {
    const { directories } = this.#core
    const other = this.#isDirectory(replaced)
    if (directory && !other)
      throw new HoldfastError('ENOTDIR', 'a directory replaces only a directory')
    if (!directory && other) throw new HoldfastError('EISDIR', 'a file replaces only a file')
    if (other && !directories.isEmpty(replaced)) throw new HoldfastError('ENOTEMPTY')
  }

  /** EINVAL when `directory` is `inode` or above it. */
  #refuseCycle(directory: number, inode: number): void {
    const { inodes, pages } = this.#core
    let steps = 0
    for (let i = inode; i !== ROOT_INODE;) {
      if (i === directory) throw new HoldfastError('EINVAL', 'a directory cannot go below itself')
      i = pages.u32[inodes.get(i) + at.parent]!
      if (++steps > this.#core.state.inodes)
        throw new HoldfastError('EUCLEAN', 'directories in a circle')
    }
  }

  /** Takes one link of a file; frees it with the last. True: more is to be freed than fits here. */
  #drop(number: number, w: number): boolean {
    const { orphans, opens } = this.#core
    if (this.#links(w, -1) > 0) return false
    const open = opens.get(number)
    if (open !== undefined) {
      open.unlinked = true
      orphans.add(number, OrphanKind.unlinked)
      return false
    }
    if (this.#files.freeWithin(number)) return false
    orphans.add(number, OrphanKind.unlinked)
    return true
  }

  #freeRest(number: number): void {
    while (!this.#files.freeStep(number));
  }
}
