/**
 * Which blocks are free: the bitmap on the medium, less the blocks that are busy for other reasons.
 *
 * Busy bits are in memory only: blocks that were freed and must wait (Allocator, quarantine), and
 * those set aside for the call that is running. Both read as taken; taking a busy one is an error.
 *
 * Invariants:
 * - a clear bit is set by `take` and by nothing else, a set one cleared by `give`;
 * - `freeOf` is exact for every chunk that was looked at.
 */
import { HoldfastError } from '../base/errors.js'
import { popcount } from '../base/bytes.js'
import { LINE_BYTES } from '../base/limits.js'
import {
  BitmapChunk,
  CHUNK_BLOCKS,
  CHUNK_WORDS,
  CHUNKS_PER_BLOCK,
  invalidBitmapChunk,
} from '../media/bitmap.js'
import type { Geometry } from './geometry.js'
import { PageKind, type Pages } from './pages.js'

const at = BitmapChunk.word
const UNKNOWN = 0xffff
/** Blocks of a group: 2 MiB, what a large page maps. A chunk has seven. */
export const GROUP_BLOCKS = 512
const GROUP_WORDS = GROUP_BLOCKS / 32

export class FreeMap {
  /** The run found by `longestRun` and `groups`: a bit of the chunk, blocks. */
  start = 0
  count = 0

  readonly chunks: number
  readonly #pages: Pages
  readonly #geometry: Geometry
  /** Clear bits of each chunk that are not busy, as far as looked at: the summary, built lazily. */
  readonly #free: Uint16Array
  readonly #busy = new Map<number, Uint32Array>()

  constructor(pages: Pages, geometry: Geometry) {
    this.#pages = pages
    this.#geometry = geometry
    this.chunks = geometry.chunks
    this.#free = new Uint16Array(geometry.chunks).fill(UNKNOWN)
  }

  /** Free blocks of a chunk. */
  freeOf(chunk: number): number {
    let free = this.#free[chunk]!
    if (free === UNKNOWN) {
      free = this.#pages.u32[(this.#chunk(chunk) >>> 2) + at.free]!
      const busy = this.#busy.get(chunk)
      if (busy !== undefined) for (const word of busy) free -= popcount(word)
      this.#free[chunk] = free
    }
    return free
  }

  /** Free blocks of all chunks, those that are busy too. */
  total(): number {
    let free = 0
    for (let chunk = 0; chunk < this.chunks; chunk++) {
      free += this.#pages.u32[(this.#chunk(chunk) >>> 2) + at.free]!
    }
    return free
  }

  /** Length of the free run that begins at `bit` of a chunk, at most `want`, within the chunk. */
  runAt(chunk: number, bit: number, want: number): number {
    const w = this.#chunk(chunk) >>> 2
    const busy = this.#busy.get(chunk)
    const end = Math.min(CHUNK_BLOCKS, bit + want)
    let i = bit
    while (i < end) {
      const word = this.#taken(w, busy, i >>> 5)
      if ((i & 31) === 0 && word === 0) {
        i += 32
        continue
      }
      if ((word & (1 << (i & 31))) !== 0) break
      i++
    }
    return Math.min(i, end) - bit
  }

