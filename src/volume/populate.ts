/**
 * Gives the holes of a range blocks, zeroed: what is mapped for writing has a place for every byte.
 *
 * Zeros are durable before the record that maps them, as all content of new blocks. The range is
 * within the size of the file, so that a crash in the middle leaves some holes filled and no more.
 */
import { BLOCK_BYTES } from '../base/limits.js'
import type { Core } from './core.js'
import type { OpenInode } from './open_inodes.js'

/** Runs and blocks that one transaction maps at most. */
const RUNS_MAX = 8
const STEP_BLOCKS = 4096

/** ENOSPC before anything is done when there is no room for all of [from, to). */
export function populate(core: Core, open: OpenInode, from: number, to: number): void {
  const { inodes, extents, transaction, pages } = core
  transaction.checkUsable()
  let missing = missingBlocks(core, open.number, from, to)
  if (missing === 0) return
  transaction.require(missing + extents.runsBlocks(inodes.get(open.number), missing))
  for (let block = from; missing > 0;) {
    pages.tick()
    const begun = block
    const w = inodes.get(open.number)
    const blocks = Math.min(missing, STEP_BLOCKS)
    const runs = runsOf(core, w, blocks)
    transaction.run(blocks + runs * extents.runBlocks(w), false, () => {
      inodes.layoutChanged(w)
      transaction.wroteData()
      const stop = missing - blocks
      for (let run = 0; missing > stop; block = extents.fileBlock + extents.count) {
        if (extents.find(w, block)) continue
        if (run === runs || (run > 0 && transaction.full)) break
        run++
        missing -= fillRun(core, w, block, to, missing - stop)
        extents.find(w, block)
      }
    })
    open.layoutChanged(begun, block)
  }
}

/** Blocks of [from, to) that are holes. */
function missingBlocks(core: Core, number: number, from: number, to: number): number {
  const { inodes, extents, pages } = core
  let missing = 0
  for (let block = from; block < to;) {
    pages.tick()
    if (extents.find(inodes.get(number), block)) block = extents.fileBlock + extents.count
    else {
      const next = extents.count === 0 ? to : Math.min(to, extents.fileBlock)
      missing += next - block
      block = next
    }
  }
  return missing
}

/** Runs that the space left over after `blocks` of data allows for. */
function runsOf(core: Core, w: number, blocks: number): number {
  const each = core.extents.runBlocks(w)
  const room = core.transaction.spare(blocks + RUNS_MAX * each) - blocks
  return Math.max(1, Math.min(RUNS_MAX, Math.floor(room / each)))
}

/** Maps one run of zeros at `block`, a hole; returns its blocks. */
function fillRun(core: Core, w: number, block: number, to: number, most: number): number {
  const { extents, allocator, region } = core
  const end = extents.count === 0 ? to : Math.min(to, extents.fileBlock)
  allocator.allocate(goal(core, w, block), Math.min(most, end - block))
  const { start, count } = allocator
  region.streamZero(start * BLOCK_BYTES, count * BLOCK_BYTES)
  extents.map(w, block, start, count)
  return count
}

/** Where the block before would go on. */
function goal(core: Core, w: number, block: number): number {
  const { extents } = core
  if (block === 0 || !extents.find(w, block - 1)) return 0
  return extents.regionBlock + (block - extents.fileBlock)
}
