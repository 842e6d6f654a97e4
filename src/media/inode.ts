/**
 * An inode: 256 bytes in a slab slot. The first line has what nearly every operation changes, the
 * second what few change, the last two the layout generation and the first extents.
 *
 * - The first 10 extents stand in the inode; with more, `root` is the root of a tree of them.
 * - A directory's entries are a tree from `root`, its `count` says how many.
 * - A slot that is not in use is zero but for `generation`, which the next inode raises by one.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const INODE_MAGIC = magic('HFI1')

export const Inode = defineStruct('inode', 256, 'a file or directory, in a slot of an inode slab', {
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
  flags: [24, 4, 'bit 0: an orphan record says that its blocks past the size are to be freed'],
  size: [28, 8, 'bytes of a file'],
  blocks: [36, 4, 'data blocks that it owns'],
  root: [40, 4, 'root block of its tree (extents, or entries of a directory), 0 none'],
  count: [44, 4, 'extents of a file; entries of a directory'],
  modified: [48, 8, 'mtime: bits 0 to 33 seconds since 1970, bits 34 to 63 nanoseconds'],
  changed: [56, 8, 'ctime, the same way'],
  uid: [64, 4, 'owner'],
  gid: [68, 4, 'group'],
  parent: [72, 4, 'of a directory: the directory that holds it; of a file: zero'],
  device: [76, 4, 'of a device: its number'],
  accessed: [80, 8, 'atime, as mtime'],
  born: [88, 8, 'time of creation, as mtime'],
  reserved: [96, 32, 'zero'],
  layoutGeneration: [128, 8, 'raised by one at each layout change and at nothing else'],
  extents: [136, 120, '10 extents of 12 bytes: file block, region block, count; unused ones zero'],
})

export const INLINE_EXTENTS = 10
export const EXTENT_WORDS = 3
export const INODES_PER_SLAB = 16
export const ROOT_INODE = 1

/** Bits of `flags`. */
export const InodeFlag = { truncating: 1 } as const

/** Bits of `mode` (inode(7)). */
export const Mode = {
  typeMask: 0o170000,
  directory: 0o040000,
  file: 0o100000,
} as const

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
  const type = bytes.u32[w + at.mode]! & Mode.typeMask
  if (type !== Mode.file && type !== Mode.directory)
    return `mode ${bytes.u32[w + at.mode]!.toString(8)}`
  return null
}
