/**
 * A value block: one link of the chain that holds a long text: the value of an extended attribute
 * that does not fit a slab, or the target of a long symlink.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const VALUE_MAGIC = magic('HFX1')

export const ValueBlock = defineStruct('value block', 4096, 'a part of a long text', {
  magic: [0, 4, "'HFX1'"],
  checksum: [4, 4, 'CRC32C of the first 64 + length bytes, this field as zero'],
  block: [8, 4, 'block of the part itself: the back-pointer'],
  owner: [12, 4, 'inode that the text belongs to'],
  length: [16, 4, 'bytes of the text in this block, 1 to 4032; less than that only in the last'],
  next: [20, 4, 'block of the next part, 0 none'],
  reserved: [24, 40, 'zero'],
  bytes: [64, 4032, 'the text; past its length any content'],
})

/** Bytes of a text that one block holds. */
export const VALUE_BLOCK_BYTES = BLOCK_BYTES - ValueBlock.at.bytes

/** Why the block at `base` is not the value block expected, or null. */
export function invalidValueBlock(
  bytes: Bytes,
  base: number,
  block: number,
  owner: number,
): string | null {
  const w = base >>> 2
  const at = ValueBlock.word
  const get = (index: number) => bytes.u32[w + index]!
  if (get(at.magic) !== VALUE_MAGIC) return `magic ${hex(get(at.magic))}, not a value block`
  const length = get(at.length)
  if (length < 1 || length > VALUE_BLOCK_BYTES) return `${length} bytes of a value`
  const sum = checksumOf(bytes, base, ValueBlock, ValueBlock.at.bytes + length)
  if (get(at.checksum) !== sum) return `checksum ${hex(get(at.checksum))}, computed ${hex(sum)}`
  if (get(at.block) !== block) return `value of block ${get(at.block)}`
  if (get(at.owner) !== owner) return `value of inode ${get(at.owner)}, expected ${owner}`
  return null
}
