/**
 * What an inode is beside its content: mode, owner, times, extended attributes, flags. Each change
 * is one transaction. Who may do what is as setattr_prepare (fs/attr.c) and xattr_permission
 * (fs/xattr.c) have it.
 */
import { checkBytes } from '../base/bytes.js'
import { checkChoice } from '../base/choice.js'
import { HoldfastError } from '../base/errors.js'
import type { AttributeFlags, InodeFlags, Time } from '../base/filesystem.js'
import { NAME_BYTES_MAX } from '../base/limits.js'
import { Mode, Want } from '../base/mode.js'
import {
  ACCESS_ACL_NAME,
  aclChmod,
  aclEquivalentMode,
  decodeAcl,
  DEFAULT_ACL_NAME,
  encodeAcl,
  isMinimalAcl,
  type Acl,
} from '../base/posix_acl.js'
import { isTimestamp } from '../base/stats.js'
import { Inode, InodeFlag } from '../media/inode.js'
import { Incompat } from '../media/superblock.js'
import { ACL_ACCESS, checkId } from './access.js'
import { CAPABILITY_NAME, dropCapabilities } from './capabilities.js'
import type { Core } from './core.js'
import type { Times } from './times.js'

const at = Inode.word
const encoder = new TextEncoder()
const decoder = new TextDecoder()

export class Attributes {
  readonly #core: Core
  readonly #times: Times

  constructor(core: Core, times: Times) {
    this.#core = core
    this.#times = times
  }

  // ---- mode and owner --------------------------------------------------------------------------

  chmod(number: number, mode: number): void {
    const { inodes, pages, access, transaction, xattrs } = this.#core
    const w = inodes.get(number)
    if (inodes.isSymlink(w)) throw new HoldfastError('EOPNOTSUPP', 'a symlink has no mode')
    access.demandChangeable(w)
    access.demandOwner(w, 'change the mode')
    const old = pages.u32[w + at.mode]!
    let bits = mode & 0o7777
    if ((bits & Mode.setGid) !== 0 && !access.privileged) {
      if (!access.inGroup(pages.u32[w + at.gid]!)) bits &= ~Mode.setGid
    }
    const value = inodes.has(w, InodeFlag.accessAcl) ? xattrs.get(w, ACL_ACCESS) : null
    const acl = value === null ? null : decodeAcl(value)
    const changed = acl === null ? null : encodeAcl(aclChmod(acl, bits))
    const blocks = changed === null ? 0 : xattrs.blocks(w, changed.length)
    this.#core.paths.forget()
    transaction.run(blocks, false, () => {
      if (changed !== null) xattrs.set(w, ACL_ACCESS, changed)
      pages.u32[w + at.mode] = (old & Mode.typeMask) | bits
      inodes.changed(w)
    })
    this.#tell(number)
  }

  /** -1 leaves the one as it is. */
  chown(number: number, uid: number, gid: number): void {
    const { inodes, pages, access, transaction, paths } = this.#core
    if (uid !== -1) checkId(uid)
    if (gid !== -1) checkId(gid)
    let w = inodes.get(number)
    if (uid !== -1 || gid !== -1) access.demandChangeable(w)
    if (!access.privileged) this.#demandChown(w, uid, gid)
    const mode = pages.u32[w + at.mode]!
    const left = inodes.isDirectory(w) ? mode : access.withoutSetIds(w)
    if (left !== mode) access.demandOwner(w, 'take its set-id bits away')
    // First: no new owner has what was given to the file of the old one, not after a crash either.
    if (!inodes.isDirectory(w)) dropCapabilities(this.#core, number)
    w = inodes.get(number)
    paths.forget()
    transaction.run(0, false, () => {
      if (uid !== -1) pages.u32[w + at.uid] = uid
      if (gid !== -1) pages.u32[w + at.gid] = gid
      pages.u32[w + at.mode] = left
      inodes.touch(w, Inode.at.uid, 8)
      inodes.changed(w)
    })
    this.#tell(number)
  }

  /** chown_ok, chgrp_ok: nobody gives files away; an owner may hand them to groups of theirs. */
  #demandChown(w: number, uid: number, gid: number): void {
    const { pages, access } = this.#core
    const owner = access.as.uid === pages.u32[w + at.uid]
    const uidStays = uid === -1 || (owner && uid === access.as.uid)
    const gidStays = gid === -1 || (owner && (access.inGroup(gid) || gid === pages.u32[w + at.gid]))
    if (!uidStays || !gidStays) throw new HoldfastError('EPERM', 'only root gives files away')
  }

