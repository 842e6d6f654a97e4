/**
 * The page cache: the one place where metadata is read and changed.
 *
 * A page of the medium is copied into a slot of the arena when it is first needed, verified by who
 * asked for it, and then read and written there. Home is written by the checkpoint alone.
 *
 * Invariants:
 * - a slot holds the newest content of its page: home, plus every line that the log or the running
 *   transaction has for it;
 * - `tx` lines are those changed by the running transaction, `dirty` lines those that are in the
 *   log and not yet at home; a slot with either is never evicted;
 * - a slot used since the last `tick` is never evicted, so a byte offset into the arena stays good
 *   until then: one operation, or one step of a long one;
 * - a slot knows what kind of page it verified; who expects another kind gets an error, not a
 *   misreading; of a page of many parts, each is verified when it is first looked at.
 */
import { assert, HoldfastError } from '../base/errors.js'
import type { Bytes } from '../base/bytes.js'
import { BLOCK_BYTES, BLOCK_SHIFT, CACHE_PAGES_MIN } from '../base/limits.js'
import type { Region } from '../region/region.js'
import { native, type MemoryId } from '../native/native.js'

export const PageKind = {
  raw: 0,
  state: 1,
  bitmap: 2,
  inodeMap: 3,
  inodes: 4,
  names: 5,
  node: 6,
  value: 7,
} as const
export type PageKind = (typeof PageKind)[keyof typeof PageKind]

const NO_BLOCK = 0xffff_ffff

/** Memory for cached pages, reusable by one volume after another. */
export class Arena {
  readonly memory: MemoryId
  readonly slots: number
  readonly u8: Uint8Array
  readonly u32: Uint32Array

  constructor(slots: number) {
    assert(slots >= CACHE_PAGES_MIN, 'an arena holds the pages of one operation')
    this.slots = slots
    this.memory = native.anonymous(slots * BLOCK_BYTES)
    const buffer = native.view(this.memory, 0, slots * BLOCK_BYTES)
    this.u8 = new Uint8Array(buffer)
    this.u32 = new Uint32Array(buffer)
  }

  release(): void {
    native.unmap(this.memory)
  }
}

export class Pages implements Bytes {
  readonly arena: Arena
  readonly u8: Uint8Array
  readonly u32: Uint32Array
  /** Slots changed by the running transaction, in the order of their first change. */
  readonly txSlots: Int32Array
  txCount = 0
  /** The running transaction forgot a page that had changes which are not at home. */
  txDropped = false
  readonly txLow: Uint32Array
  readonly txHigh: Uint32Array
  /** 1: the running transaction initialised the page; lines it did not touch become zero. */
  readonly txFresh: Uint8Array
  readonly dirtyLow: Uint32Array
  readonly dirtyHigh: Uint32Array
  dirtyPages = 0
  readonly blockOf: Uint32Array
  readonly kindOf: Uint8Array
  /** Parts of a page that were verified since it was loaded: a bit for each of up to 64. */
  readonly #seenLow: Uint32Array
  readonly #seenHigh: Uint32Array
  /** Pages copied from home since the volume was opened. */
  loads = 0

  readonly #region: Region
  readonly #blocks: number
  /** When each slot was last used, and what the hand of the clock saw there. */
  readonly #stamp: Uint32Array
  readonly #passed: Uint32Array
  readonly #table: Int32Array
  readonly #tableMask: number
  #now = 1
  #hand = 0
  #used = 0
  readonly #limit: number
  /** Slots that lost their page, the last one first: it is still in the processor's cache. */
  readonly #emptied: Int32Array
  #emptiedCount = 0

  constructor(region: Region, arena: Arena) {
    this.#region = region
    this.#blocks = Math.floor(region.byteLength / BLOCK_BYTES)
    this.arena = arena
    this.u8 = arena.u8
    this.u32 = arena.u32
    const slots = arena.slots
    this.#limit = slots
    this.txSlots = new Int32Array(slots)
    this.txLow = new Uint32Array(slots)
    this.txHigh = new Uint32Array(slots)
    this.txFresh = new Uint8Array(slots)
    this.dirtyLow = new Uint32Array(slots)
    this.dirtyHigh = new Uint32Array(slots)
    this.blockOf = new Uint32Array(slots).fill(NO_BLOCK)
    this.kindOf = new Uint8Array(slots)
    this.#seenLow = new Uint32Array(slots)
    this.#seenHigh = new Uint32Array(slots)
    this.#stamp = new Uint32Array(slots)
    this.#passed = new Uint32Array(slots)
    this.#emptied = new Int32Array(slots)
    let size = 2
    while (size < slots * 2) size *= 2
    this.#table = new Int32Array(size).fill(-1)
    this.#tableMask = size - 1
  }

