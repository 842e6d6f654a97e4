/**
 * Moves a block of metadata elsewhere, and who leads to it with it.
 *
 * A block says itself what it is and whose: every structure begins with a magic, its own block and
 * an owner. From there the one who leads to it is found by the ways that every operation goes: the
 * tree down from its root, the inode map, the record of a name.
 *
 * Invariants:
 * - one block, or one chain of value blocks, is one transaction: who leads there leads to the old
 *   place or to the new one, and both are whole;
 * - nothing is moved before all who lead there are found, and what they lead to is verified: what
 *   nobody leads to is EUCLEAN, and stays;
 * - of a slab every slot keeps its number, so that records change in the slab's block alone.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, NAME_BYTES_MAX } from '../base/limits.js'
import { Inode } from '../media/inode.js'
import { SLAB_MAGIC, SlabHeader, SlabKind } from '../media/slab.js'
import { NODE_MAGIC, RecordKinds, TreeNode, type RecordKind } from '../media/tree_node.js'
import { VALUE_MAGIC, ValueBlock } from '../media/value.js'
import type { Core } from './core.js'
import type { NamePart } from './names.js'
import { Tree } from './tree.js'

const at = Inode.word
const HEADER_BYTES = 64

/** What a move takes, and the transaction that does it. */
interface Plan {
  /** Blocks that it allocates, and gives back. */
  readonly blocks: number
  readonly move: () => void
}

/** Where the root of a tree stands. */
interface Root {
  readonly block: number
  readonly set: (block: number) => void
}

export class MetadataMover {
  readonly #core: Core
  readonly #header = new Uint32Array(HEADER_BYTES / 4)
  readonly #bytes = new Uint8Array(this.#header.buffer)

  constructor(core: Core) {
    this.#core = core
  }

  /**
   * Moves all metadata out of blocks [from, to), where no file has any and nothing is handed out.
   * What stays in use is bad. Yields the blocks moved in each step.
   */
  *evacuate(from: number, to: number): Generator<number, void> {
    const { allocator, pages, transaction } = this.#core
    // What is at home of a block in use is of the structure that it is, from now on.
    transaction.checkpoint()
    for (let block = from; ; block++) {
      block = allocator.firstInUse(block, to)
      if (block === to) return
      pages.tick()
      const plan = this.#plan(block)
      if (plan === null) continue
      transaction.run(plan.blocks, false, plan.move)
      yield plan.blocks
    }
  }

