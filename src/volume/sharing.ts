/**
 * Sharing: a range of one file becomes a range of another, without a copy (ioctl_ficlonerange(2)).
 *
 *     few extents:  one transaction: the destination's blocks go, the source's get a second owner
 *     many:         an inode without names gathers them, step by step; then it hands them over
 *
 * Invariants:
 * - all of it or nothing: a crash while they are gathered leaves an inode without names, which
 *   goes; from the first step of handing over on it comes to its end before anyone looks
 *   (Work.settle);
 * - what may fail, for want of space or for a hold, is asked for before the destination changes.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { Incompat } from '../media/superblock.js'
import { InodeFlag } from '../media/inode.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import type { OpenInode } from './open_inodes.js'
import type { Work } from './work.js'

/** Extents, and records of shares under one, that are shared in one transaction. */
const AT_ONCE = 8
const STEP_BLOCKS = 512

/** File blocks [from, to) of the source become those from `at` on of the destination. */
interface Span {
  readonly source: number
  readonly from: number
  readonly to: number
  readonly target: number
  readonly at: number
  /** What the size of the destination becomes: at least, or exactly. */
  readonly size: number
  /** All that the destination had from `at` on goes. */
  readonly exact: boolean
}

/** What may be a file block, and one more. */
const FILE_END = 0xffff_ffff

/** Blocks, or the end of the file, are others from there on. */
const changedFrom = ({ at, size }: Span) => Math.min(at, Math.floor(size / BLOCK_BYTES))
/** Where what goes of the destination ends. */
const endOf = ({ from, to, at, exact }: Span) => (exact ? FILE_END : at + (to - from))

export class Sharing {
  readonly #core: Core
  readonly #files: Files
  readonly #work: Work

  constructor(core: Core, files: Files, work: Work) {
    this.#core = core
    this.#files = files
    this.#work = work
  }

  /**
   * Bytes [offset, offset + length) of `source` become those of `to` at `toOffset`. Length 0: to
   * the end. Whole blocks, but for the last one at the end of both files.
   */
  reflink(source: number, offset: number, to: OpenInode, toOffset: number, length: number): void {
    this.#share(this.#span(source, offset, to.number, toOffset, length), to)
  }

  /** What a clone of all of a file asks for there, before a destination is made. */
  demandClone(source: number): void {
    const { inodes, guard, grace } = this.#core
    grace.demandOver()
    this.#work.settle(source)
    const blocks = Math.ceil(inodes.size(inodes.get(source)) / BLOCK_BYTES)
    if (blocks > 0 && this.#core.watched(inodes.get(source))) {
      guard.demand('share', source, 0, blocks)
    }
  }

  /** All of `to` becomes a clone of all of `source`, its size too. */
  clone(source: number, to: OpenInode): void {
    const { inodes } = this.#core
    this.#work.settle(source)
    const size = inodes.size(inodes.get(source))
    const blocks = Math.ceil(size / BLOCK_BYTES)
    const span = { source, from: 0, to: blocks, target: to.number, at: 0, size, exact: true }
    if (source !== to.number) this.#share(span, to)
  }

  #share(span: Span, to: OpenInode): void {
    const { inodes, guard, pages, grace } = this.#core
    const { source } = span
    grace.demandOver()
    this.#work.settle(source)
    this.#files.writable(to.number)
    if (span.from === span.to && !span.exact) return
    const end = endOf(span)
    if (this.#core.watched(inodes.get(source))) guard.demand('share', source, span.from, span.to)
    const old = inodes.size(inodes.get(to.number))
    if (span.size > old || span.exact) inodes.demandResizable(inodes.get(to.number))
    if (this.#core.watched(inodes.get(to.number))) {
      guard.demand('shareInto', to.number, span.at, end)
    }
    const at = span.at * BLOCK_BYTES
    if (at > old) this.#files.demandTail(to.number, old, at)
    this.#requireCopies(span)
    this.#requireRecords(span)
    this.#core.features.require(Incompat.layout)
    guard.proceed()
    if (at > old) this.#files.zeroTail(inodes.get(to.number), old, at)
    else this.#files.keepShrunk(inodes.get(to.number), old)
    pages.tick()
    const small = this.#nothingCopied(span) && this.#isSmall(span)
    if (small) this.#shareAtOnce(to, span)
    else this.#shareInSteps(to, span)
    to.timesPending = false
    this.#core.opens.get(source)?.layoutChanged(span.from, span.to)
    const { changes } = this.#core
    if (changes.watched) changes.tell({ kind: 'content', ino: to.number })
  }

