/**
 * Moving blocks: the content goes to other blocks, and every owner with it.
 *
 * Invariants:
 * - one step moves one run of one extent, copied and durable before the record that maps it;
 * - of blocks with several owners each moves in a transaction of its own: in between, some lead to
 *   the new blocks and some to the old ones, all to the same content, since nobody writes to blocks
 *   that are shared;
 * - no block moves that a file is fixed on, or that a hold covers: the guard is asked for every
 *   owner before the first of them moves.
 */
import { HoldfastError } from '../base/errors.js'
import { InodeFlag } from '../media/inode.js'
import type { Defragmented, Evacuated } from '../base/layout.js'
import type { Core } from './core.js'
import type { Owner } from './reverse_map.js'
import type { Work } from './work.js'

/** Blocks moved in one transaction: 2 MiB. */
/** Inodes that are named of those that have what cannot be read. */
const OWNERS_TOLD = 100
const STEP_BLOCKS = 512

/** Whether this owner stays although others move. */
type Stays = (owner: Owner) => boolean

/** Whether this owner has region block `start` as that block of that file. */
const isAt = (owner: Owner, inode: number, block: number, start: number) =>
  owner.inode === inode && owner.fileBlock + (start - owner.start) === block

/** Which file is in the way, when it is not the one that was asked for. */
function naming(error: unknown, inode: number, asked: number): unknown {
  const names = error instanceof HoldfastError && error.code === 'EPERM' && inode !== asked
  return names ? new HoldfastError('EPERM', `inode ${inode}: ${error.detail}`) : error
}

export class Relocation {
  readonly #core: Core
  readonly #work: Work

  constructor(core: Core, work: Work) {
    this.#core = core
    this.#work = work
  }

  // ---- one run ---------------------------------------------------------------------------------

  /**
   * The runs of all files that [start, start + count) belongs to, cut to it. The blocks have the
   * same owners throughout: a run that is not shared, or a part of one record of shares.
   */
  owners(start: number): Owner[] {
    const { shares, reverseMap, pages } = this.#core
    pages.tick()
    return reverseMap.ownersOf(start, shares.find(start) ? shares.owners : 1)
  }

  /** Blocks from `start` on that have the same owners, at most `most`. */
  sameOwners(start: number, most: number): number {
    const { shares, pages } = this.#core
    pages.tick()
    if (shares.find(start)) return Math.min(most, shares.start + shares.count - start)
    return shares.count === 0 ? most : Math.min(most, shares.start - start)
  }

