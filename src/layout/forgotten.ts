/**
 * Tells of holds whose object was garbage collected though nobody released them: their addresses
 * may still be in use.
 *
 * Objects are registered in batches, with one token each: what a registry keeps for a token is more
 * than what it keeps for an object, and to take one away is as dear as a grant. A batch is taken
 * away once all of it was released; of one that is not, what was released goes when it is
 * collected, and is not told of. What objects of a batch have in common stands there, and not in
 * each.
 */
import type { HeldClass } from './table.js'
import type { LayoutVolume } from './volume.js'

const BATCH = 64

export class Batch {
  readonly volume: LayoutVolume
  readonly class: HeldClass
  /** Objects that it may still take. */
  room = BATCH
  /** Objects that were not released. */
  live = 0

  constructor(volume: LayoutVolume, held: HeldClass) {
    this.volume = volume
    this.class = held
  }
}

export class Forgotten {
  readonly #volume: LayoutVolume
  readonly #registry: FinalizationRegistry<number>
  /** Those that take objects, by class. */
  readonly #batches = new Map<HeldClass, Batch>()

  /** `tell` gets the id of what was collected, released or not. */
  constructor(volume: LayoutVolume, tell: (id: number) => void) {
    this.#volume = volume
    this.#registry = new FinalizationRegistry(tell)
  }

  /** The batch for one more object, which `watch` is called with. */
  batch(held: HeldClass): Batch {
    let batch = this.#batches.get(held)
    if (batch === undefined || batch.room === 0) {
      batch = new Batch(this.#volume, held)
      this.#batches.set(held, batch)
    }
    batch.room--
    batch.live++
    return batch
  }

  watch(object: object, id: number, batch: Batch): void {
    this.#registry.register(object, id, batch)
  }

  /** An object of a batch was released. */
  released(batch: Batch): void {
    if (--batch.live === 0 && batch.room === 0) this.#registry.unregister(batch)
  }
}
