/**
 * Which blocks are handed out, and when a freed one may be.
 *
 * Invariants:
 * - a bit is set exactly when a structure or a file owns the block, or it is bad, as of the newest
 *   transaction;
 * - a block freed by a transaction is handed out only when that transaction is durable: else a
 *   power cut would leave the old owner with the new owner's bytes;
 * - a freed metadata page is handed out only when the tail of the log has passed it: else replay
 *   would write its old lines over the new owner's bytes;
 * - a block in the list of bad ones is never handed out;
 * - a block that the frame table counts is neither handed out nor freed;
 * - beyond the limit, where the volume is about to end, nothing is handed out;
 * - in the grace period nothing is handed out, and nothing freed.
 *
 * The second and third are the `quarantine`: bits in memory over the clear bits of the medium.
 * After a mount the log is empty and every clear bit is free.
 *
 * Policy: a file goes on where it ends; else the first run that is long enough, from the lowest
 * block on, so that what is small fills the gaps; what has 2 MiB or more gets whole groups of 2
 * MiB, aligned as its place in the file is, as long as there are any.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { CHUNK_BLOCKS } from '../media/bitmap.js'
import type { Frames } from './frames.js'
import { FreeMap, GROUP_BLOCKS } from './free_map.js'
import type { Geometry } from './geometry.js'
import type { Grace } from './grace.js'
import type { Pages } from './pages.js'
import { RunsOutside } from './runs_outside.js'
import type { VolumeState } from './state.js'

/** Chunks looked at for a longer run once a shorter one is at hand. */
const SEARCH_CHUNKS = 64

export class Allocator {
  /** The run found by `allocate`. */
  start = 0
  count = 0
  /** Blocks in quarantine. */
  quarantined = 0
  /** What is held: never handed out, never freed. */
  frames: Frames | null = null
  /** Blocks that are never free, although nobody owns them: filled at mount. */
  readonly bad = new Set<number>()

