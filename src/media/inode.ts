/**
 * An inode: 256 bytes in a slab slot. The first line has what nearly every operation changes, the
 * second what few change, the last two the layout generation and the first extents.
 *
 * - The first 10 extents stand in the inode; with more, `root` is the root of a tree of them.
 * - A directory's entries are a tree from `root`, its `count` says how many.
 * - A symlink's target stands in the place of the extents, `size` bytes of it, the rest zero; one
 *   of more than 120 bytes is a chain of value blocks from `root`.
 * - FIFOs, sockets and devices have nothing but the inode.
 * - A slot that is not in use is zero but for `generation`, which the next inode raises by one.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { isKnownType } from '../base/mode.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const INODE_MAGIC = magic('HFI1')

export const Inode = defineStruct('inode', 256, 'a file of any type, in a slot of an inode slab', {
  magic: [0, 4, "'HFI1'"],
  checksum: [4, 4, 'CRC32C of the 256 bytes, this field as zero'],
  number: [8, 4, 'inode number: inode map entry * 16 + slot; the back-pointer'],
  generation: [
    12,
    4,
    'raised each time the number is used anew; with the number it names the file',
  ],
  mode: [16, 4, 'type and permissions, as st_mode (inode(7))'],
  links: [20, 4, 'names of it; of a directory: 2 and its subdirectories'],
  flags: [24, 4, 'see the table of inode flags'],
  size: [28, 8, 'bytes of a file, or of the target of a symlink'],
  blocks: [36, 4, 'data blocks that it owns'],
  root: [
    40,
    4,
    'root block of its tree (extents, or entries of a directory) or first value block, 0 none',
  ],
  count: [44, 4, 'extents of a file; entries of a directory'],
  modified: [48, 8, 'mtime: bits 0 to 33 seconds since 1970 (signed), bits 34 to 63 nanoseconds'],
  changed: [56, 8, 'ctime, the same way'],
  uid: [64, 4, 'owner'],
  gid: [68, 4, 'group'],
  parent: [72, 4, 'of a directory: the directory that holds it; of a file: zero'],
  device: [76, 4, 'of a device: its number, major * 2^20 + minor'],
  accessed: [80, 8, 'atime, as mtime'],
  born: [88, 8, 'time of creation, as mtime'],
  xattrRoot: [96, 4, 'root block of the tree of its extended attributes, 0 none'],
  xattrCount: [100, 4, 'extended attributes'],
  reserved: [104, 24, 'zero'],
  layoutGeneration: [128, 8, 'raised by one at each layout change and at nothing else'],
  extents: [136, 120, '10 extents of 12 bytes: file block, region block, count; unused ones zero'],
})

export const INLINE_EXTENTS = 10
export const EXTENT_WORDS = 3
export const INODES_PER_SLAB = 16
export const ROOT_INODE = 1

/** Bytes of a symlink target that stand in the inode. */
export const INLINE_TARGET_BYTES = 120

/** Bits of `flags`, and what they mean (chattr(1) where it has them). */
export const InodeFlag = {
  /** Orphan records say that work on its blocks is unfinished. */
  unfinished: 1,
  /** Blocks past its size were asked for (FALLOC_FL_KEEP_SIZE), and stay when it is closed. */
  preallocated: 2,
  /** Opened for writing only to append; not removed, renamed, truncated. */
  append: 4,
  /** Not changed at all. */
  immutable: 8,
  /** Has an attribute system.posix_acl_access. */
  accessAcl: 16,
  /** Has an attribute system.posix_acl_default (a directory). */
  defaultAcl: 32,
  /** Some of its blocks may have another owner; without it none has. */
  shares: 64,
  /** Its layout does not change, nor does its size. */
  fixed: 128,
  /** Its data does not change. */
  writeSealed: 256,
  /** With `policyHigh`, what a shrink or punch does to pinned blocks: 0 as the volume, 1 busy. */
  policyLow: 512,
  /** 2 wait, 3 defer. */
  policyHigh: 1024,
} as const
export const INODE_FLAGS_KNOWN = 2047
/** Flags of files to whose bytes nobody stores. */
export const UNCHANGING = InodeFlag.immutable | InodeFlag.append | InodeFlag.writeSealed

/** Why the slot at `base` is not inode `number`, or null. */
export function invalidInode(bytes: Bytes, base: number, number: number): string | null {
  const w = base >>> 2
  const at = Inode.word
  if (bytes.u32[w + at.magic] !== INODE_MAGIC) {
    return `magic ${hex(bytes.u32[w + at.magic]!)}, not an inode`
  }
  const sum = checksumOf(bytes, base, Inode)
  if (bytes.u32[w + at.checksum] !== sum) {
    return `checksum ${hex(bytes.u32[w + at.checksum]!)}, computed ${hex(sum)}`
  }
  if (bytes.u32[w + at.number] !== number) {
    return `inode ${bytes.u32[w + at.number]!} in the place of ${number}`
  }
  const mode = bytes.u32[w + at.mode]!
  return isKnownType(mode) ? null : `mode ${mode.toString(8)}`
}
