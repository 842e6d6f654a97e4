/**
 * Inodes: found by number through the inode map, made and freed in inode slabs.
 *
 * Invariants:
 * - a number in use is found in one step: map entry, slab, slot;
 * - number and generation name one file for ever: the slot keeps its generation when it is freed,
 *   the map entry keeps the highest of its slab when the slab is freed.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { Clock } from '../base/clock.js'
import type { LayoutPolicy } from '../base/layout.js'
import { Mode } from '../base/mode.js'
import { Inode, InodeFlag, INODE_MAGIC, INODES_PER_SLAB, invalidInode } from '../media/inode.js'
import { InodeMapPage, invalidInodeMapPage, MAP_ENTRIES } from '../media/inode_map.js'
import { SlabHeader, SlabKind } from '../media/slab.js'
import { LAYOUT_POLICIES } from '../media/superblock.js'
import type { Allocator } from './allocator.js'
import type { Geometry } from './geometry.js'
import { PageKind, type Pages } from './pages.js'
import { Slabs } from './slabs.js'
import type { VolumeState } from './state.js'

const at = Inode.word

export class Inodes {
  readonly #pages: Pages
  readonly #geometry: Geometry
  readonly #state: VolumeState
  readonly #slabs: Slabs
  readonly #clock: Clock
  /** No map entry below is unused. */
  #entryHint = 0

  constructor(
    pages: Pages,
    geometry: Geometry,
    allocator: Allocator,
    state: VolumeState,
    clock: Clock,
  ) {
    this.#pages = pages
    this.#geometry = geometry
    this.#state = state
    this.#clock = clock
    this.#slabs = new Slabs(pages, allocator, state, SlabKind.inodes, (base, slot) =>
      invalidInode(pages, base + slot * Inode.size, this.#numberIn(base, slot)),
    )
  }

  /** Inodes that could still be made if blocks were no matter. */
  get room(): number {
    return this.#geometry.inodeMapEntries * (INODES_PER_SLAB - 1) - this.#state.inodes
  }

  /** Word index of an inode in use, or -1. */
  find(number: number): number {
    const entry = number >>> 4
    const slot = number & 15
    if (slot === 0 || entry >= this.#geometry.inodeMapEntries) return -1
    const block = this.#pages.u32[this.#mapEntry(entry)]!
    if (block === 0) return -1
    const page = this.#slabs.at(block)
    if (!this.#slabs.inUse(page, slot)) return -1
    const w = (page + slot * Inode.size) >>> 2
    if (this.#pages.u32[w + at.number] !== number) {
      throw new HoldfastError('EUCLEAN', `inode map entry ${entry} leads to another slab`)
    }
    return w
  }

  /** Word index of an inode that a directory or a tree names. */
  get(number: number): number {
    const w = this.find(number)
    if (w < 0) throw new HoldfastError('EUCLEAN', `inode ${number} is named and not in use`)
    return w
  }

  /** Makes an inode, with all times now. Allocates at most one block. Returns its word index. */
  create(mode: number, uid: number, gid: number, links: number): number {
    if (this.room <= 0) throw new HoldfastError('ENOSPC', 'no inode left')
    this.#slabs.take(1)
    const { block, slot } = this.#slabs
    const entry = this.#slabs.isNew ? this.#addSlab(block) : this.#tagOf(block)
    const page = this.#slabs.at(block)
    const w = (page + slot * Inode.size) >>> 2
    const u32 = this.#pages.u32
    const floor = u32[this.#mapEntry(entry) + 1]!
    const generation = Math.max(u32[w + at.generation]!, floor) + 1
    u32[w + at.magic] = INODE_MAGIC
    u32[w + at.number] = entry * INODES_PER_SLAB + slot
    u32[w + at.generation] = generation
    u32[w + at.mode] = mode
    u32[w + at.links] = links
    u32[w + at.uid] = uid
    u32[w + at.gid] = gid
    this.stamp(w, at.modified)
    this.stamp(w, at.changed)
    this.stamp(w, at.accessed)
    this.stamp(w, at.born)
    this.touch(w, 0, 128)
    this.#state.addInodes(1)
    return w
  }

  /** Frees an inode that has no blocks and no names. Its slot keeps the generation. */
  free(number: number): void {
    const w = this.get(number)
    const u32 = this.#pages.u32
    const owned = u32[w + at.blocks]! | u32[w + at.root]! | u32[w + at.xattrRoot]!
    assert(owned === 0, 'a freed inode owns nothing')
    const generation = u32[w + at.generation]!
    const entry = number >>> 4
    const slot = number & 15
    const block = u32[this.#mapEntry(entry)]!
    const highest = this.#slabs.isOnly(block, slot)
      ? this.#highestGeneration(this.#slabs.at(block))
      : 0
    u32.fill(0, w, w + Inode.size / 4)
    u32[w + at.generation] = generation
    this.touch(w, 0, Inode.size)
    this.#state.addInodes(-1)
    if (this.#slabs.give(block, slot, 1)) this.#removeSlab(entry, highest)
  }

  // ---- fields that several modules set ----------------------------------------------------------

  /** The transaction changed bytes [from, from + length) of the inode at word `w`. */
  touch(w: number, from: number, length: number): void {
    const byte = w << 2
    this.#pages.touch(byte & -BLOCK_BYTES, (byte & (BLOCK_BYTES - 1)) + from, length)
  }

  /** The first line: what nearly every operation changes. */
  touchFirst(w: number): void {
    this.touch(w, 0, 64)
  }

  /** Sets a time (a word offset) to when the transaction began: one operation, one time. */
  stamp(w: number, field: number): void {
    this.setTime(w, field, this.#clock.seconds, this.#clock.nanoseconds)
  }

  /** Sets a time (a word offset of it): 34 bits of seconds, 30 of nanoseconds. */
  setTime(w: number, field: number, seconds: number, nanoseconds: number): void {
    const u32 = this.#pages.u32
    u32[w + field] = seconds
    u32[w + field + 1] = (Math.floor(seconds / 0x1_0000_0000) & 3) | (nanoseconds << 2)
  }

  seconds(w: number, field: number): number {
    const high = this.#pages.u32[w + field + 1]! & 3
    return this.#pages.u32[w + field]! + (high < 2 ? high : high - 4) * 0x1_0000_0000
  }

  nanoseconds(w: number, field: number): number {
    return this.#pages.u32[w + field + 1]! >>> 2
  }

  /** mtime and ctime are now. */
  modified(w: number): void {
    this.stamp(w, at.modified)
    this.stamp(w, at.changed)
    this.touchFirst(w)
  }

  /** ctime is now. */
  changed(w: number): void {
    this.stamp(w, at.changed)
    this.touchFirst(w)
  }

  size(w: number): number {
    return this.#pages.u32[w + at.size]! + this.#pages.u32[w + at.size + 1]! * 0x1_0000_0000
  }

  setSize(w: number, size: number): void {
    this.#pages.u32[w + at.size] = size
    this.#pages.u32[w + at.size + 1] = size / 0x1_0000_0000
    this.touchFirst(w)
  }

  setFlag(w: number, flag: number, on: boolean): void {
    const u32 = this.#pages.u32
    u32[w + at.flags] = on ? u32[w + at.flags]! | flag : u32[w + at.flags]! & ~flag
    this.touchFirst(w)
  }

  /** Data blocks that it owns. */
  blocks(w: number): number {
    return this.#pages.u32[w + at.blocks]!
  }

  numberAt(w: number): number {
    return this.#pages.u32[w + at.number]!
  }

  /** ENOSPC when no inode can be made. */
  demandRoom(): void {
    if (this.room <= 0) throw new HoldfastError('ENOSPC', 'no inode left')
  }

  /** EPERM when neither the layout nor the size may change. */
  demandResizable(w: number): void {
    if (!this.has(w, InodeFlag.fixed)) return
    throw new HoldfastError(
      'EPERM',
      'it is fixed: neither its blocks nor its size change; holdfast unfix allows it',
    )
  }

  /** Whether a flag (or one of several) is set. */
  has(w: number, flag: number): boolean {
    return (this.#pages.u32[w + at.flags]! & flag) !== 0
  }

  /** What a shrink or punch does to its pinned blocks; null: as the volume has it. */
  policy(w: number): LayoutPolicy | null {
    const low = this.has(w, InodeFlag.policyLow) ? 1 : 0
    const number = low + (this.has(w, InodeFlag.policyHigh) ? 2 : 0)
    return LAYOUT_POLICIES[number - 1] ?? null
  }

  isDirectory(w: number): boolean {
    return (this.#pages.u32[w + at.mode]! & Mode.typeMask) === Mode.directory
  }

  isFile(w: number): boolean {
    return (this.#pages.u32[w + at.mode]! & Mode.typeMask) === Mode.file
  }

  isSymlink(w: number): boolean {
    return (this.#pages.u32[w + at.mode]! & Mode.typeMask) === Mode.symlink
  }

  /** The layout changed: its generation is one higher. */
  layoutChanged(w: number): void {
    const u32 = this.#pages.u32
    const low = (u32[w + at.layoutGeneration]! + 1) >>> 0
    u32[w + at.layoutGeneration] = low
    if (low === 0) u32[w + at.layoutGeneration + 1]!++
    this.touch(w, Inode.at.layoutGeneration, 8)
  }

  // ---- the map ---------------------------------------------------------------------------------

  /** Word index of a map entry. */
  #mapEntry(entry: number): number {
    const page = Math.floor(entry / MAP_ENTRIES)
    const block = this.#geometry.inodeMapStart + page
    let base = this.#pages.find(block, PageKind.inodeMap)
    if (base < 0) base = this.#loadMap(block, page)
    return (base + InodeMapPage.at.entries + (entry - page * MAP_ENTRIES) * 8) >>> 2
  }

  #loadMap(block: number, page: number): number {
    const base = this.#pages.load(block)
    const why =
      base < 0 ? 'is in use as something else' : invalidInodeMapPage(this.#pages, base, page)
    if (why !== null) {
      if (base >= 0) this.#pages.drop(block)
      throw new HoldfastError('EUCLEAN', `inode map in block ${block}: ${why}; run holdfast fsck`)
    }
    this.#pages.verified(base, PageKind.inodeMap)
    return base
  }

  #setEntry(entry: number, block: number, generation: number): void {
    const w = this.#mapEntry(entry)
    const u32 = this.#pages.u32
    u32[w] = block
    u32[w + 1] = generation
    const byte = w << 2
    const page = byte & -BLOCK_BYTES
    u32[(page >>> 2) + InodeMapPage.word.used]! += block === 0 ? -1 : 1
    this.#pages.touch(page, 0, 64)
    this.#pages.touch(page, byte & (BLOCK_BYTES - 1), 8)
  }

  /** Whether the map leads to the slab in `block`, and all that is in use there is an inode. */
  hasSlab(block: number): boolean {
    const page = this.#slabs.at(block)
    const entry = this.#tagOf(block)
    if (entry >= this.#geometry.inodeMapEntries) return false
    if (this.#pages.u32[this.#mapEntry(entry)] !== block) return false
    for (let slot = 1; slot < INODES_PER_SLAB; slot++) this.#slabs.inUse(page, slot)
    return true
  }

  /** Inside a transaction: gives such a slab another block. Allocates it. */
  moveSlab(block: number): void {
    const w = this.#mapEntry(this.#tagOf(block))
    this.#pages.u32[w] = this.#slabs.copy(block)
    this.touch(w, 0, 4)
    this.#slabs.dropOriginal(block)
  }

  /** Gives a new slab the first map entry that has none. */
  #addSlab(block: number): number {
    let entry = this.#entryHint
    while (this.#pages.u32[this.#mapEntry(entry)] !== 0) {
      entry++
      assert(entry < this.#geometry.inodeMapEntries, 'an inode map with room has an unused entry')
    }
    this.#entryHint = entry + 1
    const floor = this.#pages.u32[this.#mapEntry(entry) + 1]!
    this.#setEntry(entry, block, floor)
    if (entry >= this.#state.inodeMapHigh) this.#state.inodeMapHigh = entry + 1
    this.#slabs.setTag(block, entry)
    return entry
  }

  #removeSlab(entry: number, generation: number): void {
    this.#setEntry(entry, 0, generation)
    if (entry < this.#entryHint) this.#entryHint = entry
  }

  #tagOf(block: number): number {
    return this.#pages.u32[(this.#slabs.at(block) >>> 2) + SlabHeader.word.tag]!
  }

  #highestGeneration(page: number): number {
    const tag = this.#pages.u32[(page >>> 2) + SlabHeader.word.tag]!
    let highest = this.#pages.u32[this.#mapEntry(tag) + 1]!
    for (let slot = 1; slot < INODES_PER_SLAB; slot++) {
      const w = (page + slot * Inode.size) >>> 2
      highest = Math.max(highest, this.#pages.u32[w + at.generation]!)
    }
    return highest
  }

  /** Number of the inode in a slot. */
  #numberIn(page: number, slot: number): number {
    return this.#pages.u32[(page >>> 2) + SlabHeader.word.tag]! * INODES_PER_SLAB + slot
  }
}
