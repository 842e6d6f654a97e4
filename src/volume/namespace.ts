/**
 * The namespace: what makes, links, renames and removes names. Each call is one transaction.
 *
 * Invariants:
 * - an inode with links has as many entries (a directory: 2 and its subdirectories, and one entry);
 * - an inode without links is open and an orphan, or freed in the transaction that took the last;
 * - a rename never leaves a moment, not even in a crash, in which the file has no name;
 * - no directory is its own ancestor.
 */
import { HoldfastError } from '../base/errors.js'
import type { RenameOptions } from '../base/filesystem.js'
import { LINKS_MAX, TARGET_BYTES_MAX } from '../base/limits.js'
import { Mode, Want } from '../base/mode.js'
import { aclCreate, decodeAcl, encodeAcl } from '../base/posix_acl.js'
import { Inode, InodeFlag, ROOT_INODE } from '../media/inode.js'
import { OrphanKind } from '../media/tree_node.js'
import { ACL_ACCESS, ACL_DEFAULT, checkId } from './access.js'
import type { Core } from './core.js'
import type { OpenInode } from './open_inodes.js'
import { ORPHAN_BLOCKS } from './orphans.js'
import { LastName, type PathName } from './paths.js'
import type { Work } from './work.js'

const at = Inode.word

/** What a new inode is, but for its name. */
interface Birth {
  readonly mode: number
  readonly device?: number
  readonly target?: Uint8Array
}

export class Namespace {
  readonly #core: Core
  readonly #work: Work