  readonly #pages: Pages
  readonly #geometry: Geometry
  readonly #state: VolumeState
  readonly #grace: Grace
  readonly #map: FreeMap
  /** No chunk below has a free block. */
  #hint = 0
  /** No chunk below had a free group when it was last looked at. */
  #groupHint = 0
  /** Runs in quarantine, [start, count]: by the running transaction, until durable, until home. */
  #freedNow: number[] = []
  #untilDurable: number[] = []
  #untilHome: number[] = []
  #flushed: number[] = []
  readonly #outside = new RunsOutside((count, from, end) =>
    this.findRun(count, -1, from, Math.min(end, this.#geometry.blockCount)),
  )
  /** A run set aside for the data of the running call. */
  #claimStart = 0
  #claimCount = 0
  /** What is free from here on stays in quarantine. */
  #limit = Infinity

  constructor(pages: Pages, geometry: Geometry, state: VolumeState, grace: Grace) {
    this.#pages = pages
    this.#geometry = geometry
    this.#state = state
    this.#grace = grace
    this.#map = new FreeMap(pages, geometry)
  }

  /** Blocks that can be handed out now. */
  get available(): number {
    return this.#state.freeBlocks - this.quarantined
  }

  /** Blocks of [from, to) that nobody owns, be they in quarantine or not. Ticks. */
  freeIn(from: number, to: number): number {
    let free = 0
    this.#eachChunk(from, to - from, (chunk, bit, n) => {
      this.#pages.tick()
      free += this.#map.clearIn(chunk, bit, n)
    })
    return free
  }

  /** The first block of [from, to) that is in use, or `to`. Ticks. */
  firstInUse(from: number, to: number): number {
    for (let block = from; block < to;) {
      this.#pages.tick()
      const chunk = Math.floor(block / CHUNK_BLOCKS)
      const first = chunk * CHUNK_BLOCKS
      const end = Math.min(CHUNK_BLOCKS, to - first)
      const bit = this.#map.setBit(chunk, block - first, end)
      if (bit < end) return first + bit
      block = first + end
    }
    return to
  }

  /** Whether [start, start + count) lies where files and trees may be. */
  isData(start: number, count: number): boolean {
    return start >= this.#geometry.dataStart && start + count <= this.#geometry.blockCount
  }

  /** One block, for metadata. */
  allocateOne(): number {
    const claimed = this.#claimCount
    this.#claimCount = 0 // not from the run that is set aside: its bits are busy
    try {
      this.allocate(0, 1)
    } finally {
      this.#claimCount = claimed
    }
    return this.start
  }

  /**
   * Takes up to `want` blocks in one run: from `goal` on when that block is free, else as the
   * policy says. `fileBlock`: where the run begins in its file. Sets `start` and `count`. The
   * caller has made sure (Transaction.begin) that a block is available.
   */
  allocate(goal: number, want: number, fileBlock = -1): void {
    if (this.#claimCount > 0) return this.#takeClaimed(want)
    const aligned = fileBlock >= 0 && fileBlock % GROUP_BLOCKS === 0
    // A file that reaches a multiple of 2 MiB goes on in a group of its own.
    const large = aligned && (want >= GROUP_BLOCKS || fileBlock > 0)
    if (large && goal % GROUP_BLOCKS !== 0 && this.#takeGroups(want)) return
    if (goal >= this.#geometry.dataStart && goal < this.#geometry.blockCount) {
      const chunk = Math.floor(goal / CHUNK_BLOCKS)
      const bit = goal - chunk * CHUNK_BLOCKS
      // One that is not aligned ends where its next group could begin.
      const skewed = fileBlock >= 0 && (goal - fileBlock) % GROUP_BLOCKS !== 0
      const most = skewed ? GROUP_BLOCKS - (fileBlock % GROUP_BLOCKS) : CHUNK_BLOCKS
      const length = this.#map.runAt(chunk, bit, Math.min(want, most, CHUNK_BLOCKS))
      if (length > 0) return this.#take(chunk, bit, length)
    }
    if (large && this.#takeGroups(want)) return
    this.#takeFirst(want)
  }

  /** The first run that is long enough, else the longest found. */
  #takeFirst(want: number): void {
    let bestChunk = -1
    let bestBit = 0
    let best = 0
    let searched = 0
    let first = true
    for (let chunk = this.#hint; chunk < this.#map.chunks; chunk++) {
      const free = this.#map.freeOf(chunk)
      if (free === 0) {
        if (first) this.#hint = chunk + 1
        continue
      }
      first = false
      if (free > best) {
        this.#map.longestRun(chunk, Math.min(want, CHUNK_BLOCKS))
        if (this.#map.count > best) {
          best = this.#map.count
          bestBit = this.#map.start
          bestChunk = chunk
        }
      }
      if (best >= Math.min(want, CHUNK_BLOCKS) || ++searched >= SEARCH_CHUNKS) break
    }
    if (bestChunk < 0) throw this.#noneFree()
    this.#take(bestChunk, bestBit, best)
  }

  /** Blocks are reserved and there are none: the state counts some that the bitmap has not. */
  #noneFree(): HoldfastError {
    const [told, free] = [this.#state.freeBlocks, this.#map.total()]
    assert(told !== free, 'a transaction reserves before it allocates')
    const what = `the state counts ${told} free blocks, the bitmap ${free}`
    return new HoldfastError('EUCLEAN', `${what}; run holdfast fsck`)
  }

  /** From whole free groups; false when none is near. */
  #takeGroups(want: number): boolean {
    const { chunks } = this.#map
    let bestChunk = -1
    let bestBit = 0
    let best = 0
    let searched = 0
    for (let chunk = this.#groupHint; chunk < chunks && searched < SEARCH_CHUNKS; chunk++) {
      if (this.#map.freeOf(chunk) < GROUP_BLOCKS) continue
      searched++
      this.#map.groups(chunk, want)
      if (this.#map.count === 0) continue
      if (bestChunk < 0) this.#groupHint = chunk
      if (this.#map.count > best) {
        bestChunk = chunk
        bestBit = this.#map.start
        best = this.#map.count
      }
      if (best >= Math.min(want, CHUNK_BLOCKS)) break
    }
    if (bestChunk < 0) return false
    this.#take(bestChunk, bestBit, Math.min(want, best))
    return true
  }

  // ---- one run for all of a call ---------------------------------------------------------------

  /**
   * Sets a run of `count` blocks aside, from `goal` on or, when that is 0, anywhere: what
   * `allocate` hands out next, until `unclaim`. Aligned as `fileBlock` is when it has 2 MiB. False:
   * there is none.
   */
  claim(goal: number, count: number, fileBlock: number): boolean {
    assert(this.#claimCount === 0, 'one run is set aside at a time')
    let start = 0
    if (goal !== 0) start = this.#map.runFrom(goal, count) === count ? goal : 0
    else {
      const phase = count >= GROUP_BLOCKS ? fileBlock % GROUP_BLOCKS : -1
      if (phase >= 0) start = this.findRun(count, phase)
      if (start === 0) start = this.findRun(count, -1)
    }
    if (start === 0) return false
    this.#setAside(start, count)
    return true
  }

  /**
   * Sets a run aside that has no block of [from, to): the first of `count` blocks, else a shorter
   * one, half as long each time. Returns its length; 0: there is none.
   */
  claimOutside(from: number, to: number, count: number): number {
    assert(this.#claimCount === 0, 'one run is set aside at a time')
    const n = this.#outside.find(from, to, count)
    if (n > 0) this.#setAside(this.#outside.start, n)
    return n
  }

  #setAside(start: number, count: number): void {
    this.#claimStart = start
    this.#claimCount = count
    this.#eachChunk(start, count, (chunk, bit, n) => this.#map.setBusy(chunk, bit, n, true))
  }

  /** What is left of the run that was set aside is free again. */
  unclaim(): void {
    const [start, count] = [this.#claimStart, this.#claimCount]
    this.#claimCount = 0
    this.#eachChunk(start, count, (chunk, bit, n) => this.#map.setBusy(chunk, bit, n, false))
  }

  #takeClaimed(want: number): void {
    const chunk = Math.floor(this.#claimStart / CHUNK_BLOCKS)
    const bit = this.#claimStart - chunk * CHUNK_BLOCKS
    const n = Math.min(want, this.#claimCount, CHUNK_BLOCKS - bit)
    this.#map.setBusy(chunk, bit, n, false)
    this.#claimStart += n
    this.#claimCount -= n
    this.#take(chunk, bit, n)
  }

  /**
   * The first free run of `count` blocks of [from, end); `phase` >= 0: that begins at this block of
   * a group. 0 when there is none.
   */
  findRun(
    count: number,
    phase = -1,
    from = this.#geometry.dataStart,
    end = this.#geometry.blockCount,
  ): number {
    for (let block = Math.max(from, this.#geometry.dataStart); block + count <= end;) {
      const chunk = Math.floor(block / CHUNK_BLOCKS)
      if (this.#map.freeOf(chunk) === 0) {
        block = (chunk + 1) * CHUNK_BLOCKS
        continue
      }
      if (phase >= 0) block += (phase - (block % GROUP_BLOCKS) + GROUP_BLOCKS) % GROUP_BLOCKS
      if (block + count > end) break
      const run = this.#map.runFrom(block, count)
      if (run === count) return block
      block += Math.max(1, run)
    }
    return 0
  }

  // ---- giving back -----------------------------------------------------------------------------

  /** Gives blocks back. Metadata pages also wait until no record can write them any more. */
  release(start: number, count: number, metadata: boolean): void {
    this.#assertFree(start, count)
    if (this.bad.size > 0) return this.#releaseGood(start, count, metadata)
    this.#eachChunk(start, count, (chunk, bit, n) => this.#map.give(chunk, bit, n))
    this.#state.addFreeBlocks(count)
    this.quarantined += count
    ;(metadata ? this.#untilHome : this.#freedNow).push(start, count)
  }

  /** Bad blocks among them stay taken. */
  #releaseGood(start: number, count: number, metadata: boolean): void {
    for (let block = start; block < start + count; block++) {
      if (this.bad.has(block)) continue
      this.#eachChunk(block, 1, (chunk, bit, n) => this.#map.give(chunk, bit, n))
      this.#state.addFreeBlocks(1)
      this.quarantined++
      ;(metadata ? this.#untilHome : this.#freedNow).push(block, 1)
    }
  }

  /** Takes a block that is bad, when it is free. After a checkpoint. */
  takeBad(block: number): void {
    const chunk = Math.floor(block / CHUNK_BLOCKS)
    const bit = block - chunk * CHUNK_BLOCKS
    if (block >= this.#limit) this.cutOff(block, 1)
    else if (this.#map.runAt(chunk, bit, 1) === 1) this.#take(chunk, bit, 1)
  }

  // ---- the end of a volume that becomes smaller ------------------------------------------------

  /** Nothing is handed out from `block` on any more. After a checkpoint. Ticks. */
  limit(block: number): void {
    assert(this.quarantined === 0 && this.#claimCount === 0, 'nothing is between used and free')
    this.#limit = block
    let end = block
    try {
      this.#eachChunk(block, this.#geometry.blockCount - block, (chunk, bit, n) => {
        this.#pages.tick()
        this.#eachClear(chunk, bit, n, (start, count) => {
          this.#map.setBusy(chunk, start, count, true)
          this.quarantined += count
        })
        end += n
      })
    } catch (error) {
      this.#unlimitTo(end) // a part of the bitmap cannot be read
      throw error
    }
  }

  /** Whether there is a limit. */
  get limited(): boolean {
    return this.#limit !== Infinity
  }

  /** What is free is handed out again wherever it is. After a checkpoint. Ticks. */
  unlimit(): void {
    this.#unlimitTo(this.#geometry.blockCount)
  }

  #unlimitTo(end: number): void {
    const block = this.#limit
    this.#limit = Infinity
    this.#eachChunk(block, Math.max(0, end - block), (chunk, bit, n) => {
      this.#pages.tick()
      this.#eachClear(chunk, bit, n, (start, count) => {
        this.quarantined -= count
        this.#freeAgain(chunk, start, count)
      })
    })
  }

  /** Inside a transaction: what nobody has beyond the limit is taken, and no more. */
  cutOff(start: number, count: number): void {
    assert(start >= this.#limit, 'a volume ends where nothing is handed out')
    this.#eachChunk(start, count, (chunk, bit, n) => {
      this.#eachClear(chunk, bit, n, (first, clear) => {
        this.#assertFree(chunk * CHUNK_BLOCKS + first, clear)
        this.#map.setBusy(chunk, first, clear, false)
        this.#map.take(chunk, first, clear)
        this.#state.addFreeBlocks(-clear)
        this.quarantined -= clear
      })
    })
  }

  /** Runs of clear bits of a chunk, busy or not. */
  #eachClear(
    chunk: number,
    bit: number,
    count: number,
    visit: (bit: number, count: number) => void,
  ): void {
    const map = this.#map
    const end = bit + count
    for (map.clearRun(chunk, bit, end); map.count > 0; map.clearRun(chunk, bit, end)) {
      bit = map.start + map.count
      visit(map.start, map.count)
    }
  }

  // ---- the quarantine --------------------------------------------------------------------------

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
      const start = runs[i]!
      const count = Math.min(runs[i + 1]!, Math.max(0, this.#limit - start))
      this.quarantined -= count
      this.#eachChunk(start, count, (chunk, bit, n) => this.#freeAgain(chunk, bit, n))
    }
  }

  #freeAgain(chunk: number, bit: number, count: number): void {
    this.#map.setBusy(chunk, bit, count, false)
    this.#outside.freed(chunk * CHUNK_BLOCKS + bit, count)
    if (chunk < this.#hint) this.#hint = chunk
    if (chunk < this.#groupHint) this.#groupHint = chunk
  }

  /** The last line of defence: whoever is wrong above, no hold meets another file's bytes. */
  #assertFree(start: number, count: number): void {
    assert(!this.#grace.active, 'in the grace period no block is handed out or freed')
    if (this.frames === null || this.frames.distinct === 0) return
    assert(!this.frames.any(start, count), 'a held block is neither handed out nor freed')
  }

  #take(chunk: number, bit: number, count: number): void {
    const start = chunk * CHUNK_BLOCKS + bit
    if (!this.isData(start, count)) {
      const what = `block ${start} is not for data, and free in the bitmap`
      throw new HoldfastError('EUCLEAN', `${what}; run holdfast fsck`)
    }
    this.#assertFree(start, count)
    this.#map.take(chunk, bit, count)
    this.#state.addFreeBlocks(-count)
    this.start = start
    this.count = count
  }

  /** A run of blocks, chunk by chunk. */
  #eachChunk(
    start: number,
    count: number,
    visit: (chunk: number, bit: number, n: number) => void,
  ): void {
    for (let block = start, left = count; left > 0;) {
      const chunk = Math.floor(block / CHUNK_BLOCKS)
      const bit = block - chunk * CHUNK_BLOCKS
      const n = Math.min(left, CHUNK_BLOCKS - bit)
      visit(chunk, bit, n)
      block += n
      left -= n
    }
  }
}
