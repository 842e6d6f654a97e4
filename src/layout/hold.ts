/** A hold, as the program has it: pin, seal or lease. It ends with `release`, or its session. */
import type { Extent } from '../base/filesystem.js'
import type { HoldInfo, HoldKind, Iomode } from '../base/layout.js'
import { BLOCK_BYTES, HOLDS_MAX } from '../base/limits.js'
import { blocksOf } from './arbiter.js'
import type { Batch } from './forgotten.js'
import { iomodeOfClass, kindOfClass } from './table.js'

/** Where a part of what a hold covers is, in bytes. */
export interface HeldRun {
  /** In the file; null once it has left it (deferred). */
  readonly offset: number | null
  /** In the region. */
  readonly regionOffset: number
  readonly length: number
}

export class Hold implements Disposable {
  /** Two small integers take half of the memory of one that is not small. */
  readonly #slot: number
  readonly #generation: number
  readonly #batch: Batch

  constructor(batch: Batch, id: number) {
    this.#batch = batch
    this.#slot = (id - 1) % HOLDS_MAX
    this.#generation = Math.floor((id - 1) / HOLDS_MAX)
  }

  get id(): number {
    return this.#generation * HOLDS_MAX + this.#slot + 1
  }

  get kind(): HoldKind {
    return kindOfClass(this.#batch.class)
  }

  /** Of a lease. */
  get iomode(): Iomode | null {
    return iomodeOfClass(this.#batch.class)
  }

  /** Whether it has ended. */
  get released(): boolean {
    return this.#batch.volume.holding.table.find(this.id) < 0
  }

  /** As it is listed. ESTALE once it has ended. */
  info(): HoldInfo {
    const { holding } = this.#batch.volume
    return holding.info(holding.table.slotOf(this.id))
  }

  /**
   * Where its blocks are, in file order: what DMA is set up with. They stay there as long as the
   * hold does. Holes of a read lease are left out.
   */
  runs(): HeldRun[] {
    const { holding } = this.#batch.volume
    return holding.pieces(holding.table.slotOf(this.id)).map(([file, block, count]) => ({
      offset: file < 0 ? null : file * BLOCK_BYTES,
      regionOffset: block * BLOCK_BYTES,
      length: count * BLOCK_BYTES,
    }))
  }

  /** The same in blocks, of what is in the file: so many at most, from file block `from` on. */
  extents(from: number, most: number): Extent[] {
    const { holding } = this.#batch.volume
    return holding
      .pieces(holding.table.slotOf(this.id), from, most)
      .map(([fileBlock, regionBlock, count]) => ({ fileBlock, regionBlock, count }))
  }

  /**
   * Gives back the blocks that bytes [offset, offset + length) of the file touch; also those that
   * it was fenced from, and whose addresses nobody uses any more.
   */
  returnRange(offset: number, length: number): void {
    const { holding } = this.#batch.volume
    const slot = holding.table.slotOf(this.id)
    const [from, to] = blocksOf(offset, length)
    this.#batch.volume.enterHolds(() => holding.giveBack(slot, from, to, true))
  }

  /**
   * What was stored through it is durable when it returns; with `size`, the file has at least that
   * many bytes, which the hold covers (LAYOUTCOMMIT, RFC 8881 18.42). ESTALE once its blocks have
   * left the file. `stored`: what was stored there is durable already, and the caller sees to the
   * rest (`EmbeddedVolume.syncAsync`).
   */
  commit(size?: number, { stored = false } = {}): void {
    this.#batch.volume.commitHold(this.id, size, stored)
  }

  /** Writes stores of this side back, for devices to see, where the region is not coherent. */
  flush(offset?: number, length?: number): void {
    this.#batch.volume.syncDevice(this.id, 'flush', offset, length)
  }

  /** Drops what this side has cached, to see what devices wrote, where it is not coherent. */
  invalidate(offset?: number, length?: number): void {
    this.#batch.volume.syncDevice(this.id, 'invalidate', offset, length)
  }

  /**
   * Ends it: nobody uses its addresses any more. Once is enough. One that is being cut off ends
   * when it has drained.
   */
  release(): void {
    const { volume } = this.#batch
    const { holding } = volume
    const slot = holding.table.find(this.id)
    if (slot < 0 || volume.closed) return
    volume.enterHolds(() => holding.release(slot))
    if (this.released) volume.forgetHold(this.#batch)
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
