/**
 * Growing a volume: the region is larger than the volume in it, and the volume takes the rest.
 *
 *     superblock: blocks of the volume -> mount: bits of the new blocks cleared, step by step
 *
 * Invariants:
 * - the superblock says how large the volume is, the state how much of that is added to the free
 *   space; a cut in between leaves a sound volume, and the next mount adds the rest;
 * - bitmap and inode map stay where they are: mkfs made them large enough for what the volume may
 *   grow to.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, BLOCK_COUNT_MAX } from '../base/limits.js'
import { CHUNK_BLOCKS, CHUNKS_PER_BLOCK } from '../media/bitmap.js'
import { Superblock } from '../media/superblock.js'
import type { Region } from '../region/region.js'
import type { Core } from './core.js'
import { SuperblockPair } from './superblock.js'

/** Blocks that a volume with so many blocks of bitmap can have. */
export function blocksAtMost(bitmapBlocks: number): number {
  return Math.min(BLOCK_COUNT_MAX - 1, bitmapBlocks * CHUNKS_PER_BLOCK * CHUNK_BLOCKS)
}

/** EFBIG or EINVAL when the volume cannot have `size` bytes (0: all of the region). */
export function checkGrowth(region: Region, size: number): void {
  const pair = new SuperblockPair(region)
  pair.read()
  const before = pair.u32[Superblock.word.blockCount]!
  const after = Math.floor((size === 0 ? region.byteLength : size) / BLOCK_BYTES)
  const most = blocksAtMost(pair.u32[Superblock.word.bitmapBlocks]!)
  if (after > most) {
    throw new HoldfastError(
      'EFBIG',
      `${region.path}: the volume was made to grow to ${most * BLOCK_BYTES} bytes at most ` +
        `(mkfs --max-size makes one that can grow further)`,
    )
  }
  if (after < before) {
    throw new HoldfastError(
      'EINVAL',
      `${region.path} has a volume of ${before * BLOCK_BYTES} bytes: it does not become smaller`,
    )
  }
}

/** Lets the volume in `region` take all of it. Returns its blocks before and after. */
export function growSuperblock(region: Region): { before: number; after: number } {
  checkGrowth(region, 0)
  const pair = new SuperblockPair(region)
  pair.read()
  const at = Superblock.word
  const before = pair.u32[at.blockCount]!
  const after = Math.floor(region.byteLength / BLOCK_BYTES)
  if (after > before) {
    pair.u32[at.blockCount] = after
    pair.write()
  }
  return { before, after }
}

/** At mount: what the volume has grown by becomes free. */
export function addNewBlocks({ state, geometry, allocator, transaction, pages }: Core): void {
  if (state.blocks <= geometry.dataStart || state.blocks > geometry.blockCount) {
    throw new HoldfastError(
      'EUCLEAN',
      `the state counts ${state.blocks} blocks in a volume of ${geometry.blockCount}; ` +
        'run holdfast fsck',
    )
  }
  while (state.blocks < geometry.blockCount) {
    pages.tick()
    transaction.run(0, true, () => {
      do {
        const start = state.blocks
        const chunkEnd = (Math.floor(start / CHUNK_BLOCKS) + 1) * CHUNK_BLOCKS
        const count = Math.min(chunkEnd, geometry.blockCount) - start
        allocator.release(start, count, false)
        state.blocks = start + count
      } while (!transaction.full && state.blocks < geometry.blockCount)
    })
  }
}
