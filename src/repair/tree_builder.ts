/**
 * Trees put together from their records, from the leaves up, with full nodes: into the blocks that
 * the tree had before, and into new ones when those are not enough.
 */
import { TREE_LEVELS_MAX } from '../base/limits.js'
import {
  NODE_MAGIC,
  NODE_RECORDS,
  sealedBytes,
  TreeNode,
  type RecordKind,
} from '../media/tree_node.js'
import type { Draft } from './draft.js'
import { Use, type Space } from './space.js'
import { compareKeys, type Trees } from './trees.js'

const at = TreeNode.word
const WORDS = 4

/** Records of four words each, in any order until they are sorted. */
export class Records {
  words = new Uint32Array(64)
  length = 0

  push(w0: number, w1: number, w2: number, w3: number): void {
    const w = this.length * WORDS
    if (w === this.words.length) {
      const wider = new Uint32Array(w * 2)
      wider.set(this.words)
      this.words = wider
    }
    this.words[w] = w0
    this.words[w + 1] = w1
    this.words[w + 2] = w2
    this.words[w + 3] = w3
    this.length++
  }

  clear(): void {
    this.length = 0
  }

  /** A copy that holds no more than it must. */
  copy(): Records {
    const other = new Records()
    other.words = this.words.slice(0, Math.max(WORDS, this.length * WORDS))
    other.length = this.length
    return other
  }

  at(i: number): Uint32Array {
    return this.words.subarray(i * WORDS, i * WORDS + WORDS)
  }

  /** Sorts by the first `keyWords` words. */
  sort(keyWords: number): void {
    const { words, length } = this
    const order = Uint32Array.from({ length }, (_, i) => i)
    let sorted = true
    for (let i = 1; i < length && sorted; i++) {
      sorted = compareKeys(this.at(i - 1), this.at(i), keyWords) <= 0
    }
    if (sorted) return
    order.sort((a, b) => {
      for (let k = 0; k < keyWords; k++) {
        const difference = words[a * WORDS + k]! - words[b * WORDS + k]!
        if (difference !== 0) return difference
      }
      return a - b
    })
    const other = new Uint32Array(Math.max(WORDS, length * WORDS))
    order.forEach((from, i) => other.set(this.at(from), i * WORDS))
    this.words = other
  }

  /** Whether two records next to each other are equal in what `key` makes of them. */
  hasEqual(key: (record: Uint32Array) => number): boolean {
    for (let i = 1; i < this.length; i++) if (key(this.at(i - 1)) === key(this.at(i))) return true
    return false
  }

  /** Keeps one of records, sorted, whose first `keyWords` words are equal. */
  unique(keyWords: number): void {
    let before: Uint32Array | null = null
    this.remove((record) => {
      const same = before !== null && compareKeys(before, record, keyWords) === 0
      before = record.slice()
      return same
    })
  }

  /** Removes the records for which `drop` is true. */
  remove(drop: (record: Uint32Array) => boolean): number {
    let kept = 0
    for (let i = 0; i < this.length; i++) {
      if (drop(this.at(i))) continue
      if (kept !== i) this.words.copyWithin(kept * WORDS, i * WORDS, (i + 1) * WORDS)
      kept++
    }
    const removed = this.length - kept
    this.length = kept
    return removed
  }
}

/** Nodes of a tree of `records` records, all levels. */
export function nodesOf(records: number): number {
  let nodes = 0
  for (let n = records; n > 0;) {
    n = Math.ceil(n / NODE_RECORDS)
    nodes += n
    if (n === 1) break
  }
  return nodes
}

export class TreeBuilder {
  readonly #draft: Draft
  readonly #space: Space
  readonly #trees: Trees

  constructor(draft: Draft, space: Space, trees: Trees) {
    this.#draft = draft
    this.#space = space
    this.#trees = trees
  }

  /**
   * Puts the records (sorted) in the place of a tree, whose blocks are used again or freed. Returns
   * its root, or -1, and nothing is changed, when there is no room for it. To be called when all
   * that is there has been claimed.
   */
  replace(tree: number, records: Records): number {
    const old = this.#trees.nodes(tree)
    if (nodesOf(records.length) > this.#space.free + old.length) return -1
    for (const block of old) {
      this.#space.release(block)
      this.#draft.discard(block)
    }
    old.reverse()
    const kind = this.#trees.kind[tree]!
    return this.#build(kind, this.#trees.owner.data[tree]!, tree, records, old)
  }

  #build(kind: RecordKind, owner: number, tree: number, records: Records, old: number[]): number {
    if (records.length === 0) return 0
    let above = records
    for (let level = 0; level < TREE_LEVELS_MAX; level++) {
      const nodes = new Records()
      for (let i = 0; i < above.length; i += NODE_RECORDS) {
        const block = this.#block(tree, old)
        const count = Math.min(NODE_RECORDS, above.length - i)
        this.#write(block, kind, owner, level, above, i, count)
        const [w0, w1, w2] = above.at(i)
        nodes.push(w0!, w1!, w2!, block)
      }
      if (nodes.length === 1) return nodes.at(0)[3]!
      above = nodes
    }
    throw new Error('invariant broken: a tree has no more levels than its records need')
  }

  #block(tree: number, old: number[]): number {
    for (let block = old.pop(); block !== undefined; block = old.pop()) {
      if (!this.#space.isFree(block)) continue
      this.#space.claim(block, Use.node, tree)
      return block
    }
    const block = this.#space.take(Use.node, tree)
    if (block === 0) throw new Error('invariant broken: there was room for all nodes of the tree')
    return block
  }

  #write(
    block: number,
    kind: RecordKind,
    owner: number,
    level: number,
    records: Records,
    from: number,
    count: number,
  ): void {
    const page = this.#draft.fresh(block)
    page.u32[at.magic] = NODE_MAGIC
    page.u32[at.block] = block
    page.u32[at.kind] = kind.id
    page.u32[at.owner] = owner
    page.u32[at.level] = level
    page.u32[at.count] = count
    for (let i = 0; i < count; i++) page.u8[TreeNode.at.order + i] = i
    page.u32.set(records.words.subarray(from * WORDS, (from + count) * WORDS), at.records)
    page.seal(TreeNode, 0, sealedBytes(count))
  }
}