  constructor(core: Core, work: Work) {
    this.#core = core
    this.#work = work
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

  // ---- making ----------------------------------------------------------------------------------

  /** Makes a file. `name` was walked to its parent and leads nowhere. Returns the inode. */
  create(name: PathName, mode: number): number {
    if (name.directoryOnly) throw new HoldfastError('EISDIR')
    this.#core.access.demandCreate(this.#core.inodes.get(name.parent))
    return this.#make(name, { mode: (mode & 0o7777) | Mode.file })
  }

  mkdir(name: PathName, mode: number): void {
    const { paths, inodes, access, pages } = this.#core
    paths.toParent(name)
    if (name.last !== LastName.plain) throw new HoldfastError('EEXIST')
    name.directoryOnly = false
    if (paths.lookUp(name) !== 0) throw new HoldfastError('EEXIST')
    access.demandWritable()
    const parent = inodes.get(name.parent)
    access.demandCreate(parent)
    if (pages.u32[parent + at.links]! >= LINKS_MAX) throw new HoldfastError('EMLINK')
    this.#make(name, { mode: (mode & 0o1777) | Mode.directory })
  }

  /** A FIFO, a socket, a device, or an empty file. */
  mknod(name: PathName, mode: number, device: number): void {
    const type = mode & Mode.typeMask
    const isDevice = type === Mode.character || type === Mode.block
    this.#toNewName(name)
    this.#core.access.demandCreate(this.#core.inodes.get(name.parent))
    if (isDevice && !this.#core.access.privileged) throw new HoldfastError('EPERM')
    const bits = (type === 0 ? Mode.file : type) | (mode & 0o7777)
    this.#make(name, { mode: bits, device: isDevice ? device : 0 })
  }

  symlink(target: Uint8Array, name: PathName): void {
    if (target.length === 0) throw new HoldfastError('ENOENT', 'a symlink leads somewhere')
    if (target.length > TARGET_BYTES_MAX) {
      throw new HoldfastError('ENAMETOOLONG', `target of ${target.length} bytes`)
    }
    this.#toNewName(name)
    this.#core.access.demandCreate(this.#core.inodes.get(name.parent))
    this.#make(name, { mode: Mode.symlink | 0o777, target })
  }

  /** Walks to the place of a name that must not be there. */
  #toNewName(name: PathName): void {
    const { paths } = this.#core
    paths.toParent(name)
    if (name.last !== LastName.plain) throw new HoldfastError('EEXIST')
    const directory = name.directoryOnly
    name.directoryOnly = false
    if (paths.lookUp(name) !== 0) throw new HoldfastError('EEXIST')
    this.#core.access.demandWritable()
    if (directory) throw new HoldfastError('ENOENT', 'only a directory has a slash behind its name')
  }

  #make(name: PathName, birth: Birth): number {
    const { inodes, directories, transaction, pages, changes } = this.#core
    const parent = inodes.get(name.parent)
    const directory = (birth.mode & Mode.typeMask) === Mode.directory
    transaction.begin(directories.recordBlocks(parent) + this.#birthBlocks(parent, birth))
    let number: number
    try {
      const w = this.#bear(parent, birth, directory ? 2 : 1)
      number = pages.u32[w + at.number]!
      if (directory) {
        pages.u32[w + at.parent] = name.parent
        pages.u32[parent + at.links]!++
      }
      const { bytes, start, nameLength } = name
      directories.add(parent, bytes, start, nameLength, number, birth.mode >>> 12)
    } catch (error) {
      throw transaction.abandon(error)
    }
    transaction.commit()
    if (changes.watched) this.#tell('create', number, name)
    return number
  }

  /** A file without a name, kept by `open` until it gets one (O_TMPFILE). */
  createUnnamed(directory: number, mode: number): number {
    const { inodes, transaction, pages, access, orphans } = this.#core
    const parent = inodes.get(directory)
    access.demandCreate(parent)
    const birth = { mode: (mode & 0o7777) | Mode.file }
    transaction.begin(this.#birthBlocks(parent, birth) + ORPHAN_BLOCKS)
    let number: number
    try {
      number = pages.u32[this.#bear(parent, birth, 0) + at.number]!
      orphans.add(number, OrphanKind.unlinked)
    } catch (error) {
      throw transaction.abandon(error)
    }
    transaction.commit()
    return number
  }

  /** Blocks that a new inode may need for itself: slab, target, ACLs. */
  #birthBlocks(parent: number, { target }: Birth): number {
    const { inodes, symlinks } = this.#core
    inodes.demandRoom()
    // Two attributes: a tree node, a slab of names and one of values or a chain for each.
    const acls = inodes.has(parent, InodeFlag.defaultAcl) ? 2 * ACL_BLOCKS : 0
    return 1 + (target === undefined ? 0 : symlinks.blocks(target.length)) + acls
  }

  /** Inside a transaction: an inode with mode, group and ACLs as its directory has it. */
  #bear(parent: number, birth: Birth, links: number): number {
    const { inodes, pages, access, xattrs, symlinks } = this.#core
    const { uid, gid, umask } = access.as
    checkId(uid)
    checkId(gid)
    const type = birth.mode & Mode.typeMask
    const setGid = (pages.u32[parent + at.mode]! & Mode.setGid) !== 0
    const group = setGid ? pages.u32[parent + at.gid]! : gid
    let mode = birth.mode
    if (setGid && type === Mode.directory) mode |= Mode.setGid
    else if (setGid && (mode & 0o2010) === 0o2010 && !access.privileged && !access.inGroup(group)) {
      mode &= ~Mode.setGid // mode_strip_sgid
    }
    const inherited =
      type !== Mode.symlink && inodes.has(parent, InodeFlag.defaultAcl)
        ? xattrs.get(parent, ACL_DEFAULT)
        : null
    const acl = inherited === null ? null : decodeAcl(inherited)
    const created = acl === null ? null : aclCreate(acl, mode)
    if (created !== null) mode = created.mode
    else if (type !== Mode.symlink) mode &= ~((umask ?? 0) & 0o777)
    const w = inodes.create(mode, uid, group, links)
    if (birth.device !== undefined) {
      pages.u32[w + at.device] = birth.device
      inodes.touch(w, Inode.at.device, 4)
    }
    if (birth.target !== undefined) symlinks.write(w, birth.target)
    if (created !== null && created.access !== null) {
      xattrs.set(w, ACL_ACCESS, encodeAcl(created.access))
      inodes.setFlag(w, InodeFlag.accessAcl, true)
    }
    if (inherited !== null && type === Mode.directory) {
      xattrs.set(w, ACL_DEFAULT, inherited)
      inodes.setFlag(w, InodeFlag.defaultAcl, true)
    }
    return w
  }

  // ---- linking ---------------------------------------------------------------------------------

  link(existing: PathName, name: PathName, follow: boolean): void {
    this.linkInode(this.#core.paths.resolve(existing, follow), name, null)
  }

  /** `open`: the handle that keeps the inode, when it may have no name (O_TMPFILE). */
  linkInode(number: number, name: PathName, open: OpenInode | null): void {
    const { inodes, directories, transaction, pages, access, orphans, changes } = this.#core
    this.#toNewName(name)
    const w = inodes.get(number)
    const parent = inodes.get(name.parent)
    access.demandCreate(parent)
    access.demandChangeable(w)
    if (inodes.isDirectory(w)) throw new HoldfastError('EPERM', 'a directory has one name')
    const unnamed = pages.u32[w + at.links] === 0
    if (unnamed && open?.linkable !== true) {
      throw new HoldfastError('ENOENT', 'its last name is gone, or it was opened with O_EXCL')
    }
    if (pages.u32[w + at.links]! >= LINKS_MAX) throw new HoldfastError('EMLINK')
    transaction.run(directories.recordBlocks(parent), false, () => {
      this.#links(w, 1)
      if (unnamed) orphans.remove(number, OrphanKind.unlinked)
      directories.add(parent, name.bytes, name.start, name.nameLength, number, this.#type(w))
    })
    if (unnamed) open!.unlinked = false
    if (changes.watched) this.#tell(unnamed ? 'create' : 'link', number, name)
  }

  // ---- removing --------------------------------------------------------------------------------

  unlink(name: PathName): void {
    const { paths, inodes, access, directories, transaction, changes, limbo } = this.#core
    paths.toParent(name)
    if (name.last !== LastName.plain) throw new HoldfastError('EISDIR')
    access.demandWritable()
    const slash = name.directoryOnly
    name.directoryOnly = false
    const number = paths.lookUp(name)
    if (number === 0) throw new HoldfastError('ENOENT')
    const doomed = inodes.get(number)
    const directory = inodes.isDirectory(doomed)
    if (slash) throw new HoldfastError(directory ? 'EISDIR' : 'ENOTDIR')
    access.demandRemove(inodes.get(name.parent), doomed)
    if (directory) throw new HoldfastError('EISDIR')
    this.#demandDrop(number, 'the file')
    if (inodes.isSymlink(doomed)) paths.forget()
    // Its steps may have the pages of both inodes evicted.
    this.#work.settle(number)
    const w = inodes.get(number)
    const parent = inodes.get(name.parent)
    let left = false
    transaction.run(ORPHAN_BLOCKS + limbo.takeBlocks, true, () => {
      directories.remove(parent, name.bytes, name.start, name.nameLength)
      left = this.#drop(number, w)
    })
    if (changes.watched) this.#tell('remove', number, name)
    if (left) this.#work.freeRest(number)
  }

  rmdir(name: PathName): void {
    const { paths, inodes, access, directories, transaction, changes } = this.#core
    paths.toParent(name)
    if (name.last === LastName.root) throw new HoldfastError('EBUSY', 'the root directory')
    if (name.last === LastName.dot) throw new HoldfastError('EINVAL', "the last name is '.'")
    if (name.last === LastName.dotDot) throw new HoldfastError('ENOTEMPTY', "the last name is '..'")
    access.demandWritable()
    name.directoryOnly = false
    const number = paths.lookUp(name)
    if (number === 0) throw new HoldfastError('ENOENT')
    const w = inodes.get(number)
    const parent = inodes.get(name.parent)
    access.demandRemove(parent, w)
    if (!inodes.isDirectory(w)) throw new HoldfastError('ENOTDIR')
    if (!directories.isEmpty(w)) throw new HoldfastError('ENOTEMPTY')
    paths.forget()
    let left = false
    transaction.run(ORPHAN_BLOCKS, true, () => {
      directories.remove(parent, name.bytes, name.start, name.nameLength)
      this.#links(parent, -1)
      left = this.#dropDirectory(number, w)
    })
    if (changes.watched) this.#tell('remove', number, name)
    if (left) this.#work.freeRest(number)
  }

  /** The last name of a fixed file stays, and what else the guard says. */
  #demandDrop(number: number, what: string): void {
    const { pages, inodes, guard } = this.#core
    const w = inodes.get(number)
    if (pages.u32[w + at.links]! > 1) return
    if (inodes.has(w, InodeFlag.fixed)) {
      throw new HoldfastError(
        'EPERM',
        `the last name of ${what} stays: it is fixed; holdfast unfix allows it`,
      )
    }
    if (guard.watches(number)) guard.demandUnlink(number)
  }

  // ---- renaming --------------------------------------------------------------------------------

  rename(from: PathName, to: PathName, { noReplace, exchange }: RenameOptions): void {
    const { paths, inodes, access } = this.#core
    paths.toParent(from)
    paths.toParent(to)
    if (from.last !== LastName.plain) throw new HoldfastError('EBUSY', 'the source is . or .. or /')
    if (to.last !== LastName.plain) {
      throw new HoldfastError(
        noReplace === true ? 'EEXIST' : 'EBUSY',
        'the destination is . or .. or /',
      )
    }
    access.demandWritable()
    const [fromSlash, toSlash] = [from.directoryOnly, to.directoryOnly]
    from.directoryOnly = false
    to.directoryOnly = false
    const number = paths.lookUp(from)
    if (number === 0) throw new HoldfastError('ENOENT')
    const w = inodes.get(number)
    const directory = inodes.isDirectory(w)
    const target = paths.lookUp(to)
    const replaced = target === 0 ? -1 : inodes.get(target)
    if (noReplace === true && target !== 0) throw new HoldfastError('EEXIST')
    if (exchange === true && target === 0) throw new HoldfastError('ENOENT')
    if (!directory && (fromSlash || (toSlash && exchange !== true))) {
      throw new HoldfastError('ENOTDIR')
    }
    if (exchange === true && toSlash && !inodes.isDirectory(replaced)) {
      throw new HoldfastError('ENOTDIR')
    }
    if (directory) this.#refuseCycle(number, to.parent, 'EINVAL')
    if (target !== 0 && inodes.isDirectory(replaced)) {
      this.#refuseCycle(target, from.parent, exchange === true ? 'EINVAL' : 'ENOTEMPTY')
    }
    if (target === number) return
    const parent = inodes.get(from.parent)
    const newParent = inodes.get(to.parent)
    access.demandRemove(parent, w)
    if (replaced < 0) access.demandCreate(newParent)
    else {
      access.demandRemove(newParent, replaced)
      if (exchange !== true) this.#checkReplaced(directory, replaced)
      if (exchange !== true && !directory) this.#demandDrop(target, 'what it would replace')
    }
    // Its entry '..' changes.
    if (from.parent !== to.parent) {
      if (directory) access.demand(w, Want.write)
      if (exchange === true && inodes.isDirectory(replaced)) access.demand(replaced, Want.write)
    }
    if (directory || inodes.isSymlink(w) || replaced >= 0) paths.forget()
    if (exchange === true) this.#exchange(from, to, number, target)
    else this.#move(from, to, number, target)
  }

  #move(from: PathName, to: PathName, number: number, target: number): void {
    const { inodes, directories, transaction, changes } = this.#core
    if (target !== 0) {
      const other = inodes.get(target)
      if (inodes.isDirectory(other) && !directories.isEmpty(other)) {
        throw new HoldfastError('ENOTEMPTY')
      }
      this.#work.settle(target)
    }
    const w = inodes.get(number)
    const parent = inodes.get(from.parent)
    const newParent = inodes.get(to.parent)
    const directory = inodes.isDirectory(w)
    const replaced = target === 0 ? -1 : inodes.get(target)
    let left = false
    const need = replaced >= 0 ? ORPHAN_BLOCKS : directories.recordBlocks(newParent)
    transaction.run(need, replaced >= 0, () => {
      const type = this.#type(w)
      const { bytes, start, nameLength } = to
      if (replaced >= 0) directories.replace(newParent, bytes, start, nameLength, number, type)
      else directories.add(newParent, bytes, start, nameLength, number, type)
      directories.remove(parent, from.bytes, from.start, from.nameLength)
      if (directory && from.parent !== to.parent) this.#adopt(w, parent, newParent, to.parent)
      inodes.changed(w)
      if (replaced < 0) return
      if (directory) {
        this.#links(newParent, -1)
        left = this.#dropDirectory(target, replaced)
      } else left = this.#drop(target, replaced)
    })
    if (changes.watched) this.#tellRename('rename', number, from, to, target)
    if (left) this.#work.freeRest(target)
  }

  /** A directory gets another parent. */
  #adopt(w: number, from: number, to: number, parent: number): void {
    this.#links(from, -1)
    this.#links(to, 1)
    this.#core.pages.u32[w + at.parent] = parent
    this.#core.inodes.touch(w, Inode.at.parent, 4)
  }