  // ---- times -----------------------------------------------------------------------------------

  utimes(number: number, atime: Time, mtime: Time): void {
    const { inodes, opens, access, transaction, clock } = this.#core
    if (atime === 'omit' && mtime === 'omit') return
    const [accessed, modified] = [secondsOf(atime), secondsOf(mtime)]
    const w = inodes.get(number)
    const now = atime === 'now' && mtime === 'now'
    if (inodes.has(w, InodeFlag.immutable) || (!now && inodes.has(w, InodeFlag.append))) {
      access.demandChangeable(w)
    }
    if (!now) access.demandOwner(w, 'set the times')
    else if (!access.owns(w)) access.demand(w, Want.write)
    const known = opens.get(number)
    if (known !== undefined) {
      this.#times.write(known)
      known.accessCredit = 0
    }
    transaction.run(0, false, () => {
      for (const [field, time] of [
        [at.accessed, accessed],
        [at.modified, modified],
      ] as const) {
        if (time === 'omit') continue
        if (time === 'now') inodes.setTime(w, field, clock.seconds, clock.nanoseconds)
        else inodes.setTime(w, field, ...time)
      }
      inodes.touch(w, Inode.at.accessed, 8)
      inodes.changed(w)
    })
    this.#tell(number)
  }

  // ---- flags -----------------------------------------------------------------------------------

  flags(number: number): InodeFlags {
    const { inodes } = this.#core
    const w = inodes.get(number)
    return {
      append: inodes.has(w, InodeFlag.append),
      immutable: inodes.has(w, InodeFlag.immutable),
      fixed: inodes.has(w, InodeFlag.fixed),
      writeSealed: inodes.has(w, InodeFlag.writeSealed),
      policy: inodes.policy(w),
    }
  }

  setFlags(number: number, flags: Partial<AttributeFlags>): void {
    const { inodes, access, transaction } = this.#core
    const w = inodes.get(number)
    if (!inodes.isFile(w) && !inodes.isDirectory(w)) {
      throw new HoldfastError('EOPNOTSUPP', 'only files and directories have flags')
    }
    access.demandOwner(w, 'change flags')
    const { append, immutable } = { ...this.flags(number), ...flags }
    const changes =
      append !== inodes.has(w, InodeFlag.append) || immutable !== inodes.has(w, InodeFlag.immutable)
    // CAP_LINUX_IMMUTABLE
    if (changes && !access.privileged)
      throw new HoldfastError('EPERM', 'only root sets these flags')
    transaction.run(0, false, () => {
      inodes.setFlag(w, InodeFlag.append, append)
      inodes.setFlag(w, InodeFlag.immutable, immutable)
      inodes.changed(w)
    })
    this.#tell(number)
  }

  /** Sets the bits of `mask` among the inode flags to those of `value`. Of a file, by its owner. */
  setLayoutFlags(number: number, mask: number, value: number): void {
    const { inodes, access, transaction, features } = this.#core
    const w = inodes.get(number)
    if (!inodes.isFile(w)) throw new HoldfastError('EINVAL', 'only a file has a layout')
    access.demandOwner(w, 'say how its layout may change')
    features.require(Incompat.layout)
    transaction.run(0, false, () => {
      inodes.setFlag(w, mask & ~value, false)
      inodes.setFlag(w, mask & value, true)
      inodes.changed(w)
    })
    this.#tell(number)
  }

  // ---- extended attributes ---------------------------------------------------------------------