  crc32c(offset: number, length: number, seed: number): number {
    return native.crc32c(this.arena.memory, offset, length, seed)
  }

  /** Begins an operation, or a step of one: byte offsets taken before are no longer good. */
  tick(): void {
    this.#now = (this.#now + 1) >>> 0
  }

  /** The running operation, or step of one. */
  get now(): number {
    return this.#now
  }

  /** Byte offset of a cached page of this kind, or -1 when it must be loaded. */
  find(block: number, kind: PageKind): number {
    let i = Math.imul(block, 0x9e3779b1) & this.#tableMask
    for (;;) {
      const slot = this.#table[i]!
      if (slot < 0) return -1
      if (this.blockOf[slot] === block) {
        if (this.kindOf[slot] !== kind) return -1
        this.#stamp[slot] = this.#now
        return slot << BLOCK_SHIFT
      }
      i = (i + 1) & this.#tableMask
    }
  }

  /**
   * Loads a page that `find` did not have. Who calls verifies it and then says what it is
   * (`verified`), or drops it. A page that is cached as another kind stays as it is: -1.
   */
  load(block: number): number {
    if (this.#slotOf(block) >= 0) return -1
    if (block >= this.#blocks) {
      throw new HoldfastError('EUCLEAN', `block ${block} is past the end; run holdfast fsck`)
    }
    const slot = this.#freeSlot()
    try {
      this.#region.load(block * BLOCK_BYTES, this.arena.memory, slot << BLOCK_SHIFT, BLOCK_BYTES)
      this.#region.check()
    } catch (error) {
      // In no table: the clock would look for it there for ever.
      this.#emptied[this.#emptiedCount++] = slot
      throw error
    }
    this.loads++
    this.#enter(slot, block, PageKind.raw)
    return slot << BLOCK_SHIFT
  }

  verified(base: number, kind: PageKind): void {
    this.kindOf[base >>> BLOCK_SHIFT] = kind
  }

  /** Whether part `part` of the page at `base` was verified since the page was loaded. */
  seen(base: number, part: number): boolean {
    const bits = (part < 32 ? this.#seenLow : this.#seenHigh)[base >>> BLOCK_SHIFT]!
    return ((bits >>> (part & 31)) & 1) !== 0
  }

  /** Part `part` was verified, or has just been made. */
  see(base: number, part: number): void {
    ;(part < 32 ? this.#seenLow : this.#seenHigh)[base >>> BLOCK_SHIFT]! |= 1 << (part & 31)
  }

  /** Part `part` is no more. */
  unsee(base: number, part: number): void {
    ;(part < 32 ? this.#seenLow : this.#seenHigh)[base >>> BLOCK_SHIFT]! &= ~(1 << (part & 31))
  }

  /** A page that has no content yet: zeros, all of it part of the running transaction. */
  fresh(block: number, kind: PageKind): number {
    let slot = this.#slotOf(block)
    if (slot < 0) {
      slot = this.#freeSlot()
      this.#enter(slot, block, kind)
    }
    this.kindOf[slot] = kind
    this.#seenLow[slot] = 0
    this.#seenHigh[slot] = 0
    this.#stamp[slot] = this.#now
    const base = slot << BLOCK_SHIFT
    this.u8.fill(0, base, base + BLOCK_BYTES)
    this.touch(base, 0, 1)
    this.txLow[slot] = 1
    this.txHigh[slot] = 0
    this.txFresh[slot] = 1
    return base
  }

  /** The running transaction changed bytes [from, from + length) of the page at `base`. */
  touch(base: number, from: number, length: number): void {
    const slot = base >>> BLOCK_SHIFT
    const first = from >>> 6
    const last = (from + length - 1) >>> 6
    if (this.txLow[slot] === 0 && this.txHigh[slot] === 0) this.txSlots[this.txCount++] = slot
    for (let line = first; line <= last; line++) {
      if (line < 32) this.txLow[slot]! |= 1 << line
      else this.txHigh[slot]! |= 1 << (line - 32)
    }
  }

  /** The running transaction changed `count` words of a page, from word `word` of `u32` on. */
  touchWords(word: number, count: number): void {
    const byte = word << 2
    this.touch(byte & -BLOCK_BYTES, byte & (BLOCK_BYTES - 1), count << 2)
  }

  /** Forgets a page that is being freed: what the log has of it need not go home. */
  drop(block: number): void {
    const slot = this.#slotOf(block)
    if (slot < 0) return
    const changed = this.dirtyLow[slot]! | this.dirtyHigh[slot]!
    if ((changed | this.txLow[slot]! | this.txHigh[slot]!) !== 0) this.txDropped = true
    this.#remove(slot)
    this.#emptied[this.#emptiedCount++] = slot
  }

  /** The transaction is in the log: its lines are dirty now. */
  settle(): void {
    for (let i = 0; i < this.txCount; i++) {
      const slot = this.txSlots[i]!
      if (this.txLow[slot] === 0 && this.txHigh[slot] === 0) continue
      if (this.dirtyLow[slot] === 0 && this.dirtyHigh[slot] === 0) this.dirtyPages++
      if (this.txFresh[slot] === 1) {
        this.dirtyLow[slot] = NO_BLOCK
        this.dirtyHigh[slot] = NO_BLOCK
        this.txFresh[slot] = 0
      } else {
        this.dirtyLow[slot]! |= this.txLow[slot]!
        this.dirtyHigh[slot]! |= this.txHigh[slot]!
      }
      this.txLow[slot] = 0
      this.txHigh[slot] = 0
    }
    this.begin()
  }

  /** Nothing is changed yet. */
  begin(): void {
    this.txCount = 0
    this.txDropped = false
  }

  /** Whether the running transaction changed anything. */
  get changed(): boolean {
    return this.txCount > 0 || this.txDropped
  }

  /** Every dirty line is at home. */
  cleaned(): void {
    this.dirtyLow.fill(0)
    this.dirtyHigh.fill(0)
    this.dirtyPages = 0
  }

  /** Slots that may hold pages, dirty ones included. */
  get slots(): number {
    return this.#limit
  }

  /** Slots that were used at some time: all others are empty. */
  get slotsUsed(): number {
    return this.#used
  }

  #slotOf(block: number): number {
    let i = Math.imul(block, 0x9e3779b1) & this.#tableMask
    for (;;) {
      const slot = this.#table[i]!
      if (slot < 0 || this.blockOf[slot] === block) return slot
      i = (i + 1) & this.#tableMask
    }
  }

  #enter(slot: number, block: number, kind: PageKind): void {
    let i = Math.imul(block, 0x9e3779b1) & this.#tableMask
    while (this.#table[i]! >= 0) i = (i + 1) & this.#tableMask
    this.#table[i] = slot
    this.blockOf[slot] = block
    this.kindOf[slot] = kind
    this.#seenLow[slot] = 0
    this.#seenHigh[slot] = 0
    this.#stamp[slot] = this.#now
    this.#passed[slot] = this.#now
  }

  #remove(slot: number): void {
    const block = this.blockOf[slot]!
    let i = Math.imul(block, 0x9e3779b1) & this.#tableMask
    while (this.#table[i] !== slot) i = (i + 1) & this.#tableMask
    // Close the gap: what probed past it must be found from its own place on.
    for (let j = i; ;) {
      j = (j + 1) & this.#tableMask
      const other = this.#table[j]!
      if (other < 0) break
      const ideal = Math.imul(this.blockOf[other]!, 0x9e3779b1) & this.#tableMask
      if (((j - ideal) & this.#tableMask) >= ((j - i) & this.#tableMask)) {
        this.#table[i] = other
        i = j
      }
    }
    this.#table[i] = -1
    this.blockOf[slot] = NO_BLOCK
    this.#stamp[slot] = 0
    if (this.dirtyLow[slot] !== 0 || this.dirtyHigh[slot] !== 0) this.dirtyPages--
    if (this.txLow[slot] !== 0 || this.txHigh[slot] !== 0) {
      let i = 0
      while (this.txSlots[i] !== slot) i++
      this.txSlots.copyWithin(i, i + 1, this.txCount--)
    }
    this.dirtyLow[slot] = 0
    this.dirtyHigh[slot] = 0
    this.txLow[slot] = 0
    this.txHigh[slot] = 0
    this.txFresh[slot] = 0
  }

  #freeSlot(): number {
    if (this.#emptiedCount > 0) return this.#emptied[--this.#emptiedCount]!
    if (this.#used < this.#limit) return this.#used++
    // Clock: a page that was used again since the hand came by stays for one more round.
    for (let step = 0; step < 2 * this.#limit; step++) {
      const slot = this.#hand
      this.#hand = slot + 1 === this.#limit ? 0 : slot + 1
      const stamp = this.#stamp[slot]!
      const again = stamp !== this.#passed[slot]
      this.#passed[slot] = stamp
      if (again || stamp === this.#now) continue
      if (this.dirtyLow[slot] !== 0 || this.dirtyHigh[slot] !== 0) continue
      if (this.txLow[slot] !== 0 || this.txHigh[slot] !== 0) continue
      this.#remove(slot)
      return slot
    }
    throw new Error('invariant broken: the page cache has room for one operation')
  }
}