  /** Two names trade what they lead to. */
  #exchange(from: PathName, to: PathName, number: number, target: number): void {
    const { inodes, directories, transaction, changes } = this.#core
    const [a, b] = [inodes.get(number), inodes.get(target)]
    const [parent, otherParent] = [inodes.get(from.parent), inodes.get(to.parent)]
    // Of unlike types both entries become other records.
    const need =
      this.#type(a) === this.#type(b)
        ? 0
        : directories.recordBlocks(parent) + directories.recordBlocks(otherParent)
    transaction.run(need, false, () => {
      const { bytes, start, nameLength } = to
      directories.replace(otherParent, bytes, start, nameLength, number, this.#type(a))
      directories.replace(parent, from.bytes, from.start, from.nameLength, target, this.#type(b))
      if (from.parent !== to.parent) {
        if (inodes.isDirectory(a)) this.#adopt(a, parent, otherParent, to.parent)
        if (inodes.isDirectory(b)) this.#adopt(b, otherParent, parent, from.parent)
      }
      inodes.changed(a)
      inodes.changed(b)
    })
    if (changes.watched) this.#tellRename('exchange', number, from, to, target)
  }

  /** What a rename may replace. */
  #checkReplaced(directory: boolean, replaced: number): void {
    const other = this.#core.inodes.isDirectory(replaced)
    if (directory && !other) {
      throw new HoldfastError('ENOTDIR', 'a directory replaces only a directory')
    }
    if (!directory && other) throw new HoldfastError('EISDIR', 'a file replaces only a file')
  }

