/**
 * Ranges of a file: allocate, punch, zero, collapse, insert, seek (fallocate(2), lseek(2)).
 *
 * Invariants:
 * - what may fail for want of space is asked for before the first block is taken: a call that fails
 *   has changed nothing;
 * - blocks of a range stay where they are unless the range is freed.
 */
import { HoldfastError } from '../base/errors.js'
import type { AllocateOptions } from '../base/filesystem.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { Inode, InodeFlag } from '../media/inode.js'
import type { CopyOnWrite } from './copy_on_write.js'
import type { Core } from './core.js'
import { STEP_BLOCKS, WALK_EXTENTS, type Files } from './files.js'
import { OneRun } from './one_run.js'
import type { OpenInode } from './open_inodes.js'
import type { Work } from './work.js'

/** Where blocks of a range come from: anywhere, one run, or a file without a name, by number. */
const ANY_RUN = -1
const ONE_RUN = 0

export class Ranges {
  readonly #core: Core
  readonly #files: Files
  readonly #work: Work
  readonly #copies: CopyOnWrite
  readonly run: OneRun

  constructor(core: Core, files: Files, work: Work, copies: CopyOnWrite) {
    this.#core = core
    this.#files = files
    this.#work = work
    this.#copies = copies
    this.run = new OneRun(core, files, work)
  }

