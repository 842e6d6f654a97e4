/**
 * The face of the native addon: the only door from TypeScript to the operating system.
 *
 * Memory is addressed as (memory id, byte offset, byte length), all plain numbers; every call
 * checks the three against the memory's bounds in C and throws a RangeError that names them when
 * they do not fit. Nothing here allocates per call, and no call takes a BigInt.
 *
 * A memory is one contiguous run of addresses: a reservation into which files are mapped, or
 * anonymous pages. Its views (ArrayBuffers) are tracked, so that `unmap` can detach every one of
 * them before the addresses go away: a stale view reads as empty, it never faults. A memory belongs
 * to the thread that made it; elsewhere its id throws EINVAL. Faults are of the whole process.
 *
 * Descriptors that the event loop watches, and sockets, have faces of their own
 * (sockets.ts, unix_sockets.ts), and so has /dev/fuse (fuse_device.ts).
 */
import type { FuseDevice } from './fuse_device.js'
import { loadAddon } from './load.js'
import type { Sockets } from './sockets.js'
import type { UnixSockets } from './unix_sockets.js'

/** A memory: its place in the addon's table and a count, never the same again in a process. */
export type MemoryId = number & { readonly __memory: unique symbol }

/** Flags for `map`. */
export const MapFlag = {
  read: 1,
  write: 2,
  /**
   * MAP_SHARED_VALIDATE | MAP_SYNC (mmap(2)): metadata of the file is durable before a store faults
   * in.
   */
  sync: 4,
  /** MAP_POPULATE. */
  populate: 8,
} as const

/** How `writePages` and `storeLines` store the lines. */
export const StoreMode = {
  /** Cached stores; nothing flushed (memory that dies with the machine, or a page cache). */
  cached: 0,
  /** Cached stores, each line written back by clwb, clflushopt, clflush or DC CVAP. */
  flushed: 1,
} as const
export type StoreMode = (typeof StoreMode)[keyof typeof StoreMode]

export interface CpuFeatures {
  /**
   * The instruction that writes a cache line back: 'clwb', 'clflushopt', 'clflush', 'dc cvap',
   * 'none'.
   */
  readonly flush: string
  /** 'sse4.2' (three-way), 'armv8' or 'portable'. */
  readonly crc32c: string
  /** 'non-temporal' or 'cached'. */
  readonly stream: string
}

export interface Statfs {
  /** f_type, as in statfs(2): 0x01021994 tmpfs, 0x958458f6 hugetlbfs, 0xef53 ext4, … */
  readonly type: number
  /** f_bsize in bytes; on hugetlbfs the huge page size. */
  readonly blockSize: number
  readonly blocks: number
  readonly blocksFree: number
  readonly blocksAvailable: number
}

export interface Fault {
  readonly memory: MemoryId
  /** Byte offset in the memory, rounded down to its page. */
  readonly offset: number
  /**
   * Bytes that zeros replaced: one page, one huge page, or all of a memory when mappings ran out.
   */
  readonly length: number
  /** 'SIGBUS' or 'SIGSEGV'. */
  readonly signal: string
  /** si_code of sigaction(2): BUS_ADRERR 2, BUS_MCEERR_AR 4, SEGV_ACCERR 2, … */
  readonly code: number
}

/** What the first of some records must be. */
export interface ExpectedRecord {
  readonly position: number
  /** 0: any. */
  readonly sequence: number
  /** Lines from `position` to the end of the ring. */
  readonly linesToEnd: number
  readonly seed: number
  /** Pages that a record may write: `stateBlock`, and those in [firstBlock, endBlock). */
  readonly firstBlock: number
  readonly endBlock: number
  readonly stateBlock: number
}

/** Why `scanRecords` stopped. */
export const ScanEnd = {
  /** All lines were looked at. */
  used: 0,
  /** No valid record follows. */
  end: 1,
  /** The next record is longer than the lines at hand: `detail` lines. */
  longer: 2,
  /** The next is sealed and wrong: it writes block `detail`, or (-2) lacks lines of its pages. */
  forged: 3,
} as const
export type ScanEnd = (typeof ScanEnd)[keyof typeof ScanEnd]