  /** `code` when `directory` is `inode` or above it. */
  #refuseCycle(directory: number, inode: number, code: 'EINVAL' | 'ENOTEMPTY'): void {
    const { inodes, pages } = this.#core
    let steps = 0
    for (let i = inode; ;) {
      if (i === directory) throw new HoldfastError(code, 'one is above the other')
      if (i === ROOT_INODE) return
      i = pages.u32[inodes.get(i) + at.parent]!
      if (++steps > this.#core.state.inodes) {
        throw new HoldfastError('EUCLEAN', 'directories in a circle')
      }
    }
  }

  // ---- inodes that lose their last name --------------------------------------------------------

  /** Takes one link of a file; frees it with the last. True: more is to be freed than fits here. */
  #drop(number: number, w: number): boolean {
    if (this.#links(w, -1) > 0) return false
    return this.#dropInode(number)
  }

  #dropDirectory(number: number, w: number): boolean {
    this.#core.pages.u32[w + at.links] = 0
    this.#core.inodes.changed(w)
    return this.#dropInode(number)
  }

  #dropInode(number: number): boolean {
    const { orphans, opens } = this.#core
    const open = opens.get(number)
    if (open !== undefined) {
      open.unlinked = true
      open.linkable = false
      orphans.add(number, OrphanKind.unlinked)
      return false
    }
    if (this.#work.freeWithin(number)) return false
    orphans.add(number, OrphanKind.unlinked)
    return true
  }

  // ---- telling ---------------------------------------------------------------------------------

  #tell(kind: 'create' | 'link' | 'remove', ino: number, name: PathName): void {
    this.#core.changes.tell({ kind, ino, parent: name.parent, name: nameOf(name) })
  }

  #tellRename(
    kind: 'rename' | 'exchange',
    ino: number,
    from: PathName,
    to: PathName,
    target: number,
  ): void {
    const { changes } = this.#core
    const [parent, name] = [to.parent, nameOf(to)]
    if (kind === 'rename' && target !== 0) {
      changes.tell({ kind: 'remove', ino: target, parent, name })
    }
    changes.tell({ kind, ino, parent, name, oldParent: from.parent, oldName: nameOf(from) })
  }
}

/** Blocks that one inherited ACL may take: a tree node, a slab of names, a slab or two blocks. */
const ACL_BLOCKS = 20

function nameOf(name: PathName): Uint8Array {
  return name.bytes.slice(name.start, name.start + name.nameLength)
}
