/**
 * One run of blocks for all that a range of a file lacks (fallocate with `contiguous`).
 *
 *     at once:   a run is set aside, and filled in step by step, in one call
 *     in steps:  a file without a name takes it, is zeroed, and hands it over in one transaction
 *
 * Invariants:
 * - a file has no block of such a run that was not zeroed before;
 * - until it is handed over nothing has changed for the file, and after a crash the run is free.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import type { OpenInode } from './open_inodes.js'
import type { Work } from './work.js'

/** What is past every file block. */
const FILE_END = 0x1_0000_0000

/** File blocks, and the region block that is to be the first of them; 0: any. */
interface MissingRun {
  readonly next: number
  readonly goal: number
  readonly count: number
}

export class OneRun {
  readonly #core: Core
  readonly #files: Files
  readonly #work: Work

  constructor(core: Core, files: Files, work: Work) {
    this.#core = core
    this.#files = files
    this.#work = work
  }

  /**
   * Takes one run for what is missing of file blocks [first, last], into a file without a name,
   * which who calls keeps open; null when nothing is missing. Its blocks are as they were left.
   */
  take(number: number, first: number, last: number): OpenInode | null {
    const { inodes, opens, allocator, transaction } = this.#core
    const run = this.missing(inodes.get(number), first, last)
    if (run === null) return null
    this.claim(run) // before metadata takes a block of it
    let giver: OpenInode | null = null
    try {
      giver = opens.open(this.#work.bearNameless((last + 1) * BLOCK_BYTES))
      giver.unlinked = true
      this.#fill(giver.number, run.next, last)
      return giver
    } catch (error) {
      if (giver !== null) opens.close(giver)
      if (giver !== null && transaction.usable) this.#work.freeRest(giver.number)
      throw error
    } finally {
      allocator.unclaim()
    }
  }

  /** File blocks [from, last] get what was set aside. */
  #fill(number: number, from: number, last: number): void {
    const { inodes, allocator, extents, transaction, pages } = this.#core
    for (let block = from; block <= last;) {
      pages.tick()
      const w = inodes.get(number)
      transaction.run(last + 1 - block + this.#files.overhead(w, 1), false, () => {
        do {
          allocator.allocate(0, last + 1 - block, block)
          const { start, count } = allocator
          extents.map(w, block, start, count)
          block += count
        } while (block <= last && !transaction.full)
      })
    }
  }

  /** Zeroes blocks of a run that was taken, from file block `from` on; returns where to go on. */
  zero(giver: OpenInode, from: number, blocks: number): number {
    const { inodes, extents, region } = this.#core
    extents.find(inodes.get(giver.number), from)
    if (extents.count === 0) return Infinity
    const start = Math.max(from, extents.fileBlock)
    const count = Math.min(blocks, extents.fileBlock + extents.count - start)
    const at = extents.regionBlock + (start - extents.fileBlock)
    region.streamZero(at * BLOCK_BYTES, count * BLOCK_BYTES)
    this.#core.checkRegion()
    return start + count
  }

  /** One transaction that moves the run of a file without a name to where it is to be. */
  adopt(w: number, giver: number): void {
    const { inodes, extents, transaction } = this.#core
    const g = inodes.get(giver)
    transaction.run(this.#files.overhead(w, 1), false, () => {
      extents.detach(g, 0, FILE_END)
      const { fileBlock, regionBlock, count } = extents
      extents.map(w, fileBlock, regionBlock, count)
      transaction.wroteData()
      inodes.layoutChanged(w)
    })
  }

  /** ENOSPC unless a run that was taken is all that the range lacks, and in the right place. */
  demandFits(number: number, first: number, last: number, giver: number): void {
    const { inodes, extents, transaction } = this.#core
    const run = this.missing(inodes.get(number), first, last)
    const found = extents.last(inodes.get(giver))
    const { fileBlock, regionBlock, count } = extents
    const fits =
      found &&
      run !== null &&
      fileBlock === run.next &&
      count === run.count &&
      (run.goal === 0 || run.goal === regionBlock)
    if (!fits) throw new HoldfastError('ENOSPC', 'the range, or its run, has changed meanwhile')
    transaction.require(this.#files.overhead(inodes.get(number), 1))
  }

  /** The one run that a range lacks; null: it has all. ENOSPC when it is in several already. */
  missing(w: number, first: number, last: number): MissingRun | null {
    const { extents } = this.#core
    let next = first
    let goal = 0
    if (extents.find(w, first)) {
      next = extents.fileBlock + extents.count
      goal = extents.regionBlock + extents.count
    }
    if (next > last) return null
    const count = last + 1 - next
    if (this.#files.missing(w, next, last) === count) return { next, goal, count }
    throw new HoldfastError('ENOSPC', 'the range is in more than one run of blocks already')
  }

  /** Sets a run of blocks aside, or throws ENOSPC. */
  claim({ next, goal, count }: MissingRun): void {
    const { allocator, transaction } = this.#core
    if (allocator.claim(goal, count, next)) return
    // What was freed lately may be what is missing.
    if (allocator.quarantined > 0) {
      transaction.checkpoint()
      if (allocator.claim(goal, count, next)) return
    }
    const detail =
      goal === 0
        ? `no run of ${count} free blocks: the free space is in pieces`
        : `the ${count} blocks behind its block ${next - 1} are not all free: allocate before writing`
    throw new HoldfastError('ENOSPC', detail)
  }
}
