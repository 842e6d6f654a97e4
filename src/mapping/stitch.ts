/**
 * One run of addresses over the pieces of a file: each run of blocks is mapped where the file has
 * it, holes are pages of zeros.
 *
 *     file blocks    0 1 2 3 4 5 6 7
 *     addresses     |   A   | 0 | B |        A, B: runs anywhere in the region; 0: a hole
 *
 * Invariants:
 * - it begins and ends at grains of the file, and every change of it is made in whole grains;
 * - a grain is mapped only when all its blocks, up to the end of what is mapped, are one run that
 *   begins at a grain of the region: what lies behind it in the same grain is out of every view.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { native, type Fault, type MemoryId } from '../native/native.js'
import { faultsIn, forgetFaults } from '../region/faults.js'
import type { MapAccess, Mappable } from '../region/region.js'
import { systemCall } from '../base/system_call.js'
import { givePieces, piecesLeft, takePieces, tooManyPieces } from './pieces.js'

/** Pieces added by changes before all are counted again. */
const RECOUNT_PIECES = 1024

/** Calls `visit` for each run of blocks and each hole (region block 0) of [from, to), in order. */
export type Walk = (
  from: number,
  to: number,
  visit: (fileBlock: number, regionBlock: number, count: number) => void,
) => void

export class Stitch {
  readonly memory: MemoryId
  /** First file block, and the one after the last; the addresses go on to the end of its grain. */
  readonly first: number
  readonly end: number
  /** Upper bound of the pieces that it has, and how many they were when last counted. */
  #pieces = 0
  #counted = 0

  readonly #region: Mappable
  readonly #access: MapAccess
  readonly #walk: Walk
  readonly #grain: number
  #gone = false

  constructor(region: Mappable, walk: Walk, from: number, end: number, access: MapAccess) {
    this.#region = region
    this.#walk = walk
    this.#access = access
    this.#grain = region.grain / BLOCK_BYTES
    this.first = Math.floor(from / this.#grain) * this.#grain
    this.end = end
    const length = this.#grainEnd(end)
    this.memory = systemCall('mmap', region.path, () => native.reserve(length))
    try {
      this.place(this.first, end)
    } catch (error) {
      this.unmap()
      throw error
    }
  }

  /** Byte offset of the end of the grain that ends at or behind a file block. */
  #grainEnd(block: number): number {
    return Math.ceil((block - this.first) / this.#grain) * this.#region.grain
  }

  /** Whether pages of [from, to) have other blocks, too. */
  shares(from: number, to: number): boolean {
    const grain = this.#grain
    return (from > this.first && from % grain !== 0) || (to < this.end && to % grain !== 0)
  }

  /** Zeros over [from, to), and what shares a grain with it. */
  blank(from: number, to: number): void {
    const [begin, stop] = this.#grains(from, to)
    if (begin >= stop) return
    const at = (begin - this.first) * BLOCK_BYTES
    this.#blank(at, this.#grainEnd(stop) - at)
  }

  /** Whole grains around [from, to), as far as they are mapped. */
  #grains(from: number, to: number): [number, number] {
    const grain = this.#grain
    const begin = Math.max(this.first, Math.floor(from / grain) * grain)
    return [begin, Math.min(this.end, Math.ceil(to / grain) * grain)]
  }

  /** Puts what the file has now in [from, to) in place. */
  place(from: number, to: number): void {
    const [begin, stop] = this.#grains(from, to)
    if (begin >= stop) return
    this.#account(begin, stop)
    this.#walk(begin, stop, (fileBlock, regionBlock, count) => {
      this.#checkGrains(fileBlock, regionBlock, count)
      this.#put(fileBlock, regionBlock, count)
    })
  }

  /**
   * Counts what is about to be mapped. A change adds to the bound, also where it makes pieces
   * fewer; now and then all of them are counted again.
   */
  #account(from: number, to: number): void {
    const added = this.#count(from, to) + 2 // a hole in the middle of a piece makes three of one
    if (added <= piecesLeft() && this.#pieces + added <= 2 * this.#counted + RECOUNT_PIECES) {
      takePieces(added)
      this.#pieces += added
      return
    }
    const all = this.#count(this.first, this.end) + 2
    givePieces(this.#pieces)
    this.#pieces = 0
    takePieces(all)
    this.#pieces = all
    this.#counted = all
  }

  #count(from: number, to: number): number {
    let count = 0
    this.#walk(from, to, () => count++)
    return count
  }

  #checkGrains(fileBlock: number, regionBlock: number, count: number): void {
    const grain = this.#grain
    if (grain === 1) return
    const end = fileBlock + count
    const begins = fileBlock % grain === 0 && (regionBlock === 0 || regionBlock % grain === 0)
    if (begins && (end % grain === 0 || end === this.end)) return
    throw new HoldfastError(
      'EOPNOTSUPP',
      `${this.#region.path} is mapped in pages of ${this.#region.grain} bytes, and the page of the ` +
        `file that has block ${fileBlock} is not one aligned run of the region; ` +
        `allocate the file in one piece, aligned, before it is written`,
    )
  }

  #put(fileBlock: number, regionBlock: number, count: number): void {
    const at = (fileBlock - this.first) * BLOCK_BYTES
    const length = this.#grainEnd(fileBlock + count) - at
    try {
      if (regionBlock === 0) this.#blank(at, length)
      else this.#region.mapInto(this.memory, at, regionBlock * BLOCK_BYTES, length, this.#access)
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'ENOMEM') throw error
      throw tooManyPieces('the kernel has no room for one piece more', error)
    }
  }

  /** A hole, or where stores of stale users go: nowhere. */
  #blank(at: number, length: number): void {
    systemCall('mmap', this.#region.path, () => {
      if (this.#access.write) native.overlay(this.memory, at, length)
      else native.hole(this.memory, at, length)
    })
  }

  /** Detaches every ArrayBuffer that overlaps these blocks. */
  detach(from: number, to: number): void {
    const at = (from - this.first) * BLOCK_BYTES
    native.detach(this.memory, at, (to - from) * BLOCK_BYTES)
  }

  view(offset: number, length: number): ArrayBuffer {
    return native.view(this.memory, offset, length)
  }

  persist(offset: number, length: number): void {
    const pieces = Math.ceil((this.#pieces * length) / native.byteLength(this.memory))
    this.#region.persistIn(this.memory, offset, length, pieces)
  }

  /** Faults in these addresses that were not asked for yet. */
  faults(): Fault[] {
    return faultsIn(this.memory)
  }

  /** Zeros over all of it, every ArrayBuffer detached, the addresses given back. Never throws. */
  unmap(): void {
    if (this.#gone) return
    this.#gone = true
    try {
      native.unmap(this.memory)
    } catch {
      // The addresses stay as they are; nothing of the engine reaches them any more.
      native.detach(this.memory, 0, native.byteLength(this.memory))
    }
    forgetFaults(this.memory)
    givePieces(this.#pieces)
    this.#pieces = 0
  }
}