  getXattr(number: number, name: string): Uint8Array {
    const { inodes, xattrs } = this.#core
    const w = inodes.get(number)
    const bytes = nameBytes(name)
    this.#demandXattr(w, name, Want.read)
    const value = xattrs.get(w, bytes)
    if (value === null) throw new HoldfastError('ENODATA', `no attribute ${name}`)
    return value
  }

  setXattr(number: number, name: string, value: Uint8Array, mode?: 'create' | 'replace'): void {
    const { inodes, xattrs, transaction } = this.#core
    const w = inodes.get(number)
    const bytes = nameBytes(name)
    checkBytes(value)
    if (mode !== undefined) checkChoice('mode', mode, ['create', 'replace'])
    xattrs.checkValue(value.length)
    this.#demandXattr(w, name, Want.write)
    const there = xattrs.find(w, bytes, 0, bytes.length)
    if (mode === 'create' && there) throw new HoldfastError('EEXIST', `${name} is there already`)
    if (mode === 'replace' && !there) throw new HoldfastError('ENODATA', `no attribute ${name}`)
    if (!there) xattrs.checkList(w, bytes)
    if (name === ACCESS_ACL_NAME || name === DEFAULT_ACL_NAME) {
      return this.#setAcl(number, name, decodeAcl(value))
    }
    transaction.run(xattrs.blocks(w, value.length), false, () => xattrs.set(w, bytes, value))
    this.#tell(number)
  }

  removeXattr(number: number, name: string): void {
    const { inodes, xattrs, transaction } = this.#core
    const w = inodes.get(number)
    const bytes = nameBytes(name)
    this.#demandXattr(w, name, Want.write, true)
    if (name === ACCESS_ACL_NAME || name === DEFAULT_ACL_NAME) {
      return this.#setAcl(number, name, null)
    }
    if (!xattrs.find(w, bytes, 0, bytes.length)) {
      throw new HoldfastError('ENODATA', `no attribute ${name}`)
    }
    transaction.run(0, true, () => {
      xattrs.find(w, bytes, 0, bytes.length)
      xattrs.removeFound(w, bytes)
    })
    this.#tell(number)
  }

  /** Names, sorted, without those of `trusted.` for who is not root. */
  listXattrs(number: number): string[] {
    const { inodes, xattrs, access } = this.#core
    const names = xattrs.list(inodes.get(number)).map((name) => decoder.decode(name))
    const seen = names.filter((name) => access.isRoot || !name.startsWith('trusted.'))
    return seen.sort()
  }

