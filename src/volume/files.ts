/**
 * The content of files: reading, cutting short, and what writing (writes.ts) shares with ranges.
 *
 * Invariants:
 * - bytes of a block past the end of its file may be anything; whoever moves the end past them
 *   zeroes them first, durably;
 * - a file that grows by small appends gets blocks ahead of its end, zeroed; the last close takes
 *   them back (a crash leaves them to the file, past its end, where they are free to stay);
 * - what does not fit one transaction leaves a record of the work first (work.ts), so that a crash
 *   in between frees what no size covers.
 */
import { HoldfastError } from '../base/errors.js'
import type { Layout } from '../base/filesystem.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import type { BytePlaces } from '../base/places.js'
import { Inode, InodeFlag } from '../media/inode.js'
import { OrphanKind } from '../media/tree_node.js'
import type { CopyOnWrite } from './copy_on_write.js'
import type { Region } from '../region/region.js'
import { dropCapabilities } from './capabilities.js'
import type { Core } from './core.js'
import type { OpenInode } from './open_inodes.js'
import { ORPHAN_BLOCKS } from './orphans.js'
import type { Work } from './work.js'

const at = Inode.word
/** Extents that are looked at before the pages of their tree may go. */
export const WALK_EXTENTS = 128
/** Runs that one transaction of a write maps at most. */
const RUNS_MAX = 8
/** Blocks that one transaction of a write allocates at most: 16 MiB. */
export const STEP_BLOCKS = 4096
/** What may be a file block, and one more. */
const FILE_END = 0xffff_ffff
/** Shrunk files remembered until the group is durable. */
const SHRUNK_MAX = 1024

/** Copies bytes out, to where it is told. */
class Reader implements BytePlaces {
  target: Uint8Array = new Uint8Array()
  at = 0
  readonly #region: Region

  constructor(region: Region) {
    this.#region = region
  }

  stored(offset: number, length: number): void {
    this.#region.read(offset, this.target, this.at, length)
    this.at += length
  }

  hole(length: number): void {
    this.target.fill(0, this.at, this.at + length)
    this.at += length
  }
}

export class Files {
  readonly #core: Core
  readonly #work: Work
  readonly #copies: CopyOnWrite
  readonly #reader: Reader
  /** Inodes made shorter by a transaction that is not durable yet: end of the log at that time. */
  readonly #shrunk = new Map<number, number>()

  constructor(core: Core, work: Work, copies: CopyOnWrite) {
    this.#core = core
    this.#work = work
    this.#copies = copies
    this.#reader = new Reader(core.region)
  }

  /** Reads into target; returns bytes, fewer at the end of the file. */
  read(
    number: number,
    target: Uint8Array,
    start: number,
    length: number,
    position: number,
  ): number {
    this.#reader.target = target
    this.#reader.at = start
    const n = this.locate(number, length, position, this.#reader)
    this.#core.checkRegion()
    return n
  }

  /** Tells where the bytes are, in order; returns how many, fewer at the end of the file. */
  locate(number: number, length: number, position: number, places: BytePlaces): number {
    const { extents, inodes } = this.#core
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
      if (steps % WALK_EXTENTS === 0) w = this.rest(number)
      const block = Math.floor(p / BLOCK_BYTES)
      if (extents.find(w, block)) {
        const inExtent = p - extents.fileBlock * BLOCK_BYTES
        const n = Math.min(end - p, extents.count * BLOCK_BYTES - inExtent)
        const from = extents.regionBlock * BLOCK_BYTES + inExtent
        this.#core.beforeRead(from, n)
        places.stored(from, n)
        p += n
      } else {
        const next = extents.count === 0 ? end : Math.min(end, extents.fileBlock * BLOCK_BYTES)
        places.hole(next - p)
        p = next
      }
    }
    return end - position
  }

