/** What is known of an inode, as replies have it. */
import type { StatFs, Stats } from '../base/filesystem.js'
import type { Exchange } from './exchange.js'
import {
  Attr,
  AttrOut,
  ATTR_ATTR_AT,
  EntryOut,
  ENTRY_ATTR_AT,
  StatfsOut,
  StatxOut,
} from './wire/attr.js'
import { ROOT_NODE } from './wire/header.js'

/** For how long the kernel may believe what it was told, in seconds. */
export interface Validity {
  readonly entry: number
  readonly attributes: number
}

/** STATX_BASIC_STATS and STATX_BTIME (linux/stat.h). */
const STATX_TOLD = 0xfff

/** A device as Linux encodes it in 32 bits (linux/kdev_t.h), and as `Stats` has it. */
export function encodeDevice(rdev: number): number {
  const [major, minor] = [rdev >>> 20, rdev & 0xfffff]
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0
}

export function decodeDevice(rdev: number): number {
  const [major, minor] = [(rdev >>> 8) & 0xfff, (rdev & 0xff) | ((rdev >>> 12) & 0xfff00)]
  return major * 0x10_0000 + minor
}

function putAttr(x: Exchange, at: number, stats: Stats): void {
  const w = Attr.word
  const base = at / 4
  x.put64(base + w.ino, stats.ino)
  x.put64(base + w.size, stats.size)
  x.put64(base + w.blocks, stats.blocks)
  x.put64(base + w.atime, stats.atimeSeconds)
  x.put64(base + w.mtime, stats.mtimeSeconds)
  x.put64(base + w.ctime, stats.ctimeSeconds)
  x.put32(base + w.atimensec, stats.atimeNanoseconds)
  x.put32(base + w.mtimensec, stats.mtimeNanoseconds)
  x.put32(base + w.ctimensec, stats.ctimeNanoseconds)
  x.put32(base + w.mode, stats.mode)
  x.put32(base + w.nlink, stats.nlink)
  x.put32(base + w.uid, stats.uid)
  x.put32(base + w.gid, stats.gid)
  x.put32(base + w.rdev, encodeDevice(stats.rdev))
  x.put32(base + w.blksize, stats.blksize)
  x.put32(base + w.flags, 0)
}

/** Returns the bytes of it. */
export function putAttrOut(x: Exchange, stats: Stats, { attributes }: Validity): number {
  const w = AttrOut.word
  x.put64(w.attrValid, attributes)
  x.put64(w.attrValidNsec, 0)
  putAttr(x, ATTR_ATTR_AT, stats)
  return AttrOut.size
}

/** At byte `at` of the reply. `told`: as the kernel is to know it from now on. */
export function putEntry(x: Exchange, stats: Stats, validity: Validity, at = 0): number {
  const w = EntryOut.word
  const base = at / 4
  x.put64(base + w.nodeid, stats.ino)
  x.put64(base + w.generation, stats.ino === ROOT_NODE ? 0 : stats.generation)
  x.put64(base + w.entryValid, validity.entry)
  x.put64(base + w.attrValid, validity.attributes)
  x.put64(base + w.entryValidNsec, 0)
  putAttr(x, at + ENTRY_ATTR_AT, stats)
  return EntryOut.size
}

/** A name that leads nowhere, and is known to for a while. */
export function putNoEntry(x: Exchange, validity: Validity): number {
  x.clear(0, EntryOut.size)
  x.put64(EntryOut.word.entryValid, validity.entry)
  return EntryOut.size
}

export function putStatx(x: Exchange, stats: Stats, { attributes }: Validity): number {
  const w = StatxOut.word
  x.clear(0, StatxOut.size)
  x.put64(w.attrValid, attributes)
  x.put32(w.mask, STATX_TOLD)
  x.put32(w.blksize, stats.blksize)
  x.put32(w.nlink, stats.nlink)
  x.put32(w.uid, stats.uid)
  x.put32(w.gid, stats.gid)
  x.put32(w.mode, stats.mode)
  x.put64(w.ino, stats.ino)
  x.put64(w.size, stats.size)
  x.put64(w.blocks, stats.blocks)
  x.put64(w.atime, stats.atimeSeconds)
  x.put32(w.atimeNsec, stats.atimeNanoseconds)
  x.put64(w.btime, stats.birthtimeSeconds)
  x.put32(w.btimeNsec, stats.birthtimeNanoseconds)
  x.put64(w.ctime, stats.ctimeSeconds)
  x.put32(w.ctimeNsec, stats.ctimeNanoseconds)
  x.put64(w.mtime, stats.mtimeSeconds)
  x.put32(w.mtimeNsec, stats.mtimeNanoseconds)
  x.put32(w.rdevMajor, stats.rdev >>> 20)
  x.put32(w.rdevMinor, stats.rdev & 0xfffff)
  return StatxOut.size
}

export function putStatfs(x: Exchange, of: StatFs): number {
  const w = StatfsOut.word
  x.clear(0, StatfsOut.size)
  x.put64(w.blocks, of.blocks)
  x.put64(w.bfree, of.blocksFree)
  x.put64(w.bavail, of.blocksAvailable)
  // statfs(2) counts those that could be, too.
  x.put64(w.files, of.files + of.filesFree)
  x.put64(w.ffree, of.filesFree)
  x.put32(w.bsize, of.blockSize)
  x.put32(w.namelen, of.nameMax)
  x.put32(w.frsize, of.blockSize)
  return StatfsOut.size
}
