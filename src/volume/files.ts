/**
 * The content of files: read, write, truncate.
 *
 * Invariants:
 * - new blocks have their content, data or zeros, before the record that maps them is in the log;
 * - bytes of a block past the end of its file may be anything; whoever moves the end past them
 *   zeroes them first, durably;
 * - a size never covers bytes that are not there: it is set by the last transaction of a write;
 * - a file that grows by small appends gets blocks ahead of its end, zeroed; the last close takes
 *   them back (a crash leaves them to the file, past its end, where they are free to stay);
 * - what does not fit one transaction leaves a record of the work first (work.ts), so that a crash
 *   in between frees what no size covers.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { Inode, InodeFlag } from '../media/inode.js'
import { OrphanKind } from '../media/tree_node.js'
import type { Core } from './core.js'
import type { OpenInode } from './open_inodes.js'
import { ORPHAN_BLOCKS } from './orphans.js'
import type { Times } from './times.js'
import type { Work } from './work.js'

const at = Inode.word
/** Extents that are looked at before the pages of their tree may go. */
export const WALK_EXTENTS = 128
/** Runs that one transaction of a write maps at most. */
const RUNS_MAX = 8
/** Blocks that one transaction of a write allocates at most: 16 MiB. */
export const STEP_BLOCKS = 4096
/**
 * Appends to a file of this size or more allocate ahead: an eighth of the size, at most 256 KiB.
 */
const AHEAD_FROM_BYTES = 64 * 1024
const AHEAD_BLOCKS_MAX = 64
/** Not when fewer blocks than this are left. */
const AHEAD_SPARE = 4096
/** Shrunk files remembered until the group is durable. */
const SHRUNK_MAX = 1024

export class Files {
  readonly #core: Core
  readonly #work: Work
  readonly #times: Times
  /** Inodes made shorter by a transaction that is not durable yet: end of the log at that time. */
  readonly #shrunk = new Map<number, number>()

  constructor(core: Core, work: Work, times: Times) {
    this.#core = core
    this.#work = work
    this.#times = times
  }

  /** Reads into target; returns bytes, fewer at the end of the file. */
  read(
    number: number,
    target: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): number {
    const { extents, region, inodes } = this.#core
    let w = inodes.get(number)
    if (inodes.has(w, InodeFlag.unfinished)) {
      this.#work.settle(number)
      w = inodes.get(number)
    }
    const size = inodes.size(w)
    if (position >= size) return 0
    const end = Math.min(position + length, size)
    let p = position
    for (let steps = 1; p < end; steps++) {
      if (steps % WALK_EXTENTS === 0) w = this.#rest(number)
      const block = Math.floor(p / BLOCK_BYTES)
      const to = start + (p - position)
      if (extents.find(w, block)) {
        const inExtent = p - extents.fileBlock * BLOCK_BYTES
        const n = Math.min(end - p, extents.count * BLOCK_BYTES - inExtent)
        region.read(extents.regionBlock * BLOCK_BYTES + inExtent, target, to, n)
        p += n
      } else {
        const next = extents.count === 0 ? end : Math.min(end, extents.fileBlock * BLOCK_BYTES)
        target.fill(0, to, to + (next - p))
        p = next
      }
    }
    region.check()
    return end - position
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
    const { inodes, region, transaction, changes } = this.#core
    const end = position + length
    if (end > FILE_BYTES_MAX) {
      throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
    }
    transaction.checkUsable()
    const w = this.writable(open.number)
    if (end <= inodes.size(w) && this.#overwrite(w, source, start, length, position)) {
      this.#times.wrote(open)
      region.check()
    } else this.#grow(open, source, start, length, position)
    if (changes.watched) changes.tell({ kind: 'content', ino: open.number })
  }

  /**
   * Word index of an inode whose content is about to change: nothing is unfinished, and the set-id
   * bits are gone that a write takes away (file_remove_privs).
   */
  writable(number: number): number {
    const { inodes, pages, access } = this.#core
    let w = inodes.get(number)
    if (inodes.has(w, InodeFlag.unfinished | InodeFlag.immutable)) {
      if (inodes.has(w, InodeFlag.immutable)) throw new HoldfastError('EPERM', 'it is immutable')
      this.#work.settle(number)
      w = inodes.get(number)
    }
    if ((pages.u32[w + at.mode]! & 0o6000) !== 0 && !access.privileged) this.dropSetIds(number)
    return w
  }

