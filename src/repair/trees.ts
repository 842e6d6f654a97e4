/**
 * Every tree of the volume, read for what can be believed of it: a node counts when its checksum,
 * its block, its kind and its owner fit, wherever it was found.
 *
 * - A node is claimed before it is read on: none is read twice, in all trees together.
 * - A tree is `sound` when all of it was read and its keys are as they must be; else it is rebuilt
 *   from the records of its leaves, which `adopt` may have more of than the tree led to.
 */
import { TREE_LEVELS_MAX } from '../base/limits.js'
import { Column } from '../check/column.js'
import {
  invalidTreeNode,
  NODE_MAGIC,
  NODE_RECORDS,
  TreeNode,
  type RecordKind,
} from '../media/tree_node.js'
import type { Draft, Page } from './draft.js'
import { Use, type Space } from './space.js'

const at = TreeNode.word
const RECORD_WORDS = 4
/** Words before the records, and bytes of the header, that are reserved. */
const RESERVED = [TreeNode.at.reserved, TreeNode.at.order, TreeNode.at.orderReserved, 304] as const

export type RecordVisitor = (w0: number, w1: number, w2: number, w3: number) => void
type Key = readonly number[]

/** Word index of the i-th record, in order, of a node. */
function recordAt(page: Page, i: number): number {
  return at.records + page.u8[TreeNode.at.order + i]! * RECORD_WORDS
}

export class Trees {
  /** By tree. */
  readonly kind: RecordKind[] = []
  readonly owner = new Column()
  readonly root = new Column()
  /** 1: every node was read, and is as it must be. 0: to be rebuilt. */
  readonly sound = new Column()
  /** 1: a part could not be read. */
  readonly broken = new Column()
  /** Its nodes, in the order of the walk, are [first, end) of `node`; 1 in `leaf` for a leaf. */
  readonly #first = new Column()
  readonly #end = new Column()
  readonly #node = new Column()
  readonly #leaf = new Column()
  /** Leaves that belong to a tree and were found elsewhere. */
  readonly #adopted = new Map<number, number[]>()
  /** Leaves of a tree whose checksum is wrong. */
  readonly #doubtful = new Map<number, number[]>()
  readonly #draft: Draft
  readonly #space: Space
  #tree = 0
  #last: Key | null = null

  constructor(draft: Draft, space: Space) {
    this.#draft = draft
    this.#space = space
  }

  get length(): number {
    return this.owner.length
  }

  /** Reads the tree at `root`; returns what it is called here. `root` 0 is a tree of no records. */
  add(root: number, kind: RecordKind, owner: number): number {
    const tree = this.length
    this.kind.push(kind)
    this.owner.push(owner)
    this.root.push(root)
    this.sound.push(1)
    this.broken.push(0)
    this.#first.push(this.#node.length)
    this.#tree = tree
    this.#last = null
    if (root !== 0) this.#enter(root, -1, 0, null, null)
    this.#end.push(this.#node.length)
    return tree
  }

  /** Counts a leaf that was found outside of any tree to this one. */
  adopt(tree: number, block: number): void {
    this.#space.claim(block, Use.node, tree)
    const known = this.#adopted.get(tree)
    if (known === undefined) this.#adopted.set(tree, [block])
    else known.push(block)
    this.sound.data[tree] = 0
  }

  /** A leaf whose checksum is wrong and which says whose it is: its records may be right. */
  #doubt(block: number): void {
    if (!this.#space.isFree(block)) return
    const { u32 } = this.#draft.view(block)
    const tree = this.#tree
    const alike =
      u32[at.magic] === NODE_MAGIC &&
      u32[at.block] === block &&
      u32[at.kind] === this.kind[tree]!.id &&
      u32[at.owner] === this.owner.data[tree] &&
      u32[at.level] === 0 &&
      u32[at.count]! <= NODE_RECORDS
    if (!alike) return
    this.#space.claim(block, Use.node, tree)
    const known = this.#doubtful.get(tree)
    if (known === undefined) this.#doubtful.set(tree, [block])
    else known.push(block)
  }

  /** Visits the records of leaves that cannot be believed as they are, in no order. */
  forEachDoubtful(tree: number, visit: RecordVisitor): void {
    for (const block of this.#doubtful.get(tree) ?? []) {
      const count = this.#draft.view(block).u32[at.count]!
      for (let slot = 0; slot < count; slot++) {
        const w = at.records + slot * RECORD_WORDS
        const { u32 } = this.#draft.view(block)
        visit(u32[w]!, u32[w + 1]!, u32[w + 2]!, u32[w + 3]!)
      }
    }
  }

