/** Names, and short values, in the name slabs: written once, sealed, never changed. */
import { SLAB_VALUE_BYTES_MAX } from '../base/limits.js'
import { assert, HoldfastError } from '../base/errors.js'
import { invalidName, NAME_MAGIC, NAME_SLOT_BYTES, NameHeader, nameSlots } from '../media/name.js'
import { SlabKind, slotsOf } from '../media/slab.js'
import type { Allocator } from './allocator.js'
import type { Pages } from './pages.js'
import { Slabs } from './slabs.js'
import type { VolumeState } from './state.js'

const at = NameHeader.word
const SLOTS = slotsOf(SlabKind.names)
const POOL_BYTES = 8192

/** Where a name or value begins, and the inode that it belongs to. */
export interface NamePart {
  readonly slot: number
  readonly owner: number
}

export class Names {
  readonly #pages: Pages
  readonly #slabs: Slabs
  /** Names that are read together, and how much of it is taken. */
  #pool = new Uint8Array(0)
  #pooled = 0
  /** Where the last name written is. */
  block = 0
  slot = 0

  constructor(pages: Pages, allocator: Allocator, state: VolumeState) {
    this.#pages = pages
    this.#slabs = new Slabs(pages, allocator, state, SlabKind.names, (base, slot) =>
      invalidName(pages, base + slot * NAME_SLOT_BYTES, SLOTS - slot),
    )
  }

  /** Writes a name or value: sets `block` and `slot`. Allocates at most one block. */
  write(owner: number, bytes: Uint8Array, start: number, length: number): void {
    assert(length >= 1 && length <= SLAB_VALUE_BYTES_MAX, 'a text of a slab has 1 to 512 bytes')
    const slots = nameSlots(length)
    this.#slabs.take(slots)
    this.block = this.#slabs.block
    this.slot = this.#slabs.slot
    const page = this.#slabs.at(this.block)
    const base = page + this.slot * NAME_SLOT_BYTES
    const w = base >>> 2
    const { u8, u32 } = this.#pages
    u8.fill(0, base, base + slots * NAME_SLOT_BYTES)
    u32[w + at.magic] = NAME_MAGIC
    u32[w + at.owner] = owner
    u32[w + at.length] = length | (slots << 16)
    const to = base + NameHeader.size
    for (let i = 0; i < length; i++) u8[to + i] = bytes[start + i]!
    u32[w + at.checksum] = this.#pages.crc32c(base, slots * NAME_SLOT_BYTES, 0)
    this.#pages.touch(page, this.slot * NAME_SLOT_BYTES, slots * NAME_SLOT_BYTES)
  }

  erase(block: number, slot: number): void {
    const base = this.#at(block, slot)
    this.#slabs.give(block, slot, this.#pages.u32[(base >>> 2) + at.length]! >>> 16)
  }

  equals(block: number, slot: number, bytes: Uint8Array, start: number, length: number): boolean {
    const base = this.#at(block, slot)
    const { u8, u32 } = this.#pages
    if ((u32[(base >>> 2) + at.length]! & 0xffff) !== length) return false
    const from = base + NameHeader.size
    for (let i = 0; i < length; i++) if (u8[from + i] !== bytes[start + i]) return false
    return true
  }

  /** Bytes of a name. */
  lengthOf(block: number, slot: number): number {
    return this.#pages.u32[(this.#at(block, slot) >>> 2) + at.length]! & 0xffff
  }

  /** A copy of a name. */
  read(block: number, slot: number): Uint8Array {
    const base = this.#at(block, slot)
    const length = this.#pages.u32[(base >>> 2) + at.length]! & 0xffff
    return this.#pages.u8.slice(base + NameHeader.size, base + NameHeader.size + length)
  }

  /**
   * The same, as a piece of a buffer that holds many names: half the work when there are thousands.
   */
  readPooled(block: number, slot: number): Uint8Array {
    const base = this.#at(block, slot)
    const { u8, u32 } = this.#pages
    const length = u32[(base >>> 2) + at.length]! & 0xffff
    if (this.#pooled + length > this.#pool.length) {
      this.#pool = new Uint8Array(POOL_BYTES)
      this.#pooled = 0
    }
    const pool = this.#pool
    const start = this.#pooled
    const from = base + NameHeader.size
    for (let i = 0; i < length; i++) pool[start + i] = u8[from + i]!
    this.#pooled = start + length
    return new Uint8Array(pool.buffer, start, length)
  }

  /** The names and values of a slab. */
  inSlab(block: number): NamePart[] {
    const page = this.#slabs.at(block)
    const found: NamePart[] = []
    for (let slot = 1; slot < SLOTS;) {
      if (!this.#slabs.used(page, slot)) {
        slot++
        continue
      }
      const w = this.#at(block, slot) >>> 2
      found.push({ slot, owner: this.#pages.u32[w + at.owner]! })
      slot += this.#pages.u32[w + at.length]! >>> 16
    }
    return found
  }

  /** Inside a transaction: a copy of a slab stands for it from now on; its block, allocated. */
  copySlab(block: number): number {
    return this.#slabs.copy(block)
  }

  /** Inside a transaction: nobody leads to what was copied any more. */
  dropSlab(block: number): void {
    this.#slabs.dropOriginal(block)
  }

  /** Byte offset of a name in use. */
  #at(block: number, slot: number): number {
    const page = this.#slabs.at(block)
    if (slot < 1 || slot >= SLOTS || !this.#slabs.inUse(page, slot)) {
      throw new HoldfastError('EUCLEAN', `no name in slot ${slot} of block ${block}`)
    }
    return page + slot * NAME_SLOT_BYTES
  }
}
