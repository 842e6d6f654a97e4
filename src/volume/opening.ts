/** What has to be true of an inode to be opened, by its name or by a handle. */
import { HoldfastError } from '../base/errors.js'
import type { InodeHandle } from '../base/layout.js'
import type { PathAt } from '../base/path.js'
import { Mode, Want } from '../base/mode.js'
import type { OpenWish } from '../base/open_flags.js'
import { Inode, InodeFlag } from '../media/inode.js'
import { OrphanKind } from '../media/tree_node.js'
import type { Core } from './core.js'

const at = Inode.word

/** may_open and what comes before it (fs/namei.c). `directoryOnly`: a slash came after the name. */
export function demandOpenable(
  core: Core,
  number: number,
  wish: OpenWish,
  directoryOnly: boolean,
): void {
  const { inodes, access, pages } = core
  const w = inodes.get(number)
  const type = pages.u32[w + at.mode]! & Mode.typeMask
  if (type === Mode.symlink) {
    const code = wish.directory ? 'ENOTDIR' : 'ELOOP'
    throw new HoldfastError(code, 'the last name is a symlink')
  }
  if (type === Mode.directory) {
    if (wish.create || wish.write || wish.truncate) throw new HoldfastError('EISDIR')
  } else if (wish.directory || directoryOnly) throw new HoldfastError('ENOTDIR')
  let want = (wish.read ? Want.read : 0) | (wish.write ? Want.write : 0)
  if (wish.truncate && type === Mode.file) want |= Want.write
  if ((want & Want.write) !== 0 && (type === Mode.file || type === Mode.directory)) {
    access.demandWritable()
  }
  access.demand(w, want)
  if (inodes.has(w, InodeFlag.append)) {
    const elsewhere = wish.write && !wish.append
    if (elsewhere || wish.truncate) throw new HoldfastError('EPERM', 'it is append-only')
  }
  if (wish.noAtime) access.demandOwner(w, 'open it with O_NOATIME')
  if (type !== Mode.file && type !== Mode.directory) {
    throw new HoldfastError('ENXIO', 'a FIFO, socket or device is opened through a mount only')
  }
}

/**
 * Where a path by number begins. EPERM but for the privileged: it leads past directories that
 * others may not search (CAP_DAC_READ_SEARCH of open_by_handle_at(2)).
 */
export function demandBase(core: Core, handle: PathAt): number {
  if (!core.access.privileged && handle.proven !== true)
    throw new HoldfastError('EPERM', 'only root names files by number')
  return demandHandle(core, handle)
}

/** The inode that a handle names. ESTALE when that is gone, or about to go. */
export function demandHandle(core: Core, { ino, generation }: InodeHandle): number {
  const { inodes, pages } = core
  const possible = Number.isInteger(ino) && ino > 0 && ino <= 0xffff_ffff
  const w = possible ? inodes.find(ino) : -1
  if (w < 0 || pages.u32[w + at.generation] !== generation) {
    throw new HoldfastError('ESTALE', `inode ${ino}, generation ${generation}, is gone`)
  }
  if (pages.u32[w + at.links] === 0) demandKept(core, ino, w)
  return ino
}

/**
 * Of what has no name any more: somebody keeps it open; or did at the crash, and it is not freed
 * before the grace period is over.
 */
function demandKept({ opens, grace, inodes, orphans, limbo, pages }: Core, ino: number, w: number) {
  const kept = opens.get(ino) !== undefined || grace.active
  // One whose blocks go, step by step, has no size any more (Work.freeWithin).
  const goes =
    inodes.isFile(w) &&
    inodes.size(w) === 0 &&
    pages.u32[w + at.blocks] !== 0 &&
    !inodes.has(w, InodeFlag.preallocated)
  // Nobody ever had the volume's own.
  const own = ino === limbo.number || orphans.find(ino, OrphanKind.giver)
  if (kept && !goes && !own) return
  throw new HoldfastError('ESTALE', `inode ${ino} has no name any more, and goes`)
}
