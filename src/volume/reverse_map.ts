/**
 * The reverse map: region block -> owner, for every run of data blocks. The allocator knows that a
 * block is in use; this knows whose it is. It says the same as all files' extents, run for run, and
 * fsck checks one against the other.
 */
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Pages } from './pages.js'
import type { VolumeState } from './state.js'
import { Tree } from './tree.js'

const COUNT_WORD = 3

export class ReverseMap {
  readonly #tree: Tree
  readonly #state: VolumeState

  constructor(pages: Pages, allocator: Allocator, state: VolumeState) {
    this.#tree = new Tree(pages, allocator, RecordKinds.reverseMap)
    this.#state = state
  }

  /** Blocks that a new record may allocate. */
  get insertBlocks(): number {
    return this.#tree.insertBlocks(this.#state.reverseMapRoot, 0)
  }

  /** Leaves that it has at most: so many may be full, and split, each at the first new record. */
  get leavesAtMost(): number {
    return this.#tree.leavesAtMost(this.#state.reverseMapRoot, 0)
  }

  add(regionBlock: number, inode: number, fileBlock: number, count: number): void {
    const root = this.#state.reverseMapRoot
    const after = this.#tree.insert(root, 0, regionBlock, inode, fileBlock, count)
    if (after !== root) this.#state.reverseMapRoot = after
  }

  remove(regionBlock: number, inode: number, fileBlock: number): void {
    const root = this.#state.reverseMapRoot
    const after = this.#tree.remove(root, 0, regionBlock, inode, fileBlock)
    if (after !== root) this.#state.reverseMapRoot = after
  }

  /** The run that begins there has `count` blocks now. */
  resize(regionBlock: number, inode: number, fileBlock: number, count: number): void {
    if (!this.#tree.find(this.#state.reverseMapRoot, 0, regionBlock, inode, fileBlock)) {
      this.remove(regionBlock, inode, fileBlock) // throws, saying what is missing
    }
    this.#tree.change(COUNT_WORD, count)
  }

  /** The run that begins there holds another part of its file now. */
  rekey(regionBlock: number, inode: number, fileBlock: number, to: number): void {
    this.#tree.rekey(this.#state.reverseMapRoot, 0, [regionBlock, inode, fileBlock], 2, to)
  }
}
