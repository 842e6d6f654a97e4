/**
 * The block bitmap: chunks of 512 bytes, eight to a block, each sealed by itself so that one
 * allocation reseals half a kilobyte and not a whole block. A set bit is a block in use.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { BLOCK_BYTES, BLOCK_COUNT_MAX } from '../base/limits.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const BITMAP_MAGIC = magic('HFB1')

export const BitmapChunk = defineStruct('bitmap chunk', 512, 'which of 3840 blocks are in use', {
  magic: [0, 4, "'HFB1'"],
  checksum: [4, 4, 'CRC32C of the 512 bytes, this field as zero'],
  index: [8, 4, 'number of the chunk: the back-pointer'],
  free: [12, 4, 'clear bits that stand for blocks of the volume'],
  reserved: [16, 16, 'zero'],
  bits: [32, 480, 'bit i of word w: block index * 3840 + w * 32 + i; bits past the volume are set'],
})

/** Blocks that a chunk stands for. */
export const CHUNK_BLOCKS = 480 * 8
export const CHUNK_WORDS = 480 / 4
export const CHUNKS_PER_BLOCK = BLOCK_BYTES / BitmapChunk.size

/** Blocks that a volume with so many blocks of bitmap can have. */
export function blocksAtMost(bitmapBlocks: number): number {
  return Math.min(BLOCK_COUNT_MAX - 1, bitmapBlocks * CHUNKS_PER_BLOCK * CHUNK_BLOCKS)
}

export function invalidBitmapChunk(bytes: Bytes, base: number, index: number): string | null {
  const w = base >>> 2
  const at = BitmapChunk.word
  if (bytes.u32[w + at.magic] !== BITMAP_MAGIC) {
    return `magic ${hex(bytes.u32[w + at.magic]!)}, not a bitmap chunk`
  }
  const sum = checksumOf(bytes, base, BitmapChunk)
  if (bytes.u32[w + at.checksum] !== sum) {
    return `checksum ${hex(bytes.u32[w + at.checksum]!)}, computed ${hex(sum)}`
  }
  if (bytes.u32[w + at.index] !== index) {
    return `chunk ${bytes.u32[w + at.index]!} in the place of ${index}`
  }
  return null
}
