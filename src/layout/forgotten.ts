/**
 * Tells of holds whose object was garbage collected though nobody released them: their addresses
 * may still be in use.
 *
 * Objects are registered in batches, with one token each: what a registry keeps for a token is more
 * than what it keeps for an object, and to take one away is as dear as a grant. A batch is taken
 * away once all of it was released; of one that is not, what was released goes when it is collected,
 * and is not told of.
 */
const BATCH = 64

export class Batch {
  /** Objects that were not released. */
  live = 0
  /** It takes no more. */
  full = false
}

export class Forgotten {
  readonly #registry: FinalizationRegistry<number>
  #batch = new Batch()
  #room = BATCH

  /** `tell` gets the id of what was collected, released or not. */
  constructor(tell: (id: number) => void) {
    this.#registry = new FinalizationRegistry(tell)
  }

  /** The batch that the next object belongs to. */
  get batch(): Batch {
    return this.#batch
  }

  /** Watches an object of that batch. */
  watch(object: object, id: number): void {
    const batch = this.#batch
    this.#registry.register(object, id, batch)
    batch.live++
    if (--this.#room > 0) return
    batch.full = true
    this.#batch = new Batch()
    this.#room = BATCH
  }

  /** An object of a batch was released. */
  released(batch: Batch): void {
    if (--batch.live === 0 && batch.full) this.#registry.unregister(batch)
  }
}
