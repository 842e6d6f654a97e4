/**
 * POSIX.1e access control lists as Linux has them (acl(5)).
 *
 * Invariants of an Acl that `invalidAcl` has passed:
 * - Entries stand in the order USER_OBJ, USER*, GROUP_OBJ, GROUP*, MASK, OTHER; the checks below
 *   walk it once and rely on that. USER_OBJ, GROUP_OBJ and OTHER are there exactly once, MASK at
 *   most once, and once where there is a USER or a GROUP.
 * - Permissions have no bits but read, write, execute.
 * - Nobody changes an Acl: a change makes another one, so that a decoded one can be shared.
 *
 * As on Linux two entries may name the same id; the first one decides. Text with two is refused,
 * as setfacl(1) does.
 */
import { HoldfastError } from './errors.js'
import type { Credentials } from './filesystem.js'

/** Tags (linux/posix_acl.h). */
export const USER_OBJ = 0x01
export const USER = 0x02
export const GROUP_OBJ = 0x04
export const GROUP = 0x08
export const MASK = 0x10
export const OTHER = 0x20

/** Permissions, as MAY_READ, MAY_WRITE and MAY_EXEC are. */
export const READ = 4
export const WRITE = 2
export const EXECUTE = 1

export const ACCESS_ACL_NAME = 'system.posix_acl_access'
export const DEFAULT_ACL_NAME = 'system.posix_acl_default'

/** The id of an entry that names nobody. */
export const UNDEFINED_ID = 0xffff_ffff
const XATTR_VERSION = 2
const XATTR_HEADER_BYTES = 4
const XATTR_ENTRY_BYTES = 8

export interface AclEntry {
  readonly tag: number
  /** READ, WRITE, EXECUTE or'ed. */
  readonly perm: number
  /** Of USER and GROUP; 0xffffffff of the others. */
  readonly id: number
}

export type Acl = readonly AclEntry[]

function entry(tag: number, perm: number, id = UNDEFINED_ID): AclEntry {
  return { tag, perm, id }
}

/** Why these entries are no ACL, or null (posix_acl_valid). */
export function invalidAcl(acl: Acl): string | null {
  /** The tag that may come at the soonest; a mask is needed once somebody is named. */
  let state = USER_OBJ
  let named = false
  for (const { tag, perm } of acl) {
    if ((perm & ~7) !== 0) return `permissions 0x${perm.toString(16)}: at most 7`
    const wanted = state
    if (tag === USER_OBJ && state === USER_OBJ) state = USER
    else if (tag === USER && state === USER) named = true
    else if (tag === GROUP_OBJ && state === USER) state = GROUP
    else if (tag === GROUP && state === GROUP) named = true
    else if (tag === MASK && state === GROUP) state = OTHER
    else if (tag === OTHER && (state === OTHER || (state === GROUP && !named))) state = 0
    else {
      const expected = wanted === 0 ? 'the end' : `0x${wanted.toString(16)} or what follows it`
      return `tag 0x${tag.toString(16)} where ${expected} is expected`
    }
  }
  return state === 0 ? null : 'it ends before the entry for others'
}

