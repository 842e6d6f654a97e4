/**
 * An ordered set of records of four words: extents, directories, the reverse map and the orphans
 * are each a set of this kind, by the same code.
 *
 * The first `keyWords` words of a record are its key; keys are unique. A tree is named by its root
 * block (0: empty) and its owner (an inode, or 0), which the caller keeps: what changes a tree
 * returns its root. Every node is checked when it is loaded (media/tree_node.ts), and on the way
 * down that its kind, owner and level are the ones expected, so that a damaged image cannot lead in
 * a circle.
 *
 * After `find`, `seek` and `next` the record is at `record` (a word index into `pages.u32`), until
 * the tree changes or the pages tick.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { TREE_LEVELS_MAX } from '../base/limits.js'
import {
  invalidTreeNode,
  NODE_RECORDS,
  RECORD_BYTES,
  TreeNode,
  type RecordKind,
} from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import { PageKind, type Pages } from './pages.js'
import { TreeNodes } from './tree_nodes.js'

const at = TreeNode.word
const ORDER = TreeNode.at.order
const RECORDS = TreeNode.at.records
/** A node with fewer records than this looks for a sibling to merge with. */
const MERGE_BELOW = NODE_RECORDS >>> 2
/** What two merged nodes may hold together, so that the next insertion does not split again. */
const MERGED_MAX = (NODE_RECORDS * 3) >>> 2

export class Tree {
  /** Word index of the record found. */
  record = 0

  readonly #pages: Pages
  readonly #nodes: TreeNodes
  readonly #kind: RecordKind
  readonly #keyWords: number
  #pathOwner = 0
  /**
   * The way from the root (index 0) to the leaf: byte offsets in the arena, positions in the order.
   */
  readonly #pathBase = new Int32Array(TREE_LEVELS_MAX)
  readonly #pathIndex = new Int32Array(TREE_LEVELS_MAX)
  #depth = 0
  /** The path is where the last descent left it: in the leaf where that key belongs. */
  #landed = false

  constructor(pages: Pages, allocator: Allocator, kind: RecordKind) {
    this.#pages = pages
    this.#nodes = new TreeNodes(pages, allocator, kind)
    this.#kind = kind
    this.#keyWords = kind.keyWords
  }

  /** Whether the path is still where the last `seek` came down: where its key belongs. */
  get landed(): boolean {
    return this.#landed
  }

  /** Word `i` of the record found. */
  word(i: number): number {
    return this.#pages.u32[this.record + i]!
  }

  /** Looks for the record with exactly this key. */
  find(root: number, owner: number, k0: number, k1 = 0, k2 = 0): boolean {
    if (!this.seek(root, owner, k0, k1, k2)) return false
    return this.#compare(this.record, k0, k1, k2) === 0
  }

  /** Goes to the first record with a key not less; false when there is none. */
  seek(root: number, owner: number, k0: number, k1 = 0, k2 = 0): boolean {
    this.#depth = 0
    this.#landed = false
    if (root === 0) return false
    this.#descend(root, owner, k0, k1, k2)
    const leaf = this.#depth - 1
    if (this.#pathIndex[leaf]! < this.#nodes.count(this.#pathBase[leaf]!)) {
      this.record = this.#nodes.recordAt(this.#pathBase[leaf]!, this.#pathIndex[leaf]!)
      return true
    }
    return this.next()
  }

  /** Goes to the last record with a key not greater; false when there is none. */
  seekBefore(root: number, owner: number, k0: number, k1 = 0, k2 = 0): boolean {
    this.#depth = 0
    if (root === 0) return false
    this.#descend(root, owner, k0, k1, k2)
    const leaf = this.#depth - 1
    const base = this.#pathBase[leaf]!
    const index = this.#pathIndex[leaf]!
    if (index < this.#nodes.count(base)) {
      const record = this.#nodes.recordAt(base, index)
      if (this.#compare(record, k0, k1, k2) === 0) {
        this.record = record
        return true
      }
    }
    if (index === 0) return this.#previousLeaf()
    this.#pathIndex[leaf] = index - 1
    this.record = this.#nodes.recordAt(base, index - 1)
    return true
  }

