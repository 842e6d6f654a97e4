/**
 * Orphans: work that must still be done. A record (inode, kind) stands for an inode
 * - without a name, kept by open handles (or by a crash): `unlinked`;
 * - with blocks past its size, that a truncate or a large append has not finished with: `beyond`;
 * - with a range that is being punched, taken out or put in (`punch`, `collapse`, `insert`).
 * It is the intent of an operation that is larger than one transaction; after a crash the work is
 * taken up again, some of it at each step, so that mounting does not wait for it, and before the
 * inode is looked at or changed (Files.settle).
 */
import { OrphanKind, RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Pages } from './pages.js'
import type { VolumeState } from './state.js'
import { Tree } from './tree.js'

/**
 * Blocks that a new orphan may allocate: its tree has at most 5 levels (2^32 inodes), and grows by
 * one.
 */
export const ORPHAN_BLOCKS = 6

export class Orphans {
  /** Arguments of the record found by `find`. */
  first = 0
  second = 0

  readonly #tree: Tree
  readonly #state: VolumeState

  constructor(pages: Pages, allocator: Allocator, state: VolumeState) {
    this.#tree = new Tree(pages, allocator, RecordKinds.orphans)
    this.#state = state
  }

  /** Adds a record, or changes its arguments. */
  add(inode: number, kind: number, first = 0, second = 0): void {
    const root = this.#state.orphanRoot
    if (this.#tree.find(root, 0, inode, kind)) {
      this.#tree.change(2, first)
      this.#tree.change(3, second)
      return
    }
    const after = this.#tree.insert(root, 0, inode, kind, first, second)
    if (after !== root) this.#state.orphanRoot = after
  }

  /** Removes a record that is there. */
  remove(inode: number, kind: number): void {
    const root = this.#state.orphanRoot
    const after = this.#tree.remove(root, 0, inode, kind)
    if (after !== root) this.#state.orphanRoot = after
  }

  /** Finds a record: its arguments are in `first` and `second`. */
  find(inode: number, kind: number): boolean {
    if (!this.#tree.find(this.#state.orphanRoot, 0, inode, kind)) return false
    this.first = this.#tree.word(2)
    this.second = this.#tree.word(3)
    return true
  }

  /** The kind of unfinished work on the blocks of an inode, 0 when there is none. */
  work(inode: number): number {
    const found = this.#tree.seek(this.#state.orphanRoot, 0, inode, OrphanKind.unlinked + 1)
    return found && this.#tree.word(0) === inode ? this.#tree.word(1) : 0
  }

  /** Inside a transaction: removes every record of an inode. */
  clear(inode: number): void {
    while (this.#tree.seek(this.#state.orphanRoot, 0, inode, 0) && this.#tree.word(0) === inode) {
      this.remove(inode, this.#tree.word(1))
    }
  }

  /** The first inode with a record whose number is not less, or 0. */
  from(inode: number): number {
    return this.#tree.seek(this.#state.orphanRoot, 0, inode, 0) ? this.#tree.word(0) : 0
  }
}
