/**
 * A region over a memory of the addon: what all real kinds have in common. A kind differs by where
 * the memory comes from and by how stores become durable (`persistence`).
 */
import { HoldfastError } from '../base/errors.js'
import type { ByteRange } from '../base/layout.js'
import { LINE_BYTES } from '../base/limits.js'
import { MapFlag, native, StoreMode, type Fault, type MemoryId } from '../native/native.js'
import { faultsIn, faultsLost, forgetFaults, isAccess, isPoison } from './faults.js'
import { MappableFile, type MappableParts } from './mappable_file.js'
import type { DeviceSync, Persistence, Region } from './region.js'

export interface MemoryRegionParts extends MappableParts {
  readonly memory: MemoryId
  /** The memory itself is mapped for reading alone. */
  readonly readOnly?: boolean
  readonly onClose: () => void
}

/**
 * Data of this many bytes goes past the cache on every kind: it is faster than to fetch lines
 * first.
 */
const STREAM_BYTES = 2048

export class MemoryRegion extends MappableFile implements Region {
  readonly memory: MemoryId
  readonly #onClose: () => void
  /** Faults that the addon had counted, and how many of them it had lost, at the last check. */
  #faults: number
  #lost: number
  readonly #access: number
  #poison: ByteRange[] = []
  /** Zeros stand where the region was, and it could not be put there again. */
  #torn = false
  #closed = false

  constructor(parts: MemoryRegionParts) {
    super(parts)
    this.memory = parts.memory
    this.#onClose = parts.onClose
    this.#faults = native.faultCounter[0]!
    this.#lost = faultsLost()
    this.#access = MapFlag.read | (parts.readOnly === true ? 0 : MapFlag.write)
  }

  syncDevice(what: DeviceSync, offset: number, length: number): void {
    if (!this.coherent) this.syncDeviceIn(this.memory, what, offset, length)
  }

  read(offset: number, target: Uint8Array, start: number, length: number): void {
    native.copyOut(this.memory, offset, target, start, length)
  }

  touch(offset: number, length: number): void {
    native.touch(this.memory, offset, length)
  }

  load(offset: number, memory: MemoryId, memoryOffset: number, length: number): void {
    native.copy(memory, memoryOffset, this.memory, offset, length)
  }

  stream(offset: number, source: Uint8Array, start: number, length: number): void {
    this.counters.bytesStored += length
    if (this.writesBack) {
      this.counters.linesFlushed += Math.ceil(length / LINE_BYTES)
      native.streamIn(this.memory, offset, source, start, length)
    } else if (length >= STREAM_BYTES) native.streamIn(this.memory, offset, source, start, length)
    else native.copyIn(this.memory, offset, source, start, length)
  }

  streamZero(offset: number, length: number): void {
    this.counters.bytesStored += length
    if (this.writesBack) {
      this.counters.linesFlushed += Math.ceil(length / LINE_BYTES)
      native.streamZero(this.memory, offset, length)
    } else native.zero(this.memory, offset, length)
  }

  streamFrom(offset: number, memory: MemoryId, memoryOffset: number, length: number): void {
    this.counters.bytesStored += length
    if (this.writesBack) {
      this.counters.linesFlushed += Math.ceil(length / LINE_BYTES)
      native.stream(this.memory, offset, memory, memoryOffset, length)
    } else native.copy(this.memory, offset, memory, memoryOffset, length)
  }

  streamWithin(offset: number, from: number, length: number): void {
    this.streamFrom(offset, this.memory, from, length)
  }

  storePages(memory: MemoryId, commands: MemoryId, commandsOffset: number, count: number): void {
    const mode = this.writesBack ? StoreMode.flushed : StoreMode.cached
    const lines = native.writePages(this.memory, memory, commands, commandsOffset, count, mode)
    this.counters.bytesStored += lines * LINE_BYTES
    if (this.writesBack) this.counters.linesFlushed += lines
  }

  storeLines(memory: MemoryId, commands: MemoryId, count: number): void {
    const mode = this.writesBack ? StoreMode.flushed : StoreMode.cached
    const lines = native.storeLines(this.memory, memory, commands, 0, count, mode)
    this.counters.bytesStored += lines * LINE_BYTES
    if (this.writesBack) this.counters.linesFlushed += lines
  }

  store8(offset: number, low: number, high: number): void {
    this.counters.bytesStored += 8
    native.store8(this.memory, offset, low, high)
  }

  flush(offset: number, length: number): void {
    if (this.writesBack) this.counters.linesFlushed += native.flush(this.memory, offset, length)
  }

  check(): void {
    if (native.faultCounter[0] === this.#faults && !this.#torn) return
    this.#faults = native.faultCounter[0]!
    const told = faultsIn(this.memory)
    for (const fault of told) if (isPoison(fault)) this.#poison.push(fault)
    const faults = told.filter(isAccess)
    const all = this.#lost !== faultsLost()
    this.#lost = faultsLost()
    if (faults.length === 0 && !all && !this.#torn) return
    for (const { offset, length } of faults) this.#uncover(offset, length)
    if (all) this.#uncover(0, this.byteLength)
    throw new HoldfastError('EIO', this.#explain(faults.at(-1)))
  }

  get hasPoison(): boolean {
    return this.#poison.length > 0
  }

  takePoison(): readonly ByteRange[] {
    const poison = this.#poison
    this.#poison = []
    return poison
  }

  /**
   * Takes the zeros away that the addon put over a fault: who comes there again is to meet the
   * fault again, not zeros, and what is stored there is not to go nowhere.
   */
  #uncover(offset: number, length: number): void {
    const flags = this.mapFlags | this.#access
    try {
      if (this.fd < 0) this.#torn = true
      else native.map(this.memory, offset, this.fd, offset, length, flags)
    } catch {
      this.#torn = true
    }
  }

  #explain(fault: Fault | undefined): string {
    const why = 'the medium failed there, or the file was cut short'
    if (fault === undefined) return `${this.path}: a part of it cannot be reached: ${why}`
    const at = `at offset 0x${fault.offset.toString(16)} of ${this.path}`
    return `${fault.signal} (code ${fault.code}) ${at}: ${why}; holdfast fsck shows what it holds`
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    native.unmap(this.memory)
    forgetFaults(this.memory)
    this.#onClose()
  }
}

/** A region of anonymous memory, gone with the process. `persistence` 'flush' for measuring. */
export function heapRegion(byteLength: number, persistence: Persistence = 'fence'): MemoryRegion {
  return new MemoryRegion({
    kind: 'heap',
    path: 'heap',
    memory: native.anonymous(byteLength),
    byteLength,
    persistence,
    grain: 4096,
    fd: -1,
    mapFlags: 0,
    onClose: () => {},
  })
}