  /** Goes to the record after; false at the end. */
  next(): boolean {
    this.#landed = false
    for (let level = this.#depth - 1; level >= 0; level--) {
      const base = this.#pathBase[level]!
      const index = this.#pathIndex[level]! + 1
      if (index >= this.#nodes.count(base)) continue
      this.#pathIndex[level] = index
      this.#firstBelow(level, false)
      return true
    }
    return false
  }

  /** Goes to the record before; false at the beginning. */
  previous(): boolean {
    this.#landed = false
    const leaf = this.#depth - 1
    if (this.#pathIndex[leaf] === 0) return this.#previousLeaf()
    this.#pathIndex[leaf]!--
    this.record = this.#nodes.recordAt(this.#pathBase[leaf]!, this.#pathIndex[leaf]!)
    return true
  }

  #previousLeaf(): boolean {
    for (let level = this.#depth - 2; level >= 0; level--) {
      const index = this.#pathIndex[level]! - 1
      if (index < 0) continue
      this.#pathIndex[level] = index
      this.#firstBelow(level, true)
      return true
    }
    return false
  }

  /** From the position at `level` down to the first (or last) record below it. */
  #firstBelow(level: number, last: boolean): void {
    this.#landed = false
    for (let i = level; i < this.#depth - 1; i++) {
      const base = this.#pathBase[i]!
      const child = this.#child(base, this.#pathIndex[i]!)
      this.#pathBase[i + 1] = child
      this.#pathIndex[i + 1] = last ? this.#nodes.count(child) - 1 : 0
    }
    const leaf = this.#depth - 1
    this.record = this.#nodes.recordAt(this.#pathBase[leaf]!, this.#pathIndex[leaf]!)
  }

  /** Blocks that an insertion may allocate at most: a split a level, and a new root. */
  insertBlocks(root: number, owner: number): number {
    if (root === 0) return 1
    return this.#pages.u32[(this.#node(root, owner, -1) >>> 2) + at.level]! + 2
  }

  /** Leaves that the tree has at most. */
  leavesAtMost(root: number, owner: number): number {
    if (root === 0) return 0
    const base = this.#node(root, owner, -1)
    const level = this.#pages.u32[(base >>> 2) + at.level]!
    return level === 0 ? 1 : this.#nodes.count(base) * NODE_RECORDS ** (level - 1)
  }

  /** Adds a record; its key is not in the set yet. Returns the root. */
  insert(root: number, owner: number, w0: number, w1: number, w2: number, w3: number): number {
    if (root === 0) {
      const base = this.#nodes.create(owner, 0)
      this.#nodes.put(base, 0, w0, w1, w2, w3)
      return this.#pages.u32[(base >>> 2) + at.block]!
    }
    this.#descend(root, owner, w0, w1, w2)
    return this.#insertAtPath(root, owner, w0, w1, w2, w3)
  }

