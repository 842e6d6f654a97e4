/** Operations on what is known of an inode: attributes, extended ones, and the filesystem's own. */
import { readFile } from 'node:fs/promises'
import { HoldfastError } from '../../base/errors.js'
import { Mode, Want } from '../../base/mode.js'
import { Stats, type Time } from '../../base/filesystem.js'
import { decodeAcl, modePermits } from '../../base/posix_acl.js'
import type { Exchange } from '../exchange.js'
import { putAttrOut, putStatfs, putStatx } from '../replies.js'
import { quietly } from '../quietly.js'
import type { FuseSession } from '../session.js'
import { AccessIn, SetattrIn, SetattrValid as Valid } from '../wire/attr.js'
import { Opcode, ROOT_NODE } from '../wire/header.js'
import { GetxattrIn, GetxattrOut, SetxattrIn } from '../wire/locks.js'
import type { Operations } from './operation.js'

/** What SETATTR changes by its own word. */
const CHANGES =
  Valid.mode | Valid.uid | Valid.gid | Valid.size | Valid.atime | Valid.mtime | Valid.ctime
const SET_IDS = 0o6000
const SET_GID = 0o2000
const XATTR_CREATE = 1
const XATTR_REPLACE = 2
const ACL_ACCESS = 'system.posix_acl_access'
const UNCHANGED = { follow: false } as const

const encoder = new TextEncoder()
const decoder = new TextDecoder()

/** That of the root is told even when nobody can be asked: umount(8) asks for it first. */
async function statsOf(session: FuseSession, x: Exchange): Promise<Stats> {
  if (x.node !== ROOT_NODE) return session.fs.lstat(session.nodes.path(x.node), session.as(x))
  if (!session.reachable) return session.root
  return (session.root = await session.fs.lstat(session.nodes.path(ROOT_NODE), session.as(x)))
}

/** Nor does this wait for a server that is lost: umount(8) asks for it where it has no utab. */
async function statfs(session: FuseSession, x: Exchange): Promise<number> {
  if (session.reachable) session.room = await session.fs.statfs()
  if (session.room === null) throw new HoldfastError('EIO', 'the server is lost')
  return putStatfs(x, session.room)
}

function getattr(session: FuseSession, x: Exchange): number | Promise<number> {
  const { direct, validity } = session
  if (direct === undefined) return statsOf(session, x).then((of) => putAttrOut(x, of, validity))
  return putAttrOut(x, direct.lstat(session.nodes.path(x.node), session.as(x)), validity)
}

/** One of the two times of SETATTR. */
function timeOf(x: Exchange, set: boolean, now: boolean, seconds: number, nano: number): Time {
  if (now) return 'now'
  if (!set) return 'omit'
  return { seconds: x.i64(seconds), nanoseconds: x.u32(nano) }
}

/** Of the mtime: a kernel that writes later says what time it is, which is that of the change. */
function changesNow(x: Exchange, valid: number): boolean {
  const w = SetattrIn.word
  const both = Valid.mtime | Valid.ctime
  const same = x.u32(w.mtimensec) === x.u32(w.ctimensec) && x.i64(w.mtime) === x.i64(w.ctime)
  return (valid & both) === both && same
}

/** Supplementary groups of who asks, of which the kernel does not tell. */
async function groupsOf({ pid }: Exchange): Promise<number[]> {
  const status = await readFile(`/proc/${pid}/status`, 'latin1').catch(() => '')
  return (/^Groups:(.*)$/m.exec(status)?.[1] ?? '').split(' ').filter(Boolean).map(Number)
}

/**
 * EPERM for who may not take set-id bits away: what is no change to the kernel, it allows all. It
 * asks for the same when somebody is about to change what is in the file: who may write it, may.
 */
async function demandSetIds(session: FuseSession, x: Exchange): Promise<void> {
  const path = session.nodes.path(x.node)
  const as = session.as(x)
  // Else it is the server that decides.
  if (as === undefined) return
  const { mode, uid, gid } = await session.fs.lstat(path, as)
  if ((mode & SET_IDS) === 0 || x.uid === 0 || x.uid === uid) return
  const asks = { uid: x.uid, gid: x.gid, groups: await groupsOf(x) }
  const reading = () => session.fs.getXattr(path, ACL_ACCESS, UNCHANGED, as)
  const acl = await quietly(reading).then(decodeAcl, () => null)
  if (modePermits(mode, acl, uid, gid, asks, Want.write)) return
  throw new HoldfastError('EPERM', 'only its owner, and who may write it, takes set-id bits away')
}

async function change(session: FuseSession, x: Exchange): Promise<number> {
  const w = SetattrIn.word
  const valid = x.u32(w.valid)
  const path = session.nodes.path(x.node)
  const as = session.as(x)
  const { fs } = session
  // Nothing to change is chown(2) to nobody else: set-id bits go, and the time of it is kept, which
  // a kernel that writes later tells.
  if ((valid & (Valid.uid | Valid.gid)) !== 0 || (valid & CHANGES & ~Valid.ctime) === 0) {
    const uid = (valid & Valid.uid) !== 0 ? x.u32(w.uid) : -1
    const gid = (valid & Valid.gid) !== 0 ? x.u32(w.gid) : -1
    if (uid === -1 && gid === -1) await demandSetIds(session, x)
    await fs.chown(path, uid, gid, UNCHANGED, as)
  }
  if ((valid & Valid.mode) !== 0) await fs.chmod(path, x.u32(w.mode) & 0o7777, as)
  if ((valid & Valid.size) !== 0) {
    await fs.truncate(path, x.place(w.size), as, { signal: session.signalOf(x) })
  }
  if ((valid & (Valid.atime | Valid.mtime)) !== 0) {
    const atimeNow = (valid & Valid.atimeNow) !== 0
    const mtimeNow = (valid & Valid.mtimeNow) !== 0 || (atimeNow && changesNow(x, valid))
    const atime = timeOf(x, (valid & Valid.atime) !== 0, atimeNow, w.atime, w.atimensec)
    const mtime = timeOf(x, (valid & Valid.mtime) !== 0, mtimeNow, w.mtime, w.mtimensec)
    await fs.utimes(path, atime, mtime, UNCHANGED, as)
  }
  return (valid & Valid.size) !== 0 ? putTruncated(session, x) : getattr(session, x)
}

