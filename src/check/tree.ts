/**
 * The walk over a tree, any kind of tree.
 *
 * - Each node is claimed before it is read: none is read twice, in all walks of a check together.
 * - Each level has its own page of scratch; a child's level is one less than its parent's, so that
 *   the depth never passes TREE_LEVELS_MAX, whatever the nodes say.
 */
import { BLOCK_BYTES, TREE_LEVELS_MAX } from '../base/limits.js'
import { invalidTreeNode, TreeNode, type RecordKind } from '../media/tree_node.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Scratch, type Crc32cOf, type Medium } from './medium.js'
import { checkReserved } from './reserved.js'

const KEY_WORDS_MAX = 3
const RECORD_WORDS = 4
const WORDS_PER_BLOCK = BLOCK_BYTES / 4

/** Takes the record of four words at words[w], from the leaf in `block`. */
export type LeafVisitor = (words: Uint32Array, w: number, block: number) => void

export class TreeWalker {
  /** Nodes of all trees of this check. */
  nodes = 0
  /** Records of the tree walked last. */
  records = 0
  /**
   * Whether a part of the tree walked last could not be reached: its records are not all of them.
   */
  broken = false

  readonly #medium: Medium
  readonly #claims: Claims
  readonly #findings: Findings
  readonly #scratch: Scratch
  /** By depth: block of the node, the next record to follow, and the bounds of its keys. */
  readonly #block = new Uint32Array(TREE_LEVELS_MAX)
  readonly #next = new Uint32Array(TREE_LEVELS_MAX)
  readonly #least = new Uint32Array(TREE_LEVELS_MAX * KEY_WORDS_MAX)
  readonly #bound = new Uint32Array(TREE_LEVELS_MAX * KEY_WORDS_MAX)
  readonly #bounded = new Uint8Array(TREE_LEVELS_MAX)
  #keyWords = 1

  constructor(medium: Medium, claims: Claims, findings: Findings, crc32cOf: Crc32cOf) {
    this.#medium = medium
    this.#claims = claims
    this.#findings = findings
    this.#scratch = new Scratch(TREE_LEVELS_MAX * BLOCK_BYTES, crc32cOf)
  }

  reset(): void {
    this.nodes = 0
  }

  /** Visits the records of the tree in order; `root` 0 is a tree without any. */
  walk(root: number, kind: RecordKind, owner: number, visit: LeafVisitor): void {
    this.records = 0
    this.broken = false
    this.#keyWords = kind.keyWords
    this.#bounded[0] = 0
    this.#least.fill(0, 0, KEY_WORDS_MAX)
    if (root === 0 || !this.#enter(root, 0, -1, kind.id, owner)) return
    for (let depth = 0; depth >= 0;) {
      const w = depth * WORDS_PER_BLOCK
      const level = this.#scratch.u32[w + TreeNode.word.level]!
      if (level === 0) {
        this.#visitLeaf(depth, visit)
        depth--
        continue
      }
      if (this.#next[depth]! >= this.#scratch.u32[w + TreeNode.word.count]!) {
        depth--
        continue
      }
      const child = this.#descend(depth)
      if (this.#enter(child, depth + 1, level - 1, kind.id, owner)) depth++
    }
  }

  /** Word index of the i-th record of the node at `depth`, in the order of the keys. */
  #record(depth: number, i: number): number {
    const slot = this.#scratch.u8[depth * BLOCK_BYTES + TreeNode.at.order + i]!
    return depth * WORDS_PER_BLOCK + TreeNode.word.records + slot * RECORD_WORDS
  }

  #visitLeaf(depth: number, visit: LeafVisitor): void {
    const count = this.#scratch.u32[depth * WORDS_PER_BLOCK + TreeNode.word.count]!
    this.records += count
    for (let i = 0; i < count; i++) {
      visit(this.#scratch.u32, this.#record(depth, i), this.#block[depth]!)
    }
  }

  /**
   * Takes the next child of the node at `depth`: sets the bounds of its keys, returns its block.
   */
  #descend(depth: number): number {
    const words = this.#scratch.u32
    const i = this.#next[depth]!++
    const count = words[depth * WORDS_PER_BLOCK + TreeNode.word.count]!
    const w = this.#record(depth, i)
    const own = depth * KEY_WORDS_MAX
    const child = own + KEY_WORDS_MAX
    // The first separator is not looked at: what bounds the first child stands further up.
    const inherits = i === 0
    const after = i + 1 < count ? this.#record(depth, i + 1) : -1
    for (let k = 0; k < this.#keyWords; k++) {
      this.#least[child + k] = inherits ? this.#least[own + k]! : words[w + k]!
      this.#bound[child + k] = after < 0 ? this.#bound[own + k]! : words[after + k]!
    }
    this.#bounded[depth + 1] = after < 0 ? this.#bounded[depth]! : 1
    return words[w + 3]!
  }

