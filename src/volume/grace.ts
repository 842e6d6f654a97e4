/**
 * The grace period: the time after a crash in which processes of the last owner still map the
 * region.
 *
 * Blocks of limbo, and blocks that were free at the crash, may be in use by their mappings. So
 * nothing is allocated, and nothing freed, moved or shared, until each of them has reclaimed what
 * it holds, or is gone. What changes no block goes on: reading, writing in place, attributes.
 *
 * Invariants:
 * - it begins with the mount, and ends once;
 * - whoever would take or free a block asks before the first change: what is refused has done
 *   nothing. Below all of them the transaction asks, and below that the allocator asserts.
 */
import { HoldfastError } from '../base/errors.js'

export class Grace {
  /** Told of each refusal, before it is thrown: waiting would help. */
  refused: () => void = () => {}
  #active = false

  get active(): boolean {
    return this.#active
  }

  begin(): void {
    this.#active = true
  }

  end(): void {
    this.#active = false
  }

  /** EBUSY while it lasts. */
  demandOver(): void {
    if (this.#active) this.refuse('nothing is allocated, freed, moved or shared')
  }

  /** What it is that must not be done, in words. */
  refuse(what: string): never {
    this.refused()
    throw new HoldfastError(
      'EBUSY',
      'the volume is in its grace period: processes of its last owner still map it, and until ' +
        `each of them has reclaimed its holds, or is gone, ${what}`,
    )
  }
}