  /** Clear bits among `count` of a chunk from `bit` on, busy ones too. */
  clearIn(chunk: number, bit: number, count: number): number {
    const w = (this.#chunk(chunk) >>> 2) + at.bits
    let clear = 0
    for (let i = bit; i < bit + count; i++) {
      if ((this.#pages.u32[w + (i >>> 5)]! & (1 << (i & 31))) === 0) clear++
    }
    return clear
  }

  /** The first run of clear bits, busy or not, of bits [bit, end) of a chunk; `count` 0: none. */
  clearRun(chunk: number, bit: number, end: number): void {
    this.start = this.#nextBit(chunk, bit, end, false)
    this.count = this.#nextBit(chunk, this.start, end, true) - this.start
  }

  /** The first set bit of bits [bit, end) of a chunk, or `end`. */
  setBit(chunk: number, bit: number, end: number): number {
    return this.#nextBit(chunk, bit, end, true)
  }

  #nextBit(chunk: number, bit: number, end: number, set: boolean): number {
    const w = (this.#chunk(chunk) >>> 2) + at.bits
    const other = set ? 0 : 0xffff_ffff
    for (let i = bit; i < end;) {
      const word = this.#pages.u32[w + (i >>> 5)]!
      if ((i & 31) === 0 && word === other) i += 32
      else if (((word >>> (i & 31)) & 1) === (set ? 1 : 0)) return i
      else i++
    }
    return end
  }

  /** Length of the free run that begins at a block, at most `want`, across chunks. */
  runFrom(block: number, want: number): number {
    let run = 0
    while (run < want && block + run < this.#geometry.blockCount) {
      const chunk = Math.floor((block + run) / CHUNK_BLOCKS)
      const bit = block + run - chunk * CHUNK_BLOCKS
      const n = this.runAt(chunk, bit, Math.min(want - run, CHUNK_BLOCKS - bit))
      run += n
      if (bit + n < CHUNK_BLOCKS) break
    }
    return run
  }

  /** The first run of `want` free blocks of a chunk, or its longest. */
  longestRun(chunk: number, want: number): void {
    const w = this.#chunk(chunk) >>> 2
    const busy = this.#busy.get(chunk)
    this.start = 0
    this.count = 0
    for (let i = 0; i < CHUNK_WORDS; i++) {
      if ((this.#taken(w, busy, i) | 0) === -1) continue
      let bit = i * 32
      const end = bit + 32
      while (bit < end) {
        if ((this.#taken(w, busy, bit >>> 5) & (1 << (bit & 31))) !== 0) {
          bit++
          continue
        }
        const length = this.runAt(chunk, bit, want)
        if (length > this.count) {
          this.start = bit
          this.count = length
          if (length >= want) return
        }
        bit += length
      }
      // A run may have gone on past this word.
      if (bit > end) i = (bit >>> 5) - 1
    }
  }

  /** The longest row of groups of a chunk that are all free, up to `want` blocks. */
  groups(chunk: number, want: number): void {
    const w = this.#chunk(chunk) >>> 2
    const busy = this.#busy.get(chunk)
    this.count = 0
    let row = 0
    // Of its seven and a half groups the half one comes first in every other chunk.
    const first = (chunk * CHUNK_BLOCKS) % GROUP_BLOCKS === 0 ? 0 : GROUP_BLOCKS / 2
    for (let bit = first; bit + GROUP_BLOCKS <= CHUNK_BLOCKS; bit += GROUP_BLOCKS) {
      let word = bit >>> 5
      const end = word + GROUP_WORDS
      while (word < end && this.#taken(w, busy, word) === 0) word++
      row = word === end ? row + GROUP_BLOCKS : 0
      if (row <= this.count) continue
      this.start = bit + GROUP_BLOCKS - row
      this.count = row
      if (row >= want) return
    }
  }

  take(chunk: number, bit: number, count: number): void {
    const base = this.#chunk(chunk)
    this.#setBits(base, bit, count, true)
    this.#pages.u32[(base >>> 2) + at.free]! -= count
    this.#pages.touch(base & -4096, base & 4095, LINE_BYTES)
    if (this.#free[chunk] !== UNKNOWN) this.#free[chunk]! -= count
  }

  /** Clears bits on the medium. The blocks are busy until `setBusy` says otherwise. */
  give(chunk: number, bit: number, count: number): void {
    const base = this.#chunk(chunk)
    this.#setBits(base, bit, count, false)
    this.#pages.u32[(base >>> 2) + at.free]! += count
    this.#pages.touch(base & -4096, base & 4095, LINE_BYTES)
    this.#markBusy(chunk, bit, count, true)
  }

  /** Free blocks become busy, or busy ones free. */
  setBusy(chunk: number, bit: number, count: number, on: boolean): void {
    this.#markBusy(chunk, bit, count, on)
    if (this.#free[chunk] !== UNKNOWN) this.#free[chunk]! += on ? -count : count
  }

  #markBusy(chunk: number, bit: number, count: number, on: boolean): void {
    let words = this.#busy.get(chunk)
    if (words === undefined) {
      words = new Uint32Array(CHUNK_WORDS)
      this.#busy.set(chunk, words)
    }
    for (let i = bit; i < bit + count;) {
      const low = i & 31
      const n = Math.min(32 - low, bit + count - i)
      const mask = maskOf(low, n)
      if (on) words[i >>> 5]! |= mask
      else words[i >>> 5]! &= ~mask
      i += n
    }
  }

  /** Byte offset in the arena of a chunk. */
  #chunk(chunk: number): number {
    const block = this.#geometry.bitmapStart + (chunk >>> 3)
    let base = this.#pages.find(block, PageKind.bitmap)
    if (base < 0) base = this.#load(block, chunk >>> 3)
    return base + (chunk & 7) * BitmapChunk.size
  }

  #load(block: number, page: number): number {
    const base = this.#pages.load(block)
    for (let i = 0; i < CHUNKS_PER_BLOCK; i++) {
      const chunk = page * CHUNKS_PER_BLOCK + i
      if (chunk >= this.chunks) break
      const why =
        base < 0 ? 'is in use as something else' : this.#invalid(base + i * BitmapChunk.size, chunk)
      if (why !== null) {
        if (base >= 0) this.#pages.drop(block)
        throw new HoldfastError(
          'EUCLEAN',
          `bitmap chunk ${chunk} in block ${block}: ${why}; run holdfast fsck`,
        )
      }
    }
    this.#pages.verified(base, PageKind.bitmap)
    return base
  }

  /** Why a chunk cannot be believed, or null: what it counts is what it has. */
  #invalid(base: number, chunk: number): string | null {
    const why = invalidBitmapChunk(this.#pages, base, chunk)
    if (why !== null) return why
    const { u32 } = this.#pages
    const w = base >>> 2
    let free = CHUNK_BLOCKS
    for (let i = 0; i < CHUNK_WORDS; i++) free -= popcount(u32[w + at.bits + i]!)
    const counted = u32[w + at.free]!
    return counted === free ? null : `it counts ${counted} free blocks and has ${free}`
  }

  /** Bits of word `i` of a chunk that are taken or busy. */
  #taken(w: number, busy: Uint32Array | undefined, i: number): number {
    const used = this.#pages.u32[w + at.bits + i]!
    return busy === undefined ? used : used | busy[i]!
  }

  /** Freeing what is free, or taking what is taken, is a double owner: nothing of it is stored. */
  #demandBits(base: number, bit: number, count: number, on: boolean): void {
    const w = (base >>> 2) + at.bits
    for (let i = bit; i < bit + count;) {
      const low = i & 31
      const n = Math.min(32 - low, bit + count - i)
      const word = this.#pages.u32[w + (i >>> 5)]!
      if (((on ? word : ~word) & maskOf(low, n)) !== 0) throw twoOwners(on)
      i += n
    }
  }

  #setBits(base: number, bit: number, count: number, on: boolean): void {
    this.#demandBits(base, bit, count, on)
    const w = (base >>> 2) + at.bits
    const u32 = this.#pages.u32
    for (let i = bit; i < bit + count;) {
      const low = i & 31
      const n = Math.min(32 - low, bit + count - i)
      const mask = maskOf(low, n)
      const word = u32[w + (i >>> 5)]!
      u32[w + (i >>> 5)] = on ? word | mask : word & ~mask
      i += n
    }
    const page = base & -4096
    const from = (base & 4095) + BitmapChunk.at.bits + ((bit >>> 5) << 2)
    const to = (base & 4095) + BitmapChunk.at.bits + (((bit + count - 1) >>> 5) << 2) + 4
    this.#pages.touch(page, from, to - from)
  }
}

function twoOwners(taking: boolean): HoldfastError {
  const what = taking ? 'one that is taken is to be taken again' : 'one that is free is to be freed'
  return new HoldfastError('EUCLEAN', `a block has one owner, and ${what}; run holdfast fsck`)
}

/** `n` bits from bit `low` on. */
function maskOf(low: number, n: number): number {
  return (n === 32 ? -1 : ((1 << n) - 1) << low) >>> 0
}