const NOT_KEPT = { entry: 0, attributes: 0 } as const

/**
 * A kernel that writes later keeps times itself, and tells them of a file that has just lost its
 * last name, too (fuse_update_ctime_in_cache of fs/fuse/dir.c; of regular ones alone). They are
 * nobody's any more; an error would be that of the next syncfs(2).
 */
async function setattr(session: FuseSession, x: Exchange): Promise<number> {
  try {
    return await change(session, x)
  } catch (error) {
    const times = (x.u32(SetattrIn.word.valid) & CHANGES) === (Valid.mtime | Valid.ctime)
    const gone = error instanceof HoldfastError && error.code === 'ESTALE'
    if (!times || !gone || session.options.mode !== 'exclusive') throw error
    return putAttrOut(x, Object.assign(new Stats(), { ino: x.node, mode: Mode.file }), NOT_KEPT)
  }
}

/**
 * When others have made it longer meanwhile it is told as it was cut, and to be asked for again: of
 * a file that is as long as before, the kernel would keep what it had of it.
 */
async function putTruncated(session: FuseSession, x: Exchange): Promise<number> {
  const size = x.place(SetattrIn.word.size)
  const stats = await statsOf(session, x)
  if (stats.size === size) return putAttrOut(x, stats, session.validity)
  return putAttrOut(x, Object.assign(new Stats(), stats, { size }), NOT_KEPT)
}

/** Bytes of an attribute, or of a list of them, as far as they fit; or how many there are. */
function putValue(x: Exchange, value: Uint8Array): number {
  const most = x.u32(GetxattrIn.word.size)
  if (most === 0) {
    x.put32(GetxattrOut.word.size, value.length)
    x.put32(GetxattrOut.word.reserved, 0)
    return GetxattrOut.size
  }
  if (value.length > most) throw new HoldfastError('ERANGE', `${value.length} bytes, not ${most}`)
  x.putBytes(0, value)
  return value.length
}

async function setxattr(session: FuseSession, x: Exchange): Promise<number> {
  const { size, flags, setxattrFlags } = SetxattrIn.word
  const nameBytes = x.text(SetxattrIn.size)
  const name = decoder.decode(nameBytes)
  const value = x.data(SetxattrIn.size + nameBytes.length + 1, x.u32(size))
  const create = (x.u32(flags) & XATTR_CREATE) !== 0
  const replace = (x.u32(flags) & XATTR_REPLACE) !== 0
  const mode = create ? ('create' as const) : replace ? ('replace' as const) : undefined
  const path = session.nodes.path(x.node)
  const as = session.as(x)
  const options = mode === undefined ? UNCHANGED : { ...UNCHANGED, mode }
  await session.fs.setXattr(path, name, value, options, as)
  if (x.u32(setxattrFlags) === 0) return 0
  const { mode: bits } = await session.fs.lstat(path, as)
  if ((bits & SET_GID) !== 0) await session.fs.chmod(path, bits & 0o7777 & ~SET_GID, as)
  return 0
}

export const attributeOperations: Operations = {
  [Opcode.getattr]: getattr,
  [Opcode.setattr]: setattr,

  [Opcode.statx]: (session, x) => {
    const { direct, validity } = session
    if (direct === undefined) return statsOf(session, x).then((of) => putStatx(x, of, validity))
    return putStatx(x, direct.lstat(session.nodes.path(x.node), session.as(x)), validity)
  },

  [Opcode.access]: async (session, x) => {
    await session.fs.access(session.nodes.path(x.node), x.u32(AccessIn.word.mask), session.as(x))
    return 0
  },

  [Opcode.statfs]: statfs,

  [Opcode.syncfs]: async (session) => {
    await session.fs.sync()
    return 0
  },

  [Opcode.getxattr]: async (session, x) => {
    const name = decoder.decode(x.text(GetxattrIn.size))
    const path = session.nodes.path(x.node)
    const as = session.as(x)
    return putValue(x, await quietly(() => session.fs.getXattr(path, name, UNCHANGED, as)))
  },

  [Opcode.listxattr]: async (session, x) => {
    const path = session.nodes.path(x.node)
    const names = await session.fs.listXattrs(path, UNCHANGED, session.as(x))
    return putValue(x, encoder.encode(names.map((name) => `${name}\0`).join('')))
  },

  [Opcode.setxattr]: setxattr,

  [Opcode.removexattr]: async (session, x) => {
    const name = decoder.decode(x.text(0))
    await session.fs.removeXattr(session.nodes.path(x.node), name, UNCHANGED, session.as(x))
    return 0
  },
}