  /**
   * Moves all owners of a run but those that stay to new blocks: as many as come in one run,
   * returned. The allocator's claim, when there is one, says where to.
   */
  move(start: number, most: number, owners: readonly Owner[], stays: Stays): number {
    const { allocator, pages } = this.#core
    const movers = owners.filter((owner) => !stays(owner))
    if (movers.length === 0) return most
    let to = 0
    let count = Math.min(most, STEP_BLOCKS)
    for (const [i, owner] of movers.entries()) {
      pages.tick()
      const fileBlock = owner.fileBlock + (start - owner.start)
      if (i === 0) {
        this.#core.demandReadable(start, count)
        this.#step(owner.inode, fileBlock, count, (n) => {
          allocator.allocate(0, n, fileBlock)
          to = allocator.start
          count = allocator.count
          this.#core.copyBlocks(to, start, count)
          this.#core.transaction.wroteData()
          return [to, count]
        })
      } else {
        this.#step(owner.inode, fileBlock, count, (n) => {
          this.#core.shares.add(to, n)
          return [to, n]
        })
      }
      this.#core.opens.get(owner.inode)?.layoutChanged(fileBlock, fileBlock + count)
    }
    return count
  }

  /** One owner, one transaction. */
  #step(
    inode: number,
    fileBlock: number,
    want: number,
    place: (want: number) => [number, number],
  ): void {
    const { inodes, extents, shares, transaction } = this.#core
    const w = inodes.get(inode)
    transaction.run(want + this.#metadata(inode), false, () => {
      const [to, count] = place(want)
      extents.replace(w, fileBlock, count, to)
      inodes.layoutChanged(w)
      if (shares.find(to)) inodes.setFlag(w, InodeFlag.shares, true)
    })
  }

  /** Blocks of metadata that one step may allocate. */
  #metadata(inode: number): number {
    const { inodes, extents, shares, limbo } = this.#core
    const w = inodes.get(inode)
    return 2 * extents.runBlocks(w) + 5 * shares.insertBlocks + limbo.takeBlocks
  }

  /** The same for any of these. */
  #mostMetadata(owners: readonly Owner[]): number {
    let most = 0
    for (const { inode } of owners) {
      this.#core.pages.tick()
      most = Math.max(most, this.#metadata(inode))
    }
    return most
  }

  /** `asked`: the file that is to move; 0: whatever is in a range of the region. */
  #demandMove(owners: readonly Owner[], start: number, count: number, asked: number): void {
    const { guard, inodes, pages } = this.#core
    for (const owner of owners) {
      pages.tick() // more owners than the cache has pages
      this.#work.settle(owner.inode)
    }
    for (const owner of owners) {
      pages.tick()
      if (!this.#core.watched(inodes.get(owner.inode))) continue
      const from = owner.fileBlock + (start - owner.start)
      try {
        guard.demand('move', owner.inode, from, from + count)
      } catch (error) {
        throw naming(error, owner.inode, asked)
      }
    }
  }

  // ---- unshare=others --------------------------------------------------------------------------

  /**
   * What is in the way of `unshareOthers`, and of this file getting new blocks where another owner
   * is fixed, and stays. EPERM where both are.
   */
  demandOthers(number: number, from: number, to: number): void {
    const { inodes, access, guard, pages } = this.#core
    this.#eachShared(number, from, to, (block, start, count, owners) => {
      const others = owners.filter((owner) => !isAt(owner, number, block, start))
      const stays = others.find(({ inode }) => this.#isFixed(inode))
      if (stays !== undefined) {
        if (this.#isFixed(number)) {
          throw new HoldfastError('EPERM', `inode ${stays.inode} shares them and is fixed as well`)
        }
        if (guard.watches(number)) guard.demand('unshare', number, block, block + count)
        return
      }
      for (const owner of others) {
        pages.tick()
        const w = inodes.get(owner.inode)
        access.demandOwner(w, `move what inode ${owner.inode} shares with it`)
        const first = owner.fileBlock + (start - owner.start)
        if (guard.watches(owner.inode)) guard.demand('unshare', owner.inode, first, first + count)
      }
    })
  }

  /**
   * Every other owner of the blocks of [from, to) gets new ones, this file keeps its place. Needs
   * ownership of each other file. Runs that a fixed file shares are left shared: that one stays.
   */
  unshareOthers(number: number, from: number, to: number): void {
    this.demandOthers(number, from, to)
    this.#core.guard.proceed()
    this.#eachShared(number, from, to, (block, start, count, owners) => {
      const others = owners.filter((owner) => !isAt(owner, number, block, start))
      if (others.some(({ inode }) => this.#isFixed(inode))) return
      for (let done = 0; done < count;) {
        const now = this.owners(start + done)
        done += this.move(start + done, count - done, now, (owner) =>
          isAt(owner, number, block + done, start + done),
        )
      }
    })
  }

  #isFixed(number: number): boolean {
    const { inodes, pages } = this.#core
    pages.tick()
    return inodes.has(inodes.get(number), InodeFlag.fixed)
  }

  /** Runs of file blocks [from, to) that have the same owners throughout, several of them. */
  #eachShared(
    number: number,
    from: number,
    to: number,
    visit: (block: number, start: number, count: number, owners: readonly Owner[]) => void,
  ): void {
    const { inodes, extents, pages } = this.#core
    for (let block = from; block < to;) {
      pages.tick()
      const found = extents.find(inodes.get(number), block)
      if (!found && extents.count === 0) return
      if (!found) {
        block = extents.fileBlock
        continue
      }
      const start = extents.regionBlock + (block - extents.fileBlock)
      const run = Math.min(to, extents.fileBlock + extents.count) - block
      const count = this.sameOwners(start, run)
      const owners = this.owners(start)
      if (owners.length > 1) visit(block, start, count, owners)
      block += count
    }
  }

  // ---- maintenance -----------------------------------------------------------------------------

  /**
   * Moves a file into one run of blocks, or as few as can be had, when that is fewer than now.
   * Blocks that it shares move for all who own them. Yields the blocks moved in each step; between
   * two of them the volume may be used. Returns extents before and after.
   */
  *defragment(number: number): Generator<number, Defragmented> {
    const { inodes, extents, allocator, pages } = this.#core
    this.#work.settle(number)
    const before = extents.total(inodes.get(number))
    const total = inodes.blocks(inodes.get(number))
    // What is in the way of any of it is in the way of all.
    if (before >= 2) this.#demandAll(number)
    // One run for all of it is what makes it worth the copying.
    let to = before < 2 ? 0 : allocator.findRun(total)
    for (let block = 0; to !== 0;) {
      const run = this.#nextRun(number, block)
      if (run === null) break
      block = run.fileBlock
      const { start, count: n } = run
      const owners = this.owners(start)
      this.#demandMove(owners, start, n, number)
      if (this.#core.guard.proceed()) continue // owners may have gone with their leases
      // Somebody may have taken a part of it since: then it stays in two.
      if (!allocator.claim(to, n, block)) break
      let moved = 0
      try {
        moved = this.move(start, n, owners, () => false)
        block += moved
        to += moved
      } finally {
        allocator.unclaim()
      }
      yield moved
    }
    pages.tick()
    return { before, after: extents.total(inodes.get(number)) }
  }

  /** The first run of a file from a file block on that has the same owners throughout. */
  #nextRun(
    number: number,
    block: number,
  ): { readonly fileBlock: number; readonly start: number; readonly count: number } | null {
    const { inodes, extents, pages } = this.#core
    pages.tick()
    const found = extents.find(inodes.get(number), block)
    if (!found && extents.count === 0) return null
    const fileBlock = found ? block : extents.fileBlock
    const start = extents.regionBlock + (fileBlock - extents.fileBlock)
    const most = extents.fileBlock + extents.count - fileBlock
    return { fileBlock, start, count: Math.min(STEP_BLOCKS, this.sameOwners(start, most)) }
  }

  #demandAll(number: number): void {
    for (let block = 0; ;) {
      const run = this.#nextRun(number, block)
      if (run === null) return
      this.#demandMove(this.owners(run.start), run.start, run.count, number)
      block = run.fileBlock + run.count
    }
  }

  /**
   * Moves every file's blocks out of region blocks [from, to), to elsewhere. Metadata stays: it has
   * no owner to ask. Yields the blocks moved in each step.
   */
  *evacuate(from: number, to: number): Generator<number, Evacuated> {
    const { allocator, transaction } = this.#core
    for (let run = this.#ownedRun(from, to); run !== null;) {
      this.#demandMove(this.owners(run.start), run.start, run.count, 0)
      run = this.#ownedRun(run.start + run.count, to)
    }
    let [moved, unreadable] = [0, 0]
    const unreadableOf = new Set<number>()
    for (let block = from; ;) {
      const run = this.#ownedRun(block, to)
      if (run === null) break
      const { start } = run
      const owners = this.owners(start)
      const n = this.#readable(start, run.count)
      if (n === 0) {
        unreadable++
        for (const { inode } of owners) if (unreadableOf.size < OWNERS_TOLD) unreadableOf.add(inode)
        block = start + 1
        continue
      }
      this.#demandMove(owners, start, n, 0)
      if (allocator.quarantined > 0 && allocator.available < 2 * n) transaction.checkpoint()
      const room = allocator.claimOutside(from, to, n)
      if (room === 0) {
        throw new HoldfastError('ENOSPC', `no free block outside ${from} to ${to - 1}`)
      }
      allocator.unclaim()
      transaction.require(room + this.#mostMetadata(owners))
      if (this.#core.guard.proceed()) continue // owners may have gone with their leases
      allocator.claimOutside(from, to, n)
      let done = 0
      try {
        done = this.move(start, room, owners, () => false)
        moved += done
        block = start + done
      } finally {
        allocator.unclaim()
      }
      yield done
    }
    const left = this.#inUse(from, to)
    return { moved, left, unreadable, unreadableOf: [...unreadableOf] }
  }

  /** Blocks from `start` on that can be read, at most `most`; 0: the first one cannot. */
  #readable(start: number, most: number): number {
    if (this.#canRead(start, most)) return most
    let n = 0
    while (n < most && this.#canRead(start + n, 1)) n++
    return n
  }

  #canRead(start: number, count: number): boolean {
    try {
      this.#core.demandReadable(start, count)
      return true
    } catch (error) {
      if (error instanceof HoldfastError && error.code === 'EIO') return false
      throw error
    }
  }

  /** The first run of [from, to) that files own, the same ones throughout; limbo is no file. */
  #ownedRun(from: number, to: number): { readonly start: number; readonly count: number } | null {
    const { reverseMap, shares, pages, limbo } = this.#core
    for (let block = from; block < to;) {
      pages.tick()
      const first = reverseMap.first(block, to, (last) => shares.find(last))
      if (first === null) return null
      const start = Math.max(block, first.start)
      const most = Math.min(first.start + first.count, to) - start
      const count = Math.min(this.sameOwners(start, most), STEP_BLOCKS)
      if (first.inode !== limbo.number) return { start, count }
      block = start + count
    }
    return null
  }

  #inUse(from: number, to: number): number {
    const { allocator, pages } = this.#core
    pages.tick()
    return to - from - allocator.freeIn(from, to)
  }
}
