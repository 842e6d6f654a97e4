/**
 * A transaction: changes of cached pages that reach the medium whole or not at all.
 *
 *     begin -> change pages, stream data of new blocks -> commit: seal, gather, log, fence
 *     now and then: checkpoint: dirty lines to home, fence, move the tail
 *
 * Invariants:
 * - between `begin` and `commit` nothing waits, and what can fail for want of space fails in
 *   `begin`: a failure after the first change makes the volume unusable (`fail`) until it is opened
 *   again, which brings back the state before;
 * - home changes only in the checkpoint, and only lines whose records are durable;
 * - with sync 'always' a commit returns when the record is durable: one fence, and one before it
 *   when data was streamed; with 'group' it returns at once.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { popcount } from '../base/bytes.js'
import type { Clock } from '../base/clock.js'
import type { HoldInfo } from '../base/layout.js'
import { BLOCK_SHIFT, LINE_BYTES, RESERVE_BLOCKS } from '../base/limits.js'
import { BitmapChunk } from '../media/bitmap.js'
import { Inode, INODE_MAGIC } from '../media/inode.js'
import { PageDescriptor, recordLines } from '../media/log.js'
import { SlabHeader } from '../media/slab.js'
import { State } from '../media/state.js'
import { sealedBytes, TreeNode } from '../media/tree_node.js'
import { native } from '../native/native.js'
import type { Region } from '../region/region.js'
import { Allocator } from './allocator.js'
import type { Geometry } from './geometry.js'
import { Grace } from './grace.js'
import type { Log, Staging } from './log.js'
import { PageKind, type Pages } from './pages.js'
import type { VolumeState } from './state.js'

export type SyncMode = 'always' | 'group'

/**
 * Pages that one transaction may change; those of a long operation are cut into steps below this.
 */
export const TRANSACTION_PAGES_MAX = 160

/** Blocks that no file owns any more, and holds keep in use. */
export interface Kept {
  readonly blocks: number
  readonly holds: readonly HoldInfo[]
}

const NOTHING_KEPT: Kept = { blocks: 0, holds: [] }

export class Transaction {
  readonly allocator: Allocator
  readonly state: VolumeState
  readonly syncMode: SyncMode
  readonly grace = new Grace()
  commits = 0
  checkpoints = 0
  /**
   * Blocks of metadata that sending to limbo what is held may take; kept back as the reserve is.
   */
  heldReserve = 0

  readonly #region: Region
  readonly #pages: Pages
  readonly #log: Log
  readonly #commands: Staging
  readonly #clock: Clock
  #open = false
  #dataWritten = false
  #failure: HoldfastError | null = null
  /** The failure left the pages in memory whole: reading goes on. */
  #readable = true
  /**
   * Pages in the cache that are not at home, past which a checkpoint is due: a third of them, so
   * that the others find room, and that a recovery meets no more than these.
   */
  readonly dirtyPagesMax: number

  constructor(
    region: Region,
    geometry: Geometry,
    pages: Pages,
    log: Log,
    state: VolumeState,
    commands: Staging,
    syncMode: SyncMode,
    clock: Clock,
  ) {
    this.#region = region
    this.#pages = pages
    this.#log = log
    this.state = state
    this.syncMode = syncMode
    this.#commands = commands
    this.#clock = clock
    this.allocator = new Allocator(pages, geometry, state, this.grace)
    this.dirtyPagesMax = Math.floor(pages.slots / 3)
  }

  /** What holds alone keep in use: told to who finds no room. */
  kept: () => Kept = () => NOTHING_KEPT

  get usable(): boolean {
    return this.#failure === null
  }

