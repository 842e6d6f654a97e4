/**
 * Which blocks are in use: the bitmap on the medium, and what may not be handed out yet.
 *
 * Invariants:
 * - a bit is set exactly when a structure or a file owns the block, as of the newest transaction;
 * - a block freed by a transaction is handed out only when that transaction is durable: else a
 *   power cut would leave the old owner with the new owner's bytes;
 * - a freed metadata page is handed out only when the tail of the log has passed it: else replay
 *   would write its old lines over the new owner's bytes.
 *
 * The last two are `quarantine`: bits in memory over the clear bits of the medium. Nothing of it is
 * on the medium: after a mount the log is empty and every clear bit is free.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { BLOCK_SHIFT, LINE_BYTES } from '../base/limits.js'
import {
  BitmapChunk,
  CHUNK_BLOCKS,
  CHUNK_WORDS,
  CHUNKS_PER_BLOCK,
  invalidBitmapChunk,
} from '../media/bitmap.js'
import type { Geometry } from './geometry.js'
import { PageKind, type Pages } from './pages.js'
import type { VolumeState } from './state.js'

const at = BitmapChunk.word
/** Chunks looked at for a longer run once a shorter one is at hand. */
const SEARCH_CHUNKS = 64
const UNKNOWN = 0xffff

export class Allocator {
  /** The run found by `allocate`. */
  start = 0
  count = 0
  /** Blocks in quarantine. */
  quarantined = 0

  readonly #pages: Pages
  readonly #geometry: Geometry
  readonly #state: VolumeState
  /** Clear bits of each chunk not in quarantine, as far as looked at: the summary, built lazily. */
  readonly #free: Uint16Array
  /** No chunk below has a free block. */
  #hint = 0
  readonly #busy = new Map<number, Uint32Array>()
  /** Runs in quarantine, [start, count]: by the running transaction, until durable, until home. */
  #freedNow: number[] = []
  #untilDurable: number[] = []
  #untilHome: number[] = []
  #flushed: number[] = []

  constructor(pages: Pages, geometry: Geometry, state: VolumeState) {
    this.#pages = pages
    this.#geometry = geometry
    this.#state = state
    this.#free = new Uint16Array(geometry.chunks).fill(UNKNOWN)
  }

  /** Blocks that can be handed out now. */
  get available(): number {
    return this.#state.freeBlocks - this.quarantined
  }

  /** One block, for metadata. */
  allocateOne(): number {
    this.allocate(0, 1)
    return this.start
  }

  /**
   * Takes up to `want` blocks in one run: from `goal` on when that block is free, else the first
   * run that is long enough, else the longest found. Sets `start` and `count`. The caller has made
   * sure (Transaction.begin) that a block is available.
   */
  allocate(goal: number, want: number): void {
    if (goal >= this.#geometry.dataStart && goal < this.#geometry.blockCount) {
      const chunk = Math.floor(goal / CHUNK_BLOCKS)
      const bit = goal - chunk * CHUNK_BLOCKS
      const length = this.#runAt(chunk, bit, Math.min(want, CHUNK_BLOCKS))
      if (length > 0) return this.#take(chunk, bit, length)
    }
    let bestChunk = -1
    let bestBit = 0
    let best = 0
    let searched = 0
    let first = true
    for (let chunk = this.#hint; chunk < this.#geometry.chunks; chunk++) {
      const free = this.#freeOf(chunk)
      if (free === 0) {
        if (first) this.#hint = chunk + 1
        continue
      }
      first = false
      if (free > best) {
        this.#longestRun(chunk, Math.min(want, CHUNK_BLOCKS))
        if (this.count > best) {
          best = this.count
          bestBit = this.start
          bestChunk = chunk
        }
      }
      if (best >= Math.min(want, CHUNK_BLOCKS) || ++searched >= SEARCH_CHUNKS) break
    }
    assert(bestChunk >= 0, 'a transaction reserves before it allocates')
    this.#take(bestChunk, bestBit, best)
  }