  /** All blocks of a tree. */
  nodes(tree: number): number[] {
    const own = this.#node.data.subarray(this.#first.data[tree], this.#end.data[tree])
    return [...own, ...(this.#adopted.get(tree) ?? []), ...(this.#doubtful.get(tree) ?? [])]
  }

  /** Visits the records of all leaves, in the order of the keys when the tree is sound. */
  forEach(tree: number, visit: RecordVisitor): void {
    const end = this.#end.data[tree]!
    for (let i = this.#first.data[tree]!; i < end; i++) {
      if (this.#leaf.data[i] === 1) this.#visitLeaf(this.#node.data[i]!, visit)
    }
    for (const block of this.#adopted.get(tree) ?? []) this.#visitLeaf(block, visit)
  }

  #visitLeaf(block: number, visit: RecordVisitor): void {
    const count = this.#draft.view(block).u32[at.count]!
    for (let i = 0; i < count; i++) {
      const page = this.#draft.view(block)
      const w = recordAt(page, i)
      visit(page.u32[w]!, page.u32[w + 1]!, page.u32[w + 2]!, page.u32[w + 3]!)
    }
  }

  count(tree: number): number {
    let records = 0
    const end = this.#end.data[tree]!
    for (let i = this.#first.data[tree]!; i < end; i++) {
      if (this.#leaf.data[i] === 1) {
        records += this.#draft.view(this.#node.data[i]!).u32[at.count]!
      }
    }
    return records
  }

  /** Takes in a node and all below it. Keys lie in [least, bound); null has no end. */
  #enter(block: number, level: number, depth: number, least: Key | null, bound: Key | null): void {
    const tree = this.#tree
    const kind = this.kind[tree]!
    const lost =
      depth >= TREE_LEVELS_MAX ||
      !this.#space.isFree(block) ||
      invalidTreeNode(this.#draft.view(block), 0, block, kind.id, this.owner.data[tree]!) !== null
    if (lost) {
      this.#doubt(block)
      this.broken.data[tree] = 1
      this.sound.data[tree] = 0
      return
    }
    this.#space.claim(block, Use.node, tree)
    const page = this.#draft.view(block)
    const found = page.u32[at.level]!
    this.#node.push(block)
    this.#leaf.push(found === 0 ? 1 : 0)
    if ((level >= 0 && found !== level) || hasReserved(page)) this.sound.data[tree] = 0
    this.#checkKeys(page, found, least, bound)
    if (found === 0) return
    const count = page.u32[at.count]!
    for (let i = 0; i < count; i++) {
      const node = this.#draft.view(block)
      const from = i === 0 ? least : keyAt(node, i)
      const to = i + 1 < count ? keyAt(node, i + 1) : bound
      this.#enter(node.u32[recordAt(node, i) + 3]!, found - 1, depth + 1, from, to)
    }
  }

  #checkKeys(page: Page, level: number, least: Key | null, bound: Key | null): void {
    const words = this.kind[this.#tree]!.keyWords
    const count = page.u32[at.count]!
    let before: Key | null = level === 0 ? this.#last : null
    for (let i = level === 0 ? 0 : 1; i < count; i++) {
      const key = keyAt(page, i)
      const fits =
        (before === null || compareKeys(before, key, words) < 0) &&
        (least === null || compareKeys(least, key, words) <= 0) &&
        (bound === null || compareKeys(key, bound, words) < 0)
      if (!fits) this.sound.data[this.#tree] = 0
      before = key
    }
    if (level === 0) this.#last = before
  }
}

function keyAt(page: Page, i: number): Key {
  const w = recordAt(page, i)
  return [page.u32[w]!, page.u32[w + 1]!, page.u32[w + 2]!]
}

export function compareKeys(a: ArrayLike<number>, b: ArrayLike<number>, words: number): number {
  for (let k = 0; k < words; k++) if (a[k] !== b[k]) return a[k]! < b[k]! ? -1 : 1
  return 0
}

function hasReserved(page: Page): boolean {
  for (let i = 0; i < RESERVED.length; i += 2) {
    for (let byte = RESERVED[i]!; byte < RESERVED[i + 1]!; byte++) {
      if (page.u8[byte] !== 0) return true
    }
  }
  return false
}