  /** Word index of a file that a range call may change. EPERM for flags that forbid it. */
  #enter(open: OpenInode, offset: number, length: number, keepsEnd: boolean): number {
    const { inodes, transaction, grace } = this.#core
    checkRange(offset, length)
    transaction.checkUsable()
    grace.demandOver()
    const w = inodes.get(open.number)
    if (inodes.has(w, InodeFlag.append) && !keepsEnd) {
      throw new HoldfastError('EPERM', 'it is append-only')
    }
    return this.#files.writable(open.number)
  }

  // ---- blocks for a range ----------------------------------------------------------------------

  /** Blocks for all of a range, zeroed where there were none. */
  allocate(open: OpenInode, offset: number, length: number, options: AllocateOptions = {}): void {
    const keepSize = options.keepSize === true
    this.#enter(open, offset, length, true)
    this.#populate(open, offset, length, keepSize, options.contiguous === true ? ONE_RUN : ANY_RUN)
    this.#changed(open)
  }

  /**
   * Takes one run of blocks for all of a range that has none yet (OneRun.take): for `OneRun.zero`,
   * and then `giveRun`. Null: nothing is missing. Nothing changes for the file.
   */
  takeRun(open: OpenInode, offset: number, length: number, keepSize: boolean): OpenInode | null {
    const { inodes } = this.#core
    const end = offset + length
    const [first, last] = [Math.floor(offset / BLOCK_BYTES), Math.floor((end - 1) / BLOCK_BYTES)]
    const size = inodes.size(this.#enter(open, offset, length, true))
    this.#files.demandGrow(open.number, first, last, !keepSize && end > size)
    const tail = !keepSize && end > size ? this.#files.demandTail(open.number, size, end) : 0
    const missing = this.#files.missing(inodes.get(open.number), first, last)
    this.#files.requireSpace(open.number, missing, tail)
    return this.run.take(open.number, first, last)
  }

  /** `allocate` with a run that was taken for it and zeroed. ENOSPC where it fits no more. */
  giveRun(
    open: OpenInode,
    offset: number,
    length: number,
    keepSize: boolean,
    giver: OpenInode,
  ): void {
    this.#enter(open, offset, length, true)
    this.#populate(open, offset, length, keepSize, giver.number)
    this.#changed(open)
  }

  /** Blocks for all of a range within the file, for who maps it; times stay. */
  populate(open: OpenInode, offset: number, length: number): void {
    const first = Math.floor(offset / BLOCK_BYTES)
    const last = Math.floor((offset + length - 1) / BLOCK_BYTES)
    const { inodes } = this.#core
    this.#work.settle(open.number)
    if (this.#files.missing(inodes.get(open.number), first, last) === 0) return
    this.#populate(open, offset, length, true, ANY_RUN, true)
  }

  /**
   * All blocks of a range are there, and have no other owner, for who writes to them past the
   * calls.
   */
  own(open: OpenInode, offset: number, length: number): void {
    const { number } = open
    const [from, end] = [
      Math.floor(offset / BLOCK_BYTES),
      Math.ceil((offset + length) / BLOCK_BYTES),
    ]
    if (from === end) return
    this.#work.settle(number)
    const missing = this.#files.missing(this.#core.inodes.get(number), from, end - 1)
    const shared = this.#copies.shared(number, from, end)
    if (missing + shared === 0) return
    // All that may be refused comes before anything changes, and what no recall would help first.
    this.#files.requireSpace(number, missing, shared)
    if (missing > 0) this.#files.demandGrow(number, from, end - 1, false)
    if (shared > 0) this.#copies.demand(number, from, end)
    this.#core.guard.proceed()
    this.populate(open, offset, length)
    this.#copies.unshare(number, from, end)
  }

  /** The range reads as zeros and has blocks. */
  zero(open: OpenInode, offset: number, length: number, keepSize = false): void {
    const { inodes, region, extents, transaction, pages } = this.#core
    let w = this.#enter(open, offset, length, false)
    const end = offset + length
    const size = inodes.size(w)
    // Where there are blocks already they are zeroed in place, the others are zeroed when taken.
    const last = Math.floor((end - 1) / BLOCK_BYTES)
    const first = Math.floor(offset / BLOCK_BYTES)
    this.#files.demandGrow(open.number, first, last, !keepSize && end > size)
    const missing = this.#files.missing(inodes.get(open.number), first, last)
    const shared = this.#copies.shared(open.number, first, last + 1)
    if (shared > 0) this.#copies.demand(open.number, first, last + 1)
    const extends_ = !keepSize && offset > size
    const before = extends_ ? this.#files.demandTail(open.number, size, offset) : 0
    this.#files.requireSpace(open.number, missing, shared + before)
    this.#core.guard.proceed()
    this.#copies.unshare(open.number, first, last + 1)
    w = inodes.get(open.number)
    if (!keepSize && offset > size) this.#files.zeroTail(w, size, offset)
    w = inodes.get(open.number)
    if (end > size) this.#files.keepShrunk(w, size)
    for (let p = offset, steps = 1; p < end; steps++) {
      if (steps % WALK_EXTENTS === 0) {
        pages.tick()
        w = inodes.get(open.number)
      }
      const found = extents.find(w, Math.floor(p / BLOCK_BYTES))
      if (!found && extents.count === 0) break
      const first = extents.fileBlock * BLOCK_BYTES
      if (found) {
        const to = Math.min(end, first + extents.count * BLOCK_BYTES)
        const at = extents.regionBlock * BLOCK_BYTES + (p - first)
        this.#core.beforeStore(at, to - p)
        region.streamZero(at, to - p)
        this.#core.afterStore(at, to - p)
        p = to
      } else p = first
    }
    this.#core.checkRegion()
    w = inodes.get(open.number)
    transaction.run(0, false, () => {
      transaction.wroteData()
      inodes.modified(w)
    })
    this.#populate(open, offset, length, keepSize, ANY_RUN)
    this.#changed(open)
  }

  #populate(
    open: OpenInode,
    offset: number,
    length: number,
    keepSize: boolean,
    run: number,
    maps = false,
  ): void {
    const { inodes, transaction, pages, allocator } = this.#core
    const end = offset + length
    const first = Math.floor(offset / BLOCK_BYTES)
    const last = Math.floor((end - 1) / BLOCK_BYTES)
    // What appends have taken ahead is not what was asked for, and would go with the last close.
    if (keepSize && !maps) {
      this.#files.trimAhead(open)
      pages.tick()
    }
    let w = inodes.get(open.number)
    const size = inodes.size(w)
    this.#files.demandGrow(open.number, first, last, !keepSize && end > size)
    const grows = end > size
    const tail = !keepSize && grows ? this.#files.demandTail(open.number, size, end) : 0
    const missing = this.#files.missing(inodes.get(open.number), first, last)
    if (run > 0) this.run.demandFits(open.number, first, last, run)
    this.#files.requireSpace(open.number, run > 0 ? 0 : missing, tail)
    this.#core.guard.proceed()
    pages.tick()
    const one = run === ONE_RUN ? this.run.missing(inodes.get(open.number), first, last) : null
    if (one !== null) this.run.claim(one)
    try {
      pages.tick()
      w = inodes.get(open.number)
      if (!keepSize && end > size) this.#files.zeroTail(w, size, end)
      w = inodes.get(open.number)
      if (run > 0) this.run.adopt(w, run)
      for (let block = first; block <= last;) {
        const most = Math.min(last, block + STEP_BLOCKS - 1)
        const reach = this.#files.holesReach(open.number, block, most)
        block = this.#populateStep(inodes.get(open.number), block, reach)
        pages.tick()
        w = inodes.get(open.number)
      }
    } catch (error) {
      open.layoutChanged(first, last + 1)
      throw error
    } finally {
      allocator.unclaim()
    }
    transaction.run(0, false, () => {
      if (grows && !keepSize) {
        transaction.wroteData()
        inodes.setSize(w, end)
      }
      if (!maps) inodes.modified(w)
      const beyond = last + 1 > Math.ceil(size / BLOCK_BYTES)
      if (keepSize && beyond) inodes.setFlag(w, InodeFlag.preallocated, true)
    })
    if (!maps) open.timesPending = false
    open.layoutChanged(Math.floor(Math.min(offset, size) / BLOCK_BYTES), last + 1)
  }

  /** One transaction that fills holes of file blocks [from, to]; returns the block after. */
  #populateStep(w: number, from: number, to: number): number {
    const { inodes, extents, transaction, allocator, region, pages } = this.#core
    const number = pages.u32[w + Inode.word.number]!
    const need = this.#files.missing(w, from, to)
    if (need === 0) return to + 1
    w = inodes.get(number)
    const runsMax = this.#files.runs(w, need)
    let block = from
    transaction.run(need + this.#files.overhead(w, runsMax), false, () => {
      for (let runs = 0; block <= to;) {
        if (extents.find(w, block)) {
          block = extents.fileBlock + extents.count
          continue
        }
        if (runs === runsMax || (runs > 0 && transaction.full)) break
        runs++
        const end = extents.count === 0 ? to + 1 : Math.min(to + 1, extents.fileBlock)
        allocator.allocate(this.#files.goal(w, block), end - block, block)
        const { start, count } = allocator
        region.streamZero(start * BLOCK_BYTES, count * BLOCK_BYTES)
        extents.map(w, block, start, count)
        block += count
      }
      transaction.wroteData()
      inodes.layoutChanged(w)
    })
    return Math.min(block, to + 1)
  }

  // ---- taking away -----------------------------------------------------------------------------

  /** Frees what a range holds; it reads as zeros, the size stays. */
  punch(open: OpenInode, offset: number, length: number): void {
    const { inodes, pages, transaction, guard } = this.#core
    const w = this.#enter(open, offset, length, false)
    const size = inodes.size(w)
    const end = offset + length
    const first = Math.ceil(offset / BLOCK_BYTES)
    // What stands in the last block past the end of the file is nobody's.
    const reach = end >= size ? Math.max(end, Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES) : end
    const after = Math.floor(reach / BLOCK_BYTES)
    if (after > first && this.#core.watched(w)) guard.demand('punch', open.number, first, after)
    const head = Math.min(end, first * BLOCK_BYTES)
    const parts = [[offset, head] as const, [Math.max(head, after * BLOCK_BYTES), end] as const]
    this.#demandParts(open.number, parts)
    guard.proceed()
    if (end > size) this.#files.keepShrunk(inodes.get(open.number), size)
    let zeroed = false
    for (const [from, to] of parts) zeroed = this.#zeroPart(open.number, from, to) || zeroed
    this.#core.checkRegion()
    if (zeroed || after <= first) {
      const now = inodes.get(open.number)
      transaction.run(0, true, () => {
        if (zeroed) transaction.wroteData()
        inodes.modified(now)
      })
    }
    pages.tick()
    if (after > first) {
      open.blocksLeave(first, after)
      try {
        while (!this.#work.punchStep(open.number, first, Math.min(after, 0xffff_ffff)));
      } finally {
        open.layoutChanged(first, after)
      }
    }
    open.timesPending = false
    this.#changed(open)
  }

  /** Shared blocks, parts of which are zeroed, are replaced. */
  #demandParts(number: number, parts: readonly (readonly [from: number, to: number])[]): void {
    let shared = 0
    for (const [from, to] of parts) {
      const block = Math.floor(from / BLOCK_BYTES)
      if (from >= to || this.#copies.shared(number, block, block + 1) === 0) continue
      this.#copies.demand(number, block, block + 1)
      shared++
    }
    this.#copies.require(number, shared, true)
  }

  /** Zeroes a part of one block, when there is one. */
  #zeroPart(number: number, from: number, to: number): boolean {
    const { extents, region, inodes } = this.#core
    const block = Math.floor(from / BLOCK_BYTES)
    if (from >= to || !extents.find(inodes.get(number), block)) return false
    this.#copies.unshare(number, block, block + 1, true)
    extents.find(inodes.get(number), block)
    const inExtent = from - extents.fileBlock * BLOCK_BYTES
    const at = extents.regionBlock * BLOCK_BYTES + inExtent
    this.#core.beforeStore(at, to - from)
    region.streamZero(at, to - from)
    this.#core.afterStore(at, to - from)
    return true
  }

  /** Takes a range of whole blocks out of the file. */
  collapse(open: OpenInode, offset: number, length: number): void {
    const { inodes, guard } = this.#core
    const w = this.#enter(open, offset, length, false)
    checkAligned(offset, length)
    if (offset + length >= inodes.size(w)) {
      throw new HoldfastError('EINVAL', 'the range reaches the end of the file: truncate does that')
    }
    const [first, count] = [offset / BLOCK_BYTES, length / BLOCK_BYTES]
    if (this.#core.watched(w)) guard.demand('shift', open.number, first, Infinity)
    guard.proceed()
    open.blocksLeave(first, first + count)
    this.#shifted(open, first, () => this.#work.collapse(open.number, first, count))
  }

  /** Puts a hole of whole blocks into the file. */
  insert(open: OpenInode, offset: number, length: number): void {
    const { inodes, extents, guard } = this.#core
    const w = this.#enter(open, offset, length, false)
    checkAligned(offset, length)
    const size = inodes.size(w)
    if (offset >= size) throw new HoldfastError('EINVAL', 'the offset is past the end of the file')
    const [first, count] = [offset / BLOCK_BYTES, length / BLOCK_BYTES]
    const last = extents.last(w) ? extents.fileBlock + extents.count : 0
    if (size + length > FILE_BYTES_MAX || last + count > 0xffff_ffff) {
      throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
    }
    if (this.#core.watched(w)) guard.demand('shift', open.number, first, Infinity)
    guard.proceed()
    this.#shifted(open, first, () => this.#work.insert(open.number, first, count))
  }

  /** Moves all that is behind file block `first`. */
  #shifted(open: OpenInode, first: number, shift: () => void): void {
    const { transaction } = this.#core
    try {
      shift()
    } finally {
      open.layoutChanged(first, Infinity)
    }
    // Bytes written next must not come back at another place of the file after a crash.
    if (transaction.syncMode === 'group') transaction.flush()
    open.timesPending = false
    this.#changed(open)
  }

  #changed(open: OpenInode): void {
    open.accessCredit = 0
    const { changes } = this.#core
    if (changes.watched) changes.tell({ kind: 'content', ino: open.number })
  }

  // ---- looking ---------------------------------------------------------------------------------

  /** The next byte from `offset` on that is in data, or in a hole (the end of the file is one). */
  seek(number: number, offset: number, what: 'data' | 'hole'): number {
    const { inodes, extents, pages } = this.#core
    this.#work.settle(number)
    let w = inodes.get(number)
    const size = inodes.size(w)
    if (offset >= size)
      throw new HoldfastError('ENXIO', `offset ${offset}, the file ends at ${size}`)
    let block = Math.floor(offset / BLOCK_BYTES)
    if (what === 'hole') {
      for (let steps = 1; extents.find(w, block); steps++) {
        block = extents.fileBlock + extents.count
        if (steps % WALK_EXTENTS !== 0) continue
        pages.tick()
        w = inodes.get(number)
      }
      return Math.min(size, Math.max(offset, block * BLOCK_BYTES))
    }
    if (extents.find(w, block)) return offset
    const next = extents.count === 0 ? size : extents.fileBlock * BLOCK_BYTES
    if (next >= size) throw new HoldfastError('ENXIO', `no data from ${offset} on`)
    return next
  }
}

/** EINVAL, EFBIG for what is no range of a file. */
export function checkRange(offset: number, length: number, least = 1): void {
  const good =
    Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= least
  if (!good) throw new HoldfastError('EINVAL', `a range of ${length} bytes at ${offset}`)
  if (least > 0 && offset + length > FILE_BYTES_MAX) {
    throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
  }
}

function checkAligned(offset: number, length: number): void {
  if (offset % BLOCK_BYTES === 0 && length % BLOCK_BYTES === 0) return
  throw new HoldfastError('EINVAL', `offset and length are to be multiples of ${BLOCK_BYTES}`)
}
