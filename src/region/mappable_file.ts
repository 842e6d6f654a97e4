/**
 * A file or a device that is mapped piece by piece, and how stores through its mappings become
 * durable: what an owner's region and a client's have in common.
 */
import { HoldfastError } from '../base/errors.js'
import { MapFlag, native, type MemoryId } from '../native/native.js'
import type { DeviceSync, MapAccess, Mappable, Persistence, RegionCounters } from './region.js'
import { systemCall } from '../base/system_call.js'

export interface MappableParts {
  readonly kind: string
  readonly path: string
  readonly byteLength: number
  readonly persistence: Persistence
  readonly grain: number
  /** The file, -1 none: it cannot be mapped. */
  readonly fd: number
  /** MapFlag values that every mapping of the file needs. */
  readonly mapFlags: number
  /** As in Region; true unless given. */
  readonly coherent?: boolean | undefined
}

/**
 * An msync(2) of a range waits for the disk once a mapped piece; past this many one fdatasync(2) of
 * the whole file is sooner done.
 */
const SYNC_PIECES_MAX = 4
const PRIVATE_MEMORY =
  'a heap region is private memory, which cannot be mapped a second time; use memfdRegion'

export abstract class MappableFile implements Mappable {
  readonly kind: string
  readonly path: string
  readonly byteLength: number
  readonly persistence: Persistence
  readonly grain: number
  readonly counters: RegionCounters = { linesFlushed: 0, fences: 0, bytesStored: 0, syncs: 0 }
  readonly fd: number
  readonly coherent: boolean
  readonly unmappable: string | null
  protected readonly writesBack: boolean
  protected readonly mapFlags: number

  constructor(parts: MappableParts) {
    this.kind = parts.kind
    this.path = parts.path
    this.byteLength = parts.byteLength
    this.persistence = parts.persistence
    this.grain = parts.grain
    this.fd = parts.fd
    this.unmappable = parts.fd >= 0 ? null : PRIVATE_MEMORY
    this.writesBack = parts.persistence === 'flush'
    this.mapFlags = parts.mapFlags
    this.coherent = parts.coherent ?? true
  }

  abstract syncDevice(what: DeviceSync, offset: number, length: number): void
  abstract close(): void

  /** `syncDevice` through a memory that has the range of the file at its own offset. */
  protected syncDeviceIn(memory: MemoryId, what: DeviceSync, offset: number, length: number): void {
    if (this.persistence === 'sync') return this.#syncCached(memory, what, offset, length)
    if (what === 'invalidate') return native.evict(memory, offset, length)
    this.counters.linesFlushed += native.flush(memory, offset, length)
    this.fence()
  }

  /** Through the page cache of the kernel, to and from what is behind it. */
  #syncCached(memory: MemoryId, what: DeviceSync, offset: number, length: number): void {
    if (what === 'invalidate') return native.forget(memory, offset, length, this.fd)
    this.counters.syncs++
    native.msync(memory, offset, length)
  }

  fence(): void {
    this.counters.fences++
    native.fence()
  }

  sync(_offset: number, _length: number): void {
    if (this.persistence !== 'sync') return this.fence()
    this.counters.syncs++
    // fdatasync takes every dirty page of the file along, also those dirtied through the mapping.
    native.fdatasync(this.fd)
  }

  async syncAsync(_offset: number, _length: number): Promise<void> {
    if (this.persistence !== 'sync') return this.fence()
    this.counters.syncs++
    await native.fdatasyncAsync(this.fd)
  }

  mapInto(
    memory: MemoryId,
    memoryOffset: number,
    offset: number,
    length: number,
    access: MapAccess,
  ): void {
    if (this.unmappable !== null) throw new HoldfastError('EOPNOTSUPP', this.unmappable)
    const flags =
      this.mapFlags |
      MapFlag.read |
      (access.write ? MapFlag.write : 0) |
      (access.populate ? MapFlag.populate : 0)
    systemCall('mmap', this.path, () =>
      native.map(memory, memoryOffset, this.fd, offset, length, flags),
    )
  }

  persistIn(memory: MemoryId, memoryOffset: number, length: number, pieces: number): void {
    if (this.persistence !== 'sync') {
      if (this.writesBack) this.counters.linesFlushed += native.flush(memory, memoryOffset, length)
      this.fence()
    } else if (pieces > SYNC_PIECES_MAX) this.sync(0, this.byteLength)
    else {
      this.counters.syncs++
      native.msync(memory, memoryOffset, length)
    }
  }
}