/** The ACL in the bytes of an xattr; null when it has no entries, which takes an ACL away. */
export function decodeAcl(bytes: Uint8Array): Acl | null {
  const length = bytes.length
  if (length < XATTR_HEADER_BYTES) throw new HoldfastError('EINVAL', `an ACL of ${length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  const version = view.getUint32(0, true)
  if (version !== XATTR_VERSION) {
    throw new HoldfastError('EOPNOTSUPP', `ACL version ${version}, known is ${XATTR_VERSION}`)
  }
  if ((length - XATTR_HEADER_BYTES) % XATTR_ENTRY_BYTES !== 0) {
    throw new HoldfastError('EINVAL', `an ACL of ${length} bytes: entries have 8`)
  }
  if (length === XATTR_HEADER_BYTES) return null
  const acl: AclEntry[] = []
  for (let at = XATTR_HEADER_BYTES; at < length; at += XATTR_ENTRY_BYTES) {
    const tag = view.getUint16(at, true)
    const named = tag === USER || tag === GROUP
    const id = named ? view.getUint32(at + 4, true) : UNDEFINED_ID
    if (named && id === UNDEFINED_ID) throw new HoldfastError('EINVAL', `ACL entry with id ${id}`)
    acl.push(entry(tag, view.getUint16(at + 2, true), id))
  }
  const why = invalidAcl(acl)
  if (why !== null) throw new HoldfastError('EINVAL', `no ACL: ${why}`)
  return acl
}

export function encodeAcl(acl: Acl): Uint8Array {
  const bytes = new Uint8Array(XATTR_HEADER_BYTES + acl.length * XATTR_ENTRY_BYTES)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, XATTR_VERSION, true)
  let at = XATTR_HEADER_BYTES
  for (const { tag, perm, id } of acl) {
    view.setUint16(at, tag, true)
    view.setUint16(at + 2, perm, true)
    view.setUint32(at + 4, id, true)
    at += XATTR_ENTRY_BYTES
  }
  return bytes
}

/** Whether they are in the group, first or supplementary (in_group_p). */
export function inGroup(as: Credentials, gid: number): boolean {
  return as.gid === gid || (as.groups !== undefined && as.groups.includes(gid))
}

/**
 * What the ACL of a file of `uid` and `gid` says to `want` (posix_acl_permission). Knows no root.
 */
export function aclPermits(
  acl: Acl,
  uid: number,
  gid: number,
  as: Credentials,
  want: number,
): boolean {
  let inSome = false
  for (let i = 0; i < acl.length; i++) {
    const { tag, perm, id } = acl[i]!
    if (tag === USER_OBJ) {
      if (uid === as.uid) return (perm & want) === want
    } else if (tag === USER) {
      if (id === as.uid) return (perm & maskAfter(acl, i) & want) === want
    } else if (tag === GROUP_OBJ || tag === GROUP) {
      if (!inGroup(as, tag === GROUP ? id : gid)) continue
      // One group must allow all of it; what several allow together is not enough.
      if ((perm & want) === want) return (maskAfter(acl, i) & want) === want
      inSome = true
    } else if (tag === OTHER) return !inSome && (perm & want) === want
  }
  return false
}

function maskAfter(acl: Acl, index: number): number {
  for (let i = index + 1; i < acl.length; i++) if (acl[i]!.tag === MASK) return acl[i]!.perm
  return 7
}

/**
 * What mode and ACL together say (acl_permission_check). Knows no root. Two things are not as
 * acl(5) tells, but as Linux does: the owner's bits in the mode go before the ACL, and an ACL whose
 * mask allows nothing is not looked at, so that whom it names is as any other.
 */
export function modePermits(
  mode: number,
  acl: Acl | null,
  uid: number,
  gid: number,
  as: Credentials,
  want: number,
): boolean {
  if (as.uid === uid) return ((mode >> 6) & want) === want
  if (acl !== null && (mode & 0o070) !== 0) return aclPermits(acl, uid, gid, as, want)
  return ((inGroup(as, gid) ? mode >> 3 : mode) & want) === want
}

/** The ACL that says what the mode says. */
export function aclFromMode(mode: number): Acl {
  return [
    entry(USER_OBJ, (mode >> 6) & 7),
    entry(GROUP_OBJ, (mode >> 3) & 7),
    entry(OTHER, mode & 7),
  ]
}

/** Whether the mode alone says all of it: nobody is named, and there is no mask. */
export function isMinimalAcl(acl: Acl): boolean {
  return acl.length === 3
}

/** The nine bits that stat shows; those of the group are the mask where there is one. */
export function aclEquivalentMode(acl: Acl): number {
  let mode = 0
  let mask = -1
  for (const { tag, perm } of acl) {
    if (tag === USER_OBJ) mode |= perm << 6
    else if (tag === GROUP_OBJ) mode |= perm << 3
    else if (tag === OTHER) mode |= perm
    else if (tag === MASK) mask = perm
  }
  return mask < 0 ? mode : (mode & 0o707) | (mask << 3)
}

/** The ACL after chmod: the bits of the group become the mask where there is one. */
export function aclChmod(acl: Acl, mode: number): Acl {
  const group = acl.some(({ tag }) => tag === MASK) ? MASK : GROUP_OBJ
  return acl.map(({ tag, perm, id }) => {
    if (tag === USER_OBJ) return entry(tag, (mode >> 6) & 7)
    if (tag === group) return entry(tag, (mode >> 3) & 7)
    if (tag === OTHER) return entry(tag, mode & 7)
    return entry(tag, perm, id)
  })
}

export interface CreatedAcl {
  /** The mode, type and set-id bits as they were asked for. */
  readonly mode: number
  /** The access ACL; null when the mode says all of it. */
  readonly access: Acl | null
}

/**
 * What is made with `mode` in a directory with this default ACL gets (posix_acl_create); umask has
 * no say there. A new directory gets the same default ACL besides; a symlink gets none of it.
 */
export function aclCreate(defaultAcl: Acl, mode: number): CreatedAcl {
  const granted = aclEquivalentMode(defaultAcl) & mode
  const access = isMinimalAcl(defaultAcl) ? null : aclChmod(defaultAcl, granted)
  return { mode: (mode & ~0o777) | granted, access }
}
