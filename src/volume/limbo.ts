/**
 * Limbo: blocks that no file owns any more and the frame table still covers.
 *
 * They are the extents of an inode that never has a name, at file block = region block. So they are
 * in use for everyone who looks at the medium, and after a crash they go the way of all inodes
 * without names, when nobody can hold them any more. Where processes of the last owner still may
 * (grace.ts), its limbo becomes this one's, with all that is in it.
 *
 * Invariants:
 * - the inode is there before anything can be held, so that sending to limbo needs no new one;
 * - a run is in limbo when, and only when, no file owns it and it is held; but what was taken over
 *   and nobody reclaimed is there until `sweep` has come past it.
 */
import { Mode } from '../base/mode.js'
import { OrphanKind } from '../media/tree_node.js'
import type { Core } from './core.js'
import type { OpenInode } from './open_inodes.js'
import { ORPHAN_BLOCKS } from './orphans.js'
import { LIMBO_RUNS } from './ownership.js'
import type { Work } from './work.js'

export class Limbo {
  /** Its inode; 0: nothing was ever held. */
  number = 0

  readonly #core: Core
  #open: OpenInode | null = null
  /** Where the sweep goes on; -1: it is done. */
  #swept = -1

  constructor(core: Core) {
    this.#core = core
  }

  /**
   * Makes the inode, before the first hold. ENOSPC when that cannot be; `late`: with the reserve,
   * as something is held already.
   */
  prepare(late = false): void {
    if (this.number !== 0) return
    const { inodes, transaction, pages, orphans, superblock } = this.#core
    pages.tick()
    inodes.demandRoom()
    let number = 0
    transaction.run(1 + ORPHAN_BLOCKS, late, () => {
      const w = inodes.create(Mode.file, 0, 0, 0)
      number = inodes.numberAt(w)
      orphans.add(number, OrphanKind.unlinked, superblock.epoch >>> 0)
    })
    this.#keep(number)
  }

  /** The limbo that the last owner has left, when there is one, is this one's from here on. */
  takeOver(): void {
    const { orphans, pages } = this.#core
    let [number, epoch] = [0, 0]
    pages.tick()
    for (let from = 1; (from = orphans.from(from)) !== 0; from++) {
      pages.tick()
      if (!orphans.find(from, OrphanKind.unlinked) || orphans.first <= epoch) continue
      ;[number, epoch] = [from, orphans.first]
    }
    if (number !== 0) this.#keep(number)
  }

  #keep(number: number): void {
    this.number = number
    this.#open = this.#core.opens.open(number)
    this.#open.unlinked = true
  }

  /** Region blocks from `start` on that are in limbo, at most `most`. */
  runAt(start: number, most: number): number {
    if (this.number === 0) return 0
    const { inodes, extents, pages } = this.#core
    pages.tick()
    if (!extents.find(inodes.get(this.number), start)) return 0
    const { fileBlock, regionBlock, count } = extents
    return fileBlock === regionBlock ? Math.min(most, fileBlock + count - start) : 0
  }

  /** Blocks in it. */
  get blocks(): number {
    const { inodes } = this.#core
    return this.number === 0 ? 0 : inodes.blocks(inodes.get(this.number))
  }

  /** Blocks of metadata that sending to it may allocate in one transaction. */
  get takeBlocks(): number {
    const { inodes, extents, ownership } = this.#core
    if (this.number === 0 || ownership.frames.distinct === 0) return 0
    return extents.runsBlocks(inodes.get(this.number), LIMBO_RUNS)
  }

  /** Inside a transaction: a held run that has left its file. */
  take(start: number, count: number): void {
    const { inodes, extents } = this.#core
    extents.map(inodes.get(this.number), start, start, count)
  }

  /** Frees what of a run is in limbo and held no more. Between transactions. */
  lift(work: Work, start: number, count: number): void {
    const { inodes, extents, pages, ownership, transaction, grace } = this.#core
    if (this.number === 0 || !transaction.usable || grace.active) return
    pages.tick()
    const end = start + count
    for (let block = start; block < end && this.blocks > 0;) {
      const found = extents.find(inodes.get(this.number), block)
      if (!found && extents.count === 0) break
      const from = Math.max(block, extents.fileBlock)
      const to = Math.min(end, extents.fileBlock + extents.count)
      if (from >= to) break
      const held = ownership.frames.runAt(from, to - from)
      block = from + ownership.frames.count
      if (!held) while (!work.punchStep(this.number, from, block));
      pages.tick()
    }
  }

  /** What was taken over and nobody has reclaimed goes, by steps. */
  beginSweep(): void {
    if (this.blocks > 0) this.#swept = 0
  }

  get sweeping(): boolean {
    return this.#swept >= 0
  }

  /** Frees, in one step, the next run that nobody holds. */
  sweepStep(work: Work): void {
    const { inodes, extents, pages, ownership } = this.#core
    pages.tick()
    const found = extents.find(inodes.get(this.number), this.#swept)
    if (!found && extents.count === 0) {
      this.#swept = -1
      return
    }
    const from = Math.max(this.#swept, extents.fileBlock)
    const held = ownership.frames.runAt(from, extents.fileBlock + extents.count - from)
    const end = from + ownership.frames.count
    this.#swept = held || work.punchStep(this.number, from, end) ? end : from
  }

  /**
   * The volume closes: nothing is held any more, all of it is free. In the grace period it is left
   * to who mounts the volume next.
   */
  end(work: Work): void {
    if (this.#open === null) return
    const { opens, transaction, grace } = this.#core
    opens.close(this.#open)
    this.#open = null
    this.#swept = -1
    if (transaction.usable && !grace.active) while (!work.freeStep(this.number));
    this.number = 0
  }
}
