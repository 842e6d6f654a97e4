/**
 * Limbo: blocks that no file owns any more and the frame table still covers.
 *
 * They are the extents of an inode that never has a name, at file block = region block. So they are
 * in use for everyone who looks at the medium, and after a crash they go the way of all inodes
 * without names: nobody can hold them then.
 *
 * Invariants:
 * - the inode is there before anything can be held, so that sending to limbo needs no new one;
 * - a run is in limbo when, and only when, no file owns it and it is held.
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

  constructor(core: Core) {
    this.#core = core
  }

  /** Makes the inode, before the first hold. ENOSPC when that cannot be. */
  prepare(): void {
    if (this.number !== 0) return
    const { inodes, transaction, pages, orphans, opens } = this.#core
    pages.tick()
    inodes.demandRoom()
    transaction.run(1 + ORPHAN_BLOCKS, false, () => {
      const w = inodes.create(Mode.file, 0, 0, 0)
      this.number = inodes.numberAt(w)
      orphans.add(this.number, OrphanKind.unlinked)
    })
    this.#open = opens.open(this.number)
    this.#open.unlinked = true
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
    const { inodes, extents, pages, ownership, transaction } = this.#core
    if (this.number === 0 || !transaction.usable) return
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

  /** The volume closes: nothing is held any more, all of it is free. */
  end(work: Work): void {
    if (this.#open === null) return
    const { opens, transaction } = this.#core
    opens.close(this.#open)
    this.#open = null
    if (transaction.usable) while (!work.freeStep(this.number));
    this.number = 0
  }
}
