/**
 * Tells of holds whose object was garbage collected though nobody released them: their addresses
 * may still be in use.
 *
 * Objects are registered in batches, with one token each: what a registry keeps for a token is more
 * than what it keeps for an object, and to take one away is as dear as a grant. A batch is taken
 * away once all of it was released; of one that is not, what was released goes when it is
 * collected, and is not told of. What objects of a batch have in common stands there, and not in
 * each.
 *
 * Invariants:
 * - one registry serves all volumes, and lives as long as the process: when one is collected that
 *   has something to tell, V8 (11.3, Node 20) tells of nothing any more, of any registry;
 * - it keeps no volume: what it is told with is a number.
 */
import { assert } from '../base/errors.js'
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

/** Ids of holds are below; a multiple of it says the volume. */
const IDS = 2 ** 32

const volumes = new Map<number, WeakRef<Forgotten>>()
let numbers = 0

const registry = new FinalizationRegistry<number>((told) => {
  const number = Math.floor(told / IDS)
  const forgotten = volumes.get(number)?.deref()
  if (forgotten === undefined) volumes.delete(number)
  else forgotten.tell(told % IDS)
})

export class Forgotten {
  readonly #volume: LayoutVolume
  readonly #number = ++numbers
  /** Gets the id of what was collected, released or not. */
  readonly tell: (id: number) => void
  /** Those that take objects, by class. */
  readonly #batches = new Map<HeldClass, Batch>()

  constructor(volume: LayoutVolume, tell: (id: number) => void) {
    this.#volume = volume
    this.tell = tell
    volumes.set(this.#number, new WeakRef(this))
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
    assert(id < IDS, 'ids of holds are 32 bits')
    registry.register(object, this.#number * IDS + id, batch)
  }

  /** An object of a batch was released. */
  released(batch: Batch): void {
    if (--batch.live === 0 && batch.room === 0) registry.unregister(batch)
  }

  /** The volume is closed: nothing is told any more. */
  end(): void {
    volumes.delete(this.#number)
  }
}
