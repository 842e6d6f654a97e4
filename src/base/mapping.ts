/** A part of a file as memory: what `map` of a handle takes and gives. */

export interface MapOptions {
  /** First byte in the file, a multiple of 4096; 0 unless given. */
  readonly offset?: number
  /**
   * Bytes; to the end of the file unless given. At most to the end of the file's last block: what
   * is stored past the end of the file is in no file, and zeroed when the end moves over it.
   */
  readonly length?: number
  /** To be stored to as well. Holes of the range get blocks first: zeros, durable. */
  readonly write?: boolean
  /** Page tables are filled at once, so that no access waits for a fault. */
  readonly populate?: boolean
  /**
   * MAP_DIRECT: the layout under it does not change as long as it is there (a seal); what would
   * change it is ETXTBSY. EOPNOTSUPP where a page cache stands between.
   */
  readonly direct?: boolean
  /**
   * MAP_SYNC: flushing what was stored is enough to make it durable. EOPNOTSUPP as for `direct`.
   */
  readonly sync?: boolean
  /**
   * Of a region that is not coherent with devices, `direct` is given only to who says here that it
   * calls `flush` and `invalidate` of the mapping where they must be.
   */
  readonly coherence?: 'manual'
  /** Why, in words, for whoever is in the way. */
  readonly reason?: string
}

/**
 * Bytes of a file, as memory. Reads and writes through handles and through the mapping see each
 * other at once. It keeps the file open: closing the handle and removing the name change nothing.
 *
 * When blocks under it leave the file (truncated, punched, the volume closed), the ArrayBuffers
 * over them are detached: their length is 0, and the addresses lead to zeros. A punch under a
 * mapping that is not for writing shows zeros and detaches nothing.
 */
export interface FileMapping extends Disposable {
  /** First byte in the file. */
  readonly offset: number
  readonly byteLength: number
  readonly writable: boolean
  /**
   * One ArrayBuffer over all of it. EFBIG when it is longer than the engine allows (4 GiB on Node
   * 20): use windows. ESTALE while a part of it is not in the file.
   *
   * It cannot be transferred: not to a worker, nor by its own `transfer()`.
   */
  readonly buffer: ArrayBuffer
  /** An ArrayBuffer over [offset, offset + length) of the mapping; offset is a multiple of 8. */
  window(offset: number, length: number): ArrayBuffer
  /** What was stored in [offset, offset + length) of the mapping, by whomever, is durable. */
  persist(offset?: number, length?: number): void
  /**
   * Writes what this side has cached of [offset, offset + length) back, for devices to see; nothing
   * where the region is coherent. It says nothing of durability.
   */
  flush(offset?: number, length?: number): void
  /** Drops what this side has cached of it, to see what devices wrote. */
  invalidate(offset?: number, length?: number): void
  /**
   * Throws EIO when the medium failed under the mapping, EACCES when something was stored to one
   * that is not for writing. The page that such a store hit shows other bytes until then.
   */
  check(): void
  /** Ends it; every ArrayBuffer over it is detached. */
  unmap(): void
}
