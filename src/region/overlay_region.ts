/**
 * A region that is only read: what is stored stays in memory, over the bytes below, and goes with
 * it. So a volume can be opened as it is, its log replayed, without a byte of the medium changed.
 */
import type { ByteRange } from '../base/layout.js'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, LINE_BYTES } from '../base/limits.js'
import { native, type MemoryId } from '../native/native.js'
import type { MapAccess, Region, RegionCounters } from './region.js'

export class OverlayRegion implements Region {
  readonly kind: string
  readonly path: string
  readonly byteLength: number
  readonly persistence = 'fence'
  readonly memory = null
  readonly grain: number
  readonly counters: RegionCounters = { linesFlushed: 0, fences: 0, bytesStored: 0, syncs: 0 }
  readonly coherent: boolean = true
  readonly unmappable: string | null
  readonly below: Region
  /** Pages of 4096 bytes that were stored to. */
  readonly #pages = new Map<number, Uint8Array>()
  readonly #line = new Uint8Array(LINE_BYTES)
  readonly #word = new Uint32Array(2)

  constructor(below: Region) {
    this.below = below
    this.kind = below.kind
    this.path = below.path
    this.byteLength = below.byteLength
    this.grain = below.grain
    this.unmappable = below.unmappable
  }

  syncDevice(): void {}

  touch(offset: number, length: number): void {
    this.below.touch(offset, length)
  }

  read(offset: number, target: Uint8Array, start: number, length: number): void {
    this.below.read(offset, target, start, length)
    this.#over(offset, length, (page, from, to, at) => {
      target.set(page.subarray(from, to), start + at)
    })
  }

  load(offset: number, memory: MemoryId, memoryOffset: number, length: number): void {
    this.below.load(offset, memory, memoryOffset, length)
    this.#over(offset, length, (page, from, to, at) => {
      native.copyIn(memory, memoryOffset + at, page, from, to - from)
    })
  }

  stream(offset: number, source: Uint8Array, start: number, length: number): void {
    this.#store(offset, length, (page, from, to, at) => {
      page.set(source.subarray(start + at, start + at + (to - from)), from)
    })
  }

  streamZero(offset: number, length: number): void {
    this.#store(offset, length, (page, from, to) => page.fill(0, from, to))
  }

  streamFrom(offset: number, memory: MemoryId, memoryOffset: number, length: number): void {
    this.#store(offset, length, (page, from, to, at) => {
      native.copyOut(memory, memoryOffset + at, page, from, to - from)
    })
  }

  streamWithin(offset: number, from: number, length: number): void {
    const bytes = new Uint8Array(length)
    this.read(from, bytes, 0, length)
    this.stream(offset, bytes, 0, length)
  }

  storePages(memory: MemoryId, commands: MemoryId, commandsOffset: number, count: number): void {
    const words = wordsOf(commands, commandsOffset, count * 4)
    for (let i = 0; i < count; i++) {
      const [slot, low, high, block] = words.subarray(i * 4, i * 4 + 4) as unknown as number[]
      for (let line = 0; line < BLOCK_BYTES / LINE_BYTES; line++) {
        if (!has(low!, high!, line)) continue
        native.copyOut(memory, slot! * BLOCK_BYTES + line * LINE_BYTES, this.#line, 0, LINE_BYTES)
        this.stream(block! * BLOCK_BYTES + line * LINE_BYTES, this.#line, 0, LINE_BYTES)
      }
    }
  }

  storeLines(memory: MemoryId, commands: MemoryId, count: number): void {
    const words = wordsOf(commands, 0, count * 6)
    for (let i = 0; i < count; i++) {
      const [block, from, low, high, zeroLow, zeroHigh] = words.subarray(
        i * 6,
        i * 6 + 6,
      ) as unknown as number[]
      let source = from!
      for (let line = 0; line < BLOCK_BYTES / LINE_BYTES; line++) {
        const to = block! * BLOCK_BYTES + line * LINE_BYTES
        if (has(low!, high!, line)) {
          this.streamFrom(to, memory, source, LINE_BYTES)
          source += LINE_BYTES
        } else if (has(zeroLow!, zeroHigh!, line)) this.streamZero(to, LINE_BYTES)
      }
    }
  }

  store8(offset: number, low: number, high: number): void {
    this.#word[0] = low
    this.#word[1] = high
    this.stream(offset, new Uint8Array(this.#word.buffer), 0, 8)
  }

  flush(_offset: number, _length: number): void {}

  fence(): void {
    this.counters.fences++
  }

  sync(_offset: number, _length: number): void {
    this.fence()
  }

  async syncAsync(_offset: number, _length: number): Promise<void> {
    this.fence()
  }

  /** What is mapped is data of files, and of those nothing is ever stored here. */
  mapInto(
    memory: MemoryId,
    memoryOffset: number,
    offset: number,
    length: number,
    access: MapAccess,
  ): void {
    if (access.write) throw new HoldfastError('EROFS', `${this.path} is only read`)
    this.below.mapInto(memory, memoryOffset, offset, length, access)
  }

  persistIn(): void {
    this.fence()
  }

  check(): void {
    this.below.check()
  }

  get hasPoison(): boolean {
    return this.below.hasPoison
  }

  takePoison(): readonly ByteRange[] {
    return this.below.takePoison()
  }

  close(): void {
    this.#pages.clear()
    this.below.close()
  }

  /** The pages over a range: `visit(page, from, to, offset of from in the range)`. */
  #over(offset: number, length: number, visit: Visit): void {
    if (this.#pages.size > 0) this.#each(offset, length, (index) => this.#pages.get(index), visit)
  }

  #store(offset: number, length: number, visit: Visit): void {
    this.counters.bytesStored += length
    this.#each(offset, length, (index) => this.#own(index), visit)
  }

  #each(
    offset: number,
    length: number,
    pageOf: (index: number) => Uint8Array | undefined,
    visit: Visit,
  ): void {
    for (let done = 0; done < length;) {
      const index = Math.floor((offset + done) / BLOCK_BYTES)
      const from = offset + done - index * BLOCK_BYTES
      const to = Math.min(BLOCK_BYTES, from + length - done)
      const page = pageOf(index)
      if (page !== undefined) visit(page, from, to, done)
      done += to - from
    }
  }

  /** A page to store to: what is below, at first. */
  #own(index: number): Uint8Array {
    let page = this.#pages.get(index)
    if (page === undefined) {
      page = new Uint8Array(BLOCK_BYTES)
      const offset = index * BLOCK_BYTES
      this.below.read(offset, page, 0, Math.min(BLOCK_BYTES, this.byteLength - offset))
      this.#pages.set(index, page)
    }
    return page
  }
}

type Visit = (page: Uint8Array, from: number, to: number, at: number) => void

function wordsOf(memory: MemoryId, offset: number, count: number): Uint32Array {
  const words = new Uint32Array(count)
  native.copyOut(memory, offset, new Uint8Array(words.buffer), 0, count * 4)
  return words
}

function has(low: number, high: number, line: number): boolean {
  return (((line < 32 ? low : high) >>> (line & 31)) & 1) !== 0
}