  /** How a block is moved; null: it is bad, and nobody's. */
  #plan(block: number): Plan | null {
    const bad = this.#core.allocator.bad.has(block)
    let plan: Plan | null = null
    try {
      plan = this.#planOf(block)
    } catch (error) {
      // A bad block that is nobody's may have anything in it.
      if (!bad || !(error instanceof HoldfastError) || error.code !== 'EUCLEAN') throw error
    }
    if (plan === null && !bad) {
      throw new HoldfastError(
        'EUCLEAN',
        `block ${block} is in use, and nothing leads to it; run holdfast fsck`,
      )
    }
    return plan
  }

  #planOf(block: number): Plan | null {
    const header = this.#header
    this.#readHeader(block)
    if (header[TreeNode.word.magic] === NODE_MAGIC) {
      const kind = Object.values(RecordKinds).find(({ id }) => id === header[TreeNode.word.kind])
      return kind === undefined ? null : this.#node(block, kind, header[TreeNode.word.owner]!)
    }
    if (header[SlabHeader.word.magic] === SLAB_MAGIC) {
      const isNames = header[SlabHeader.word.kind] === SlabKind.names
      return isNames ? this.#nameSlab(block) : this.#inodeSlab(block)
    }
    if (header[ValueBlock.word.magic] !== VALUE_MAGIC) return null
    return this.#value(block, header[ValueBlock.word.owner]!)
  }

  #readHeader(block: number): void {
    this.#core.region.read(block * BLOCK_BYTES, this.#bytes, 0, HEADER_BYTES)
    try {
      this.#core.checkRegion()
    } catch (cause) {
      const why = 'cannot be read, and whether anything leads to it is not known'
      throw new HoldfastError('EIO', `block ${block} ${why}`, { cause })
    }
  }

  // ---- nodes of trees --------------------------------------------------------------------------

  #node(block: number, kind: RecordKind, owner: number): Plan | null {
    const { pages, allocator } = this.#core
    const root = owner === 0 ? this.#rootInState(kind) : this.#rootInInode(kind, owner)
    const tree = new Tree(pages, allocator, kind)
    if (root === null || !tree.findNode(root.block, owner, block)) return null
    const move = () => {
      const to = tree.moveNode(root.block)
      if (to !== root.block) root.set(to)
    }
    return { blocks: 1, move }
  }

  #rootInState(kind: RecordKind): Root | null {
    const { state } = this.#core
    switch (kind) {
      case RecordKinds.reverseMap:
        return { block: state.reverseMapRoot, set: (to) => (state.reverseMapRoot = to) }
      case RecordKinds.orphans:
        return { block: state.orphanRoot, set: (to) => (state.orphanRoot = to) }
      case RecordKinds.badBlocks:
        return { block: state.badBlockRoot, set: (to) => (state.badBlockRoot = to) }
      case RecordKinds.shares:
        return { block: state.shareRoot, set: (to) => (state.shareRoot = to) }
      default:
        return null
    }
  }

  #rootInInode(kind: RecordKind, owner: number): Root | null {
    const { inodes, pages } = this.#core
    const w = inodes.find(owner)
    if (w < 0) return null
    const isRoot =
      (kind === RecordKinds.extents && inodes.isFile(w)) ||
      (kind === RecordKinds.directory && inodes.isDirectory(w))
    if (!isRoot && kind !== RecordKinds.xattrs) return null
    const word = isRoot ? at.root : at.xattrRoot
    const set = (to: number) => {
      pages.u32[w + word] = to
      inodes.touch(w, word * 4, 4)
    }
    return { block: pages.u32[w + word]!, set }
  }

  // ---- slabs -----------------------------------------------------------------------------------

  #inodeSlab(block: number): Plan | null {
    const { inodes } = this.#core
    return inodes.hasSlab(block) ? { blocks: 1, move: () => inodes.moveSlab(block) } : null
  }

  /**
   * All its names at once: 63 at most, a record of two lines each, beside the slab itself. So a
   * transaction has room for them, and no slab is ever half moved.
   */
  #nameSlab(block: number): Plan | null {
    const { names, pages } = this.#core
    const parts = names.inSlab(block)
    for (const { slot, owner } of parts) {
      // The ways to all of them may have more pages than the cache.
      pages.tick()
      if (this.#leadTo(block, slot, owner) < 0) return null
    }
    return parts.length === 0 ? null : { blocks: 1, move: () => this.#moveNames(block, parts) }
  }

  #moveNames(block: number, parts: readonly NamePart[]): void {
    const { names, pages } = this.#core
    const to = names.copySlab(block)
    for (const { slot, owner } of parts) {
      pages.tick() // what the transaction has changed stays in the cache
      const word = this.#leadTo(block, slot, owner)
      pages.u32[word] = to
      pages.touchWords(word, 1)
    }
    names.dropSlab(block)
  }

  /** The word of a record that says where a name, or a value in a slab, is; -1: none does. */
  #leadTo(block: number, slot: number, owner: number): number {
    const { inodes, names, directories, xattrs } = this.#core
    const w = inodes.find(owner)
    if (w < 0) return -1
    const name = names.read(block, slot)
    if (name.length <= NAME_BYTES_MAX) {
      const entry = inodes.isDirectory(w) ? directories.leadTo(w, name, block, slot) : -1
      if (entry >= 0) return entry
      const attribute = xattrs.leadTo(w, name, block, slot)
      if (attribute >= 0) return attribute
    }
    return xattrs.leadToValue(w, block, slot)
  }

  // ---- value blocks ----------------------------------------------------------------------------

  /** A long text is written anew, all of it: its parts are sealed, and lead to each other. */
  #value(block: number, owner: number): Plan | null {
    const { inodes, symlinks, xattrs } = this.#core
    const link = inodes.find(owner)
    if (link < 0) return null
    if (inodes.isSymlink(link)) {
      const chain = symlinks.chain(link)
      if (chain.includes(block)) {
        return { blocks: chain.length, move: () => symlinks.moveChain(link) }
      }
    }
    const name = xattrs.nameOfChain(owner, block)
    if (name === null) return null
    const w = inodes.get(owner)
    const move = () => xattrs.moveChain(w, name)
    return { blocks: xattrs.chain(w, name).length, move }
  }
}