  #span(source: number, offset: number, target: number, at: number, length: number): Span {
    const { inodes } = this.#core
    const size = inodes.size(inodes.get(source))
    const count = length === 0 ? size - offset : length
    const good = [offset, at, length].every((n) => Number.isSafeInteger(n) && n >= 0)
    if (!good || offset + count > size || count < 0) {
      throw new HoldfastError('EINVAL', `${count} bytes at ${offset} of a file of ${size} to ${at}`)
    }
    const old = inodes.size(inodes.get(target))
    const aligned = offset % BLOCK_BYTES === 0 && at % BLOCK_BYTES === 0
    const toEnd = offset + count === size && at + count >= old
    if (!aligned || (count % BLOCK_BYTES !== 0 && !toEnd)) {
      throw new HoldfastError('EINVAL', `what is shared is whole blocks of ${BLOCK_BYTES} bytes`)
    }
    if (at + count > FILE_BYTES_MAX) {
      throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
    }
    if (source === target && Math.abs(offset - at) < count) {
      throw new HoldfastError('EINVAL', 'source and destination overlap')
    }
    const from = offset / BLOCK_BYTES
    const to = from + Math.ceil(count / BLOCK_BYTES)
    return { source, from, to, target, at: at / BLOCK_BYTES, size: at + count, exact: false }
  }

  /** ENOSPC when what is not to gain a second owner cannot be copied. */
  #requireCopies(span: Span): void {
    if (this.#nothingCopied(span)) return
    const { inodes, extents, guard, transaction } = this.#core
    let blocks = 0
    for (let block = span.from; block < span.to;) {
      const { end, copy } = guard.shareRun(span.source, block, span.to)
      if (copy) blocks += end - block - this.#files.missing(inodes.get(span.source), block, end - 1)
      block = end
    }
    transaction.require(blocks + extents.runsBlocks(inodes.get(span.target), blocks))
  }

  /**
   * ENOSPC, before what the asker has lent counts as given back, when what goes into one
   * transaction has no room.
   */
  #requireRecords(span: Span): void {
    const { inodes, transaction } = this.#core
    const watched = [span.source, span.target].some((n) => this.#core.watched(inodes.get(n)))
    if (!watched || !this.#nothingCopied(span) || !this.#isFew(span)) return
    transaction.require(this.#recordBlocks(span))
  }

  /** Whether all of the source may gain a second owner. */
  #nothingCopied({ source, from, to }: Span): boolean {
    const { inodes, guard } = this.#core
    if (!this.#core.watched(inodes.get(source))) return true
    const run = guard.shareRun(source, from, to)
    return !run.copy && run.end >= to
  }

  /** Whether all of it goes into one transaction. */
  #isSmall(span: Span): boolean {
    // Blocks that go to limbo may be many runs.
    if (this.#core.frames.distinct > 0 && this.#core.guard.watches(span.target)) return false
    return this.#isFew(span)
  }

  #isFew(span: Span): boolean {
    const { source, from, to, target, at } = span
    const { inodes, extents, shares } = this.#core
    const few = (number: number, first: number, end: number) => {
      let pieces = 0
      for (let block = first; block < end && pieces <= AT_ONCE;) {
        const found = extents.find(inodes.get(number), block)
        if (extents.count === 0 || (!found && extents.fileBlock >= end)) break
        block = extents.fileBlock + extents.count
        pieces += shares.piecesOf(extents.regionBlock, extents.count, AT_ONCE + 1)
      }
      return pieces <= AT_ONCE
    }
    return few(source, from, to) && few(target, at, endOf(span))
  }

  #shareAtOnce(to: OpenInode, span: Span): void {
    const { inodes, extents, transaction } = this.#core
    const { source, target, from, at } = span
    const end = endOf(span)
    const w = inodes.get(target)
    const blocks = this.#recordBlocks(span)
    to.blocksLeave(at, end)
    try {
      transaction.run(blocks, false, () => {
        while (extents.cutLast(w, at, end));
        const from_ = inodes.get(source)
        for (let block = from; block < span.to;) {
          block = this.#shareNext(from_, block, span.to, w, at - from)
        }
        this.#finish(from_, w, span)
      })
    } finally {
      to.layoutChanged(changedFrom(span), Infinity)
    }
  }

  /** Blocks of metadata that sharing it in one transaction may allocate. */
  #recordBlocks({ source, target }: Span): number {
    const { inodes, extents, shares, limbo } = this.#core
    // Each extent: one run here, a record and two cuts there; one cut at each end of what goes.
    const extentsAtMost = Math.min(AT_ONCE, extents.total(inodes.get(source)))
    const records = 3 * extentsAtMost + AT_ONCE + 2
    const runs = extents.runsBlocks(inodes.get(target), extentsAtMost + 2)
    return runs + records + shares.insertBlocks + limbo.takeBlocks
  }

  #finish(source: number, w: number, { size, exact }: Span): void {
    const { inodes } = this.#core
    inodes.setFlag(source, InodeFlag.shares, true)
    inodes.setFlag(w, InodeFlag.shares, true)
    inodes.layoutChanged(source)
    if (w !== source) inodes.layoutChanged(w)
    if (exact || size > inodes.size(w)) inodes.setSize(w, size)
    if (exact) inodes.setFlag(w, InodeFlag.preallocated, false)
    inodes.modified(w)
  }

  /**
   * Inside a transaction: the extent that holds `block`, up to file block `to`, gets another owner,
   * `by` file blocks on. Returns the block after; a hole is passed.
   */
  #shareNext(source: number, block: number, to: number, w: number, by: number): number {
    const { extents, shares } = this.#core
    const found = extents.find(source, block)
    if (extents.count === 0) return to
    if (!found) return Math.min(to, extents.fileBlock)
    const start = extents.regionBlock + (block - extents.fileBlock)
    const count = Math.min(to, extents.fileBlock + extents.count) - block
    shares.add(start, count)
    extents.map(w, block + by, start, count)
    return block + count
  }

  // ---- more than a transaction -----------------------------------------------------------------

  #shareInSteps(to: OpenInode, span: Span): void {
    const { transaction } = this.#core
    const giver = this.#work.bearNameless(span.size, InodeFlag.shares)
    try {
      for (let block = span.from; block < span.to;) block = this.#gatherStep(giver, block, span)
      this.#work.demandReceive()
    } catch (error) {
      if (transaction.usable) while (!this.#work.freeStep(giver));
      throw error
    }
    const end = endOf(span)
    to.blocksLeave(span.at, end)
    try {
      this.#work.receive(span.target, giver, span.at, end, span.exact)
    } finally {
      to.layoutChanged(changedFrom(span), Infinity)
    }
  }

  /** One transaction of gathering; returns the next file block of the source. */
  #gatherStep(giver: number, block: number, span: Span): number {
    const { inodes, extents, shares, transaction, pages, guard } = this.#core
    pages.tick()
    const run = guard.shareRun(span.source, block, span.to)
    if (run.copy) return this.#copyStep(giver, block, run.end, span)
    const source = inodes.get(span.source)
    const w = inodes.get(giver)
    const by = span.at - span.from
    let next = block
    const found = extents.find(source, block)
    if (!found && (extents.count === 0 || extents.fileBlock >= run.end)) return run.end
    if (!found) next = extents.fileBlock
    const first = extents.regionBlock + (next - extents.fileBlock)
    const most = Math.min(run.end, extents.fileBlock + extents.count) - next
    // One part at a time, where there are many: a transaction has its size. Each may add a record,
    // and each end two.
    const parts = shares.piecesOf(first, most, AT_ONCE + 1)
    const blocks = extents.runBlocks(w) + (parts + 5) * shares.insertBlocks
    transaction.run(blocks, false, () => {
      inodes.setFlag(source, InodeFlag.shares, true)
      inodes.layoutChanged(source)
      const end = parts > AT_ONCE ? this.#endOfRecord(source, next, run.end) : run.end
      next = this.#shareNext(source, next, end, w, by)
    })
    return next
  }

  #endOfRecord(source: number, block: number, most: number): number {
    const { extents, shares } = this.#core
    extents.find(source, block)
    const start = extents.regionBlock + (block - extents.fileBlock)
    if (shares.find(start)) return Math.min(most, block + (shares.start + shares.count - start))
    return shares.count === 0 ? most : Math.min(most, block + (shares.start - start))
  }

  /** One transaction that copies what is not to gain a second owner. */
  #copyStep(giver: number, block: number, end: number, span: Span): number {
    const { inodes, extents, allocator, transaction } = this.#core
    const found = extents.find(inodes.get(span.source), block)
    if (!found) return extents.count === 0 ? end : Math.min(end, extents.fileBlock)
    const from = extents.regionBlock + (block - extents.fileBlock)
    const most = Math.min(end, extents.fileBlock + extents.count) - block
    const want = Math.min(most, STEP_BLOCKS)
    let n = 0
    this.#core.demandReadable(from, want)
    const w = inodes.get(giver)
    transaction.run(want + extents.runBlocks(w), false, () => {
      allocator.allocate(0, want, block - span.from + span.at)
      const { start, count } = allocator
      this.#core.copyBlocks(start, from, count)
      extents.map(w, block - span.from + span.at, start, count)
      transaction.wroteData()
      n = count
    })
    return block + n
  }
}
