/**
 * A region for tests: does what a persistent-memory region does, and tells a listener of each
 * store, flush and fence. The listener learns of a store after the bytes are in place.
 *
 * It goes through the same calls of the addon as production; what it adds is the telling.
 */
import type { ByteRange } from '../base/layout.js'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, LINE_BYTES } from '../base/limits.js'
import { native, StoreMode, type MemoryId } from '../native/native.js'
import type { Persistence, Region, RegionCounters } from './region.js'

export interface RegionListener {
  /** About to store [offset, offset + length); `streamed`: needs no flush. */
  beforeStore(offset: number, length: number): void
  stored(offset: number, length: number, streamed: boolean): void
  flushed(offset: number, length: number): void
  fenced(): void
  synced(offset: number, length: number): void
}

export class TracedRegion implements Region {
  readonly kind = 'traced'
  readonly path = 'traced'
  readonly grain = 4096
  readonly byteLength: number
  readonly persistence: Persistence
  readonly coherent: boolean = true
  readonly unmappable = 'stores through a mapping of its own are not traced'
  readonly counters: RegionCounters = { linesFlushed: 0, fences: 0, bytesStored: 0, syncs: 0 }
  readonly memory: MemoryId
  /** All of the region, for the test that looks at it. */
  readonly u8: Uint8Array
  listener: RegionListener | null = null
  readonly #wordViews = new Map<MemoryId, Uint32Array>()

  constructor(byteLength: number, persistence: Persistence = 'flush') {
    this.byteLength = byteLength
    this.persistence = persistence
    this.memory = native.anonymous(byteLength)
    this.u8 = new Uint8Array(native.view(this.memory, 0, byteLength))
  }

  syncDevice(): void {}

  touch(): void {}

  read(offset: number, target: Uint8Array, start: number, length: number): void {
    native.copyOut(this.memory, offset, target, start, length)
  }

  load(offset: number, memory: MemoryId, memoryOffset: number, length: number): void {
    native.copy(memory, memoryOffset, this.memory, offset, length)
  }

  stream(offset: number, source: Uint8Array, start: number, length: number): void {
    this.listener?.beforeStore(offset, length)
    native.streamIn(this.memory, offset, source, start, length)
    this.#stored(offset, length, true)
  }

  streamZero(offset: number, length: number): void {
    this.listener?.beforeStore(offset, length)
    native.streamZero(this.memory, offset, length)
    this.#stored(offset, length, true)
  }

  streamFrom(offset: number, memory: MemoryId, memoryOffset: number, length: number): void {
    this.listener?.beforeStore(offset, length)
    native.stream(this.memory, offset, memory, memoryOffset, length)
    this.#stored(offset, length, true)
  }

  streamWithin(offset: number, from: number, length: number): void {
    this.streamFrom(offset, this.memory, from, length)
  }

  storePages(memory: MemoryId, commands: MemoryId, commandsOffset: number, count: number): void {
    const words = this.#words(commands)
    const each = (tell: (offset: number) => void) => {
      for (let i = 0; i < count; i++) {
        const c = (commandsOffset >>> 2) + i * 4
        eachLine(words[c + 3]!, words[c + 1]!, words[c + 2]!, tell)
      }
    }
    this.#storeEach(each, () =>
      native.writePages(this.memory, memory, commands, commandsOffset, count, StoreMode.flushed),
    )
  }

  /** One by one, so that the listener sees each content that a line has had. */
  storeLines(memory: MemoryId, commands: MemoryId, count: number): void {
    const words = this.#words(commands)
    for (let i = 0; i < count; i++) {
      const c = i * 6
      const low = words[c + 2]! | words[c + 4]!
      const high = words[c + 3]! | words[c + 5]!
      this.#storeEach(
        (tell) => eachLine(words[c]!, low, high, tell),
        () => native.storeLines(this.memory, memory, commands, c * 4, 1, StoreMode.flushed),
      )
    }
  }

  #storeEach(each: (tell: (offset: number) => void) => void, store: () => void): void {
    each((offset) => this.listener?.beforeStore(offset, LINE_BYTES))
    store()
    each((offset) => {
      this.#stored(offset, LINE_BYTES, false)
      this.#flushed(offset, LINE_BYTES)
    })
  }

  store8(offset: number, low: number, high: number): void {
    this.listener?.beforeStore(offset, 8)
    native.store8(this.memory, offset, low, high)
    this.#stored(offset, 8, false)
  }

  flush(offset: number, length: number): void {
    native.flush(this.memory, offset, length)
    this.#flushed(offset, length)
  }

  fence(): void {
    native.fence()
    this.counters.fences++
    this.listener?.fenced()
  }

  sync(offset: number, length: number): void {
    this.counters.syncs++
    this.listener?.synced(offset, length)
  }

  async syncAsync(offset: number, length: number): Promise<void> {
    await Promise.resolve()
    this.sync(offset, length)
  }

  mapInto(): void {
    throw new HoldfastError('EOPNOTSUPP', this.unmappable)
  }

  persistIn(): void {
    throw new HoldfastError('EOPNOTSUPP', this.unmappable)
  }

  check(): void {}

  readonly hasPoison: boolean = false

  takePoison(): readonly ByteRange[] {
    return []
  }

  close(): void {
    native.unmap(this.memory)
  }

  #stored(offset: number, length: number, streamed: boolean): void {
    this.counters.bytesStored += length
    if (streamed) this.counters.linesFlushed += Math.ceil(length / LINE_BYTES)
    this.listener?.stored(offset, length, streamed)
  }

  #flushed(offset: number, length: number): void {
    this.counters.linesFlushed += Math.ceil(length / LINE_BYTES)
    this.listener?.flushed(offset, length)
  }

  #words(memory: MemoryId): Uint32Array {
    let view = this.#wordViews.get(memory)
    if (view === undefined) {
      view = new Uint32Array(native.view(memory, 0, native.byteLength(memory)))
      this.#wordViews.set(memory, view)
    }
    return view
  }
}

/** The lines of a page that two masks name: their offsets in the region. */
function eachLine(block: number, low: number, high: number, tell: (offset: number) => void): void {
  for (let line = 0; line < 64; line++) {
    const mask = line < 32 ? low : high
    if (((mask >>> (line & 31)) & 1) !== 0) tell(block * BLOCK_BYTES + line * LINE_BYTES)
  }
}