export interface ScannedRecords {
  /** Of the valid records; a pad record at the end counts in full. */
  readonly lines: number
  readonly records: number
  /** That the next record must have. */
  readonly sequence: number
  readonly end: ScanEnd
  readonly detail: number
  /** Commands written. */
  readonly commands: number
}

/**
 * Addon functions that fail throw an Error with `code` (the errno's name), `errno` and `syscall`.
 */
export interface Native extends Sockets, UnixSockets, FuseDevice {
  readonly cpu: CpuFeatures

  // ---- memory.c: address space ------------------------------------------------------------------
  /**
   * Reserves `length` bytes of addresses (PROT_NONE). Reading it before `map` is a guarded fault.
   */
  reserve(length: number): MemoryId
  /** Reserves and backs with anonymous zero pages, lazily: costs memory only where touched. */
  anonymous(length: number): MemoryId
  /** mmap(MAP_FIXED) of [fileOffset, fileOffset+length) of `fd` at `offset` of a reservation. */
  map(
    memory: MemoryId,
    offset: number,
    fd: number,
    fileOffset: number,
    length: number,
    flags: number,
  ): void
  /**
   * Replaces [offset, offset+length) by private anonymous pages: stale users read zeros, store
   * nowhere.
   */
  overlay(memory: MemoryId, offset: number, length: number): void
  /** The same with pages that can only be read: a store there is a guarded fault. */
  hole(memory: MemoryId, offset: number, length: number): void
  /**
   * Overlays, detaches every view, unmaps. Later calls with this id throw EINVAL. The addresses
   * themselves (by now zero pages) are given back at a later `reserve`, `anonymous` or `unmap`:
   * when the engine has let go of every backing store, or when many more memories were unmapped
   * since and every view was detached. An ArrayBuffer that `transfer()` moved escapes `detach`, and
   * so reads zeros and never faults. Await asynchronous reads and writes that were given a view
   * before this call. ENOMEM leaves the memory as it is, with its views detached.
   */
  unmap(memory: MemoryId): void
  /**
   * A new ArrayBuffer over [offset, offset+length), tracked. At most 4 GiB on Node 20: EFBIG
   * beyond.
   */
  view(memory: MemoryId, offset: number, length: number): ArrayBuffer
  /**
   * Detaches every view that overlaps [offset, offset+length); returns how many. One that somebody
   * gave to markAsUntransferable stays on Node 24 and later: put zeros under it first.
   */
  detach(memory: MemoryId, offset: number, length: number): number
  /** Live (not detached, not collected) views of a memory. */
  viewCount(memory: MemoryId): number
  /** Bytes of address space of a memory. */
  byteLength(memory: MemoryId): number

  // ---- guard.c: faults --------------------------------------------------------------------------
  /**
   * One Int32 that counts guarded faults in any memory since the process began: check it, it costs
   * a load.
   */
  readonly faultCounter: Int32Array
  /**
   * The faults since the last call, oldest first (at most 64 kept; the counter never loses one).
   */
  takeFaults(): Fault[]

  // ---- bytes.c: moving bytes --------------------------------------------------------------------
  copyOut(memory: MemoryId, offset: number, target: Uint8Array, start: number, length: number): void
  /** Cached stores. */
  copyIn(memory: MemoryId, offset: number, source: Uint8Array, start: number, length: number): void
  /**
   * Non-temporal stores (cached at the unaligned ends, which are written back): durable after
   * `fence`.
   */
  streamIn(
    memory: MemoryId,
    offset: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): void
  /** memmove between two memories, or within one. */
  copy(
    target: MemoryId,
    targetOffset: number,
    source: MemoryId,
    sourceOffset: number,
    length: number,
  ): void
  /** As `copy`, by non-temporal stores: durable after `fence`. The ranges do not overlap. */
  stream(
    target: MemoryId,
    targetOffset: number,
    source: MemoryId,
    sourceOffset: number,
    length: number,
  ): void
  zero(memory: MemoryId, offset: number, length: number): void
  /** Loads from every line of the range: a fault there happens now. */
  touch(memory: MemoryId, offset: number, length: number): void
  /** Non-temporal zeros: durable after `fence`. */
  streamZero(memory: MemoryId, offset: number, length: number): void
  /** One aligned 8-byte store of (high << 32 | low): never torn. `offset` is a multiple of 8. */
  store8(memory: MemoryId, offset: number, low: number, high: number): void