  /** Claims, reads and checks a node; false when there is nothing to go on with. */
  #enter(block: number, depth: number, level: number, kind: number, owner: number): boolean {
    if (!this.#claims.inData(block, 1)) {
      const place = depth === 0 ? `root of the tree of inode ${owner}` : this.#place(depth - 1)
      const { dataStart, blockCount } = this.#claims
      const message = `leads to block ${block}, expected ${dataStart} to ${blockCount - 1}`
      this.#findings.add('tree-pointer-invalid', place, message)
      this.broken = true
      return false
    }
    if (!this.#claims.claim(block, 1, Claim.treeNode, owner, owner)) {
      this.broken = true
      return false
    }
    this.#block[depth] = block
    this.#next[depth] = 0
    const base = depth * BLOCK_BYTES
    this.#medium.read(block, 0, this.#scratch.u8, base, BLOCK_BYTES)
    const reason = invalidTreeNode(this.#scratch, base, block, kind, owner)
    if (reason !== null) {
      this.#findings.add('tree-node-damaged', this.#place(depth), reason)
      this.broken = true
      return false
    }
    this.nodes++
    checkReserved(this.#scratch, base, TreeNode, block, 0, this.#findings)
    const found = this.#scratch.u32[(base >>> 2) + TreeNode.word.level]!
    if (level >= 0 && found !== level) {
      this.#findings.add(
        'tree-level-wrong',
        this.#place(depth),
        `level ${found}, expected ${level}`,
      )
      this.broken = true
      return false
    }
    this.#checkKeys(depth, found)
    return true
  }

  #checkKeys(depth: number, level: number): void {
    const words = this.#scratch.u32
    const count = words[depth * WORDS_PER_BLOCK + TreeNode.word.count]!
    const own = depth * KEY_WORDS_MAX
    let before = -1
    for (let i = level === 0 ? 0 : 1; i < count; i++) {
      const w = this.#record(depth, i)
      if (before >= 0 && this.#compare(words, before, words, w) >= 0) {
        const message = `key ${this.#key(w)} after ${this.#key(before)}`
        this.#findings.add('tree-keys-unordered', this.#place(depth), message)
      }
      const low = this.#compare(words, w, this.#least, own) < 0
      const high = this.#bounded[depth] === 1 && this.#compare(words, w, this.#bound, own) >= 0
      if (low || high) {
        const message = `key ${this.#key(w)}, which is not below this node`
        this.#findings.add('tree-keys-outside', this.#place(depth), message)
      }
      before = w
    }
  }

  #compare(left: Uint32Array, l: number, right: Uint32Array, r: number): number {
    for (let k = 0; k < this.#keyWords; k++) {
      if (left[l + k] !== right[r + k]) return left[l + k]! < right[r + k]! ? -1 : 1
    }
    return 0
  }

  #key(w: number): string {
    return `(${this.#scratch.u32.subarray(w, w + this.#keyWords).join(', ')})`
  }

  #place(depth: number): string {
    return placeOf(TreeNode.name, this.#block[depth]!)
  }
}
