/**
 * What a hold covers, as memory that peers reach. Offsets are those of the file; nothing is looked
 * up in the volume: the blocks stay where they are as long as the hold covers them.
 *
 *     | covered: blocks | covered: a hole, zeros | given back | covered: blocks |
 *     offset of the first run                                                  length
 *
 * Invariants:
 * - an access leads to blocks that the hold covers then, and to nothing else: when any hold has
 *   ended, or a part of one was given back, its own is looked at before the next access;
 * - blocks that left the file under it (`defer`) stay where they were, at their old offsets;
 * - what was given back, or never covered, is out of bounds: it is not there any more. A store
 *   through a lease for reading, or to a file that is immutable, append-only or write-sealed when
 *   it is registered, is against its rights;
 * - whole blocks are covered, past the end of the file, too: those bytes are the holder's until the
 *   file grows over them;
 * - stores are remembered until they are durable, and what is given back was written back first.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { Hold } from '../layout/hold.js'
import { NO_PIECE, type HoldIndex } from '../layout/hold_index.js'
import type { LayoutVolume } from '../layout/volume.js'
import { UNCHANGING } from '../media/inode.js'
import type { MemoryId } from '../native/native.js'
import type { Pieces } from '../rdma/pieces.js'
import { Fault, type MemorySource } from '../rdma/source.js'
import { RunTable } from './run_table.js'
import { memoryOf } from './region_memory.js'
import { WriteBack } from './write_back.js'
import { addZeros } from './zeros.js'

export class HeldSource implements MemorySource {
  readonly hold: Hold
  /** Where the last byte ends that it ever led to: it grows no more. */
  readonly length: number
  readonly #volume: LayoutVolume
  readonly #memory: MemoryId
  readonly #coherent: boolean
  readonly #stores: boolean
  readonly #runs: RunTable
  readonly #dirty: WriteBack
  readonly #pieces: HoldIndex
  /** Removals that were looked at, and blocks that this one had then. */
  #removals: number
  #blocks: number
  /** The medium failed where a peer stored: nobody is told that it went well. */
  #failed = false

  /** Right after the hold was granted: what had left the file before has no offset. */
  constructor(volume: LayoutVolume, hold: Hold) {
    const { core, holding, region } = volume
    this.hold = hold
    this.#volume = volume
    this.#memory = memoryOf(region)
    this.#coherent = region.coherent
    this.#pieces = holding.table.pieces
    this.#removals = this.#pieces.removals
    const { ino, ranges } = hold.info()
    core.pages.tick()
    const unchanging = core.inodes.has(core.inodes.get(ino), UNCHANGING)
    this.#stores = hold.iomode !== 'read' && !unchanging
    this.#runs = new RunTable(ranges, hold.runs())
    this.length = this.#runs.end
    this.#blocks = this.#pieces.blocksOf(holding.table.slotOf(hold.id))
    const write = (at: number, count: number) => region.flush(at, count)
    this.#dirty = new WriteBack(volume, (from, to) => this.#eachPlace(from, to, write))
  }

  translate(offset: number, length: number, store: boolean, pieces: Pieces): Fault {
    if (this.#removals !== this.#pieces.removals) this.#follow()
    if (store && !this.#stores) return Fault.rights
    if (this.#failed) return Fault.failed
    const runs = this.#runs
    const end = offset + length
    for (let at = offset, run = runs.find(offset); at < end; run++) {
      if (run === runs.count || runs.from(run) > at) return Fault.bounds
      const count = Math.min(end, runs.to(run)) - at
      if (runs.isHole(run)) addZeros(pieces, count)
      else this.#add(pieces, runs.place(run) + (at - runs.from(run)), count, store)
      at += count
    }
    return Fault.none
  }

  #add(pieces: Pieces, at: number, count: number, store: boolean): void {
    pieces.add(this.#memory, at, count)
    if (this.#coherent) return
    if (store) this.#volume.core.beforeStore(at, count)
    else this.#volume.core.beforeRead(at, count)
  }

  fetched(): Fault {
    return this.#check() ? Fault.none : Fault.failed
  }

  stored(offset: number, length: number): void {
    this.#dirty.add(offset, length)
    if (!this.#check()) this.#failed = true
    if (!this.#coherent) this.#eachPlace(offset, offset + length, this.#afterStore)
  }

  readonly #afterStore = (at: number, count: number) => this.#volume.core.afterStore(at, count)

  /** False: the medium failed. */
  #check(): boolean {
    try {
      this.#volume.core.checkRegion()
      return true
    } catch (error) {
      if (error instanceof HoldfastError) return false
      throw error
    }
  }

  // ---- durability ------------------------------------------------------------------------------

  /** Whether anything was stored that may not be durable. */
  get dirty(): boolean {
    return this.#dirty.dirty
  }

  /**
   * What was stored before is durable when it resolves: on a thread where a page cache is between.
   * A size, and the times of the file, are the commit's affair. EIO once the medium has failed.
   */
  async persist(): Promise<void> {
    if (this.#failed) throw this.#lost()
    if (!this.dirty) return
    const { region } = this.#volume
    try {
      if (region.persistence !== 'sync') await this.#dirty.all()
      else {
        this.#dirty.clear()
        await region.syncAsync(0, region.byteLength)
      }
      this.#volume.core.checkRegion()
    } catch (error) {
      this.#failed = true
      throw error
    }
  }

  #lost(): HoldfastError {
    const { path } = this.#volume.region
    return new HoldfastError('EIO', `${path}: stores through hold ${this.hold.id} were lost`)
  }

  #eachPlace(from: number, to: number, visit: (at: number, count: number) => void): void {
    const runs = this.#runs
    for (let run = runs.find(from); run < runs.count && runs.from(run) < to; run++) {
      if (runs.isHole(run)) continue
      const first = Math.max(from, runs.from(run))
      const end = Math.min(to, runs.to(run))
      if (first < end) visit(runs.place(run) + (first - runs.from(run)), end - first)
    }
  }

  // ---- parts that are given back ---------------------------------------------------------------

  /**
   * Its holder gives back what bytes [offset, offset + length) of the file touch: call it before
   * `Hold.returnRange`. Blocks that were deferred go as well.
   */
  dropped(offset: number, length: number): void {
    const from = Math.floor(offset / BLOCK_BYTES)
    const to = Math.ceil((offset + length) / BLOCK_BYTES)
    if (this.#dirty.touches(from * BLOCK_BYTES, to * BLOCK_BYTES)) this.#settle(from, to)
    this.#runs.cut(from, to)
  }

  /** Nobody reaches it any more. */
  close(): void {
    this.dropped(0, this.length)
  }

  /** What was stored there is written back: whoever syncs the file finds it durable. */
  #settle(from: number, to: number): void {
    const { region } = this.#volume
    if (region.persistence !== 'flush' || this.#volume.closed) return
    this.#dirty.now(from * BLOCK_BYTES, to * BLOCK_BYTES)
    region.fence()
  }

  /** A hold has ended, or a part of one was given back. Nothing is allocated if it is another. */
  #follow(): void {
    const { holding, core, closed } = this.#volume
    const pieces = this.#pieces
    this.#removals = pieces.removals
    const { table } = holding
    const slot = table.find(this.hold.id)
    if (closed || slot < 0) return this.dropped(0, this.length)
    const blocks = pieces.blocksOf(slot)
    if (blocks === this.#blocks) return
    this.#blocks = blocks
    const inode = table.inodeOf(slot)
    const limbo = core.limbo.number
    const file: number[] = []
    const left: number[] = []
    for (let piece = pieces.first(slot); piece !== NO_PIECE; piece = pieces.next(piece)) {
      const list = pieces.inodeOf(piece) === limbo ? left : file
      if (list === file && pieces.inodeOf(piece) !== inode) continue
      list.push(pieces.startOf(piece), pieces.endOf(piece))
    }
    if (this.dirty) this.#settle(0, Math.ceil(this.length / BLOCK_BYTES))
    this.#runs.keep(file, left)
  }
}