  /** Between two Uint8Arrays, which may share memory: no array is made for it. */
  copyBytes(
    target: Uint8Array,
    targetStart: number,
    source: Uint8Array,
    sourceStart: number,
    length: number,
  ): void

  // ---- atomics.c: eight aligned bytes as one number of this machine -----------------------------
  /**
   * Changes a word at once, as local `Atomics` see it. Operation 0 adds, 2 compares and swaps.
   * `change` has four words of 64 bits, low half first: data, mask, compare, compareMask; what was
   * there before replaces its first. To add: a bit of `mask` is the highest of a field, from which
   * nothing carries on. To swap: bits of `mask` are replaced where those of `compareMask` are equal
   * (RFC 7306, 5.1). False, and nothing changes: the place is not aligned.
   */
  atomic8(memory: MemoryId, offset: number, operation: 0 | 2, change: Uint32Array): boolean
  atomic8Of(bytes: Uint8Array, start: number, operation: 0 | 2, change: Uint32Array): boolean
  /** As `store8`. False, and nothing changes: the place is not aligned. */
  store8Of(bytes: Uint8Array, start: number, low: number, high: number): boolean

  // ---- flush.c: persistence ---------------------------------------------------------------------
  /** Writes back each cache line that touches the range; returns the number of lines. No fence. */
  flush(memory: MemoryId, offset: number, length: number): number
  /**
   * Writes back and drops each cache line that touches the range: loads after it come from the
   * memory (clflushopt or clflush and mfence, DC CIVAC and DSB on arm64).
   */
  evict(memory: MemoryId, offset: number, length: number): void
  /** sfence (DSB on arm64). */
  fence(): void

  // A batch reads each command once, checks it and obeys it: those before a bad one are done.
  // ---- pages.c: batches over metadata pages of 4096 bytes ---------------------------------------
  /**
   * Appends lines of pages to a buffer. Commands at (commands, commandsOffset): `count` entries of
   * four u32: source page index, line mask low, line mask high, ignored. For each set bit i in turn
   * the line source[page * 4096 + i * 64, +64) is copied to target at the next 64 bytes. Returns
   * bytes appended.
   */
  gatherLines(
    target: MemoryId,
    targetOffset: number,
    source: MemoryId,
    commands: MemoryId,
    commandsOffset: number,
    count: number,
  ): number
  /**
   * The inverse, onto pages at home: `count` entries of four u32: source page index, line mask low,
   * line mask high, target block. Line i of source page goes to target[block * 4096 + i * 64, +64).
   * Returns the number of lines stored.
   */
  writePages(
    target: MemoryId,
    source: MemoryId,
    commands: MemoryId,
    commandsOffset: number,
    count: number,
    mode: StoreMode,
  ): number

  /**
   * Stores lines that stand one after another, or zeros: `count` entries of six u32: target block,
   * byte offset in `source` of the first line, mask of the lines that are set, low and high, mask
   * of those that become zero, low and high. Returns the number of lines stored.
   */
  storeLines(
    target: MemoryId,
    source: MemoryId,
    commands: MemoryId,
    commandsOffset: number,
    count: number,
    mode: StoreMode,
  ): number

  // ---- records.c: records of the log (src/media/log.ts) ----------------------------------------
  /**
   * Looks at the records in [offset, offset + length), below 4 GiB, until one is not valid. What
   * they store goes to `commands`, as `storeLines` obeys it: at most `length` bytes.
   */
  scanRecords(
    memory: MemoryId,
    offset: number,
    length: number,
    expected: ExpectedRecord,
    commands: MemoryId,
  ): ScannedRecords