  /**
   * As `insert`, straight after a `seek` that found nothing between its key and this one, and
   * nothing changed since: the way down is known then.
   */
  insertHere(root: number, owner: number, w0: number, w1: number, w2: number, w3: number): number {
    if (!this.#landed || root === 0) return this.insert(root, owner, w0, w1, w2, w3)
    return this.#insertAtPath(root, owner, w0, w1, w2, w3)
  }

  #insertAtPath(
    root: number,
    owner: number,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
  ): number {
    this.#landed = false
    let level = this.#depth - 1
    let base = this.#pathBase[level]!
    let index = this.#pathIndex[level]!
    if (index < this.#nodes.count(base)) {
      const there = this.#compare(this.#nodes.recordAt(base, index), w0, w1, w2) === 0
      assert(!there, 'keys of a set are unique')
    }
    // A full node splits; the separator of its new right half goes one level up.
    for (;;) {
      if (this.#nodes.count(base) < NODE_RECORDS) {
        this.#nodes.put(base, index, w0, w1, w2, w3)
        return root
      }
      const right = this.#split(base, owner, index === this.#nodes.count(base))
      const leftCount = this.#nodes.count(base)
      if (index > leftCount || (index === leftCount && this.#nodes.count(right) === 0)) {
        this.#nodes.put(right, index - leftCount, w0, w1, w2, w3)
      } else {
        this.#nodes.put(base, index, w0, w1, w2, w3)
      }
      const first = this.#nodes.recordAt(right, 0)
      const u32 = this.#pages.u32
      w0 = u32[first]!
      w1 = u32[first + 1]!
      w2 = u32[first + 2]!
      w3 = u32[(right >>> 2) + at.block]!
      if (level === 0) return this.#newRoot(root, owner, base, w0, w1, w2, w3)
      level--
      base = this.#pathBase[level]!
      index = this.#pathIndex[level]! + 1
    }
  }

  /** Removes the record with this key, which is in the set. Returns the root, 0 when empty. */
  remove(root: number, owner: number, k0: number, k1 = 0, k2 = 0): number {
    const found = this.find(root, owner, k0, k1, k2)
    if (!found) {
      throw new HoldfastError(
        'EUCLEAN',
        `record ${k0}/${k1}/${k2} is not in the ${this.#kind.words.join(', ')} tree at block ${root}`,
      )
    }
    return this.removeHere(root)
  }

  /** Removes the record found, nothing changed since. Returns the root, 0 when empty. */
  removeHere(root: number): number {
    this.#landed = false
    let level = this.#depth - 1
    for (;;) {
      const base = this.#pathBase[level]!
      this.#nodes.take(base, this.#pathIndex[level]!)
      const count = this.#nodes.count(base)
      if (level === 0) return this.#shrinkRoot(root, base, count)
      if (count === 0) this.#nodes.free(base)
      else if (count >= MERGE_BELOW || !this.#merge(level)) return root
      // Whoever went away (this node, or the right one of a merge) loses its record one level up.
      level--
    }
  }

  /** The record found is changed where it stands; its key keeps its order. */
  change(word: number, value: number): void {
    this.#pages.u32[this.record + word] = value
    this.#pages.touchWords(this.record + word, 1)
  }

  /**
   * Gives key word `word` of a record another value. Its place among the others stays what it was;
   * records that move the same way are to be moved from the end that they move to.
   */
  rekey(root: number, owner: number, key: readonly number[], word: number, value: number): void {
    if (!this.find(root, owner, key[0]!, key[1], key[2])) {
      this.remove(root, owner, key[0]!, key[1], key[2]) // throws, saying what is missing
    }
    this.#landed = false
    this.change(word, value)
    const leaf = this.#depth - 1
    if (this.#pathIndex[leaf]! > 0) return
    // The least record of its leaf: the bound above it must not be greater, nor be left behind.
    for (let level = leaf - 1; level >= 0; level--) {
      if (this.#pathIndex[level] === 0) continue
      const bound = this.#nodes.recordAt(this.#pathBase[level]!, this.#pathIndex[level]!)
      for (let i = 0; i < 3; i++) this.#pages.u32[bound + i] = this.word(i)
      this.#pages.touchWords(bound, 3)
      return
    }
  }

  /** Goes to the node in `block`; false when the tree does not lead to it. */
  findNode(root: number, owner: number, block: number): boolean {
    if (root === 0) return false
    const node = this.#node(block, owner, -1)
    // A leaf below it has keys that are exact; the first one of an inner node may be any.
    let base = node
    this.#pathOwner = owner
    while (this.#pages.u32[(base >>> 2) + at.level] !== 0) base = this.#child(base, 0)
    this.record = this.#nodes.recordAt(base, 0)
    this.#descend(root, owner, this.word(0), this.word(1), this.word(2))
    this.#landed = false
    while (this.#depth > 0 && this.#pathBase[this.#depth - 1] !== node) this.#depth--
    return this.#depth > 0
  }

  /** Gives the node found, nothing changed since, another block. Returns the root. */
  moveNode(root: number): number {
    const level = this.#depth - 1
    const base = this.#pathBase[level]!
    const to = this.#nodes.copy(base)
    this.#nodes.free(base)
    if (level === 0) return to
    this.record = this.#nodes.recordAt(this.#pathBase[level - 1]!, this.#pathIndex[level - 1]!)
    this.change(3, to)
    return root
  }

  // ---- nodes -----------------------------------------------------------------------------------

  #descend(root: number, owner: number, k0: number, k1: number, k2: number): void {
    let block = root
    let expected = -1
    let depth = 0
    this.#pathOwner = owner
    for (;;) {
      const base = this.#node(block, owner, expected)
      const level = this.#pages.u32[(base >>> 2) + at.level]!
      if (depth >= TREE_LEVELS_MAX)
        throw this.#corrupt(block, `more levels than ${TREE_LEVELS_MAX}`)
      let index = this.#lowerBound(base, k0, k1, k2)
      this.#pathBase[depth] = base
      if (level === 0) {
        this.#pathIndex[depth] = index
        this.#depth = depth + 1
        this.#landed = true
        return
      }
      // Inner: the last child whose least key is not greater.
      const exact =
        index < this.#nodes.count(base) &&
        this.#compare(this.#nodes.recordAt(base, index), k0, k1, k2) === 0
      if (!exact && index > 0) index--
      this.#pathIndex[depth] = index
      block = this.#pages.u32[this.#nodes.recordAt(base, index) + 3]!
      expected = level - 1
      depth++
    }
  }

  #child(base: number, index: number): number {
    const level = this.#pages.u32[(base >>> 2) + at.level]!
    const block = this.#pages.u32[this.#nodes.recordAt(base, index) + 3]!
    return this.#node(block, this.#pathOwner, level - 1)
  }

  /** Byte offset of a node; `level` -1: any. */
  #node(block: number, owner: number, level: number): number {
    const pages = this.#pages
    let base = pages.find(block, PageKind.node)
    if (base < 0) {
      base = pages.load(block)
      const why =
        base < 0
          ? 'is in use as something else'
          : invalidTreeNode(pages, base, block, this.#kind.id, owner)
      if (why !== null) {
        if (base >= 0) pages.drop(block)
        throw this.#corrupt(block, why)
      }
      pages.verified(base, PageKind.node)
    }
    const w = base >>> 2
    if (pages.u32[w + at.owner] !== owner || pages.u32[w + at.kind] !== this.#kind.id) {
      throw this.#corrupt(block, `node of another tree`)
    }
    if (level >= 0 && pages.u32[w + at.level] !== level) {
      throw this.#corrupt(block, `level ${pages.u32[w + at.level]!}, expected ${level}`)
    }
    return base
  }

  #corrupt(block: number, why: string): HoldfastError {
    return new HoldfastError('EUCLEAN', `tree node in block ${block}: ${why}; run holdfast fsck`)
  }

  #compare(record: number, k0: number, k1: number, k2: number): number {
    const u32 = this.#pages.u32
    const a = u32[record]!
    if (a !== k0) return a < k0 ? -1 : 1
    if (this.#keyWords === 1) return 0
    const b = u32[record + 1]!
    if (b !== k1) return b < k1 ? -1 : 1
    if (this.#keyWords === 2) return 0
    const c = u32[record + 2]!
    return c === k2 ? 0 : c < k2 ? -1 : 1
  }

  /** Position of the first record whose key is not less. */
  #lowerBound(base: number, k0: number, k1: number, k2: number): number {
    const u8 = this.#pages.u8
    const u32 = this.#pages.u32
    const order = base + ORDER
    const records = (base + RECORDS) >>> 2
    // The key of an inner node's first record may be greater than the next: it is no part of the
    // order.
    let low = u32[(base >>> 2) + at.level] === 0 ? 0 : 1
    let high = this.#nodes.count(base)
    while (low < high) {
      const middle = (low + high) >>> 1
      const record = records + u8[order + middle]! * (RECORD_BYTES / 4)
      const a = u32[record]!
      const less =
        a < k0 || (a === k0 && this.#keyWords > 1 && this.#compare(record, k0, k1, k2) < 0)
      if (less) low = middle + 1
      else high = middle
    }
    return low
  }

  /**
   * Moves the upper half to a new node, or nothing when the insertion is at the very end: records
   * that come in order then fill their nodes.
   */
  #split(base: number, owner: number, atEnd: boolean): number {
    const level = this.#pages.u32[(base >>> 2) + at.level]!
    const right = this.#nodes.create(owner, level)
    if (atEnd) return right
    const count = this.#nodes.count(base)
    const keep = count >>> 1
    this.#nodes.appendFrom(right, base, keep, count)
    for (let i = count - 1; i >= keep; i--) this.#nodes.take(base, i)
    return right
  }

  #newRoot(
    root: number,
    owner: number,
    base: number,
    w0: number,
    w1: number,
    w2: number,
    w3: number,
  ): number {
    const u32 = this.#pages.u32
    const above = this.#nodes.create(owner, u32[(base >>> 2) + at.level]! + 1)
    const first = this.#nodes.recordAt(base, 0)
    this.#nodes.put(above, 0, u32[first]!, u32[first + 1]!, u32[first + 2]!, root)
    this.#nodes.put(above, 1, w0, w1, w2, w3)
    return u32[(above >>> 2) + at.block]!
  }

  /** A root without records goes away; an inner one with a single child gives way to it. */
  #shrinkRoot(root: number, base: number, count: number): number {
    if (count === 0) {
      this.#nodes.free(base)
      return 0
    }
    if (count > 1 || this.#pages.u32[(base >>> 2) + at.level] === 0) return root
    const child = this.#pages.u32[this.#nodes.recordAt(base, 0) + 3]!
    this.#nodes.free(base)
    return child
  }

  /**
   * Merges the node at `level` of the path with a neighbour when both fit in one. The right one of
   * the two goes away, and the position one level up is set to its record.
   */
  #merge(level: number): boolean {
    const parent = this.#pathBase[level - 1]!
    const index = this.#pathIndex[level - 1]!
    const siblings = this.#nodes.count(parent)
    for (const other of [index + 1, index - 1]) {
      if (other < 0 || other >= siblings) continue
      const left = this.#child(parent, Math.min(index, other))
      const right = this.#child(parent, Math.max(index, other))
      if (this.#nodes.count(left) + this.#nodes.count(right) > MERGED_MAX) continue
      if (this.#pages.u32[(right >>> 2) + at.level] !== 0)
        this.#refreshFirst(parent, right, index, other)
      this.#nodes.appendFrom(left, right, 0, this.#nodes.count(right))
      this.#nodes.free(right)
      this.#pathIndex[level - 1] = Math.max(index, other)
      return true
    }
    return false
  }

  /**
   * The key of an inner node's first record is never looked at and may be greater than keys below
   * it. Before the record becomes one among others it gets the bound that the parent has for its
   * node.
   */
  #refreshFirst(parent: number, right: number, index: number, other: number): void {
    const u32 = this.#pages.u32
    const bound = this.#nodes.recordAt(parent, Math.max(index, other))
    const first = this.#nodes.recordAt(right, 0)
    u32[first] = u32[bound]!
    u32[first + 1] = u32[bound + 1]!
    u32[first + 2] = u32[bound + 2]!
  }
}
