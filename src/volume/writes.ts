/**
 * Writing to files: in place, into holes, past the end, over shared blocks.
 *
 * Invariants:
 * - what may fail for want of space, or for a hold, is asked for before the first byte is written;
 * - new blocks have their content, data or zeros, before the record that maps them is in the log;
 * - a size never covers bytes that are not there: it is set by the last transaction of a write.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { InodeFlag } from '../media/inode.js'
import { OrphanKind } from '../media/tree_node.js'
import type { CopyOnWrite, Fill } from './copy_on_write.js'
import type { Core } from './core.js'
import { STEP_BLOCKS, WALK_EXTENTS, type Files } from './files.js'
import type { OpenInode } from './open_inodes.js'
import type { Times } from './times.js'
import type { Work } from './work.js'

/**
 * Appends to a file of this size or more allocate ahead: an eighth of the size, at most 256 KiB.
 */
const AHEAD_FROM_BYTES = 64 * 1024
const AHEAD_BLOCKS_MAX = 64
/** Not when fewer blocks than this are left. */
const AHEAD_SPARE = 4096

export class Writes {
  readonly #core: Core
  readonly #files: Files
  readonly #work: Work
  readonly #times: Times
  readonly #copies: CopyOnWrite

  constructor(core: Core, files: Files, work: Work, times: Times, copies: CopyOnWrite) {
    this.#core = core
    this.#files = files
    this.#work = work
    this.#times = times
    this.#copies = copies
  }

  /** Writes all of it. */
  write(
    open: OpenInode,
    source: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): void {
    if (length === 0) return
    const { inodes, transaction, changes } = this.#core
    const end = position + length
    if (end > FILE_BYTES_MAX) {
      throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
    }
    transaction.checkUsable()
    const w = this.#files.writable(open.number)
    if (inodes.has(w, InodeFlag.shares)) this.#writeShared(open, source, start, length, position)
    else this.#writeOwn(w, open, source, start, length, position)
    this.#core.checkRegion()
    if (changes.watched) changes.tell({ kind: 'content', ino: open.number })
  }

