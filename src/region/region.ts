/**
 * A region: byte-addressable memory that we do not own, in which a volume lives.
 *
 * Durability is explicit. `store…` puts bytes where every reader sees them at once; they survive a
 * power cut only after `flush` of their lines and then `fence` (or, on a page-cache file, `sync`).
 * `stream…` goes past the cache: durable after `fence` alone. Which instruction that is, or none,
 * the kind of region decides; the calls are the same everywhere, so that the traced region of the
 * tests sees exactly what production does.
 *
 * Offsets and lengths are bytes. Nothing here allocates.
 */
import type { ByteRange } from '../base/layout.js'
import type { MemoryId } from '../native/native.js'

/**
 * How stores become durable.
 * - 'flush': cache lines written back, then a fence (persistent memory).
 * - 'fence': nothing to write back: the memory lives as long as the machine runs.
 * - 'sync': a page cache stands between: `sync` only.
 */
export type Persistence = 'flush' | 'fence' | 'sync'

/** What a region counted since it was opened. */
export interface RegionCounters {
  /** Lines written back by `flush` and `storePages`, and those streamed. */
  linesFlushed: number
  fences: number
  /** Bytes stored and streamed. */
  bytesStored: number
  /** Calls of `sync` (msync or fdatasync). */
  syncs: number
}

/** What a further mapping of a region is for. */
export interface MapAccess {
  readonly write: boolean
  /** Page tables are filled at once (MAP_POPULATE), so that no access waits for a fault. */
  readonly populate: boolean
}

/** One way or the other between this side's caches and devices. */
export type DeviceSync = 'flush' | 'invalidate'

/** What a mapping of a file takes of the region under it: a file or device that can be mapped. */
export interface Mappable {
  /** 'tmpfs', 'memfd', 'hugetlbfs', 'file', 'fsdax', 'devdax', 'heap', 'traced'. */
  readonly kind: string
  /** For messages. */
  readonly path: string
  readonly byteLength: number
  readonly persistence: Persistence
  /** Bytes: the unit in which the region can be mapped. */
  readonly grain: number
  readonly counters: RegionCounters
  /** Why `mapInto` is EOPNOTSUPP, with what can; null where it works. */
  readonly unmappable: string | null

  /** Whether what this side stores and what devices write is seen by both at once. */
  readonly coherent: boolean
  /**
   * flush: writes back what this side has cached of a range, so that devices see it; invalidate:
   * drops it, so that this side sees what devices wrote. Nothing where coherent.
   */
  syncDevice(what: DeviceSync, offset: number, length: number): void

  /**
   * Maps [offset, offset + length) once more, at `memoryOffset` of a reservation of the addon, as
   * the region itself is mapped. All three in whole grains.
   */
  mapInto(
    memory: MemoryId,
    memoryOffset: number,
    offset: number,
    length: number,
    access: MapAccess,
  ): void
  /**
   * Makes stores through such mappings durable, in [memoryOffset, memoryOffset + length), which
   * has about `pieces` of them.
   */
  persistIn(memory: MemoryId, memoryOffset: number, length: number, pieces: number): void
  close(): void
}

export interface Region extends Mappable {
  /**
   * The memory of the addon that it is: what is stored there is in the region, and not durable
   * before `flush` and `fence`, or `sync`. Null: its bytes are reached by these calls alone.
   */
  readonly memory: MemoryId | null
  /** Copies region bytes out. */
  read(offset: number, target: Uint8Array, start: number, length: number): void
  /** Loads from every line of a range, so that a fault there happens now. */
  touch(offset: number, length: number): void
  /** Copies region bytes into a memory of the addon (the page cache). */
  load(offset: number, memory: MemoryId, memoryOffset: number, length: number): void

  /** User data in: durable after `fence` (kinds 'flush' and 'fence') or `sync`. */
  stream(offset: number, source: Uint8Array, start: number, length: number): void
  streamZero(offset: number, length: number): void
  /** The same from a memory of the addon: a log record. */
  streamFrom(offset: number, memory: MemoryId, memoryOffset: number, length: number): void
  /** The same from another place of the region that does not overlap: a block that is copied. */
  streamWithin(offset: number, from: number, length: number): void
  /**
   * Stores lines of cached pages at home and flushes them: `count` commands of four u32 at
   * (commands, commandsOffset): page index in `memory`, line mask low, high, target block.
   * Durable after `fence`.
   */
  storePages(memory: MemoryId, commands: MemoryId, commandsOffset: number, count: number): void
  /**
   * Stores lines that stand one after another in `memory`, and zeros, at home, in order, and
   * flushes them. `commands` begins with `count` entries of six u32: target block, byte offset of
   * the first line, mask of the lines that are set, low and high, of those that become zero, low
   * and high. Durable after `fence`.
   */
  storeLines(memory: MemoryId, commands: MemoryId, count: number): void
  /** One aligned 8-byte store that is never torn, not flushed. */
  store8(offset: number, low: number, high: number): void
  /** Writes the lines of a range back; durable after `fence`. */
  flush(offset: number, length: number): void
  /** Everything flushed or streamed before is durable before anything stored after. */
  fence(): void

  /** Persistence 'sync': makes a range durable; throws EIO when the medium failed. Else a fence. */
  sync(offset: number, length: number): void
  /** The same on a thread. */
  syncAsync(offset: number, length: number): Promise<void>

  /**
   * Throws EIO when a fault (SIGBUS: poison, a file cut short) hit this region since the last call.
   * Who comes there again meets it again.
   */
  check(): void
  /** Whether `takePoison` has any. */
  readonly hasPoison: boolean
  /** Where the medium was found to have lost what it held, since the last call. */
  takePoison(): readonly ByteRange[]
}
