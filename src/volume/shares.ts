/**
 * Shares: the runs of blocks that have more than one owner, and how many each has.
 *
 * Invariants:
 * - records do not overlap, and each has two owners or more;
 * - the end of every extent that leads into a record is an end of some record, too: records are cut
 *   and never joined, so that an extent that goes needs no new record.
 *
 * What it costs to share a run, or to give one up, depends on the records under it, not on how many
 * owners there are.
 */
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Pages } from './pages.js'
import type { VolumeState } from './state.js'
import { Tree } from './tree.js'

const COUNT = 1
const OWNERS = 2

export class Shares {
  /** The record found. */
  start = 0
  count = 0
  owners = 0

  readonly #tree: Tree
  readonly #state: VolumeState

  constructor(pages: Pages, allocator: Allocator, state: VolumeState) {
    this.#tree = new Tree(pages, allocator, RecordKinds.shares)
    this.#state = state
  }

  get empty(): boolean {
    return this.#state.shareRoot === 0
  }

  /** Blocks that a new record may allocate. */
  get insertBlocks(): number {
    return this.#tree.insertBlocks(this.#state.shareRoot, 0)
  }

  /**
   * Finds the record with `block`. False: it has one owner at most, and the record found is the
   * next one (`count` 0: there is none).
   */
  find(block: number): boolean {
    const root = this.#state.shareRoot
    this.count = 0
    if (root === 0) return false
    if (this.#tree.seekBefore(root, 0, block)) {
      this.#take()
      if (block < this.start + this.count) return true
      if (this.#tree.next()) this.#take()
      else this.count = 0
    } else if (this.#tree.seek(root, 0, block)) this.#take()
    return false
  }

  #take(): void {
    this.start = this.#tree.word(0)
    this.count = this.#tree.word(COUNT)
    this.owners = this.#tree.word(OWNERS)
  }

  /**
   * The run from `block` on, at most `most` blocks, that is shared all through or not at all:
   * which, is the result; `count` is its length.
   */
  runAt(block: number, most: number): boolean {
    const shared = this.find(block)
    if (!shared) {
      this.count = this.count === 0 ? most : Math.min(most, this.start - block)
      return false
    }
    let end = this.start + this.count
    while (end < block + most && this.find(end)) end = this.start + this.count
    this.count = Math.min(most, end - block)
    return true
  }

  /**
   * Records that [start, end) touches, counted from the end, up to `most`: where that many begin.
   */
  reach(start: number, end: number, most: number): number {
    const root = this.#state.shareRoot
    if (root === 0) return start
    let at = end
    for (let n = 0; n < most; n++) {
      if (!this.#tree.seekBefore(root, 0, at - 1)) return start
      at = this.#tree.word(0)
      if (at <= start) return start
    }
    return at
  }

  /**
   * One owner more for each block of a run, which has one already. May add a record for each part
   * (`piecesOf`), and three.
   */
  add(start: number, count: number): void {
    this.cut(start)
    this.cut(start + count)
    for (let block = start, end = start + count; block < end;) {
      if (this.find(block)) {
        block = this.start + this.count
        this.#tree.find(this.#state.shareRoot, 0, this.start)
        this.#tree.change(OWNERS, this.owners + 1)
        continue
      }
      const next = this.count === 0 ? end : Math.min(end, this.start)
      this.#insert(block, next - block, 2)
      block = next
    }
  }

  /** Parts of a run that have the same owners throughout, counted up to `most`. */
  piecesOf(start: number, count: number, most: number): number {
    let pieces = 0
    for (let block = start, end = start + count; block < end && pieces < most; pieces++) {
      block = this.find(block) ? this.start + this.count : this.count === 0 ? end : this.start
    }
    return pieces
  }

  /**
   * One owner less for each block of a run; `alone` gets the parts that nobody has any more. May
   * add two records, and none when the run is the end, or all, of an extent.
   */
  drop(start: number, count: number, alone: (start: number, count: number) => void): void {
    this.cut(start)
    this.cut(start + count)
    for (let block = start, end = start + count; block < end;) {
      if (!this.find(block)) {
        const next = this.count === 0 ? end : Math.min(end, this.start)
        alone(block, next - block)
        block = next
        continue
      }
      const { start: first, count: length, owners } = this
      if (owners > 2) {
        this.#tree.find(this.#state.shareRoot, 0, first)
        this.#tree.change(OWNERS, owners - 1)
      } else this.#setRoot(this.#tree.remove(this.#state.shareRoot, 0, first))
      block = first + length
    }
  }

  /** The record over `block` ends there, and another goes on. May add a record. */
  cut(block: number): void {
    if (!this.find(block) || this.start === block) return
    const { start, count, owners } = this
    this.#tree.find(this.#state.shareRoot, 0, start)
    this.#tree.change(COUNT, block - start)
    this.#insert(block, start + count - block, owners)
  }

  #insert(start: number, count: number, owners: number): void {
    this.#setRoot(this.#tree.insert(this.#state.shareRoot, 0, start, count, owners, 0))
  }

  #setRoot(root: number): void {
    if (root !== this.#state.shareRoot) this.#state.shareRoot = root
  }
}
