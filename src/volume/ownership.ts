/**
 * What becomes of a data block that leaves a file: another owner keeps it, or a hold does, or it is
 * free.
 *
 * Invariant: a block is given back to the allocator when no extent leads to it and nothing in the
 * frame table covers it, and not before. Every data block that is freed is freed here.
 */
import { assert } from '../base/errors.js'
import type { Allocator } from './allocator.js'
import type { Frames } from './frames.js'
import type { LayoutGuard } from './guard.js'
import type { Limbo } from './limbo.js'
import type { Shares } from './shares.js'

/** Records of shares, and runs of held blocks, that one step of giving up may touch. */
const STEP_RECORDS = 24
/** Runs that may go to limbo in one transaction. */
export const LIMBO_RUNS = 16

export class Ownership {
  readonly shares: Shares
  readonly frames: Frames
  /** Set by the core once all parts are there. */
  limbo!: Limbo
  guard: LayoutGuard
  /** Runs that the running transaction has sent to limbo. */
  sent = 0

  readonly #allocator: Allocator

  constructor(allocator: Allocator, shares: Shares, frames: Frames, guard: LayoutGuard) {
    this.#allocator = allocator
    this.shares = shares
    this.frames = frames
    this.guard = guard
  }

  /**
   * How far back from `end` one step may give up blocks of [start, end): where it begins.
   * `mayShare`: the file has the flag.
   */
  reach(start: number, end: number, mayShare: boolean): number {
    let from = this.frames.reach(start, end, LIMBO_RUNS)
    if (mayShare) from = Math.max(from, this.shares.reach(start, end, STEP_RECORDS))
    return from
  }

  /** A run has left file block `fileBlock` on of an inode. Inside a transaction. */
  giveUp(inode: number, fileBlock: number, start: number, count: number, mayShare: boolean): void {
    if (!mayShare || this.shares.empty) return this.#alone(inode, fileBlock, start, start, count)
    this.shares.drop(start, count, (first, n) => this.#alone(inode, fileBlock, start, first, n))
  }

  /** Blocks of which that was the only owner. */
  #alone(inode: number, fileBlock: number, start: number, first: number, count: number): void {
    if (this.frames.distinct === 0) return this.#allocator.release(first, count, false)
    for (let block = first, end = first + count; block < end;) {
      const held = this.frames.runAt(block, end - block)
      const n = this.frames.count
      if (!held) this.#allocator.release(block, n, false)
      else {
        assert(this.limbo.number !== inode, 'what limbo gives up is held by nobody')
        this.limbo.take(block, n)
        this.sent++
        this.guard.deferred(inode, fileBlock + (block - start), block, n)
      }
      block += n
    }
  }
}
