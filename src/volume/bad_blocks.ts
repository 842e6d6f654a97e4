/**
 * Blocks that are kept out of use for good: a list on the medium.
 *
 * Invariants:
 * - a listed block is set in the bitmap, whether a file owns it or nobody does;
 * - the allocator knows the list: a listed block that its owner gives back stays taken.
 */
import { HoldfastError } from '../base/errors.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Geometry } from './geometry.js'
import type { Pages } from './pages.js'
import type { VolumeState } from './state.js'
import type { Transaction } from './transaction.js'
import { Tree } from './tree.js'

/** Records that are looked at between two ticks of the page cache. */
const STEP_RECORDS = 1024

export class BadBlocks {
  readonly #tree: Tree
  readonly #pages: Pages
  readonly #geometry: Geometry
  readonly #state: VolumeState
  readonly #allocator: Allocator
  readonly #transaction: Transaction
  /** Found bad, and not listed yet. */
  readonly #suspects = new Set<number>()

  constructor(pages: Pages, geometry: Geometry, transaction: Transaction) {
    this.#tree = new Tree(pages, transaction.allocator, RecordKinds.badBlocks)
    this.#pages = pages
    this.#geometry = geometry
    this.#state = transaction.state
    this.#allocator = transaction.allocator
    this.#transaction = transaction
  }

  /** The list, in order. */
  list(): number[] {
    const blocks: number[] = []
    for (let from = 0; ;) {
      // There may be more of them than the cache has room for.
      this.#pages.tick()
      let found = this.#tree.seek(this.#state.badBlockRoot, from, 0)
      for (let n = 0; found && n < STEP_RECORDS; n++) {
        blocks.push(this.#tree.word(0))
        found = this.#tree.next()
      }
      if (!found) return blocks
      from = blocks.at(-1)! + 1
    }
  }

  /** Tells the allocator of the list, at mount. */
  load(): void {
    if (this.#state.badBlockRoot === 0) return
    for (const block of this.list()) this.#allocator.bad.add(block)
  }

  /** The medium has lost what was in these blocks; `addSuspects` lists them when it can be. */
  suspect(block: number, count: number): void {
    const { dataStart, blockCount } = this.#geometry
    const end = Math.min(block + count, blockCount)
    for (let b = Math.max(block, dataStart); b < end; b++) this.#suspects.add(b)
  }

  /** Lists what was found bad. What cannot be listed now is found again, by who reads it again. */
  addSuspects(): void {
    if (this.#suspects.size === 0 || this.#transaction.grace.active) return
    const found = [...this.#suspects]
    this.#suspects.clear()
    try {
      for (const block of found) this.add(block)
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error
    }
  }

  /** Lists a block. When it is free it is taken; else its owner keeps it until it gives it back. */
  add(block: number): void {
    const { dataStart, blockCount } = this.#geometry
    if (!Number.isInteger(block) || block < dataStart || block >= blockCount) {
      throw new HoldfastError(
        'EINVAL',
        `block ${block}: ${dataStart} to ${blockCount - 1} can be kept out of use`,
      )
    }
    if (this.#allocator.bad.has(block)) return
    this.#allocator.bad.add(block)
    try {
      // A freed block that waits to be free again is free afterwards.
      if (this.#allocator.quarantined > 0) this.#transaction.checkpoint()
      this.#pages.tick()
      const root = this.#state.badBlockRoot
      this.#transaction.run(this.#tree.insertBlocks(root, 0) + 1, false, () => {
        this.#allocator.takeBad(block)
        const after = this.#tree.insert(root, 0, block, 0, 0, 0)
        if (after !== root) this.#state.badBlockRoot = after
      })
    } catch (error) {
      this.#allocator.bad.delete(block)
      throw error
    }
  }
}
