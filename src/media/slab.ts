/**
 * A slab: a block of equal slots, slot 0 its header. Inodes (256 bytes, 15 to a slab) and names
 * (64 bytes, 63 to a slab) live in slabs. Those of a kind with a free slot form a doubly linked
 * list whose head is in the volume state; a full slab is in no list; an empty one is freed.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const SLAB_MAGIC = magic('HFK1')
export const SlabKind = { inodes: 1, names: 2 } as const
export type SlabKind = (typeof SlabKind)[keyof typeof SlabKind]

export const SlabHeader = defineStruct('slab header', 64, 'slot 0 of a slab', {
  magic: [0, 4, "'HFK1'"],
  checksum: [4, 4, 'CRC32C of the 64 bytes, this field as zero'],
  block: [8, 4, 'block of the slab itself: the back-pointer'],
  kind: [12, 4, '1 inodes, 2 names'],
  usedLow: [16, 4, 'bit i: slot i is in use; bit 0, the header, is set'],
  usedHigh: [20, 4, 'bit i: slot 32 + i is in use'],
  previous: [24, 4, 'slab before it in the list, 0 none'],
  next: [28, 4, 'slab after it in the list, 0 none'],
  tag: [32, 4, 'inodes: its entry of the inode map; names: zero'],
  listed: [36, 4, '1 when the slab is in the list of those with a free slot'],
  reserved: [40, 24, 'zero'],
})

/** Bytes of a slot, and slots of a slab with slot 0, by kind. */
export const SLOT_BYTES = { [SlabKind.inodes]: 256, [SlabKind.names]: 64 } as const
export const slotsOf = (kind: SlabKind): number => BLOCK_BYTES / SLOT_BYTES[kind]

export function invalidSlab(
  bytes: Bytes,
  base: number,
  block: number,
  kind: SlabKind,
): string | null {
  const w = base >>> 2
  const at = SlabHeader.word
  if (bytes.u32[w + at.magic] !== SLAB_MAGIC)
    return `magic ${hex(bytes.u32[w + at.magic]!)}, not a slab`
  const sum = checksumOf(bytes, base, SlabHeader)
  if (bytes.u32[w + at.checksum] !== sum) {
    return `checksum ${hex(bytes.u32[w + at.checksum]!)}, computed ${hex(sum)}`
  }
  if (bytes.u32[w + at.block] !== block) return `slab of block ${bytes.u32[w + at.block]!}`
  if (bytes.u32[w + at.kind] !== kind)
    return `slab of kind ${bytes.u32[w + at.kind]!}, expected ${kind}`
  if ((bytes.u32[w + at.usedLow]! & 1) === 0) return `header slot not in use`
  const slots = slotsOf(kind)
  const high = slots > 32 ? 0 : bytes.u32[w + at.usedHigh]!
  const low = slots >= 32 ? 0 : bytes.u32[w + at.usedLow]! >>> slots
  if (high !== 0 || low !== 0) return `slots beyond ${slots} in use`
  return null
}
