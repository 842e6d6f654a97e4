/**
 * The volume state: one cache line with the roots of the volume-wide structures and its counters.
 * Nearly every transaction changes it, so it is one line, logged and sealed as a whole.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const STATE_MAGIC = magic('HFV1')

export const State = defineStruct('state', 64, 'roots and counters; the first line of block 2', {
  magic: [0, 4, "'HFV1'"],
  checksum: [4, 4, 'CRC32C of the 64 bytes, this field as zero'],
  volume: [8, 4, 'first four bytes of the volume uuid: the back-pointer'],
  freeBlocks: [12, 4, 'blocks whose bit in the bitmap is clear'],
  inodes: [16, 4, 'inodes in use'],
  nameSlabs: [20, 4, 'first block of the list of name slabs with a free slot, 0 none'],
  inodeSlabs: [24, 4, 'first block of the list of inode slabs with a free slot, 0 none'],
  reverseMapRoot: [28, 4, 'root block of the reverse map, 0 empty'],
  orphanRoot: [32, 4, 'root block of the orphans, 0 empty'],
  inodeMapHigh: [36, 4, 'entries of the inode map below this one may be in use, none above'],
  badBlockRoot: [40, 4, 'root block of the bad blocks, 0 none'],
  blocks: [
    44,
    4,
    'blocks of the volume in use or free; those behind, just grown by, are added at the next mount',
  ],
  shareRoot: [48, 4, 'root block of the shares, 0 none'],
  reserved: [52, 12, 'zero'],
})

export function invalidState(bytes: Bytes, base: number, volume: number): string | null {
  const w = base >>> 2
  const at = State.word
  if (bytes.u32[w + at.magic] !== STATE_MAGIC) {
    return `magic ${hex(bytes.u32[w + at.magic]!)}, not a volume state`
  }
  const sum = checksumOf(bytes, base, State)
  if (bytes.u32[w + at.checksum] !== sum) {
    return `checksum ${hex(bytes.u32[w + at.checksum]!)}, computed ${hex(sum)}`
  }
  if (bytes.u32[w + at.volume] !== volume) return `belongs to another volume`
  return null
}
