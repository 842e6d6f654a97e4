/**
 * Copy-on-write: a file gets blocks of its own in the place of shared ones.
 *
 * Invariants:
 * - a block with more than one owner is never written to: whoever writes, or zeroes, or lets others
 *   write, unshares first;
 * - the content of the new blocks, copied or written, is durable before the record that maps them;
 * - the other owners keep the old blocks, where they are.
 */
import { InodeFlag } from '../media/inode.js'
import type { Core } from './core.js'

/** Blocks that one transaction copies at most: 2 MiB. */
const STEP_BLOCKS = 512
const WALK_RUNS = 64

/** Puts content into a new run, in the place of an old one. */
export type Fill = (to: number, from: number, fileBlock: number, count: number) => void

export class CopyOnWrite {
  /** Length of the run found by `runAt`. */
  count = 0
  readonly #core: Core
  readonly #copy: Fill

  constructor(core: Core) {
    this.#core = core
    this.#copy = (to, from, _fileBlock, count) => {
      core.copyBlocks(to, from, count)
    }
  }

  /**
   * Whether the file block is shared, and how far that goes in its extent: `count` blocks, at most
   * `most`. A hole is not shared.
   */
  runAt(number: number, block: number, most: number): boolean {
    const { inodes, extents, shares, pages, guard } = this.#core
    pages.tick()
    if (!extents.find(inodes.get(number), block)) {
      this.count = extents.count === 0 ? most : Math.min(most, extents.fileBlock - block)
      return false
    }
    const region = extents.regionBlock + (block - extents.fileBlock)
    const left = Math.min(most, extents.count - (block - extents.fileBlock))
    if (!shares.find(region)) {
      const alone = shares.count === 0 ? left : Math.min(left, shares.start - region)
      const { haunted, count } = guard.hauntedRun(number, block, region, alone)
      this.count = count
      return haunted
    }
    this.count = Math.min(left, shares.start + shares.count - region)
    return true
  }

  /** Shared blocks of [from, to). */
  shared(number: number, from: number, to: number): number {
    const { inodes } = this.#core
    if (!inodes.has(inodes.get(number), InodeFlag.shares)) return 0
    let blocks = 0
    for (let block = from; block < to; block += this.count) {
      if (this.runAt(number, block, to - block)) blocks += this.count
    }
    return blocks
  }

  /** ENOSPC when `blocks` shared ones cannot be replaced. */
  require(number: number, blocks: number, freeing = false): void {
    if (blocks === 0) return
    const { transaction, grace } = this.#core
    grace.demandOver()
    // In the worst case each new run is one block.
    const metadata = this.#core.extents.runsBlocks(this.#core.inodes.get(number), 2 * blocks)
    transaction.require(blocks + metadata + this.#core.shares.insertBlocks, freeing)
  }

  /** Asks the guard for each shared run of [from, to): what is between stays as it is. */
  demand(number: number, from: number, to: number): void {
    const { guard, inodes } = this.#core
    if (!this.#core.watched(inodes.get(number))) return
    for (let block = from; block < to; block += this.count) {
      if (!this.runAt(number, block, to - block)) continue
      const end = block + this.count
      guard.demand('unshare', number, block, end)
      this.count = end - block
    }
  }

  /** The file has all blocks of [from, to) for itself. ENOSPC before anything changed. */
  unshare(number: number, from: number, to: number, freeing = false): void {
    const blocks = this.shared(number, from, to)
    if (blocks === 0) return
    this.demand(number, from, to)
    this.require(number, blocks, freeing)
    this.#core.guard.proceed()
    for (let block = from; block < to; block += this.count) {
      if (this.runAt(number, block, to - block)) this.step(number, block, this.count, freeing)
    }
  }

  /**
   * The file gets blocks of its own in the place of those from `block` on, at most `most`, shared
   * or not; nobody is asked. Returns how many.
   */
  leave(number: number, block: number, most: number): number {
    this.runAt(number, block, most)
    this.step(number, block, this.count)
    return this.count
  }

  /**
   * One transaction: the shared run from `block` on, `most` blocks of one extent and one record,
   * gets new blocks, as far as they come in one run: `count`. `fill` puts content in, a copy unless
   * it is given; `also` goes into the same transaction.
   */
  step(
    number: number,
    block: number,
    most: number,
    freeing = false,
    fill: Fill = this.#copy,
    also?: (w: number, end: number) => void,
  ): void {
    const { inodes, extents, shares, transaction, allocator, opens } = this.#core
    let w = inodes.get(number)
    const metadata = 2 * extents.runBlocks(w) + 2 * shares.insertBlocks
    const want = Math.min(most, STEP_BLOCKS)
    const spare = transaction.spare(want + metadata) + (freeing ? transaction.reserve : 0)
    const n = Math.max(1, Math.min(want, spare - metadata))
    extents.find(w, block)
    const from = extents.regionBlock + (block - extents.fileBlock)
    if (fill === this.#copy) this.#core.demandReadable(from, n)
    w = inodes.get(number) // poison told of early was listed: pages may have gone
    transaction.run(n + metadata, freeing, () => {
      extents.find(w, block)
      const old = extents.regionBlock + (block - extents.fileBlock)
      allocator.allocate(0, n, block)
      const { start, count } = allocator
      fill(start, old, block, count)
      extents.replace(w, block, count, start)
      transaction.wroteData()
      inodes.layoutChanged(w)
      also?.(w, block + count)
      this.count = count
    })
    const { count } = this
    opens.get(number)?.layoutChanged(block, block + count)
    this.count = count
  }

  /** Once none of its blocks is shared any more it need not look them up. */
  forget(number: number): void {
    const { inodes, extents, transaction, pages } = this.#core
    let runs = 0
    for (let block = 0; runs < WALK_RUNS; runs++, block += this.count) {
      if (this.runAt(number, block, 0xffff_ffff - block)) return
      if (!extents.find(inodes.get(number), block) && extents.count === 0) break
    }
    if (runs === WALK_RUNS) return
    pages.tick()
    transaction.run(0, false, () => inodes.setFlag(inodes.get(number), InodeFlag.shares, false))
  }
}
