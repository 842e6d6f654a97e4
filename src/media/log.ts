/**
 * The redo log: a ring of cache lines, and the tail where replay begins.
 *
 *      tail word                    ring, 64-byte lines
 *     +---------+      +-----+--------+--------+-----+--------+- - - -+
 *     | position| ---> | hdr | descr. | lines… | hdr | descr. | older |
 *     +---------+      +-----+--------+--------+-----+--------+- - - -+
 *
 * - A position counts lines since mkfs and never wraps; the ring line is position mod ring length.
 *   A record carries its own position, so a record of an older lap is never taken for a new one.
 * - A record is valid when its checksum, seeded with uuid and salt, fits, its position is the one
 *   expected and its sequence is one more than that of the record before it. The first that is not
 *   valid ends the log.
 * - No record crosses the end of the ring: a pad record fills the rest.
 */
import type { Bytes } from '../base/bytes.js'
import { checksumOf } from '../base/bytes.js'
import { LINE_BYTES } from '../base/limits.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const RECORD_MAGIC = magic('HFR1')
export const RecordKind = { transaction: 1, pad: 2 } as const

export const LogRecord = defineStruct(
  'log record',
  64,
  'header of a record, at a line of the ring',
  {
    magic: [0, 4, "'HFR1'"],
    checksum: [
      4,
      4,
      'CRC32C of header and payload, this field as zero, seeded with crc(uuid, salt)',
    ],
    sequence: [8, 8, 'one more than that of the record before'],
    position: [16, 8, 'lines since mkfs'],
    lines: [24, 4, 'length of the record in lines, header included'],
    kind: [28, 4, '1 transaction, 2 pad'],
    pages: [32, 4, 'page descriptors that follow the header'],
    volume: [36, 4, 'first four bytes of the volume uuid'],
    reserved: [40, 24, 'zero'],
  },
)

/**
 * After the header: `pages` descriptors, padded to a line, then the lines of each page in turn. A
 * line is present, or zero, or untouched; never present and zero.
 */
export const PageDescriptor = defineStruct(
  'page descriptor',
  24,
  'which lines of a page a record sets',
  {
    block: [0, 4, 'the page'],
    flags: [4, 4, 'zero'],
    presentLow: [8, 4, 'lines 0 to 31 that follow as payload'],
    presentHigh: [12, 4, 'lines 32 to 63 that follow as payload'],
    zeroLow: [16, 4, 'lines 0 to 31 that become zero'],
    zeroHigh: [20, 4, 'lines 32 to 63 that become zero'],
  },
)

/**
 * The tail is one aligned 8-byte word, so that it moves in one store. It has no room for a magic
 * and a CRC of 32 bits; the upper 16 bits check the lower 48.
 */
export const LogTail = defineStruct(
  'log tail',
  64,
  'where replay begins; the first line of block 3',
  {
    positionLow: [0, 4, 'bits 0 to 31 of the position'],
    positionHighAndCheck: [
      4,
      4,
      'low half: bits 32 to 47; high half: low half of CRC32C of the 48 bits, seeded with the uuid',
    ],
    reserved: [8, 56, 'zero'],
  },
)

/** Lines taken by a header, `pages` descriptors and `payload` lines. */
export function recordLines(pages: number, payload: number): number {
  return 1 + Math.ceil((pages * PageDescriptor.size) / LINE_BYTES) + payload
}

/**
 * Why the bytes at `base` are not the record expected at (position, sequence), or null. The
 * checksum is looked at by `tornRecord`, when the whole record is at hand.
 */
export function invalidRecordHeader(
  bytes: Bytes,
  base: number,
  position: number,
  sequence: number,
  linesToEnd: number,
): string | null {
  const w = base >>> 2
  const at = LogRecord.word
  const get = (index: number) => bytes.u32[w + index]!
  if (get(at.magic) !== RECORD_MAGIC) return `no record`
  if (get(at.position) + get(at.position + 1) * 0x1_0000_0000 !== position)
    return `record of another lap`
  if (sequence >= 0 && get(at.sequence) + get(at.sequence + 1) * 0x1_0000_0000 !== sequence) {
    return `sequence ${get(at.sequence)}, expected ${sequence}`
  }
  const lines = get(at.lines)
  const kind = get(at.kind)
  if (kind !== RecordKind.transaction && kind !== RecordKind.pad) return `kind ${kind}`
  if (lines < 1 || lines > linesToEnd) return `${lines} lines, ${linesToEnd} to the end of the ring`
  if (kind === RecordKind.pad) return get(at.pages) === 0 ? null : `pad record with pages`
  if (recordLines(get(at.pages), 0) > lines) return `${get(at.pages)} pages in ${lines} lines`
  return null
}

/** Why the whole record at `base` (its header valid) is torn, or null. */
export function tornRecord(bytes: Bytes, base: number, seed: number): string | null {
  const at = LogRecord.word
  const kind = bytes.u32[(base >>> 2) + at.kind]!
  const lines = kind === RecordKind.pad ? 1 : bytes.u32[(base >>> 2) + at.lines]!
  const sum = checksumOf(bytes, base, LogRecord, lines * LINE_BYTES, seed)
  const stored = bytes.u32[(base >>> 2) + at.checksum]!
  return stored === sum ? null : `checksum ${hex(stored)}, computed ${hex(sum)}`
}

/**
 * The high word of the tail for a position: its upper bits and the check. `crc` is over 6 bytes.
 */
export function tailHighWord(positionHigh: number, crc: number): number {
  return (((crc & 0xffff) << 16) | (positionHigh & 0xffff)) >>> 0
}
