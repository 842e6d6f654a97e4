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
 * - it keeps no volume: what it is told with is a number, of a batch and of an object in it.
 */
import { assert } from '../base/errors.js'
import type { HeldClass } from './table.js'
import type { LayoutVolume } from './volume.js'

const BATCH = 64

export class Batch {
  readonly volume: LayoutVolume
  readonly class: HeldClass
  readonly number: number
  /** Objects that it may still take. */
  room = BATCH
  /** Objects that were not released. */
  live = 0

  constructor(volume: LayoutVolume, held: HeldClass, number: number) {
    this.volume = volume
    this.class = held
    this.number = number
  }
}

/** What is known of a batch without the volume. */
class Watched {
  /** Ids of holds: more than 32 bits. */
  readonly ids = new Float64Array(BATCH)
  readonly by: WeakRef<Forgotten>
  count = 0
  collected = 0

  constructor(by: WeakRef<Forgotten>) {
    this.by = by
  }
}

const watched = new Map<number, Watched>()
let numbers = 0

const registry = new FinalizationRegistry<number>((told) => {
  const number = Math.floor(told / BATCH)
  const batch = watched.get(number)
  if (batch === undefined) return
  if (++batch.collected === BATCH) watched.delete(number)
  batch.by.deref()?.tell(batch.ids[told % BATCH]!)
})

export class Forgotten {
  readonly #volume: LayoutVolume
  readonly #self = new WeakRef(this)
  readonly #tell: (id: number) => void
  /** Those that take objects, by class. */
  readonly #batches = new Map<HeldClass, Batch>()
  #ended = false

  constructor(volume: LayoutVolume, tell: (id: number) => void) {
    this.#volume = volume
    this.#tell = tell
  }

  /** Gets the id of what was collected, released or not. */
  tell(id: number): void {
    if (!this.#ended) this.#tell(id)
  }

  /** The batch for one more object, which `watch` is called with. */
  batch(held: HeldClass): Batch {
    let batch = this.#batches.get(held)
    if (batch === undefined || batch.room === 0) {
      batch = new Batch(this.#volume, held, ++numbers)
      this.#batches.set(held, batch)
      watched.set(batch.number, new Watched(this.#self))
    }
    batch.room--
    batch.live++
    return batch
  }

  watch(object: object, id: number, batch: Batch): void {
    const { number } = batch
    const known = watched.get(number)!
    assert(known.count < BATCH, 'a batch has its size')
    known.ids[known.count] = id
    registry.register(object, number * BATCH + known.count++, batch)
  }

  /** An object of a batch was released. */
  released(batch: Batch): void {
    if (--batch.live === 0 && batch.room === 0) forget(batch)
  }

  /** The volume is closed: nothing is told any more. */
  end(): void {
    this.#ended = true
    for (const batch of this.#batches.values()) forget(batch)
    this.#batches.clear()
  }
}

function forget(batch: Batch): void {
  registry.unregister(batch)
  watched.delete(batch.number)
}