  /** Throws EIO once the pages in memory cannot be trusted. A failed flush leaves them readable. */
  checkReadable(): void {
    if (this.#failure !== null && !this.#readable) throw this.#failure
  }

  /** Throws EIO once something failed that cannot be taken back. */
  checkUsable(): void {
    if (this.#failure !== null) throw this.#failure
  }

  /**
   * Begins. `blocks`: how many may be allocated at most; ENOSPC when they are not there. `freeing`
   * transactions may use the reserve, so that freeing works on a full volume. One that is not, and
   * allocates nothing, frees nothing either: it alone is allowed in the grace period.
   */
  begin(blocks: number, freeing = false): void {
    this.checkUsable()
    assert(!this.#open, 'transactions do not nest')
    if (freeing || blocks > 0) this.grace.demandOver()
    this.#makeRoom()
    if (freeing || blocks > 0) this.require(blocks, freeing)
    this.#clock.read()
    this.#pages.begin()
    this.#open = true
    this.#dataWritten = false
  }

  /**
   * Blocks that can be allocated without touching the reserve. When that is less than `wanted`,
   * what was freed lately is brought back first: with a flush, freed metadata with a checkpoint.
   */
  spare(wanted: number): number {
    const { allocator, reserve } = this
    if (allocator.available - reserve < wanted && allocator.quarantined > 0) this.checkpoint()
    return allocator.available - reserve
  }

  /** Blocks that only freeing may touch. */
  get reserve(): number {
    return RESERVE_BLOCKS + this.heldReserve
  }

  /** ENOSPC when fewer than `blocks` can be allocated; `freeing`: with the reserve. */
  require(blocks: number, freeing = false): void {
    const held = freeing ? 0 : this.reserve
    const least = blocks + held - this.reserve
    if (this.spare(least) >= least) return
    const left = Math.max(0, this.allocator.available - held)
    const reserve = freeing ? '' : ` (${held} kept back for freeing)`
    const kept = this.kept()
    const more = kept.blocks === 0 ? '' : `; ${kept.blocks} more when the holds on them end`
    const detail = `${blocks} blocks needed, ${left} available${reserve}${more}`
    throw new HoldfastError('ENOSPC', detail, { holds: kept.holds })
  }

  /** Something was streamed to blocks that this transaction maps, or past the end of a file. */
  wroteData(): void {
    this.#dataWritten = true
  }

  /** Lines that the running transaction would log. */
  get lines(): number {
    let lines = 0
    const pages = this.#pages
    for (let i = 0; i < pages.txCount; i++) {
      const slot = pages.txSlots[i]!
      lines += popcount(pages.txLow[slot]!) + popcount(pages.txHigh[slot]!)
    }
    return recordLines(pages.txCount, lines + pages.txCount)
  }

  /**
   * Whether a long operation should end its step here: one more extent may still split or merge
   * nodes at every level of two trees, some 300 lines.
   */
  get full(): boolean {
    return (
      this.#pages.txCount > TRANSACTION_PAGES_MAX / 2 || this.lines > this.#log.recordLinesMax >>> 2
    )
  }

  /** Ends: all of it is in the log, durable when `syncMode` is 'always'. */
  commit(): void {
    assert(this.#open, 'a commit ends a transaction')
    try {
      this.#seal()
      this.#record()
      this.#pages.settle()
      this.commits++
    } catch (error) {
      throw this.fail(error)
    }
    this.#open = false
    try {
      if (this.syncMode === 'always') {
        this.allocator.flushBegins()
        this.#log.flush(this.#dataWritten)
        this.allocator.committed(true)
        this.allocator.flushDone()
      } else {
        this.allocator.committed(false)
      }
      this.#region.check()
    } catch (error) {
      throw this.#failFlush(error)
    }
  }

  /** Runs `change` as one transaction. What it throws after a change has been made is final. */
  run<T>(blocks: number, freeing: boolean, change: () => T): T {
    this.begin(blocks, freeing)
    let result: T
    try {
      result = change()
    } catch (error) {
      throw this.abandon(error)
    }
    this.commit()
    return result
  }

  /** Ends without a trace when nothing was changed; else the volume is of no use until reopened. */
  abandon(error: unknown): unknown {
    if (!this.#pages.changed) {
      this.#open = false
      return error
    }
    return this.fail(error)
  }

  /** The volume can no longer be trusted in memory; what is durable on the medium stays right. */
  fail(error: unknown): HoldfastError {
    this.#readable = false
    return this.#fail(error, 'the volume stopped and must be opened again')
  }

  /** The medium failed: the volume is read-only from now on, and no flush is tried again. */
  #failFlush(error: unknown): HoldfastError {
    return this.#fail(error, 'a flush failed, the volume is read-only until it is opened again')
  }

  #fail(error: unknown, what: string): HoldfastError {
    if (this.#failure === null) {
      const why = error instanceof Error ? error.message : String(error)
      this.#failure = new HoldfastError('EIO', `${what}: ${why}`, { cause: error })
    }
    return this.#failure
  }

  /** Everything committed is durable when this returns. */
  flush(): void {
    this.checkUsable()
    try {
      this.allocator.flushBegins()
      this.#log.flush(true)
      this.#region.check()
      this.allocator.flushDone()
    } catch (error) {
      throw this.#failFlush(error)
    }
  }

  /** Runs the flush of stores that went past the volume; it fails as our own would. */
  flushed(run: () => void): void {
    this.checkUsable()
    try {
      run()
      this.#region.check()
    } catch (error) {
      throw this.#failFlush(error)
    }
  }

  /** The same on a thread; transactions go on meanwhile. */
  async flushAsync(): Promise<void> {
    this.checkUsable()
    if (this.#log.flushing) {
      // Another group is on its way and does not hold what came since: simplest is to finish both.
      this.flush()
      return
    }
    try {
      this.allocator.flushBegins()
      const finished = await this.#log.flushAsync()
      this.#region.check()
      if (finished) this.allocator.flushDone()
    } catch (error) {
      throw this.#failFlush(error)
    }
  }

  /** Writes every dirty line home and empties the log. */
  checkpoint(): void {
    assert(!this.#open, 'a checkpoint stands between transactions')
    try {
      // Records first: a line at home without its record would be half a transaction.
      if (this.#log.durable !== this.#log.head || this.syncMode === 'group') this.flush()
      this.writeHome()
      this.#log.moveTail()
      this.#region.check()
      this.allocator.homeDone()
      this.checkpoints++
    } catch (error) {
      throw this.#failFlush(error)
    }
  }

  /** Dirty lines to home, durable. The tail stays. */
  writeHome(): void {
    const pages = this.#pages
    const commands = this.#commands
    const room = commands.byteLength >>> 4
    let count = 0
    for (let slot = 0; slot < pages.slotsUsed; slot++) {
      const low = pages.dirtyLow[slot]!
      const high = pages.dirtyHigh[slot]!
      if (low === 0 && high === 0) continue
      const c = count * 4
      commands.u32[c] = slot
      commands.u32[c + 1] = low
      commands.u32[c + 2] = high
      commands.u32[c + 3] = pages.blockOf[slot]!
      if (++count === room) {
        this.#region.storePages(pages.arena.memory, commands.memory, 0, count)
        count = 0
      }
    }
    if (count > 0) this.#region.storePages(pages.arena.memory, commands.memory, 0, count)
    // Home before the tail: else a cut leaves pages that neither home nor log has whole.
    if (this.#region.persistence === 'sync') this.#region.sync(0, this.#region.byteLength)
    else this.#region.fence()
    pages.cleaned()
  }

  /**
   * A checkpoint when the log, the cache or the staging memory could be too full for what comes.
   */
  #makeRoom(): void {
    const log = this.#log
    const pages = this.#pages
    if (log.room < log.recordLinesMax * 2 || pages.dirtyPages > this.dirtyPagesMax) {
      this.checkpoint()
    } else if (
      this.syncMode === 'group' &&
      log.stagingRoom < (log.recordLinesMax + 1) * LINE_BYTES * 2
    ) {
      this.flush()
    }
  }

  /** Checksums of every structure that the transaction changed. */
  #seal(): void {
    const pages = this.#pages
    let count = 0
    for (let i = 0; i < pages.txCount; i++) {
      const slot = pages.txSlots[i]!
      const base = slot << BLOCK_SHIFT
      switch (pages.kindOf[slot]) {
        case PageKind.state:
          count = this.#sealOne(count, base, State.size)
          break
        case PageKind.node: {
          const records = pages.u32[(base >>> 2) + TreeNode.word.count]!
          pages.touch(base, 0, 8)
          count = this.#sealOne(count, base, sealedBytes(records))
          break
        }
        case PageKind.inodeMap:
          pages.touch(base, 0, 8)
          count = this.#sealOne(count, base, 4096)
          break
        case PageKind.bitmap:
          count = this.#sealParts(count, slot, BitmapChunk.size)
          break
        case PageKind.inodes:
          count = this.#sealParts(count, slot, Inode.size)
          break
        case PageKind.names:
          // Names are sealed when written, and never change.
          if ((pages.txLow[slot]! & 1) !== 0) count = this.#sealOne(count, base, SlabHeader.size)
          break
        default:
          throw new Error(`invariant broken: a changed page is of a known kind`)
      }
    }
    if (count > 0) native.sealBatch(pages.arena.memory, this.#commands.memory, 0, count)
  }

  #sealOne(count: number, base: number, length: number): number {
    const c = count * 4
    const u32 = this.#commands.u32
    u32[c] = base
    u32[c + 1] = length
    u32[c + 2] = 4 // every structure has its checksum in its second word
    u32[c + 3] = 0
    return count + 1
  }

  /** A page of equal structures of 256 or 512 bytes: those with changed lines. */
  #sealParts(count: number, slot: number, size: number): number {
    const { txLow, txHigh } = this.#pages
    const after = this.#sealHalf(count, slot, size, 0, txLow[slot]!)
    return this.#sealHalf(after, slot, size, 32, txHigh[slot]!)
  }

  /** The structures in 32 lines from line `from`, of which `changed` are changed. */
  #sealHalf(count: number, slot: number, size: number, from: number, changed: number): number {
    const pages = this.#pages
    const base = slot << BLOCK_SHIFT
    const lines = size >>> 6
    const mask = (1 << lines) - 1
    while (changed !== 0) {
      const first = (31 - Math.clz32(changed & -changed)) & -lines
      changed &= ~(mask << first)
      const line = from + first
      const part = base + line * LINE_BYTES
      if (size === Inode.size) {
        if (line === 0) {
          count = this.#sealOne(count, base, SlabHeader.size)
          continue
        }
        // A slot without an inode has no checksum either.
        if (pages.u32[part >>> 2] !== INODE_MAGIC) continue
      }
      if (line < 32) pages.txLow[slot]! |= 1 << line
      else pages.txHigh[slot]! |= 1 << (line - 32)
      count = this.#sealOne(count, part, size)
    }
    return count
  }

  /** Puts the record together in the staging memory and appends it. */
  #record(): void {
    const pages = this.#pages
    const commands = this.#commands
    let payload = 0
    for (let i = 0; i < pages.txCount; i++) {
      const slot = pages.txSlots[i]!
      payload += popcount(pages.txLow[slot]!) + popcount(pages.txHigh[slot]!)
    }
    if (payload === 0) return
    const count = pages.txCount
    const lines = recordLines(count, payload)
    const offset = this.#log.reserve(lines)
    const staging = this.#log.staging
    let d = (offset + LINE_BYTES) >>> 2
    for (let i = 0; i < count; i++) {
      const slot = pages.txSlots[i]!
      const low = pages.txLow[slot]!
      const high = pages.txHigh[slot]!
      const fresh = pages.txFresh[slot] === 1
      staging.u32[d] = pages.blockOf[slot]!
      staging.u32[d + 1] = 0
      staging.u32[d + 2] = low
      staging.u32[d + 3] = high
      staging.u32[d + 4] = fresh ? ~low : 0
      staging.u32[d + 5] = fresh ? ~high : 0
      d += PageDescriptor.size >>> 2
      const c = i * 4
      commands.u32[c] = slot
      commands.u32[c + 1] = low
      commands.u32[c + 2] = high
    }
    const payloadAt = offset + (lines - payload) * LINE_BYTES
    for (; d < payloadAt >>> 2; d++) staging.u32[d] = 0
    native.gatherLines(staging.memory, payloadAt, pages.arena.memory, commands.memory, 0, count)
    this.#log.append(offset, lines, count)
  }
}
