/**
 * The reverse map: region block -> owner, for every run of data blocks. The allocator knows that a
 * block is in use; this knows whose it is. It says the same as all files' extents, run for run, and
 * fsck checks one against the other. Runs of blocks with several owners overlap.
 */
import { HoldfastError } from '../base/errors.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Pages } from './pages.js'
import type { VolumeState } from './state.js'
import { Tree } from './tree.js'

const COUNT_WORD = 3
const MAX = 0xffff_ffff
/** Records passed before the pages of the tree may go. */
const WALK_RECORDS = 1024

/** A run of blocks and the file that it belongs to. */
export interface Owner {
  /** First region block. */
  readonly start: number
  readonly inode: number
  /** File block of `start`. */
  readonly fileBlock: number
  readonly count: number
}

export class ReverseMap {
  readonly #tree: Tree
  readonly #pages: Pages
  readonly #state: VolumeState

  constructor(pages: Pages, allocator: Allocator, state: VolumeState) {
    this.#tree = new Tree(pages, allocator, RecordKinds.reverseMap)
    this.#pages = pages
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

  /**
   * A run that holds block `from`, or else the first that begins in (from, to); null when there is
   * none. `isShared` tells of a block whether it has several owners.
   */
  first(from: number, to: number, isShared: (block: number) => boolean): Owner | null {
    const root = this.#state.reverseMapRoot
    let on = root !== 0 && this.#tree.seekBefore(root, 0, from, MAX, MAX)
    for (; on; on = this.#tree.previous()) {
      const owner = this.#owner()
      const end = owner.start + owner.count
      if (end > from) return owner
      // A longer run from further back that reaches `from` would own the end of this one, too.
      if (!isShared(end - 1)) break
    }
    if (!this.#tree.seek(root, 0, from + 1)) return null
    const owner = this.#owner()
    return owner.start < to ? owner : null
  }

  /**
   * The runs that hold a block, of which there are `owners`: found by going back from it until all
   * are there. What it costs depends on the runs between the block and the beginning of the
   * longest.
   */
  ownersOf(block: number, owners: number): Owner[] {
    const found: Owner[] = []
    const root = this.#state.reverseMapRoot
    let on = root !== 0 && this.#tree.seekBefore(root, 0, block, MAX, MAX)
    for (let steps = 1; on && found.length < owners; steps++) {
      const owner = this.#owner()
      if (owner.start + owner.count > block) found.push(owner)
      if (steps % WALK_RECORDS === 0) {
        this.#pages.tick()
        this.#tree.find(root, 0, owner.start, owner.inode, owner.fileBlock)
      }
      on = this.#tree.previous()
    }
    if (found.length === owners) return found
    throw new HoldfastError(
      'EUCLEAN',
      `block ${block} has ${found.length} owners in the reverse map, ${owners} by the shares; ` +
        'run holdfast fsck',
    )
  }

  #owner(): Owner {
    const tree = this.#tree
    const [start, inode, fileBlock] = [tree.word(0), tree.word(1), tree.word(2)]
    return { start, inode, fileBlock, count: tree.word(COUNT_WORD) }
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