  /** xattr_permission: what each namespace asks for. */
  #demandXattr(w: number, name: string, want: number, removes = false): void {
    const { inodes, access } = this.#core
    const writes = want === Want.write
    if (writes) access.demandChangeable(w)
    if (name.startsWith('security.')) {
      // A kernel itself takes capabilities away, for who writes. With the BPF LSM (Debian's 6.1) it
      // lets everybody pass with the others.
      const may = name === CAPABILITY_NAME ? access.privileged : access.isRoot
      if (writes && !may) throw new HoldfastError('EPERM', `${name} is root's to set`)
      return
    }
    if (name.startsWith('trusted.')) {
      if (access.isRoot) return
      throw new HoldfastError(writes ? 'EPERM' : 'ENODATA', `${name} is for root`)
    }
    if (name === ACCESS_ACL_NAME || name === DEFAULT_ACL_NAME) {
      if (inodes.isSymlink(w)) throw new HoldfastError('EOPNOTSUPP', 'a symlink has no ACL')
      if (writes && name === DEFAULT_ACL_NAME && !inodes.isDirectory(w)) {
        if (removes) return
        throw new HoldfastError('EACCES', 'only a directory has a default ACL')
      }
      if (writes) access.demandOwner(w, 'set an ACL')
      return
    }
    if (name.startsWith('user.')) this.#demandUserXattr(w, writes)
    if (!name.startsWith('system.')) access.demand(w, want)
    if (!name.startsWith('user.') || name === 'user.') {
      const known = name === 'user.' ? 'EINVAL' : 'EOPNOTSUPP'
      throw new HoldfastError(known, `${name}: user., trusted., security. and the POSIX ACLs`)
    }
  }

  #demandUserXattr(w: number, writes: boolean): void {
    const { inodes, pages, access } = this.#core
    const directory = inodes.isDirectory(w)
    if (!inodes.isFile(w) && !directory) {
      throw new HoldfastError(writes ? 'EPERM' : 'ENODATA', 'only files and directories have user.')
    }
    const sticky = directory && (pages.u32[w + at.mode]! & Mode.sticky) !== 0
    if (writes && sticky) access.demandOwner(w, 'set attributes of a sticky directory')
  }

  /** An ACL is kept in step with the mode; one that says no more than the mode is not kept. */
  #setAcl(number: number, name: string, acl: Acl | null): void {
    const { inodes, pages, access, xattrs, transaction, paths } = this.#core
    const w = inodes.get(number)
    const isDefault = name === DEFAULT_ACL_NAME
    if (isDefault && !inodes.isDirectory(w)) return
    const bytes = encoder.encode(name)
    const kept = acl === null || (!isDefault && isMinimalAcl(acl)) ? null : encodeAcl(acl)
    const flag = isDefault ? InodeFlag.defaultAcl : InodeFlag.accessAcl
    const blocks = kept === null ? 0 : xattrs.blocks(w, kept.length)
    paths.forget()
    transaction.run(blocks, kept === null, () => {
      if (kept !== null) xattrs.set(w, bytes, kept)
      else if (xattrs.find(w, bytes, 0, bytes.length)) xattrs.removeFound(w, bytes)
      inodes.setFlag(w, flag, kept !== null)
      if (!isDefault && acl !== null) {
        const mode = pages.u32[w + at.mode]!
        let bits = (mode & ~0o777) | aclEquivalentMode(acl)
        // posix_acl_update_mode
        const foreign = !access.privileged && !access.inGroup(pages.u32[w + at.gid]!)
        if (foreign) bits &= ~Mode.setGid
        pages.u32[w + at.mode] = bits
      }
      inodes.changed(w)
    })
    this.#tell(number)
  }

  #tell(ino: number): void {
    const { changes } = this.#core
    if (changes.watched) changes.tell({ kind: 'attributes', ino })
  }
}

/** The name of an attribute; ERANGE for what none can have. */
function nameBytes(name: unknown): Uint8Array {
  if (typeof name !== 'string') throw new HoldfastError('EINVAL', 'an attribute name is a string')
  const bytes = encoder.encode(name)
  if (bytes.includes(0)) throw new HoldfastError('EINVAL', 'an attribute name has no NUL')
  if (bytes.length > 0 && bytes.length <= NAME_BYTES_MAX) return bytes
  throw new HoldfastError('ERANGE', `attribute name of ${bytes.length} bytes, 1 to 255`)
}

/** Whole seconds and nanoseconds of a time. EINVAL for what is none. */
function secondsOf(time: Time): [number, number] | 'now' | 'omit' {
  if (time === 'now' || time === 'omit') return time
  if (isTimestamp(time)) {
    const { seconds, nanoseconds } = time
    const good = Number.isSafeInteger(seconds) && Number.isInteger(nanoseconds)
    if (!good || nanoseconds < 0 || nanoseconds > 999_999_999) {
      throw new HoldfastError('EINVAL', `time of ${seconds} s and ${nanoseconds} ns`)
    }
    return [clamp(seconds), nanoseconds]
  }
  const value = time instanceof Date ? time.getTime() / 1000 : time
  if (!Number.isFinite(value)) throw new HoldfastError('EINVAL', `time ${String(time)}`)
  const seconds = Math.floor(value)
  return [clamp(seconds), Math.min(999_999_999, Math.round((value - seconds) * 1e9))]
}

/** Times that an inode holds: 34 bits; others are the nearest (timestamp_truncate). */
function clamp(seconds: number): number {
  return Math.max(-0x2_0000_0000, Math.min(0x1_ffff_ffff, seconds))
}
