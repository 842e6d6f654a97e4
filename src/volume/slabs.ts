/**
 * Slabs: blocks of equal slots with a bitmap of those in use, for inodes and for names.
 *
 * Invariants (media/slab.ts): the slabs of a kind with a free slot, and no others, are in its list;
 * a slab without a slot in use is freed at once. So a slot is found in one step, and what was used
 * for metadata comes back to the free space.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { invalidSlab, SLAB_MAGIC, SlabHeader, SlabKind, slotsOf } from '../media/slab.js'
import type { Allocator } from './allocator.js'
import { PageKind, type Pages } from './pages.js'
import type { VolumeState } from './state.js'

const at = SlabHeader.word

/** Looks at a slot in use of the slab at `base`: why it is damaged, or null. */
export type SlotCheck = (base: number, slot: number) => string | null

export class Slabs {
  readonly #pages: Pages
  readonly #allocator: Allocator
  readonly #state: VolumeState
  readonly #kind: SlabKind
  readonly #pageKind: PageKind
  readonly #slots: number
  readonly #check: SlotCheck
  /** The slab and the slot of the last `take`; whether the slab is new. */
  block = 0
  slot = 0
  isNew = false

  constructor(
    pages: Pages,
    allocator: Allocator,
    state: VolumeState,
    kind: SlabKind,
    check: SlotCheck,
  ) {
    this.#pages = pages
    this.#allocator = allocator
    this.#state = state
    this.#kind = kind
    this.#pageKind = kind === SlabKind.inodes ? PageKind.inodes : PageKind.names
    this.#slots = slotsOf(kind)
    this.#check = check
  }

  /** Byte offset in the arena of a slab. */
  at(block: number): number {
    const base = this.#pages.find(block, this.#pageKind)
    return base >= 0 ? base : this.#load(block)
  }

  #load(block: number): number {
    const base = this.#pages.load(block)
    const why =
      base < 0 ? 'is in use as something else' : invalidSlab(this.#pages, base, block, this.#kind)
    if (why !== null) {
      if (base >= 0) this.#pages.drop(block)
      throw new HoldfastError('EUCLEAN', `slab in block ${block}: ${why}; run holdfast fsck`)
    }
    this.#pages.verified(base, this.#pageKind)
    return base
  }

  /**
   * Whether a slot is in use. It is verified when that is asked first, and seen from then on until
   * `give` takes it back, so that its slab's header need not be looked at again.
   */
  inUse(base: number, slot: number): boolean {
    if (this.#pages.seen(base, slot)) return true
    if (!this.used(base, slot)) return false
    const why = this.#check(base, slot)
    if (why !== null) {
      const block = this.#pages.u32[(base >>> 2) + at.block]!
      const where = `slab in block ${block}, slot ${slot}`
      throw new HoldfastError('EUCLEAN', `${where}: ${why}; run holdfast fsck`)
    }
    this.#pages.see(base, slot)
    return true
  }

  /**
   * Takes `count` slots one after another. Sets `block`, `slot`, and `isNew` when a slab was made
   * for it, whose `tag` the caller may set. At most one block is allocated.
   */
  take(count: number): void {
    const head = this.#head
    let base = head === 0 ? -1 : this.at(head)
    let slot = base < 0 ? 0 : this.#freeRun(base, count)
    this.isNew = slot === 0
    if (slot === 0) {
      base = this.#create(head)
      slot = 1
    }
    const block = this.#pages.u32[(base >>> 2) + at.block]!
    this.#mark(base, slot, count, true)
    this.#pages.see(base, slot)
    if (this.#full(base)) this.#unlist(base)
    this.block = block
    this.slot = slot
  }

  /** Gives slots back; true when the slab went away with them. */
  give(block: number, slot: number, count: number): boolean {
    const base = this.at(block)
    this.#mark(base, slot, count, false)
    for (let i = slot; i < slot + count; i++) this.#pages.unsee(base, i)
    const w = base >>> 2
    const u32 = this.#pages.u32
    if (u32[w + at.usedLow] === 1 && u32[w + at.usedHigh] === 0) {
      if (u32[w + at.listed] === 1) this.#unlist(base)
      this.#pages.drop(block)
      this.#allocator.release(block, 1, true)
      return true
    }
    if (u32[w + at.listed] === 0) this.#list(base)
    return false
  }

  /** Whether a slot is in use. */
  used(base: number, slot: number): boolean {
    const word = this.#pages.u32[(base >>> 2) + (slot < 32 ? at.usedLow : at.usedHigh)]!
    return ((word >>> (slot & 31)) & 1) !== 0
  }

  /** Whether a slot is the only one in use. */
  isOnly(block: number, slot: number): boolean {
    const w = this.at(block) >>> 2
    const low = this.#pages.u32[w + at.usedLow]! & ~1
    const high = this.#pages.u32[w + at.usedHigh]! | 0
    return slot < 32 ? high === 0 && low === 1 << slot : low === 0 && high === 1 << (slot - 32)
  }

  setTag(block: number, tag: number): void {
    const base = this.at(block)
    this.#pages.u32[(base >>> 2) + at.tag] = tag
    this.#pages.touch(base, 0, SlabHeader.size)
  }

  /** A copy of a slab, each slot in its place, stands for it in the list; its block. */
  copy(block: number): number {
    const from = this.at(block)
    const to = this.#allocator.allocateOne()
    const base = this.#pages.fresh(to, this.#pageKind)
    const { u8, u32 } = this.#pages
    u8.copyWithin(base, from, from + BLOCK_BYTES)
    const w = base >>> 2
    u32[w + at.block] = to
    this.#pages.touch(base, 0, BLOCK_BYTES)
    if (u32[w + at.listed] === 1) {
      const previous = u32[w + at.previous]!
      const next = u32[w + at.next]!
      if (previous !== 0) this.#link(previous, at.next, to)
      else this.#setHead(to)
      if (next !== 0) this.#link(next, at.previous, to)
    }
    return to
  }

  /** Frees a slab that has a copy, when nobody leads to it any more. */
  dropOriginal(block: number): void {
    this.#pages.drop(block)
    this.#allocator.release(block, 1, true)
  }

  get #head(): number {
    return this.#kind === SlabKind.inodes ? this.#state.inodeSlabs : this.#state.nameSlabs
  }

  #setHead(block: number): void {
    if (this.#kind === SlabKind.inodes) this.#state.inodeSlabs = block
    else this.#state.nameSlabs = block
  }

  #create(head: number): number {
    const block = this.#allocator.allocateOne()
    const base = this.#pages.fresh(block, this.#pageKind)
    const w = base >>> 2
    const u32 = this.#pages.u32
    u32[w + at.magic] = SLAB_MAGIC
    u32[w + at.block] = block
    u32[w + at.kind] = this.#kind
    u32[w + at.usedLow] = 1
    this.#listBefore(base, head)
    return base
  }