  // ---- crc32c.c ---------------------------------------------------------------------------------
  /**
   * CRC32C (Castagnoli, reflected, RFC 3720 B.4) of a range, continued from `seed` (0 to begin);
   * the usual pre- and post-inversion are inside, so crc(a+b) = crc(b, crc(a)). Returns an unsigned
   * number.
   */
  crc32c(memory: MemoryId, offset: number, length: number, seed: number): number
  crc32cOf(bytes: Uint8Array, start: number, length: number, seed: number): number
  /**
   * Seals `count` structures: entries of four u32 at (commands, commandsOffset): byte offset in
   * `memory`, length, offset of the u32 checksum field within the structure, ignored. The field is
   * taken as zero, the CRC computed with seed 0 and stored there.
   */
  sealBatch(memory: MemoryId, commands: MemoryId, commandsOffset: number, count: number): void
  /** For tests: `crc32cOf` without the processor's instructions. */
  crc32cPortable(bytes: Uint8Array, start: number, length: number, seed: number): number

  // ---- files.c ----------------------------------------------------------------------------------
  /**
   * F_OFD_SETLK (fcntl(2)) on [offset, offset+length): true when taken, false when another holds
   * it.
   */
  lock(fd: number, offset: number, length: number, exclusive: boolean): boolean
  unlock(fd: number, offset: number, length: number): void
  /** F_OFD_GETLK: whether some other open file description holds a lock that would conflict. */
  locked(fd: number, offset: number, length: number, exclusive: boolean): boolean
  /**
   * F_OFD_GETLK: where the first byte of [offset, offset+length) is on which another open file
   * description holds any lock; -1: nowhere.
   */
  firstLock(fd: number, offset: number, length: number): number
  /** memfd_create(2) with MFD_CLOEXEC | MFD_ALLOW_SEALING, sized with ftruncate. Returns an fd. */
  memfd(name: string, length: number, hugeTlb: boolean): number
  /** F_ADD_SEALS; the mask is F_SEAL_* of fcntl(2): seal 1, shrink 2, grow 4, write 8. */
  addSeals(fd: number, seals: number): void
  seals(fd: number): number
  statfs(fd: number): Statfs
  /** fallocate(2), mode 0: every block of the range exists afterwards. */
  fallocate(fd: number, offset: number, length: number): void
  msync(memory: MemoryId, offset: number, length: number): void
  fdatasync(fd: number): void
  /**
   * Drops what the page cache has of a range of a file, whose mapping from its start is `memory`:
   * the next load fetches it from what is behind (posix_fadvise(2), POSIX_FADV_DONTNEED). Pages
   * that are dirty, or that somebody else maps, stay.
   */
  forget(memory: MemoryId, offset: number, length: number, fd: number): void
  /** msync on a libuv thread. The memory cannot be unmapped meanwhile (EBUSY). */
  msyncAsync(memory: MemoryId, offset: number, length: number): Promise<void>
  fdatasyncAsync(fd: number): Promise<void>
  /** Whether mmap with MAP_SHARED_VALIDATE | MAP_SYNC of the first page of `fd` succeeds. */
  canMapSync(fd: number): boolean

  // ---- host.c: what Node does not say about files; paths and names are bytes --------------------
  /** lseek(2) with SEEK_DATA, or SEEK_HOLE: the offset found, -1 past the end. */
  seek(fd: number, offset: number, data: boolean): number
  /** mknod(2). */
  makeNode(path: Uint8Array, mode: number, major: number, minor: number): void
  /** utimensat(2): access and modification, seconds and nanoseconds each; of a symlink itself. */
  setTimes(
    path: Uint8Array,
    atime: number,
    atimeNanoseconds: number,
    mtime: number,
    mtimeNanoseconds: number,
  ): void
  /** llistxattr(2): the names, each with a zero byte after it. */
  listXattrs(path: Uint8Array): Uint8Array
  getXattr(path: Uint8Array, name: Uint8Array): Uint8Array
  setXattr(path: Uint8Array, name: Uint8Array, value: Uint8Array): void
}

/** The loaded addon. */
export const native: Native = loadAddon()
