/**
 * Work on the blocks of an inode that may be larger than one transaction: cutting off its end,
 * freeing it as a whole, taking a range out, moving what is behind a range.
 *
 * Invariants:
 * - what does not fit one transaction has an orphan record and the inode's flag `unfinished`, both
 *   from the first of its transactions to the last; each step leaves a state that the record alone
 *   completes;
 * - whoever looks at or changes the content of an inode completes its work first (`settle`): nobody
 *   sees half of it, not even after a crash;
 * - an inode without a name needs no record for its blocks: after a crash it goes as a whole.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { Mode } from '../base/mode.js'
import { Inode, InodeFlag } from '../media/inode.js'
import { OrphanKind } from '../media/tree_node.js'
import type { Core } from './core.js'
import { ORPHAN_BLOCKS } from './orphans.js'

const at = Inode.word
const FILE_END = 0x1_0000_0000

export class Work {
  readonly #core: Core
  /** File block that the last step of a move came to. */
  #next = 0
  /** Of a receive by a file without a name, which has no record. */
  #exact = false
  /** Extents that a step frees at most. A call leaves more than that to `leftStep`. */
  extentsAtOnce = Infinity
  /** Inodes of which blocks are left to be freed. */
  readonly #left = new Set<number>()

  constructor(core: Core) {
    this.#core = core
  }

  /** Inside a transaction: work of this kind is to be done, or is done. */
  intend(w: number, kind: number, first = 0, second = 0): void {
    const { orphans, inodes, pages } = this.#core
    if (pages.u32[w + at.links] === 0) return
    orphans.add(pages.u32[w + at.number]!, kind, first, second)
    inodes.setFlag(w, InodeFlag.unfinished, true)
  }

  fulfil(w: number, kind: number): void {
    const { orphans, inodes, pages } = this.#core
    const number = pages.u32[w + at.number]!
    if (orphans.find(number, kind)) orphans.remove(number, kind)
    if (orphans.work(number) === 0) inodes.setFlag(w, InodeFlag.unfinished, false)
  }

  /** Completes what a crash left of an inode, before its content is looked at or changed. */
  settle(number: number): void {
    const { inodes, transaction, grace, orphans } = this.#core
    if (!inodes.has(inodes.get(number), InodeFlag.unfinished) || !transaction.usable) return
    // What is left past the end is freed after the grace period; nobody sees it.
    if (grace.active && orphans.work(number) === OrphanKind.beyond) return
    while (!this.step(number));
    this.#core.pages.tick()
  }

  /** One step of the work that is recorded for an inode; true when all is done. */
  step(number: number): boolean {
    const { inodes, orphans, pages } = this.#core
    pages.tick()
    if (pages.u32[inodes.get(number) + at.links] === 0) return this.#nameless(number)
    const kind = orphans.work(number)
    orphans.find(number, kind)
    const { first, second } = orphans
    if (kind === OrphanKind.beyond) return this.beyondStep(number)
    if (kind === OrphanKind.punch) return this.punchStep(number, first, second)
    if (kind === OrphanKind.collapse) return this.collapseStep(number, first, second)
    if (kind === OrphanKind.receive) {
      orphans.find(number, OrphanKind.receiveFrom)
      return this.receiveStep(number, orphans.first, first)
    }
    if (kind === OrphanKind.insert) {
      orphans.find(number, OrphanKind.insertEnd)
      return this.insertStep(number, first, second, orphans.first)
    }
    throw new HoldfastError('EUCLEAN', `inode ${number}: no record says what is unfinished`)
  }

  /** An inode without a name goes; what it has to give goes first, to where it was promised. */
  #nameless(number: number): boolean {
    const { orphans } = this.#core
    if (!orphans.find(number, OrphanKind.giver)) return this.freeStep(number)
    this.settle(orphans.first)
    if (!orphans.find(number, OrphanKind.giver)) return false
    throw new HoldfastError('EUCLEAN', `inode ${orphans.first} does not receive from ${number}`)
  }

  // ---- what calls leave ------------------------------------------------------------------------

  /** Inodes of which calls have left something to be freed. */
  get left(): number {
    return this.#left.size
  }

  /** One step of what calls have left. Between transactions. */
  leftStep(): void {
    const { orphans, opens, pages } = this.#core
    const [number] = this.#left
    if (number === undefined) return
    pages.tick()
    // Who looked at it has done it meanwhile; and one that is opened again goes when it is closed.
    const there = orphans.from(number) === number && opens.get(number)?.unlinked !== true
    let done = true
    try {
      done = !there || this.step(number)
    } finally {
      // What finds no room now waits for the next mount.
      if (done) this.#left.delete(number)
    }
  }

  /** Frees an inode that has no name and is open nowhere. */
  freeRest(number: number): void {
    if (this.extentsAtOnce < Infinity) this.#left.add(number)
    else while (!this.freeStep(number));
  }

  // ---- the end of a file -----------------------------------------------------------------------

  /** Inside a transaction: frees blocks past file block `keep`. True: some are left. */
  trim(w: number, keep: number): boolean {
    return this.#cut(w, keep, FILE_END)
  }

  /**
   * Inside a transaction: frees blocks of [from, to) while the transaction has room. True: some are
   * left.
   */
  #cut(w: number, from: number, to: number): boolean {
    const { extents, transaction, ownership } = this.#core
    ownership.sent = 0
    for (let cut = 1; ; cut++) {
      if (!extents.cutLast(w, from, to)) return false
      if (transaction.full || ownership.sent > 0 || cut >= this.extentsAtOnce) {
        return extents.before(w, to) && extents.fileBlock + extents.count > from
      }
    }
  }

  /** Frees what an unfinished truncate or append left past the end. */
  freeBeyond(number: number): void {
    const { guard, inodes, pages } = this.#core
    const recorded = pages.u32[inodes.get(number) + at.links]! > 0
    // What a holder has there goes at once, while it is known for whose sake.
    const later = recorded && !guard.watches(number) && this.extentsAtOnce < Infinity
    if (later) this.#left.add(number)
    else while (!this.beyondStep(number));
  }

  beyondStep(number: number): boolean {
    const { inodes, transaction, pages } = this.#core
    pages.tick()
    const w = inodes.get(number)
    const keep = Math.ceil(inodes.size(w) / BLOCK_BYTES)
    let done = false
    transaction.run(this.#core.limbo.takeBlocks, true, () => {
      done = !this.trim(w, keep)
      if (done) this.fulfil(w, OrphanKind.beyond)
    })
    return done
  }

  // ---- all of an inode -------------------------------------------------------------------------

  /**
   * Inside a transaction: frees what an inode has, and itself. False: too much for this
   * transaction.
   */
  freeWithin(number: number): boolean {
    const { inodes, orphans, pages, symlinks, transaction, xattrs } = this.#core
    const w = inodes.get(number)
    const type = pages.u32[w + at.mode]! & Mode.typeMask
    if (type === Mode.symlink) symlinks.free(w)
    else if (type === Mode.file && this.trim(w, 0)) {
      // So nobody takes it for a file that is whole (opening.ts).
      inodes.setSize(w, 0)
      inodes.setFlag(w, InodeFlag.preallocated, false)
      return false
    }
    if (!xattrs.clear(w, () => !transaction.full)) return false
    orphans.clear(number)
    inodes.free(number)
    return true
  }

  /** One step of freeing an inode without names; true when done. */
  freeStep(number: number): boolean {
    const { transaction, pages } = this.#core
    pages.tick()
    let done = false
    transaction.run(this.#core.limbo.takeBlocks, true, () => {
      done = this.freeWithin(number)
    })
    return done
  }

  // ---- ranges ----------------------------------------------------------------------------------

  /** Frees blocks of [from, to) of a file; true when none is left. */
  punchStep(number: number, from: number, to: number): boolean {
    const { inodes, extents, shares, transaction, pages, limbo } = this.#core
    pages.tick()
    const w = inodes.get(number)
    let done = false
    // An extent cut in its middle becomes two, and so does the record of who shares it, twice.
    const splits = shares.empty ? 0 : 2 * shares.insertBlocks
    const cut = extents.runBlocks(w) + splits + limbo.takeBlocks
    transaction.run(cut + ORPHAN_BLOCKS, true, () => {
      inodes.layoutChanged(w)
      done = !this.#cut(w, from, to)
      if (done) this.fulfil(w, OrphanKind.punch)
      else this.intend(w, OrphanKind.punch, from, to)
      if (done) inodes.modified(w)
    })
    return done
  }

  /** Takes file blocks [from, from + distance) out; what is behind them moves down. */
  collapse(number: number, from: number, distance: number): void {
    const { inodes, transaction, pages } = this.#core
    pages.tick()
    const w = inodes.get(number)
    // Both at once: a file with a hole in the place of the range is no state to come back to.
    transaction.run(SHIFT_BLOCKS, true, () => {
      inodes.modified(w)
      this.intend(w, OrphanKind.punch, from, from + distance)
      this.intend(w, OrphanKind.collapse, from + distance, distance)
    })
    while (!this.punchStep(number, from, from + distance));
    this.#next = from + distance
    while (!this.collapseStep(number, this.#next, distance));
  }

  /**
   * Moves extents from file block `from` on down by `distance`, into a hole; the size follows with
   * the last, and then it is true. `#next` is where it goes on.
   */
  collapseStep(number: number, from: number, distance: number): boolean {
    const { inodes, extents, transaction, pages } = this.#core
    pages.tick()
    const w = inodes.get(number)
    let done = false
    transaction.run(SHIFT_BLOCKS, true, () => {
      inodes.layoutChanged(w)
      this.#next = from
      // One move at least, and then as many as there is room for.
      for (let moved = 0; ; moved++) {
        done = !extents.find(w, this.#next) && extents.count === 0
        if (done || (moved > 0 && transaction.full)) break
        const { fileBlock, count } = extents
        extents.shift(w, fileBlock, fileBlock - distance)
        this.#next = fileBlock + count
      }
      if (!done) return this.intend(w, OrphanKind.collapse, this.#next, distance)
      inodes.setSize(w, inodes.size(w) - distance * BLOCK_BYTES)
      inodes.modified(w)
      this.fulfil(w, OrphanKind.collapse)
    })
    return done
  }

  /** A file without a name that gathers blocks for another one: after a crash it goes. */
  bearNameless(size: number, flags = 0): number {
    const { inodes, transaction, orphans, pages } = this.#core
    pages.tick()
    inodes.demandRoom()
    let number = 0
    transaction.run(1 + ORPHAN_BLOCKS, false, () => {
      const w = inodes.create(Mode.file, 0, 0, 0)
      number = inodes.numberAt(w)
      inodes.setSize(w, size)
      if (flags !== 0) inodes.setFlag(w, flags, true)
      orphans.add(number, OrphanKind.unlinked)
    })
    return number
  }

  // ---- receiving -------------------------------------------------------------------------------

  /** ENOSPC where `receive` could not begin, and would leave what was gathered. */
  demandReceive(): void {
    this.#core.transaction.require(3 * ORPHAN_BLOCKS)
  }

  /**
   * All that an inode without names has gathered becomes file blocks [from, to) of this one; with
   * `exact` its size becomes the size.
   */
  receive(number: number, giver: number, from: number, to: number, exact: boolean): void {
    const { inodes, transaction, orphans, pages } = this.#core
    pages.tick()
    transaction.run(3 * ORPHAN_BLOCKS, false, () => {
      const w = inodes.get(number)
      inodes.setFlag(w, InodeFlag.shares, true)
      if (!this.#named(w)) return
      orphans.add(giver, OrphanKind.giver, number, 0)
      this.intend(w, OrphanKind.receive, from, to)
      this.intend(w, OrphanKind.receiveFrom, giver, exact ? 1 : 0)
    })
    this.#next = to
    this.#exact = exact
    while (!this.receiveStep(number, giver, from));
    while (!this.freeStep(giver));
  }

  #named(w: number): boolean {
    return this.#core.pages.u32[w + at.links]! > 0
  }

  /**
   * One step of a receive: the last extent of the giver takes its place in the file, after what was
   * there has gone. The record of the range shrinks from its end, which is where it goes on; with
   * the last step the size is true.
   */
  receiveStep(number: number, giver: number, from: number): boolean {
    const { inodes, extents, transaction, pages, orphans, shares, limbo } = this.#core
    pages.tick()
    const [w, g] = [inodes.get(number), inodes.get(giver)]
    const splits = shares.empty ? 0 : 2 * shares.insertBlocks
    const blocks = 2 * extents.runBlocks(w) + splits + limbo.takeBlocks + ORPHAN_BLOCKS
    let done = false
    transaction.run(blocks, true, () => {
      inodes.layoutChanged(w)
      if (this.#named(w) && orphans.find(number, OrphanKind.receive)) this.#next = orphans.second
      const none = !extents.last(g)
      const start = none ? from : extents.fileBlock
      // What stands there goes first, as far as this transaction has room.
      if (this.#cut(w, start, this.#next)) return
      done = none
      if (done) return this.#received(w, g)
      extents.detach(g, start, FILE_END)
      extents.map(w, start, extents.regionBlock, extents.count)
      this.#next = start
      this.intend(w, OrphanKind.receive, from, start)
    })
    return done
  }

  #received(w: number, g: number): void {
    const { inodes, orphans } = this.#core
    const giver = inodes.numberAt(g)
    const size = inodes.size(g)
    const number = inodes.numberAt(w)
    const told = this.#named(w) && orphans.find(number, OrphanKind.receiveFrom)
    const exact = told ? orphans.second === 1 : this.#exact
    if (exact || size > inodes.size(w)) inodes.setSize(w, size)
    if (exact) inodes.setFlag(w, InodeFlag.preallocated, false)
    inodes.modified(w)
    this.fulfil(w, OrphanKind.receive)
    this.fulfil(w, OrphanKind.receiveFrom)
    if (orphans.find(giver, OrphanKind.giver)) orphans.remove(giver, OrphanKind.giver)
  }

  // ---- moving extents
  // ----------------------------------------------------------------------------

  /** Puts a hole of `distance` blocks in front of file block `from`. */
  insert(number: number, from: number, distance: number): void {
    this.#next = FILE_END
    while (!this.insertStep(number, from, distance, this.#next));
  }

  /**
   * Moves extents of file blocks [offset, end) up by `distance`, the last one first; the size
   * follows with the last, and then it is true. `#next` is where it goes on.
   */
  insertStep(number: number, offset: number, distance: number, end: number): boolean {
    const { inodes, extents, shares, transaction, pages } = this.#core
    pages.tick()
    const w = inodes.get(number)
    const cuts = shares.empty ? 0 : shares.insertBlocks
    let done = false
    // With the first step it is begun, and must come to its end: the reserve is there for that.
    transaction.run(extents.runBlocks(w) + cuts + SHIFT_BLOCKS, end !== FILE_END, () => {
      inodes.layoutChanged(w)
      this.#next = end
      for (let moved = 0; ; moved++) {
        done = !extents.before(w, this.#next) || extents.fileBlock + extents.count <= offset
        if (done || (moved > 0 && transaction.full)) break
        const { fileBlock } = extents
        this.#next = Math.max(offset, fileBlock)
        if (fileBlock >= offset) extents.shift(w, fileBlock, fileBlock + distance)
        else {
          shares.cut(extents.regionBlock + (offset - fileBlock))
          extents.splitAway(w, offset, offset + distance)
        }
      }
      if (!done) {
        this.intend(w, OrphanKind.insert, offset, distance)
        return this.intend(w, OrphanKind.insertEnd, this.#next, 0)
      }
      inodes.setSize(w, inodes.size(w) + distance * BLOCK_BYTES)
      inodes.modified(w)
      this.fulfil(w, OrphanKind.insert)
      this.fulfil(w, OrphanKind.insertEnd)
    })
    return done
  }
}

/**
 * Blocks that moving extents may allocate: two orphan records. The trees get none that they did not
 * have: records change where they stand, or join.
 */
const SHIFT_BLOCKS = 2 * ORPHAN_BLOCKS
