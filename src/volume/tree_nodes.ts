/**
 * The nodes of a tree, one at a time: made, freed, a record put in or taken out (media/tree_node.ts
 * has the picture). Whoever changes a node here marks the lines that changed.
 */
import {
  NODE_MAGIC,
  RECORD_BYTES,
  sealedBytes,
  TreeNode,
  type RecordKind,
} from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import { PageKind, type Pages } from './pages.js'

const at = TreeNode.word
const ORDER = TreeNode.at.order
const RECORDS = TreeNode.at.records

export class TreeNodes {
  readonly #pages: Pages
  readonly #allocator: Allocator
  readonly #kind: RecordKind

  constructor(pages: Pages, allocator: Allocator, kind: RecordKind) {
    this.#pages = pages
    this.#allocator = allocator
    this.#kind = kind
  }

  count(base: number): number {
    return this.#pages.u32[(base >>> 2) + at.count]!
  }

  /** Word index of the i-th smallest record. */
  recordAt(base: number, i: number): number {
    return (base + RECORDS + this.#pages.u8[base + ORDER + i]! * RECORD_BYTES) >>> 2
  }

  create(owner: number, level: number): number {
    const block = this.#allocator.allocateOne()
    const base = this.#pages.fresh(block, PageKind.node)
    const w = base >>> 2
    const u32 = this.#pages.u32
    u32[w + at.magic] = NODE_MAGIC
    u32[w + at.block] = block
    u32[w + at.kind] = this.#kind.id
    u32[w + at.owner] = owner
    u32[w + at.level] = level
    return base
  }

  free(base: number): void {
    const block = this.#pages.u32[(base >>> 2) + at.block]!
    this.#allocator.release(block, 1, true)
    this.#pages.drop(block)
  }

  /** A node with the same content, in another block: that block. */
  copy(base: number): number {
    const block = this.#allocator.allocateOne()
    const to = this.#pages.fresh(block, PageKind.node)
    const bytes = sealedBytes(this.count(base))
    this.#pages.u8.copyWithin(to, base, base + bytes)
    this.#pages.u32[(to >>> 2) + at.block] = block
    this.#pages.touch(to, 0, bytes)
    return block
  }

  /** Puts a record at position `index` of the order, in the first slot not in use. */
  put(base: number, index: number, w0: number, w1: number, w2: number, w3: number): void {
    const { u8, u32 } = this.#pages
    const count = this.count(base)
    const order = base + ORDER
    u8.copyWithin(order + index + 1, order + index, order + count)
    u8[order + index] = count
    const slot = RECORDS + count * RECORD_BYTES
    const record = (base + slot) >>> 2
    u32[record] = w0
    u32[record + 1] = w1
    u32[record + 2] = w2
    u32[record + 3] = w3
    u32[(base >>> 2) + at.count] = count + 1
    this.#pages.touch(base, 0, 64)
    this.#pages.touch(base, ORDER + index, count + 1 - index)
    this.#pages.touch(base, slot, RECORD_BYTES)
  }

  /** Takes the record at position `index` away; the last slot moves into its place. */
  take(base: number, index: number): void {
    const { u8, u32 } = this.#pages
    const count = this.count(base)
    const order = base + ORDER
    const slot = u8[order + index]!
    u8.copyWithin(order + index, order + index + 1, order + count)
    u8[order + count - 1] = 0
    const last = count - 1
    if (slot !== last) {
      let i = 0
      while (u8[order + i] !== last) i++
      u8[order + i] = slot
      const to = RECORDS + slot * RECORD_BYTES
      const from = RECORDS + last * RECORD_BYTES
      u32.copyWithin((base + to) >>> 2, (base + from) >>> 2, (base + from + RECORD_BYTES) >>> 2)
      this.#pages.touch(base, to, RECORD_BYTES)
      this.#pages.touch(base, ORDER + i, 1)
    }
    u32[(base >>> 2) + at.count] = last
    this.#pages.touch(base, 0, 64)
    this.#pages.touch(base, ORDER + index, count - index)
  }

  /** Appends the records [from, to) in order of another node, as the largest of this one. */
  appendFrom(base: number, source: number, from: number, to: number): void {
    const u32 = this.#pages.u32
    for (let i = from; i < to; i++) {
      const record = this.recordAt(source, i)
      this.put(
        base,
        this.count(base),
        u32[record]!,
        u32[record + 1]!,
        u32[record + 2]!,
        u32[record + 3]!,
      )
    }
  }
}