  #mark(base: number, slot: number, count: number, used: boolean): void {
    const w = base >>> 2
    const u32 = this.#pages.u32
    for (let i = slot; i < slot + count; i++) {
      const word = w + (i < 32 ? at.usedLow : at.usedHigh)
      const bit = 1 << (i & 31)
      assert(((u32[word]! & bit) !== 0) !== used, 'a slot has one owner')
      u32[word]! ^= bit
    }
    this.#pages.touch(base, 0, SlabHeader.size)
  }

  /** First of `count` free slots in a row, 0 when there is no such run. */
  #freeRun(base: number, count: number): number {
    let run = 0
    for (let slot = 1; slot < this.#slots; slot++) {
      if (this.used(base, slot)) run = 0
      else if (++run === count) return slot - count + 1
    }
    return 0
  }

  #full(base: number): boolean {
    const w = base >>> 2
    const low = this.#pages.u32[w + at.usedLow]!
    const high = this.#pages.u32[w + at.usedHigh]!
    return this.#slots <= 32
      ? low === 0xffff_ffff >>> (32 - this.#slots)
      : (low & high) >>> 0 === 0xffff_ffff
  }

  // ---- the list --------------------------------------------------------------------------------

  #list(base: number): void {
    this.#listBefore(base, this.#head)
  }

  #listBefore(base: number, head: number): void {
    const w = base >>> 2
    const u32 = this.#pages.u32
    const block = u32[w + at.block]!
    u32[w + at.listed] = 1
    u32[w + at.previous] = 0
    u32[w + at.next] = head
    this.#pages.touch(base, 0, SlabHeader.size)
    if (head !== 0) this.#link(head, at.previous, block)
    this.#setHead(block)
  }

  #unlist(base: number): void {
    const w = base >>> 2
    const u32 = this.#pages.u32
    const previous = u32[w + at.previous]!
    const next = u32[w + at.next]!
    u32[w + at.listed] = 0
    u32[w + at.previous] = 0
    u32[w + at.next] = 0
    this.#pages.touch(base, 0, SlabHeader.size)
    if (previous !== 0) this.#link(previous, at.next, next)
    else this.#setHead(next)
    if (next !== 0) this.#link(next, at.previous, previous)
  }

  #link(block: number, field: number, to: number): void {
    const base = this.at(block)
    this.#pages.u32[(base >>> 2) + field] = to
    this.#pages.touch(base, 0, SlabHeader.size)
  }
}
