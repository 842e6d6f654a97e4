/**
 * A node of a tree: an ordered set of records of four words, in one block.
 *
 *      0        64           301 304                                        4096
 *      +--------+------------+-+--------------------------------------------+
 *      | header | order      | | records, 16 bytes each, in no order        |
 *      +--------+------------+-+--------------------------------------------+
 *
 * - `order[i]` is the slot of the i-th smallest record: an insertion moves bytes of the order, not
 *   records, and so dirties few cache lines.
 * - Slots 0 to count - 1 are in use and no others; order[0 … count) is a permutation of them.
 * - Level 0 is a leaf. In an inner node words 0 to 2 of a record are the least key that may be
 *   below it (of the first record: not looked at, it may be greater), word 3 is the child's block.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { TREE_LEVELS_MAX } from '../base/limits.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const NODE_MAGIC = magic('HFT1')
export const NODE_RECORDS = 237
export const RECORD_BYTES = 16

export const TreeNode = defineStruct('tree node', 4096, 'a node of an ordered set of records', {
  magic: [0, 4, "'HFT1'"],
  checksum: [4, 4, 'CRC32C of the first 304 + 16 * count bytes, this field as zero'],
  block: [8, 4, 'block of the node itself: the back-pointer'],
  kind: [12, 4, 'what the records are: see the table of record kinds'],
  owner: [16, 4, 'inode whose tree it is, 0 for a tree of the volume'],
  level: [20, 4, '0 leaf'],
  count: [24, 4, 'records'],
  reserved: [28, 36, 'zero'],
  order: [64, NODE_RECORDS, 'slots in the order of their keys'],
  orderReserved: [301, 3, 'zero'],
  records: [
    304,
    NODE_RECORDS * RECORD_BYTES,
    'slots of 16 bytes; those not in use have any content',
  ],
})

/** Bytes that the checksum covers: no more than are in use, as most nodes are not full. */
export function sealedBytes(count: number): number {
  return TreeNode.at.records + count * RECORD_BYTES
}

/** What a tree's records are; words of the key, then what the four words mean. */
export const RecordKinds = {
  extents: { id: 1, keyWords: 1, words: ['file block', 'region block', 'count', 'zero'] },
  directory: {
    id: 2,
    keyWords: 2,
    words: [
      'hash of the name',
      'bits 16 to 31: number among the names of this hash, 8 to 15: type (mode >> 12), 0 to 7: name slot',
      'block of the name slab',
      'inode',
    ],
  },
  reverseMap: { id: 3, keyWords: 3, words: ['region block', 'inode', 'file block', 'count'] },
  orphans: {
    id: 4,
    keyWords: 2,
    words: ['inode', 'kind: see the table of orphan kinds', 'first argument', 'second argument'],
  },
  xattrs: {
    id: 5,
    keyWords: 2,
    words: [
      'hash of the name',
      'bits 16 to 31: number among the names of this hash, 8 to 15: slot of the value, ' +
        '0 a chain of value blocks, 0 to 7: slot of the name',
      'block of the name slab',
      "block of the value's slab, or first value block; 0 when the value is empty",
    ],
  },
  badBlocks: { id: 6, keyWords: 1, words: ['region block', 'zero', 'zero', 'zero'] },
  shares: {
    id: 7,
    keyWords: 1,
    words: ['region block', 'count', 'owners of each of these blocks: 2 or more', 'zero'],
  },
} as const
export type RecordKind = (typeof RecordKinds)[keyof typeof RecordKinds]

/** What an orphan record asks for; its arguments are file blocks unless it says otherwise. */
export const OrphanKind = {
  /**
   * No name leads to the inode: it and all that it owns are to be freed. The first argument is the
   * low half of the epoch of the mount whose limbo it is, or zero; the second is zero.
   */
  unlinked: 1,
  /** Blocks past the end of the file are to be freed. No arguments. */
  beyond: 2,
  /** Blocks from the first argument up to the second are to be freed. */
  punch: 3,
  /** Extents from the first argument on move down by the second; then the size shrinks by it. */
  collapse: 4,
  /**
   * Extents from the first argument on move up by the second, the last one first; then the size
   * grows by it.
   */
  insert: 5,
  /** Of an insert: extents from the first argument on have moved. The second is zero. */
  insertEnd: 6,
  /**
   * Blocks from the first argument up to the second go, and those of the giver take their place.
   */
  receive: 7,
  /**
   * Of a receive: the first argument is the giver, an inode without names. The second is 1 where
   * the size of that one becomes the size, 0 where it is what the size becomes at least.
   */
  receiveFrom: 8,
  /**
   * Of the giver: the first argument is the inode that receives. Its size is for that one.
   */
  giver: 9,
} as const

/** Why the block at `base` is not the node expected, or null. `owner` 0: any volume-wide tree. */
export function invalidTreeNode(
  bytes: Bytes,
  base: number,
  block: number,
  kind: number,
  owner: number,
): string | null {
  const w = base >>> 2
  const at = TreeNode.word
  const get = (index: number) => bytes.u32[w + index]!
  if (get(at.magic) !== NODE_MAGIC) return `magic ${hex(get(at.magic))}, not a tree node`
  const count = get(at.count)
  if (count < 1 || count > NODE_RECORDS) return `${count} records`
  const sum = checksumOf(bytes, base, TreeNode, sealedBytes(count))
  if (get(at.checksum) !== sum) return `checksum ${hex(get(at.checksum))}, computed ${hex(sum)}`
  if (get(at.block) !== block) return `node of block ${get(at.block)}`
  if (get(at.kind) !== kind) return `node of kind ${get(at.kind)}, expected ${kind}`
  if (get(at.owner) !== owner) return `node of inode ${get(at.owner)}, expected ${owner}`
  if (get(at.level) >= TREE_LEVELS_MAX) return `level ${get(at.level)}`
  return invalidOrder(bytes, base, count)
}

const seen = new Uint32Array(8)

/** Whether order[0 … count) is a permutation of the slots in use. */
function invalidOrder(bytes: Bytes, base: number, count: number): string | null {
  seen.fill(0)
  for (let i = 0; i < count; i++) {
    const slot = bytes.u8[base + TreeNode.at.order + i]!
    const bit = 1 << (slot & 31)
    if (slot >= count || (seen[slot >>> 5]! & bit) !== 0) return `order[${i}] is slot ${slot}`
    seen[slot >>> 5]! |= bit
  }
  return null
}
