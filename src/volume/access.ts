/**
 * Who asks, and what they may do: permission bits, ACLs, the sticky bit, the flags append and
 * immutable, as inode_permission, may_create and may_delete of fs/namei.c have them.
 *
 * The credentials are those of the running call: `become` is the first thing that a call does, and
 * nothing waits inside of one.
 */
import { HoldfastError } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'
import { Mode, Want, withoutSetIds } from '../base/mode.js'
import {
  ACCESS_ACL_NAME,
  decodeAcl,
  DEFAULT_ACL_NAME,
  inGroup,
  modePermits,
} from '../base/posix_acl.js'
import { Inode, InodeFlag } from '../media/inode.js'
import type { Inodes } from './inodes.js'
import type { Pages } from './pages.js'
import type { Xattrs } from './xattrs.js'

const at = Inode.word
export const ROOT_USER: Credentials = { uid: 0, gid: 0 }

const encoder = new TextEncoder()
/** Attributes that hold ACLs (acl(5)). */
export const ACL_ACCESS = encoder.encode(ACCESS_ACL_NAME)
export const ACL_DEFAULT = encoder.encode(DEFAULT_ACL_NAME)

const ID_MAX = 0xffff_fffe

/** EINVAL for what is no user and no group: an inode holds 32 bits, all of them set for nobody. */
export function checkId(id: number): void {
  if (Number.isInteger(id) && id >= 0 && id <= ID_MAX) return
  throw new HoldfastError('EINVAL', `${id} is no user or group: 0 to ${ID_MAX}`)
}

export class Access {
  /** Who asks. */
  as: Credentials = ROOT_USER
  /** Why nothing may be changed; null when it may. */
  readOnlyBecause: string | null = null

  readonly #pages: Pages
  readonly #inodes: Inodes
  readonly #xattrs: Xattrs

  constructor(pages: Pages, inodes: Inodes, xattrs: Xattrs) {
    this.#pages = pages
    this.#inodes = inodes
    this.#xattrs = xattrs
  }

  become(as: Credentials | undefined): void {
    this.as = as ?? ROOT_USER
  }

  /** CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_CHOWN and the like: uid 0, or who was asked before. */
  get privileged(): boolean {
    return this.as.uid === 0 || this.as.decided === true
  }

  /** CAP_FSETID, CAP_SYS_ADMIN: what goes by the user alone, whoever decided. */
  get isRoot(): boolean {
    return this.as.uid === 0
  }

  inGroup(gid: number): boolean {
    return inGroup(this.as, gid)
  }

  /**
   * EROFS when nothing may be changed: after what is wrong with the path, before what is wrong with
   * who asks (mnt_want_write).
   */
  demandWritable(): void {
    if (this.readOnlyBecause !== null) throw new HoldfastError('EROFS', this.readOnlyBecause)
  }

  /** Owner of the inode at word `w`, or privileged. */
  owns(w: number): boolean {
    return this.privileged || this.as.uid === this.#pages.u32[w + at.uid]
  }

  /** EPERM for who does not own it. */
  demandOwner(w: number, what: string): void {
    if (!this.owns(w)) throw new HoldfastError('EPERM', `only its owner may ${what}`)
  }

  /** Whether permission bits and ACL grant `want` (a sum of Want). */
  permits(w: number, want: number): boolean {
    const mode = this.#pages.u32[w + at.mode]!
    if (this.privileged) {
      const runs = (mode & 0o111) !== 0 || (mode & Mode.typeMask) === Mode.directory
      return (want & Want.execute) === 0 || runs
    }
    const uid = this.#pages.u32[w + at.uid]!
    const value = this.#inodes.has(w, InodeFlag.accessAcl) ? this.#xattrs.get(w, ACL_ACCESS) : null
    const acl = value === null ? null : decodeAcl(value)
    return modePermits(mode, acl, uid, this.#pages.u32[w + at.gid]!, this.as, want)
  }

  /** EACCES when `want` is not granted; EPERM for writing what is immutable. */
  demand(w: number, want: number): void {
    if ((want & Want.write) !== 0 && this.#inodes.has(w, InodeFlag.immutable)) {
      throw new HoldfastError('EPERM', 'it is immutable (chattr -i lifts that)')
    }
    if (!this.permits(w, want)) throw new HoldfastError('EACCES')
  }

  /** may_create: a name may be added to the directory at word `parent`. */
  demandCreate(parent: number): void {
    if (this.#pages.u32[parent + at.links] === 0) {
      throw new HoldfastError('ENOENT', 'the directory was removed')
    }
    this.demand(parent, Want.write | Want.execute)
  }

  /** may_delete, but for what concerns directories: the name of `w` may be taken from `parent`. */
  demandRemove(parent: number, w: number): void {
    this.demand(parent, Want.write | Want.execute)
    if (this.#inodes.has(parent, InodeFlag.append)) {
      throw new HoldfastError('EPERM', 'the directory is append-only')
    }
    if ((this.#pages.u32[parent + at.mode]! & Mode.sticky) !== 0) {
      if (!this.owns(w) && !this.owns(parent)) {
        throw new HoldfastError('EPERM', 'the directory is sticky: only owners remove names')
      }
    }
    this.demandChangeable(w)
  }

  /** EPERM for what is append-only or immutable. */
  demandChangeable(w: number): void {
    if (!this.#inodes.has(w, InodeFlag.append | InodeFlag.immutable)) return
    const what = this.#inodes.has(w, InodeFlag.immutable) ? 'immutable' : 'append-only'
    throw new HoldfastError('EPERM', `it is ${what}`)
  }

  /**
   * Mode without what a write or a change of owner takes away: set-user-id, and set-group-id when
   * the group may execute or who asks is not in it (setattr_should_drop_suidgid). The same when
   * nothing is to go.
   */
  withoutSetIds(w: number): number {
    const mode = this.#pages.u32[w + at.mode]!
    const left = withoutSetIds(mode)
    if ((mode & Mode.setGid) === 0 || this.isRoot) return left
    return this.inGroup(this.#pages.u32[w + at.gid]!) ? left : left & ~Mode.setGid
  }
}