  /** Gives blocks back. Metadata pages also wait until no record can write them any more. */
  release(start: number, count: number, metadata: boolean): void {
    for (let block = start, left = count; left > 0;) {
      const chunk = Math.floor(block / CHUNK_BLOCKS)
      const bit = block - chunk * CHUNK_BLOCKS
      const run = Math.min(left, CHUNK_BLOCKS - bit)
      const base = this.#chunk(chunk)
      this.#setBits(base, bit, run, false)
      const w = base >>> 2
      this.#pages.u32[w + at.free]! += run
      this.#pages.touch(base & -4096, base & 4095, LINE_BYTES)
      this.#quarantine(chunk, bit, run, true)
      block += run
      left -= run
    }
    this.#state.addFreeBlocks(count)
    this.quarantined += count
    ;(metadata ? this.#untilHome : this.#freedNow).push(start, count)
  }

  /** The running transaction is in the log; `durable`: and durable already. */
  committed(durable: boolean): void {
    if (this.#freedNow.length === 0) return
    if (durable) this.#lift(this.#freedNow)
    else for (const n of this.#freedNow) this.#untilDurable.push(n)
    this.#freedNow.length = 0
  }

  /** A flush of all records so far begins: what it will free is set apart from what comes later. */
  flushBegins(): void {
    if (this.#untilDurable.length === 0) return
    for (const n of this.#untilDurable) this.#flushed.push(n)
    this.#untilDurable.length = 0
  }

  /** The flush is done. */
  flushDone(): void {
    if (this.#flushed.length === 0) return
    this.#lift(this.#flushed)
    this.#flushed.length = 0
  }

  /** Home is durable and the tail has moved. */
  homeDone(): void {
    this.#lift(this.#untilHome)
    this.#untilHome.length = 0
  }

  #lift(runs: number[]): void {
    for (let i = 0; i < runs.length; i += 2) {
      let block = runs[i]!
      let left = runs[i + 1]!
      this.quarantined -= left
      while (left > 0) {
        const chunk = Math.floor(block / CHUNK_BLOCKS)
        const bit = block - chunk * CHUNK_BLOCKS
        const run = Math.min(left, CHUNK_BLOCKS - bit)
        this.#quarantine(chunk, bit, run, false)
        if (this.#free[chunk] !== UNKNOWN) this.#free[chunk]! += run
        if (chunk < this.#hint) this.#hint = chunk
        block += run
        left -= run
      }
    }
  }

  #quarantine(chunk: number, bit: number, count: number, on: boolean): void {
    let words = this.#busy.get(chunk)
    if (words === undefined) {
      words = new Uint32Array(CHUNK_WORDS)
      this.#busy.set(chunk, words)
    }
    for (let i = bit; i < bit + count; i++) {
      if (on) words[i >>> 5]! |= 1 << (i & 31)
      else words[i >>> 5]! &= ~(1 << (i & 31))
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
      if (chunk >= this.#geometry.chunks) break
      const why =
        base < 0
          ? 'cached as something else'
          : invalidBitmapChunk(this.#pages, base + i * BitmapChunk.size, chunk)
      if (why !== null) {
        this.#pages.drop(block)
        throw new HoldfastError('EUCLEAN', `bitmap chunk ${chunk} in block ${block}: ${why}`)
      }
    }
    this.#pages.verified(base, PageKind.bitmap)
    return base
  }

  /** Free blocks of a chunk that are not in quarantine. */
  #freeOf(chunk: number): number {
    let free = this.#free[chunk]!
    if (free === UNKNOWN) {
      free = this.#pages.u32[(this.#chunk(chunk) >>> 2) + at.free]!
      const busy = this.#busy.get(chunk)
      if (busy !== undefined) for (const word of busy) free -= bitCount(word)
      this.#free[chunk] = free
    }
    return free
  }

  /** Bits in use or in quarantine, of word `i` of a chunk. */
  #taken(w: number, busy: Uint32Array | undefined, i: number): number {
    const used = this.#pages.u32[w + at.bits + i]!
    return busy === undefined ? used : used | busy[i]!
  }

  /** Length of the free run that begins at `bit`, at most `want`. */
  #runAt(chunk: number, bit: number, want: number): number {
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

  /**
   * The first run of `want` free blocks of a chunk, or its longest: into `start` (a bit), `count`.
   */
  #longestRun(chunk: number, want: number): void {
    const w = this.#chunk(chunk) >>> 2
    const busy = this.#busy.get(chunk)
    this.start = 0
    this.count = 0
    for (let i = 0; i < CHUNK_WORDS; i++) {
      const word = this.#taken(w, busy, i)
      if (word === 0xffff_ffff || (word | 0) === -1) continue
      let bit = i * 32
      const end = bit + 32
      while (bit < end) {
        if ((this.#taken(w, busy, bit >>> 5) & (1 << (bit & 31))) !== 0) {
          bit++
          continue
        }
        const length = this.#runAt(chunk, bit, want)
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

  #take(chunk: number, bit: number, count: number): void {
    const base = this.#chunk(chunk)
    this.#setBits(base, bit, count, true)
    this.#pages.u32[(base >>> 2) + at.free]! -= count
    this.#pages.touch(base & -4096, base & 4095, LINE_BYTES)
    this.#state.addFreeBlocks(-count)
    if (this.#free[chunk] !== UNKNOWN) this.#free[chunk]! -= count
    this.start = chunk * CHUNK_BLOCKS + bit
    this.count = count
  }

  #setBits(base: number, bit: number, count: number, on: boolean): void {
    const w = (base >>> 2) + at.bits
    const u32 = this.#pages.u32
    for (let i = bit; i < bit + count;) {
      const low = i & 31
      const n = Math.min(32 - low, bit + count - i)
      const mask = (n === 32 ? -1 : ((1 << n) - 1) << low) >>> 0
      const word = u32[w + (i >>> 5)]!
      // Freeing what is free, or taking what is taken, is a double owner: stop before it is logged.
      assert(((on ? word : ~word) & mask) === 0, 'a block has one owner')
      u32[w + (i >>> 5)] = on ? word | mask : word & ~mask
      i += n
    }
    const page = base & -4096
    const from = (base & 4095) + BitmapChunk.at.bits + ((bit >>> 5) << 2)
    const to = (base & 4095) + BitmapChunk.at.bits + (((bit + count - 1) >>> 5) << 2) + 4
    this.#pages.touch(page, from, to - from)
  }
}

function bitCount(word: number): number {
  let n = 0
  for (let v = word; v !== 0; v &= v - 1) n++
  return n
}

/** Whether a block number lies where files and trees may be. */
export function isDataBlock(geometry: Geometry, block: number): boolean {
  return block >= geometry.dataStart && block < geometry.blockCount
}

export const blockOffset = (block: number): number => block * (1 << BLOCK_SHIFT)