  /** Takes away the set-id bits that a change by somebody else does away with. */
  dropSetIds(number: number): void {
    const { inodes, pages, transaction, access } = this.#core
    const w = inodes.get(number)
    const mode = pages.u32[w + at.mode]!
    const left = access.withoutSetIds(w)
    if (left === mode) return
    transaction.run(0, true, () => {
      pages.u32[w + at.mode] = left
      inodes.changed(w)
    })
  }

  /** Writes in place when every block is there; false, and nothing written, when one is not. */
  #overwrite(
    w: number,
    source: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): boolean {
    const { extents, region, pages } = this.#core
    const number = pages.u32[w + at.number]!
    const end = position + length
    for (let pass = 0; pass < 2; pass++) {
      for (let p = position, steps = 1; p < end; steps++) {
        if (steps % WALK_EXTENTS === 0) w = this.#rest(number)
        if (!extents.find(w, Math.floor(p / BLOCK_BYTES))) return false
        const inExtent = p - extents.fileBlock * BLOCK_BYTES
        const n = Math.min(end - p, extents.count * BLOCK_BYTES - inExtent)
        const whole = p === position && n === length
        if (pass === 1 || whole) {
          const to = extents.regionBlock * BLOCK_BYTES + inExtent
          region.stream(to, source, start + (p - position), n)
        }
        if (whole) return true
        p += n
      }
    }
    return true
  }

  /** A write into holes or past the end. */
  #grow(
    open: OpenInode,
    source: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): void {
    const { inodes, transaction, pages } = this.#core
    const number = open.number
    const end = position + length
    let w = inodes.get(number)
    const size = inodes.size(w)
    const last = Math.floor((end - 1) / BLOCK_BYTES)
    const missing = this.missing(w, Math.floor(position / BLOCK_BYTES), last)
    w = inodes.get(number)
    // ENOSPC before anything is done, also for what later steps may need when space is in pieces.
    if (missing > 0) {
      const metadata = this.#core.extents.runsBlocks(w, missing) + this.overhead(w, 1)
      transaction.require(missing + metadata)
    }
    if (position > size) this.zeroTail(w, size, position)
    else if (end > size) this.keepShrunk(w, size)
    w = inodes.get(number)
    let intent = false
    for (let p = position; ;) {
      const first = Math.floor(p / BLOCK_BYTES)
      const reach = Math.min(last, first + STEP_BLOCKS - 1)
      const need = this.missing(w, first, reach)
      w = inodes.get(number)
      const runs = need === 0 ? 1 : this.runs(w, need)
      try {
        transaction.begin(need === 0 ? 0 : need + this.overhead(w, runs))
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

  /** The last close: what was allocated ahead goes back. */
  trimAhead(open: OpenInode): void {
    if (!open.ahead || !this.#core.transaction.usable) return
    open.ahead = false
    const { inodes, extents, transaction } = this.#core
    const w = inodes.get(open.number)
    const keep = Math.ceil(inodes.size(w) / BLOCK_BYTES)
    if (!extents.last(w) || extents.fileBlock + extents.count <= keep) return
    transaction.run(0, true, () => {
      inodes.layoutChanged(w)
      this.#work.trim(w, keep)
    })
  }

  /** Blocks of metadata that mapping `runs` runs may take at most. */
  overhead(w: number, runs: number): number {
    return runs * this.#core.extents.runBlocks(w) + ORPHAN_BLOCKS
  }

  /** Runs that the space left over after `need` blocks of data allows for: 1 to RUNS_MAX. */
  runs(w: number, need: number): number {
    const { extents, transaction } = this.#core
    const over = transaction.spare(need + this.overhead(w, RUNS_MAX)) - need - ORPHAN_BLOCKS
    return Math.max(1, Math.min(RUNS_MAX, Math.floor(over / extents.runBlocks(w))))
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
        region.stream(to, source, start + (p - position), n)
        p += n
        continue
      }
      if (runs === runsMax || (runs > 0 && transaction.full)) return p
      runs++
      const lastBlock = Math.floor((end - 1) / BLOCK_BYTES)
      const holeEnd =
        extents.count === 0 ? lastBlock + 1 : Math.min(lastBlock + 1, extents.fileBlock)
      const beyond = extents.count === 0 ? ahead : 0
      allocator.allocate(this.goal(w, block), holeEnd - block + beyond, block)
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

  /** Where the block before would go on: files grow in one piece where they can. */
  goal(w: number, block: number): number {
    const { extents } = this.#core
    if (block > 0 && extents.find(w, block - 1)) {
      const goal = extents.regionBlock + (block - extents.fileBlock)
      extents.find(w, block)
      return goal
    }
    return 0
  }

  /** A long walk lets go of the pages it has passed. Returns the word index of the inode anew. */
  #rest(number: number): number {
    this.#core.pages.tick()
    return this.#core.inodes.get(number)
  }

  /** Blocks of [first, last] that are holes. Who calls looks the inode up again. */
  missing(w: number, first: number, last: number): number {
    const { extents, pages } = this.#core
    const number = pages.u32[w + at.number]!
    let missing = 0
    for (let block = first, steps = 1; block <= last; steps++) {
      if (steps % WALK_EXTENTS === 0) w = this.#rest(number)
      if (extents.find(w, block)) block = extents.fileBlock + extents.count
      else {
        const next = extents.count === 0 ? last + 1 : Math.min(last + 1, extents.fileBlock)
        missing += next - block
        block = next
      }
    }
    return missing
  }

  /**
   * Zeroes [size, to) before the end of the file moves past it, wherever blocks are mapped there:
   * the rest of the last block, and blocks allocated ahead, which an append cut short by a crash
   * may have written. Durable before the size, by the fence of the commit.
   */
  zeroTail(w: number, size: number, to: number): void {
    const { extents, region, pages } = this.#core
    const number = pages.u32[w + at.number]!
    this.keepShrunk(w, size)
    for (let p = size, steps = 1; p < to; steps++) {
      if (steps % WALK_EXTENTS === 0) w = this.#rest(number)
      const block = Math.floor(p / BLOCK_BYTES)
      if (!extents.find(w, block)) {
        if (extents.count === 0) return
        p = extents.fileBlock * BLOCK_BYTES
        continue
      }
      const end = Math.min(to, (extents.fileBlock + extents.count) * BLOCK_BYTES)
      const offset = extents.regionBlock * BLOCK_BYTES + (p - extents.fileBlock * BLOCK_BYTES)
      region.streamZero(offset, end - p)
      p = end
    }
  }

  /**
   * Bytes past the end are overwritten next. If the shrink that put the end there is not durable, a
   * crash would bring back the longer file with these bytes in it: the shrink must be durable
   * first.
   */
  keepShrunk(w: number, size: number): void {
    if (this.#shrunk.size === 0 || size % BLOCK_BYTES === 0) return
    const { pages, log, transaction } = this.#core
    const number = pages.u32[w + at.number]!
    const position = this.#shrunk.get(number)
    if (position === undefined) return
    if (position > log.durable) {
      transaction.flush()
      this.#shrunk.clear()
    } else this.#shrunk.delete(number)
  }

  truncate(number: number, size: number): void {
    const { inodes, transaction, opens, changes } = this.#core
    if (size > FILE_BYTES_MAX) {
      throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
    }
    let w = this.writable(number)
    if (inodes.has(w, InodeFlag.append)) throw new HoldfastError('EPERM', 'it is append-only')
    const old = inodes.size(w)
    const open = opens.get(number)
    const beyond = size === old && inodes.has(w, InodeFlag.preallocated)
    try {
      if (size < old || beyond) {
        open?.blocksLeave(Math.ceil(size / BLOCK_BYTES), Infinity)
        this.#shrink(number, w, size)
      } else {
        if (size > old) this.zeroTail(w, old, size)
        w = inodes.get(number)
        transaction.run(0, false, () => {
          if (size > old) {
            transaction.wroteData()
            inodes.setSize(w, size)
          }
          inodes.modified(w)
        })
      }
    } finally {
      open?.layoutChanged(Math.floor(Math.min(old, size) / BLOCK_BYTES), Infinity)
    }
    if (open !== undefined) open.timesPending = false
    if (changes.watched) changes.tell({ kind: 'content', ino: number })
  }

  #shrink(number: number, w: number, size: number): void {
    const { inodes, extents, transaction, log } = this.#core
    const keep = Math.ceil(size / BLOCK_BYTES)
    const frees = extents.last(w) && extents.fileBlock + extents.count > keep
    let left = false
    transaction.run(frees ? ORPHAN_BLOCKS : 0, true, () => {
      inodes.setSize(w, size)
      inodes.modified(w)
      inodes.setFlag(w, InodeFlag.preallocated, false)
      if (!frees) return
      inodes.layoutChanged(w)
      left = this.#work.trim(w, keep)
      if (left) this.#work.intend(w, OrphanKind.beyond)
    })
    if (transaction.syncMode === 'group') {
      if (this.#shrunk.size >= SHRUNK_MAX) {
        transaction.flush()
        this.#shrunk.clear()
      } else this.#shrunk.set(number, log.head)
    }
    if (left) this.#work.freeBeyond(number)
  }
}
