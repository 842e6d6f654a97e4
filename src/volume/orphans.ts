/**
 * Orphans: what must still be freed. A record stands for an inode
 * - without a name, kept by open handles (or by a crash): `unlinked`;
 * - with blocks past its size, that a truncate or a large append has not finished with: `beyond`.
 * It is the intent of an operation that is larger than one transaction; after a crash the work is
 * taken up again, some of it at each step, so that mounting does not wait for it.
 */
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Pages } from './pages.js'
import type { VolumeState } from './state.js'
import { Tree } from './tree.js'

export const OrphanKind = { unlinked: 1, beyond: 2 } as const

/**
 * Blocks that a new orphan may allocate: its tree has at most 5 levels (2^32 inodes), and grows by
 * one.
 */
export const ORPHAN_BLOCKS = 6

export class Orphans {
  readonly #tree: Tree
  readonly #state: VolumeState

  constructor(pages: Pages, allocator: Allocator, state: VolumeState) {
    this.#tree = new Tree(pages, allocator, RecordKinds.orphans)
    this.#state = state
  }

  /** Adds an inode, or changes why it is there. */
  add(inode: number, kind: number): void {
    const root = this.#state.orphanRoot
    if (this.#tree.find(root, 0, inode)) {
      this.#tree.change(1, kind)
      return
    }
    const after = this.#tree.insert(root, 0, inode, kind, 0, 0)
    if (after !== root) this.#state.orphanRoot = after
  }

  remove(inode: number): void {
    const root = this.#state.orphanRoot
    const after = this.#tree.remove(root, 0, inode)
    if (after !== root) this.#state.orphanRoot = after
  }

  has(inode: number): boolean {
    return this.#tree.find(this.#state.orphanRoot, 0, inode)
  }

  /** The first orphan with a number not less: its inode, or 0. */
  from(inode: number): number {
    return this.#tree.seek(this.#state.orphanRoot, 0, inode) ? this.#tree.word(0) : 0
  }
}
