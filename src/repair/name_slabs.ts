/**
 * Names in their slabs: each slot has one owner. The header of a slab is made from the names that
 * directory entries have, so that a damaged one costs nothing.
 */
import { NAME_BYTES_MAX } from '../base/limits.js'
import { Column } from '../check/column.js'
import type { NameUse } from '../check/names.js'
import { invalidName, NAME_MAGIC, NAME_SLOT_BYTES, NameHeader, nameSlots } from '../media/name.js'
import { invalidSlab, SLAB_MAGIC, SlabHeader, SlabKind, slotsOf } from '../media/slab.js'
import type { Draft, Page } from './draft.js'
import { Use, type Space } from './space.js'

const SLOTS = slotsOf(SlabKind.names)
const at = NameHeader.word

export class NameSlabs {
  /** By slab: its block, 0 when it is gone, and the slots that have an owner. */
  readonly block = new Column()
  readonly low = new Column()
  readonly high = new Column()
  readonly #draft: Draft
  readonly #space: Space
  /** The slab that took the last new name. */
  #current = 0

  constructor(draft: Draft, space: Space) {
    this.#draft = draft
    this.#space = space
  }

  /** Claims a block as a name slab when it is one: by its header, or by the name in `slot`. */
  discover(block: number, slot: number): void {
    if (!this.#space.isFree(block)) return
    const page = this.#draft.view(block)
    const named = slot > 0 && slot < SLOTS && this.#invalid(page, slot) === null
    if (named || invalidSlab(page, 0, block, SlabKind.names) === null) this.#add(block)
  }

  #add(block: number): number {
    const ordinal = this.block.length
    this.#space.claim(block, Use.nameSlab, ordinal)
    this.block.push(block)
    this.low.push(1)
    this.high.push(0)
    return ordinal
  }

  #invalid(page: Page, slot: number): string | null {
    return invalidName(page, slot * NAME_SLOT_BYTES, SLOTS - slot)
  }

  /** The name in a slot, as bytes of a view; null when there is none that a file may have. */
  read(block: number, slot: number, use: NameUse = 'entry of directory'): Uint8Array | null {
    const slab = this.#space.inData(block, 1) && this.#space.kind[block] === Use.nameSlab
    if (!slab || slot < 1 || slot >= SLOTS) return null
    const page = this.#draft.view(block)
    if (this.#invalid(page, slot) !== null) return null
    const start = slot * NAME_SLOT_BYTES + NameHeader.size
    const length = this.#length(page, slot)
    if (use !== 'value of inode' && length > NAME_BYTES_MAX) return null
    const bytes = page.u8.subarray(start, start + length)
    return isForbidden(bytes, use) ? null : bytes
  }

  #length(page: Page, slot: number): number {
    return page.u32[slot * 16 + at.length]! & 0xffff
  }

  owner(block: number, slot: number): number {
    return this.#draft.view(block).u32[slot * 16 + at.owner]!
  }

  /** Whether all slots of a name are without an owner so far; they have one then. */
  claim(block: number, slot: number): boolean {
    const ordinal = this.#space.index[block]!
    const page = this.#draft.view(block)
    const count = nameSlots(this.#length(page, slot))
    for (let i = slot; i < slot + count; i++) if (this.#used(ordinal, i)) return false
    this.#mark(ordinal, slot, count)
    return true
  }

  #used(ordinal: number, slot: number): boolean {
    const word = (slot < 32 ? this.low : this.high).data[ordinal]!
    return ((word >>> (slot & 31)) & 1) !== 0
  }

  #mark(ordinal: number, slot: number, count: number): void {
    for (let i = slot; i < slot + count; i++) {
      ;(i < 32 ? this.low : this.high).data[ordinal]! |= 1 << (i & 31)
    }
  }

  /** A name that stands there belongs to this directory, and what follows it is zero. */
  own(block: number, slot: number, directory: number): boolean {
    const view = this.#draft.view(block)
    const length = this.#length(view, slot)
    const bytes = nameSlots(length) * NAME_SLOT_BYTES
    const base = slot * NAME_SLOT_BYTES
    const tail = view.u8.subarray(base + NameHeader.size + length, base + bytes)
    const owned = view.u32[slot * 16 + at.owner] === directory
    if (owned && tail.every((byte) => byte === 0)) return false
    const page = this.#draft.page(block)
    page.u32[slot * 16 + at.owner] = directory
    page.u8.fill(0, base + NameHeader.size + length, base + bytes)
    page.seal(NameHeader, base, bytes)
    return true
  }

  /** Gives slots back. */
  free(block: number, slot: number): void {
    const ordinal = this.#space.index[block]!
    const count = nameSlots(this.#length(this.#draft.view(block), slot))
    for (let i = slot; i < slot + count; i++) {
      ;(i < 32 ? this.low : this.high).data[ordinal]! &= ~(1 << (i & 31))
    }
  }

  /** Puts a new name into a slab; [block, slot], block 0 when there is no room. */
  write(directory: number, name: Uint8Array): readonly [block: number, slot: number] {
    const count = nameSlots(name.length)
    let ordinal = -1
    let slot = 0
    for (let i = this.#current; i < this.block.length && slot === 0; i++) {
      if (this.block.data[i] === 0) continue
      slot = this.#freeRun(i, count)
      if (slot > 0) ordinal = i
    }
    if (ordinal < 0) {
      if (this.#space.free === 0) return [0, 0]
      ordinal = this.#create()
      slot = 1
    }
    this.#current = ordinal
    this.#mark(ordinal, slot, count)
    const block = this.block.data[ordinal]!
    const page = this.#draft.page(block)
    const base = slot * NAME_SLOT_BYTES
    page.u8.fill(0, base, base + count * NAME_SLOT_BYTES)
    page.u32[slot * 16 + at.magic] = NAME_MAGIC
    page.u32[slot * 16 + at.owner] = directory
    page.u32[slot * 16 + at.length] = name.length | (count << 16)
    page.u8.set(name, base + NameHeader.size)
    page.seal(NameHeader, base, count * NAME_SLOT_BYTES)
    return [block, slot]
  }

  #freeRun(ordinal: number, count: number): number {
    let run = 0
    for (let slot = 1; slot < SLOTS; slot++) {
      if (this.#used(ordinal, slot)) run = 0
      else if (++run === count) return slot - count + 1
    }
    return 0
  }

  #create(): number {
    const block = this.#space.take(Use.nameSlab, 0)
    this.#space.release(block)
    const page = this.#draft.fresh(block)
    page.u32[SlabHeader.word.magic] = SLAB_MAGIC
    page.u32[SlabHeader.word.block] = block
    page.u32[SlabHeader.word.kind] = SlabKind.names
    page.u32[SlabHeader.word.usedLow] = 1
    page.seal(SlabHeader)
    return this.#add(block)
  }
}

/** '.' and '..', and names with '/' or NUL in them. */
function isForbidden(bytes: Uint8Array, use: NameUse): boolean {
  if (use === 'value of inode') return false
  if (use === 'attribute of inode') return bytes.includes(0)
  if (bytes.length <= 2 && bytes.every((byte) => byte === 0x2e)) return true
  return bytes.includes(0) || bytes.includes(0x2f)
}
