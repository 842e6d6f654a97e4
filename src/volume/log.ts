/**
 * The redo log: records on their way into the ring, and the tail behind them.
 *
 * Invariants:
 * - tail <= durable <= head, in lines since mkfs; head - tail never exceeds the ring;
 * - a record is in the ring whole and fenced before `durable` passes it, and nothing at home
 *   changes for a record before that;
 * - with group sync, records wait in `staging`, not in the ring: on a page-cache file a record in
 *   the ring may reach the medium at any time, and must not do so before the data that it maps;
 * - the tail moves by one 8-byte store, only after home is durable up to it.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, LINE_BYTES } from '../base/limits.js'
import { LogRecord, LogTail, RECORD_MAGIC, RecordKind, tailHighWord } from '../media/log.js'
import { native, type MemoryId } from '../native/native.js'
import type { Region } from '../region/region.js'
import type { Geometry } from './geometry.js'

/** Memory in which records are put together. Reusable by one volume after another. */
export class Staging {
  readonly memory: MemoryId
  readonly byteLength: number
  readonly u32: Uint32Array
  readonly u8: Uint8Array

  constructor(byteLength: number) {
    this.byteLength = byteLength
    this.memory = native.anonymous(byteLength)
    const buffer = native.view(this.memory, 0, byteLength)
    this.u32 = new Uint32Array(buffer)
    this.u8 = new Uint8Array(buffer)
  }

  release(): void {
    native.unmap(this.memory)
  }
}

/** Records of one group: where each stands in the staging memory and where it goes. */
class Group {
  readonly staging: Staging
  bytes = 0
  count = 0
  readonly offset: number[] = []
  readonly length: number[] = []
  readonly ringLine: number[] = []

  constructor(staging: Staging) {
    this.staging = staging
  }

  clear(): void {
    this.bytes = 0
    this.count = 0
  }
}

export class Log {
  /** Position after the last record, staged ones included. */
  head = 0
  tail = 0
  /** Position up to which records are durable. */
  durable = 0
  /** Sequence of the next record. */
  sequence = 1
  bytesLogged = 0
  records = 0

  readonly #region: Region
  readonly #geometry: Geometry
  readonly #volume: number
  #seed = 0
  #uuidCrc = 0
  #gathering: Group
  #flushing: Group
  /** Number of the flush under way on a thread, 0 none. */
  #flushId = 0
  #flushes = 0

  constructor(region: Region, geometry: Geometry, volume: number, stagings: [Staging, Staging]) {
    this.#region = region
    this.#geometry = geometry
    this.#volume = volume
    this.#gathering = new Group(stagings[0])
    this.#flushing = new Group(stagings[1])
  }

  /** Begins after `position`; records are sealed with the seed of this mount from now on. */
  start(position: number, sequence: number, uuidCrc: number, seed: number): void {
    this.head = position
    this.tail = position
    this.durable = position
    this.sequence = sequence
    this.#uuidCrc = uuidCrc
    this.#seed = seed
  }

  /** Lines that can be logged before the tail must move. */
  get room(): number {
    return this.#geometry.logLines - (this.head - this.tail)
  }

