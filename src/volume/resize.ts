/**
 * Growing and shrinking. The region is larger than the volume in it, and the volume takes the rest;
 * or the volume is to end earlier, and what is behind its new end moves.
 *
 *     growing:   superblock -> mount: bits of the new blocks cleared, step by step
 *     shrinking: files, then metadata moved -> bits set, from the end down -> superblock -> region
 *
 * Invariants:
 * - the superblock says how large the volume is, the state how much of that is in use or free. A
 *   cut in between leaves a sound volume: the next mount adds the rest, be it that the volume grew
 *   or that it was about to shrink;
 * - bitmap and inode map stay where they are: mkfs made them large enough for what the volume may
 *   grow to;
 * - while a volume shrinks nothing is handed out beyond its new end; its blocks there are no more
 *   when, and only when, nobody has any of them;
 * - bad blocks beyond the end stay in their list: they are as bad when the volume grows again.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, REGION_BYTES_MIN, RESERVE_BLOCKS } from '../base/limits.js'
import { blocksAtMost, CHUNK_BLOCKS } from '../media/bitmap.js'
import { Superblock } from '../media/superblock.js'
import type { Region } from '../region/region.js'
import type { Allocator } from './allocator.js'
import type { Core } from './core.js'
import type { Geometry } from './geometry.js'
import { MetadataMover } from './metadata_mover.js'
import type { Relocation } from './relocation.js'
import { SuperblockPair } from './superblock.js'

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
      `${region.path} has a volume of ${before * BLOCK_BYTES} bytes: growing makes none smaller ` +
        '(shrinkVolume, holdfast resize)',
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

// ---- shrinking ---------------------------------------------------------------------------------

/** EINVAL for a size that is larger, too small for any volume, or no whole pages. */
export function blocksToShrinkTo(
  { blockCount, dataStart }: Geometry,
  { path, grain }: Region,
  size: number,
): number {
  const least = Math.max(REGION_BYTES_MIN, (dataStart + 2 * RESERVE_BLOCKS) * BLOCK_BYTES)
  const most = blockCount * BLOCK_BYTES
  if (size >= least && size <= most && size % grain === 0) return size / BLOCK_BYTES
  throw new HoldfastError(
    'EINVAL',
    `${path} has a volume of ${most} bytes, which may shrink to ${least} at least, ` +
      `${size % grain === 0 ? '' : `in steps of ${grain}, `}not to ${size}`,
  )
}

/**
 * Lets a mounted volume end after `blocks` blocks. Yields the blocks moved in each step; between
 * two of them the volume may be used. ENOSPC, EPERM, and EBUSY with the holds, before anything
 * moves. Given up, it leaves the volume as large as it was.
 */
export function* shrink(
  core: Core,
  relocation: Relocation,
  superblock: SuperblockPair,
  blocks: number,
): Generator<number, void> {
  const { allocator, geometry, transaction } = core
  if (allocator.limited) throw new HoldfastError('EBUSY', 'the volume is being made smaller now')
  const end = geometry.blockCount
  if (blocks === end) return
  transaction.checkUsable()
  transaction.checkpoint()
  allocator.limit(blocks)
  try {
    demandRoom(core, blocks)
    demandNothingLeft(core, blocks)
    const { unreadable, unreadableOf } = yield* relocation.evacuate(blocks, end)
    if (unreadable > 0) {
      const whose = unreadableOf.slice(0, 4).join(', ')
      throw new HoldfastError(
        'EIO',
        `${unreadable} blocks behind the new end cannot be read, of inode ${whose}; restore or remove it`,
      )
    }
    demandNothingLeft(core, blocks)
    yield* new MetadataMover(core).evacuate(blocks, end)
    cutOff(core, blocks)
    transaction.checkpoint()
    // It ends there now, even if the superblock cannot be written: taken back, the state would
    // count more blocks than one copy of it has.
    geometry.blockCount = blocks
    superblock.u32[Superblock.word.blockCount] = blocks
    superblock.write()
  } finally {
    if (transaction.usable) endLimit(core)
  }
}

/** What was taken of the end for nothing is free again. */
function endLimit(core: Core): void {
  core.pages.tick()
  core.transaction.checkpoint()
  core.allocator.unlimit()
  addNewBlocks(core)
}

/** EBUSY where blocks beyond the new end left their files, and are still in use. */
function demandNothingLeft({ guard, limbo, extents, inodes, pages }: Core, blocks: number): void {
  guard.demandLeft(blocks, Infinity)
  if (limbo.number === 0) return
  pages.tick()
  extents.find(inodes.get(limbo.number), blocks)
  if (extents.count === 0) return
  throw new HoldfastError(
    'EBUSY',
    'transfers under way use blocks beyond the new end that left their files; try again later',
  )
}

/** Right after the limit is set. */
function demandRoom({ allocator, geometry, transaction }: Core, blocks: number): void {
  const end = geometry.blockCount
  // All that is in quarantine is what is free there.
  let used = end - blocks - allocator.quarantined
  for (const block of allocator.bad) if (block >= blocks && block < end) used--
  const kept = transaction.reserve
  const room = Math.max(0, allocator.available - kept)
  if (used <= room) return
  throw new HoldfastError(
    'ENOSPC',
    `${used} blocks in use beyond the new end, ${room} free before it ` +
      `(${kept} kept back for freeing)`,
  )
}

/** What `addNewBlocks` does, taken back from the end down. */
function cutOff({ allocator, state, transaction, pages }: Core, blocks: number): void {
  demandEmpty(allocator, blocks, state.blocks)
  while (state.blocks > blocks) {
    pages.tick()
    transaction.run(0, true, () => {
      do {
        const end = state.blocks
        const chunkStart = Math.floor((end - 1) / CHUNK_BLOCKS) * CHUNK_BLOCKS
        const start = Math.max(blocks, chunkStart)
        allocator.cutOff(start, end - start)
        state.blocks = start
      } while (!transaction.full && state.blocks > blocks)
    })
  }
}

/** EUCLEAN when a block of [from, to) is in use that is not bad. */
function demandEmpty(allocator: Allocator, from: number, to: number): void {
  for (let block = from; ; block++) {
    block = allocator.firstInUse(block, to)
    if (block === to) return
    if (allocator.bad.has(block)) continue
    throw new HoldfastError('EUCLEAN', `block ${block} is still in use; run holdfast fsck`)
  }
}
