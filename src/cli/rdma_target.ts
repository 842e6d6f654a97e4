/** A host's file, or memory of this process, as what peers read and write one-sided. */
import type { MemoryId } from '../native/native.js'
import type { MemoryRegion as RegionMemory } from '../region/memory_region.js'
import { Fault, type MemorySource, type Pieces } from '../rdma/index.js'

/** A region of the host as a source: what is stored there, and not yet durable, is one range. */
export class RegionSource implements MemorySource {
  readonly length: number
  readonly #region: RegionMemory
  readonly #memory: MemoryId
  #from = Infinity
  #to = 0

  constructor(region: RegionMemory) {
    this.#region = region
    this.#memory = region.memory
    this.length = region.byteLength
  }

  translate(offset: number, length: number, _store: boolean, pieces: Pieces): Fault {
    pieces.add(this.#memory, offset, length)
    return Fault.none
  }

  /** Where a file was cut short under the mapping, or its medium failed, there were zeros. */
  fetched(): Fault {
    try {
      this.#region.check()
    } catch {
      return Fault.failed
    }
    return Fault.none
  }

  stored(offset: number, length: number): void {
    this.#from = Math.min(this.#from, offset)
    this.#to = Math.max(this.#to, offset + length)
  }

  /** All that was stored is durable when it resolves. */
  async persist(): Promise<void> {
    const [from, to] = [this.#from, this.#to]
    if (from >= to) return
    this.#from = Infinity
    this.#to = 0
    if (this.#region.persistence === 'sync') {
      await this.#region.syncAsync(from, to - from)
    } else {
      this.#region.flush(from, to - from)
      this.#region.fence()
    }
    // What was stored into a file that had been cut short went nowhere.
    this.#region.check()
  }
}