  /**
   * Before blocks for holes of [first, last] are added, or the end of the file moves there: what
   * the flags of the file and its holds say.
   */
  demandGrow(number: number, first: number, last: number, moves: boolean): void {
    const { guard, inodes, extents } = this.#core
    const w = inodes.get(number)
    if (moves) inodes.demandResizable(w)
    if (!this.#core.watched(w)) return
    for (let block = first; block <= last;) {
      if (extents.find(inodes.get(number), block)) {
        block = extents.fileBlock + extents.count
        continue
      }
      const next = extents.count === 0 ? last + 1 : Math.min(last + 1, extents.fileBlock)
      guard.demand('grow', number, block, next)
      block = next
    }
  }

  /**
   * Word index of an inode whose content is about to change: nothing is unfinished, and the set-id
   * bits are gone that a write takes away (file_remove_privs).
   */
  writable(number: number): number {
    const { inodes, pages, access } = this.#core
    let w = inodes.get(number)
    const flags = InodeFlag.unfinished | InodeFlag.immutable | InodeFlag.writeSealed
    if (inodes.has(w, flags)) {
      if (inodes.has(w, InodeFlag.immutable)) throw new HoldfastError('EPERM', 'it is immutable')
      if (inodes.has(w, InodeFlag.writeSealed)) {
        throw new HoldfastError('EPERM', 'it is write-sealed: its data does not change')
      }
      this.#work.settle(number)
      w = inodes.get(number)
    }
    if ((pages.u32[w + at.mode]! & 0o6000) !== 0 && !access.isRoot) this.dropSetIds(number)
    if (pages.u32[w + at.xattrCount] !== 0) {
      dropCapabilities(this.#core, number)
      w = inodes.get(number)
    }
    return w
  }

  /** Takes away the set-id bits that a change by somebody else does away with. */
  dropSetIds(number: number): void {
    const { inodes, pages, transaction, access } = this.#core
    const w = inodes.get(number)
    const mode = pages.u32[w + at.mode]!
    const left = access.withoutSetIds(w)
    if (left === mode) return
    transaction.run(0, false, () => {
      pages.u32[w + at.mode] = left
      inodes.changed(w)
    })
  }

  /** The last close: what was allocated ahead goes back. */
  trimAhead(open: OpenInode): void {
    if (!open.ahead || !this.#core.transaction.usable || this.#core.grace.active) return
    open.ahead = false
    const { inodes, extents, transaction, guard, limbo } = this.#core
    const w = inodes.get(open.number)
    const keep = Math.ceil(inodes.size(w) / BLOCK_BYTES)
    if (!extents.last(w) || extents.fileBlock + extents.count <= keep) return
    // What a hold covers past the end is no longer just ahead; of a fixed file nothing goes.
    if (inodes.has(w, InodeFlag.fixed) || guard.held(open.number, keep, FILE_END)) return
    transaction.run(limbo.takeBlocks, true, () => {
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
  rest(number: number): number {
    this.#core.pages.tick()
    return this.#core.inodes.get(number)
  }

  /** Blocks of [first, last] that are holes. Who calls looks the inode up again. */
  missing(w: number, first: number, last: number): number {
    const { extents, pages } = this.#core
    const number = pages.u32[w + at.number]!
    let missing = 0
    for (let block = first, steps = 1; block <= last; steps++) {
      if (steps % WALK_EXTENTS === 0) w = this.rest(number)
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
   * The last of file blocks [first, last] before which there are no more holes than one transaction
   * fills: a step looks no further, or a file of many holes is walked once for each few of them.
   * Who calls looks the inode up again.
   */
  holesReach(number: number, first: number, last: number): number {
    const { extents, inodes } = this.#core
    let w = inodes.get(number)
    let holes = 0
    for (let block = first, steps = 1; block <= last; steps++) {
      if (steps % WALK_EXTENTS === 0) w = this.rest(number)
      if (extents.find(w, block)) block = extents.fileBlock + extents.count
      else {
        const next = extents.count === 0 ? last + 1 : Math.min(last + 1, extents.fileBlock)
        if (++holes > RUNS_MAX) return block - 1
        block = next
      }
    }
    return last
  }

  /**
   * ENOSPC when `missing` holes cannot be filled and `shared` blocks not replaced: also for what
   * later steps may need when space is in pieces.
   */
  requireSpace(number: number, missing: number, shared: number): void {
    if (missing + shared === 0) return
    const { inodes, extents, shares, transaction, grace } = this.#core
    grace.demandOver()
    const w = inodes.get(number)
    // In the worst case each new run is one block.
    const runs = missing + 2 * shared
    const records = shared === 0 ? 0 : shares.insertBlocks
    const metadata = extents.runsBlocks(w, runs) + this.overhead(w, 1) + records
    transaction.require(missing + shared + metadata)
  }

  /** What is in the way of `zeroTail`; returns how many shared blocks it replaces. */
  demandTail(number: number, size: number, to: number): number {
    const [from, end] = [Math.floor(size / BLOCK_BYTES), Math.ceil(to / BLOCK_BYTES)]
    const shared = this.#copies.shared(number, from, end)
    if (shared > 0) this.#copies.demand(number, from, end)
    return shared
  }

  /**
   * Zeroes [size, to) before the end of the file moves past it, wherever blocks are mapped there:
   * the rest of the last block, and blocks allocated ahead, which an append cut short by a crash
   * may have written. Durable before the size, by the fence of the commit.
   */
  zeroTail(w: number, size: number, to: number): void {
    const { extents, region, pages, inodes, guard, grace } = this.#core
    const number = pages.u32[w + at.number]!
    this.keepShrunk(w, size)
    if (inodes.has(w, InodeFlag.shares)) {
      this.#copies.unshare(number, Math.floor(size / BLOCK_BYTES), Math.ceil(to / BLOCK_BYTES))
      w = inodes.get(number)
    }
    for (let p = size, steps = 1; p < to; steps++) {
      if (steps % WALK_EXTENTS === 0) w = this.rest(number)
      const block = Math.floor(p / BLOCK_BYTES)
      if (!extents.find(w, block)) {
        if (extents.count === 0) break
        p = extents.fileBlock * BLOCK_BYTES
        continue
      }
      const after = extents.fileBlock + extents.count
      // Bytes past the end of the file in a held block are its holder's, who shows them with it.
      const run = guard.storedRun(number, block, after)
      const end = Math.min(to, run.end * BLOCK_BYTES)
      const offset = extents.regionBlock * BLOCK_BYTES + (p - extents.fileBlock * BLOCK_BYTES)
      if (!run.held) {
        // Of the processes that map it still, one may hold them: they would be a holder's bytes.
        if (grace.active) grace.refuse('no file grows over bytes that one of them may hold')
        this.#core.beforeStore(offset, end - p)
        region.streamZero(offset, end - p)
        this.#core.afterStore(offset, end - p)
      }
      p = end
    }
    // Before a transaction follows, which a fault would stop for good.
    this.#core.checkRegion()
  }

  /**
   * Bytes past the end of the file in its last block become zeros, when that is one of file blocks
   * [from, to) and nobody holds it any more.
   */
  zeroLastBlock(number: number, from: number, to: number): void {
    const { inodes, extents, region, guard, pages, transaction, grace } = this.#core
    // In the grace period one that is not known yet may hold it.
    if (!transaction.usable || grace.active) return
    pages.tick()
    const size = inodes.size(inodes.get(number))
    const block = Math.floor(size / BLOCK_BYTES)
    const inBlock = size - block * BLOCK_BYTES
    if (inBlock === 0 || block < from || block >= to) return
    // What has other owners is theirs, too.
    if (this.#copies.shared(number, block, block + 1) > 0) return
    if (!extents.find(inodes.get(number), block)) return
    if (guard.storedRun(number, block, block + 1).held) return
    this.keepShrunk(inodes.get(number), size)
    const at = (extents.regionBlock + (block - extents.fileBlock)) * BLOCK_BYTES + inBlock
    this.#core.beforeStore(at, BLOCK_BYTES - inBlock)
    region.streamZero(at, BLOCK_BYTES - inBlock)
    this.#core.afterStore(at, BLOCK_BYTES - inBlock)
    this.#core.forgiveFault()
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

  /** Where its blocks are, from a file block on, so many extents at most; and the id of that. */
  layout(number: number, epoch: number, from: number, most: number): Layout {
    const { inodes, extents, pages } = this.#core
    this.#work.settle(number)
    const list = []
    const isFile = inodes.isFile(inodes.get(number))
    for (let block = from; isFile && list.length < most;) {
      pages.tick()
      extents.find(inodes.get(number), block)
      if (extents.count === 0) break
      const { fileBlock, regionBlock, count } = extents
      list.push({ fileBlock, regionBlock, count })
      block = fileBlock + count
    }
    return { epoch, generation: this.generation(number), extents: list }
  }

  /** How often its layout has changed. What is unfinished will change it, and this, again. */
  generation(number: number): number {
    const { inodes, pages } = this.#core
    const w = inodes.get(number) + at.layoutGeneration
    return pages.u32[w]! + pages.u32[w + 1]! * 0x1_0000_0000
  }

  /** What was stored past the calls belongs to the file: its size is `size` at least. */
  commit(open: OpenInode, size: number): void {
    const { inodes, transaction, changes } = this.#core
    transaction.checkUsable()
    const old = inodes.size(inodes.get(open.number))
    if (size > old) {
      inodes.demandResizable(inodes.get(open.number))
      this.zeroTail(inodes.get(open.number), old, size)
    }
    const w = inodes.get(open.number)
    transaction.run(0, false, () => {
      transaction.wroteData()
      if (size > inodes.size(w)) inodes.setSize(w, size)
      inodes.modified(w)
    })
    open.timesPending = false
    if (changes.watched) changes.tell({ kind: 'content', ino: open.number })
  }

  truncate(number: number, size: number): void {
    const { inodes, transaction, opens, changes, guard } = this.#core
    if (size > FILE_BYTES_MAX) {
      throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
    }
    let w = this.writable(number)
    if (inodes.has(w, InodeFlag.append)) throw new HoldfastError('EPERM', 'it is append-only')
    const old = inodes.size(w)
    const open = opens.get(number)
    const beyond = size === old && inodes.has(w, InodeFlag.preallocated)
    if (size > old) inodes.demandResizable(w)
    else if ((size < old || beyond) && this.#core.watched(w)) {
      guard.demand('shrink', number, Math.ceil(size / BLOCK_BYTES), Infinity)
      guard.proceed()
      w = inodes.get(number)
    }
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
    const { inodes, extents, transaction, log, limbo } = this.#core
    const keep = Math.ceil(size / BLOCK_BYTES)
    const frees = extents.last(w) && extents.fileBlock + extents.count > keep
    let left = false
    transaction.run(frees ? ORPHAN_BLOCKS + limbo.takeBlocks : 0, true, () => {
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

export function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0) {
    throw new HoldfastError('EINVAL', `size ${size} is not a number of bytes`)
  }
}