  /** Where no block of the range has another owner. */
  #writeOwn(
    w: number,
    open: OpenInode,
    source: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): void {
    const end = position + length
    const within = end <= this.#core.inodes.size(w)
    if (within && this.#overwrite(w, source, start, length, position)) this.#times.wrote(open)
    else this.#grow(open, source, start, length, position)
  }

  /** Shared runs get new blocks with the data in them, what is between is written as ever. */
  #writeShared(
    open: OpenInode,
    source: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): void {
    const { inodes } = this.#core
    const { number } = open
    const copies = this.#copies
    const end = position + length
    const [first, last] = [Math.floor(position / BLOCK_BYTES), Math.floor((end - 1) / BLOCK_BYTES)]
    const shared = copies.shared(number, first, last + 1)
    // All that it takes, before the first byte is written.
    const missing = this.#files.missing(inodes.get(number), first, last)
    if (shared > 0) copies.demand(number, first, last + 1)
    const moves = end > inodes.size(inodes.get(number))
    if (missing > 0 || moves) this.#files.demandGrow(number, first, last, moves)
    const size = inodes.size(inodes.get(number))
    const before = position > size ? this.#files.demandTail(number, size, position) : 0
    this.#files.requireSpace(number, missing, before + shared)
    this.#core.guard.proceed()
    // From the last block of the file on it is one append, whose size comes last.
    const tail = moves ? Math.max(position, size - (size % BLOCK_BYTES)) : end
    for (let p = position; p < tail;) {
      const block = Math.floor(p / BLOCK_BYTES)
      const isShared = copies.runAt(number, block, Math.ceil(tail / BLOCK_BYTES) - block)
      const to = Math.min(tail, (block + copies.count) * BLOCK_BYTES)
      const from = start + (p - position)
      if (isShared) p = this.#replaceShared(open, block, source, from, p, to)
      else {
        this.#writeOwn(inodes.get(number), open, source, from, to - p, p)
        p = to
      }
    }
    if (!moves) return
    copies.unshare(number, Math.floor(tail / BLOCK_BYTES), last + 1)
    const from = start + (tail - position)
    this.#writeOwn(inodes.get(number), open, source, from, end - tail, tail)
  }

  /** New blocks for a shared run from `block` on, with the data of [p, to); returns how far. */
  #replaceShared(
    open: OpenInode,
    block: number,
    source: Uint8Array,
    start: number,
    p: number,
    to: number,
  ): number {
    const { inodes, region } = this.#core
    const base = block * BLOCK_BYTES
    let stop = to
    const fill: Fill = (run, old, _block, count) => {
      stop = Math.min(to, base + count * BLOCK_BYTES)
      if (p > base) region.streamWithin(run * BLOCK_BYTES, old * BLOCK_BYTES, p - base)
      region.stream(run * BLOCK_BYTES + (p - base), source, start, stop - p)
      const rest = base + count * BLOCK_BYTES - stop
      const offset = stop - base
      if (rest > 0) {
        region.streamWithin(run * BLOCK_BYTES + offset, old * BLOCK_BYTES + offset, rest)
      }
    }
    const most = Math.ceil((to - base) / BLOCK_BYTES)
    this.#demandEdges(open.number, p, to)
    this.#copies.step(open.number, block, most, false, fill, (w) => {
      inodes.modified(w)
      open.timesPending = false
    })
    return stop
  }

  /** EIO when what is kept of the first or the last block of [p, to) cannot be read. */
  #demandEdges(number: number, p: number, to: number): void {
    const { inodes, extents } = this.#core
    for (const edge of [p, to]) {
      if (edge % BLOCK_BYTES === 0) continue
      const block = Math.floor(edge / BLOCK_BYTES)
      if (!extents.find(inodes.get(number), block)) continue
      this.#core.demandReadable(extents.regionBlock + (block - extents.fileBlock), 1)
    }
  }

  /** Writes in place when every block is there; false, and nothing written, when one is not. */
  #overwrite(
    w: number,
    source: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): boolean {
    const { extents, region, inodes } = this.#core
    const number = inodes.numberAt(w)
    const end = position + length
    for (let pass = 0; pass < 2; pass++) {
      for (let p = position, steps = 1; p < end; steps++) {
        if (steps % WALK_EXTENTS === 0) w = this.#files.rest(number)
        if (!extents.find(w, Math.floor(p / BLOCK_BYTES))) return false
        const inExtent = p - extents.fileBlock * BLOCK_BYTES
        const n = Math.min(end - p, extents.count * BLOCK_BYTES - inExtent)
        const whole = p === position && n === length
        if (pass === 1 || whole) {
          const to = extents.regionBlock * BLOCK_BYTES + inExtent
          this.#core.beforeStore(to, n)
          region.stream(to, source, start + (p - position), n)
          this.#core.afterStore(to, n)
        }
        if (whole) return true
        p += n
      }
    }
    return true
  }

  /** What may be in the way of a write is looked at before anything is done. */
  #prepare(number: number, position: number, end: number, missing: number): void {
    const { inodes, guard } = this.#core
    const size = inodes.size(inodes.get(number))
    if (missing > 0 || end > size) {
      const first = Math.floor(position / BLOCK_BYTES)
      const last = Math.floor((end - 1) / BLOCK_BYTES)
      this.#files.demandGrow(number, first, last, end > size)
    }
    const shared = position > size ? this.#files.demandTail(number, size, position) : 0
    this.#files.requireSpace(number, missing, shared)
    if (missing > 0 && position < size) this.#demandThere(number, position, Math.min(end, size))
    guard.proceed()
    const w = inodes.get(number)
    if (position > size) this.#files.zeroTail(w, size, position)
    else if (end > size) this.#files.keepShrunk(w, size)
  }

  /** EIO when what is there of [from, end) faults: beside new blocks it would stop the volume. */
  #demandThere(number: number, from: number, end: number): void {
    const { extents, inodes, region } = this.#core
    let w = inodes.get(number)
    for (let p = from, steps = 1; p < end; steps++) {
      if (steps % WALK_EXTENTS === 0) w = this.#files.rest(number)
      const found = extents.find(w, Math.floor(p / BLOCK_BYTES))
      if (!found && extents.count === 0) break
      const first = extents.fileBlock * BLOCK_BYTES
      const to = found ? Math.min(end, first + extents.count * BLOCK_BYTES) : Math.min(end, first)
      if (found) region.touch(extents.regionBlock * BLOCK_BYTES + (p - first), to - p)
      p = to
    }
    this.#core.checkRegion()
  }

  /** A write into holes or past the end. */
  #grow(
    open: OpenInode,
    source: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): void {
    const { inodes, transaction, pages, region } = this.#core
    const number = open.number
    const end = position + length
    let w = inodes.get(number)
    const size = inodes.size(w)
    const last = Math.floor((end - 1) / BLOCK_BYTES)
    const missing = this.#files.missing(w, Math.floor(position / BLOCK_BYTES), last)
    this.#prepare(number, position, end, missing)
    w = inodes.get(number)
    let intent = false
    for (let p = position; ;) {
      const first = Math.floor(p / BLOCK_BYTES)
      const most = Math.min(last, first + STEP_BLOCKS - 1)
      const reach = this.#files.holesReach(number, first, most)
      w = inodes.get(number)
      const all = p === position && reach === last
      const need = all ? missing : this.#files.missing(w, first, reach)
      if (!all) w = inodes.get(number)
      const runs = need === 0 ? 1 : this.#files.runs(w, need)
      try {
        transaction.begin(need === 0 ? 0 : need + this.#files.overhead(w, runs))
      } catch (error) {
        // Steps before this one left blocks past the end; they go again.
        if (intent) this.#work.freeBeyond(number)
        // Holes that they filled stay filled.
        open.layoutChanged(Math.floor(position / BLOCK_BYTES), last + 1)
        throw error
      }
      try {
        const stepEnd = Math.min(end, (reach + 1) * BLOCK_BYTES)
        const changes = need > 0 && p === position
        const ahead = position === size && stepEnd === end ? this.#ahead(open, size, need) : 0
        p = this.#writeStep(w, source, start + (p - position), p, stepEnd, runs, ahead)
        if (need === 0) region.check() // nothing has changed yet: a fault stops this write alone
        transaction.wroteData()
        if (changes) inodes.layoutChanged(w)
        if (p < end && end > size) {
          if (!intent) this.#work.intend(w, OrphanKind.beyond)
          intent = true
        } else if (p === end) {
          if (end > size) inodes.setSize(w, end)
          if (intent) this.#work.fulfil(w, OrphanKind.beyond)
          inodes.modified(w)
          open.timesPending = false
        }
      } catch (error) {
        throw transaction.abandon(error)
      }
      transaction.commit()
      if (p === end) {
        const from = Math.floor(Math.min(position, size) / BLOCK_BYTES)
        if (missing > 0 || end > size) open.layoutChanged(from, last + 1)
        return
      }
      pages.tick()
      w = inodes.get(number)
    }
  }

  /** Blocks to allocate past the end of an append that needs `need` blocks. */
  #ahead(open: OpenInode, size: number, need: number): number {
    if (this.#core.inodes.has(this.#core.inodes.get(open.number), InodeFlag.preallocated)) return 0
    if (size < AHEAD_FROM_BYTES || need === 0 || need > AHEAD_BLOCKS_MAX) return 0
    if (this.#core.allocator.available < AHEAD_SPARE) return 0
    open.ahead = true
    return Math.min(AHEAD_BLOCKS_MAX, Math.floor(size / BLOCK_BYTES / 8))
  }

  /** Writes [p, end) as far as one transaction goes; returns how far. */
  #writeStep(
    w: number,
    source: Uint8Array,
    start: number,
    position: number,
    end: number,
    runsMax: number,
    ahead: number,
  ): number {
    const { extents, region, allocator, transaction } = this.#core
    let runs = 0
    let p = position
    while (p < end) {
      const block = Math.floor(p / BLOCK_BYTES)
      if (extents.find(w, block)) {
        const inExtent = p - extents.fileBlock * BLOCK_BYTES
        const n = Math.min(end - p, extents.count * BLOCK_BYTES - inExtent)
        const to = extents.regionBlock * BLOCK_BYTES + inExtent
        this.#core.beforeStore(to, n)
        region.stream(to, source, start + (p - position), n)
        this.#core.afterStore(to, n)
        p += n
        continue
      }
      if (runs === runsMax || (runs > 0 && transaction.full)) return p
      runs++
      const lastBlock = Math.floor((end - 1) / BLOCK_BYTES)
      const holeEnd =
        extents.count === 0 ? lastBlock + 1 : Math.min(lastBlock + 1, extents.fileBlock)
      const beyond = extents.count === 0 ? ahead : 0
      allocator.allocate(this.#files.goal(w, block), holeEnd - block + beyond, block)
      const { start: run, count } = allocator
      const to = Math.min(end, (block + count) * BLOCK_BYTES)
      this.#fillRun(run, block, count, source, start + (p - position), p, to)
      extents.map(w, block, run, count)
      p = to
    }
    return p
  }

  /** Content of a new run: the data, and zeros where the data does not reach. */
  #fillRun(
    run: number,
    block: number,
    count: number,
    source: Uint8Array,
    start: number,
    from: number,
    to: number,
  ): void {
    const { region } = this.#core
    const fileStart = block * BLOCK_BYTES
    const base = run * BLOCK_BYTES
    if (from > fileStart) region.streamZero(base, from - fileStart)
    region.stream(base + (from - fileStart), source, start, to - from)
    const fileEnd = fileStart + count * BLOCK_BYTES
    if (to < fileEnd) region.streamZero(base + (to - fileStart), fileEnd - to)
  }
}