  /**
   * Longest record, in lines: a quarter of the ring, an eighth of the staging memory. A checkpoint
   * comes when less than two such are free, so that a record and a pad before it always fit.
   */
  get recordLinesMax(): number {
    return Math.min(this.#geometry.logLines >>> 2, this.#gathering.staging.byteLength >>> 9)
  }

  /** Bytes that the group still takes. */
  get stagingRoom(): number {
    return this.#gathering.staging.byteLength - this.#gathering.bytes
  }

  get staging(): Staging {
    return this.#gathering.staging
  }

  get staged(): boolean {
    return this.#gathering.count > 0 || this.#flushing.count > 0
  }

  /**
   * Where to put together a record of `lines` lines: byte offset in `staging`. A pad record goes
   * first when the record would cross the end of the ring.
   */
  reserve(lines: number): number {
    const group = this.#gathering
    const logLines = this.#geometry.logLines
    const toEnd = logLines - (this.head % logLines)
    assert(lines <= this.recordLinesMax, 'a record fits in a quarter of the ring')
    if (lines > toEnd) this.#seal(group.bytes, toEnd, RecordKind.pad, 0)
    assert(this.room >= lines, 'the log has room for the record')
    return group.bytes
  }

  /**
   * Seals the record at byte `offset` of the staging memory: payload in place, `pages` descriptors.
   */
  append(offset: number, lines: number, pages: number): void {
    this.#seal(offset, lines, RecordKind.transaction, pages)
  }

  #seal(offset: number, lines: number, kind: number, pages: number): void {
    const group = this.#gathering
    const u32 = group.staging.u32
    const w = offset >>> 2
    const at = LogRecord.word
    const bytes = kind === RecordKind.pad ? LINE_BYTES : lines * LINE_BYTES
    for (let i = w; i < w + LINE_BYTES / 4; i++) u32[i] = 0
    u32[w + at.magic] = RECORD_MAGIC
    u32[w + at.sequence] = this.sequence
    u32[w + at.sequence + 1] = this.sequence / 0x1_0000_0000
    u32[w + at.position] = this.head
    u32[w + at.position + 1] = this.head / 0x1_0000_0000
    u32[w + at.lines] = lines
    u32[w + at.kind] = kind
    u32[w + at.pages] = pages
    u32[w + at.volume] = this.#volume
    u32[w + at.checksum] = native.crc32c(group.staging.memory, offset, bytes, this.#seed)
    group.offset[group.count] = offset
    group.length[group.count] = bytes
    group.ringLine[group.count] = this.head % this.#geometry.logLines
    group.count++
    group.bytes = offset + bytes
    this.head += lines
    this.sequence++
    this.records++
    this.bytesLogged += bytes
  }

  /**
   * Makes everything appended so far durable, here and now. What the records map must be durable
   * before: `dataWritten` says that something was streamed since the last fence.
   */
  flush(dataWritten: boolean): void {
    const region = this.#region
    if (region.persistence === 'sync') {
      if (this.staged) {
        region.sync(0, region.byteLength)
        this.#store(this.#flushing)
        this.#store(this.#gathering)
      }
      region.sync(0, region.byteLength)
    } else {
      // Data before the record that maps it: else a cut between shows another file's bytes.
      if (dataWritten) region.fence()
      this.#store(this.#flushing)
      this.#store(this.#gathering)
      region.fence()
    }
    this.durable = this.head
    this.#flushId = 0
  }

  /**
   * The same on a thread, for what was appended so far; meanwhile the next group gathers. Resolves
   * when durable: false when a synchronous flush was faster and did all of it.
   */
  async flushAsync(): Promise<boolean> {
    assert(this.#flushId === 0, 'one group is flushed at a time')
    const id = ++this.#flushes
    this.#flushId = id
    const region = this.#region
    const group = this.#gathering
    this.#gathering = this.#flushing
    this.#flushing = group
    const to = this.head
    // Data before the records: they are stored only when this has come back.
    await region.syncAsync(0, region.byteLength)
    if (this.#flushId !== id) return false // a synchronous flush overtook this one
    this.#store(group)
    await region.syncAsync(0, region.byteLength)
    if (this.#flushId !== id) return false
    this.durable = to
    this.#flushId = 0
    return true
  }

  get flushing(): boolean {
    return this.#flushId !== 0
  }

  #store(group: Group): void {
    const base = this.#geometry.logStart * BLOCK_BYTES
    for (let i = 0; i < group.count; i++) {
      this.#region.streamFrom(
        base + group.ringLine[i]! * LINE_BYTES,
        group.staging.memory,
        group.offset[i]!,
        group.length[i]!,
      )
    }
    group.clear()
  }

  /** Home is durable up to `head`: the ring before it is free. */
  moveTail(): void {
    assert(this.durable === this.head, 'the tail never passes what is durable')
    storeTail(this.#region, this.#geometry.tailBlock, this.head, this.#uuidCrc)
    this.tail = this.head
  }
}

const tailBytes = new Uint8Array(6)

/** CRC over the 48 bits of a position, seeded with that of the uuid. */
function tailCheck(position: number, uuidCrc: number): number {
  const high = Math.floor(position / 0x1_0000_0000)
  for (let i = 0; i < 4; i++) tailBytes[i] = position >>> (8 * i)
  tailBytes[4] = high
  tailBytes[5] = high >>> 8
  return native.crc32cOf(tailBytes, 0, 6, uuidCrc)
}

export function storeTail(region: Region, block: number, position: number, uuidCrc: number): void {
  const high = tailHighWord(Math.floor(position / 0x1_0000_0000), tailCheck(position, uuidCrc))
  const offset = block * BLOCK_BYTES
  // One 8-byte store: two of four could tear, and replay would begin in the middle of a record.
  region.store8(offset, position >>> 0, high)
  if (region.persistence === 'sync') region.sync(offset, LogTail.size)
  else {
    region.flush(offset, 8)
    region.fence()
  }
}

/** The position that the tail names. */
export function readTail(region: Region, block: number, uuidCrc: number): number {
  const bytes = new Uint8Array(8)
  region.read(block * BLOCK_BYTES, bytes, 0, 8)
  const words = new Uint32Array(bytes.buffer)
  const position = words[0]! + (words[1]! & 0xffff) * 0x1_0000_0000
  if (
    tailHighWord(Math.floor(position / 0x1_0000_0000), tailCheck(position, uuidCrc)) !== words[1]
  ) {
    throw new HoldfastError(
      'EUCLEAN',
      `log tail in block ${block} of ${region.path}: its check does not fit; run holdfast fsck`,
    )
  }
  return position
}
