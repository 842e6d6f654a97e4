/**
 * Replay of the redo log, into memory. The records are what a crash left to do; a volume is what it
 * is after them.
 *
 * A record that is not valid ends the log, as it does for who opens the volume. A record with a
 * good checksum is one that was written; when it asks for what none may, that is a finding.
 */
import { popcount } from '../base/bytes.js'
import { BLOCK_BYTES, LINE_BYTES, LINES_PER_BLOCK } from '../base/limits.js'
import { hex } from '../base/struct.js'
import {
  invalidRecordHeader,
  LogRecord,
  LogTail,
  PageDescriptor,
  RecordKind,
  recordLines,
  tailHighWord,
  tornRecord,
} from '../media/log.js'
import { SUPERBLOCK_BLOCKS } from '../media/superblock.js'
import { placeOf, type Findings } from './codes.js'
import type { Medium, Scratch } from './medium.js'
import { checkReserved } from './reserved.js'
import type { Header } from './volume_header.js'

const DESCRIPTOR_WORDS = PageDescriptor.size / 4
const LINE_WORDS = LINE_BYTES / 4

/** Positions where the log begins and ends, -1 when its tail is damaged, and its records. */
export interface Replayed {
  readonly tail: number
  readonly end: number
  readonly records: number
}

/** Applies the records from the tail on to the overlay of `medium`. */
export function replayLog(
  medium: Medium,
  scratch: Scratch,
  header: Header,
  findings: Findings,
): Replayed {
  const tail = readTail(medium, scratch, header, findings)
  return replayFrom(tail, medium, scratch, header, findings)
}

/** The same from any position on; none when it is negative. */
export function replayFrom(
  tail: number,
  medium: Medium,
  scratch: Scratch,
  header: Header,
  findings: Findings,
): Replayed {
  let position = tail
  if (position < 0) return { tail, end: tail, records: 0 }
  const ringLines = header.logBlocks * LINES_PER_BLOCK
  const end = position + ringLines
  let sequence = -1
  let replayed = 0
  while (position < end) {
    const line = position % ringLines
    const offset = line * LINE_BYTES
    medium.readHome(header.logStart, offset, scratch.u8, 0, LINE_BYTES)
    if (invalidRecordHeader(scratch, 0, position, sequence, ringLines - line) !== null) break
    const lines = scratch.u32[LogRecord.word.lines]!
    const pad = scratch.u32[LogRecord.word.kind] === RecordKind.pad
    if (!pad && lines > 1) {
      scratch.require(lines * LINE_BYTES)
      medium.readHome(header.logStart, offset, scratch.u8, 0, lines * LINE_BYTES)
    }
    if (tornRecord(scratch, 0, header.recordSeed) !== null) break
    const block = header.logStart + Math.floor(line / LINES_PER_BLOCK)
    const place = placeOf(LogRecord.name, block, offset % BLOCK_BYTES)
    checkReserved(scratch, 0, LogRecord, block, offset % BLOCK_BYTES, findings)
    if (!pad) applyRecord(medium, scratch, header, place, findings)
    sequence =
      scratch.u32[LogRecord.word.sequence]! +
      scratch.u32[LogRecord.word.sequence + 1]! * 2 ** 32 +
      1
    position += lines
    replayed++
  }
  return { tail, end: position, records: replayed }
}

/** The position where replay begins, or -1. */
function readTail(medium: Medium, scratch: Scratch, header: Header, findings: Findings): number {
  medium.readHome(header.tailBlock, 0, scratch.u8, 0, LogTail.size)
  const low = scratch.u32[LogTail.word.positionLow]!
  const high = scratch.u32[LogTail.word.positionHighAndCheck]!
  const expected = tailHighWord(high & 0xffff, scratch.crc32c(0, 6, header.uuidSeed))
  if (expected !== high) {
    const message = `high word ${hex(high)}, computed ${hex(expected)}`
    findings.add('log-tail-damaged', placeOf(LogTail.name, header.tailBlock), message)
    return -1
  }
  checkReserved(scratch, 0, LogTail, header.tailBlock, 0, findings)
  return low + (high & 0xffff) * 2 ** 32
}

function applyRecord(
  medium: Medium,
  scratch: Scratch,
  header: Header,
  place: string,
  findings: Findings,
): void {
  const words = scratch.u32
  const lines = words[LogRecord.word.lines]!
  const pages = words[LogRecord.word.pages]!
  const at = PageDescriptor.word
  let line = recordLines(pages, 0)
  let present = 0
  for (let i = 0, w = LINE_WORDS; i < pages; i++, w += DESCRIPTOR_WORDS) {
    present += popcount(words[w + at.presentLow]!) + popcount(words[w + at.presentHigh]!)
  }
  if (line + present !== lines) {
    const message = `${lines} lines, its pages take ${line + present}`
    findings.add('log-record-invalid', place, message)
    return
  }
  for (let i = 0, w = LINE_WORDS; i < pages; i++, w += DESCRIPTOR_WORDS) {
    const reason = invalidDescriptor(words, w, header)
    if (reason !== null) {
      findings.add('log-record-invalid', place, `page descriptor ${i}: ${reason}`)
      line += popcount(words[w + at.presentLow]!) + popcount(words[w + at.presentHigh]!)
    } else {
      line = applyPage(medium, scratch, w, line)
    }
  }
}

function invalidDescriptor(words: Uint32Array, w: number, header: Header): string | null {
  const at = PageDescriptor.word
  const block = words[w + at.block]!
  if (block >= header.blockCount) return `block ${block} of a volume of ${header.blockCount}`
  const log = block >= header.logStart && block < header.logStart + header.logBlocks
  if (
    log ||
    block === header.tailBlock ||
    (SUPERBLOCK_BLOCKS as readonly number[]).includes(block)
  ) {
    return `block ${block}, which is never logged`
  }
  if (words[w + at.flags] !== 0) return `flags ${hex(words[w + at.flags]!)}, expected 0`
  const both =
    (words[w + at.presentLow]! & words[w + at.zeroLow]!) |
    (words[w + at.presentHigh]! & words[w + at.zeroHigh]!)
  return both === 0 ? null : `lines ${hex(both)} are present and zero`
}

/** Sets the lines of one page; `line` is the first of its payload, the one after it is returned. */
function applyPage(medium: Medium, scratch: Scratch, w: number, line: number): number {
  const at = PageDescriptor.word
  const words = scratch.u32
  const page = medium.overlaid(words[w + at.block]!)
  for (let i = 0; i < LINES_PER_BLOCK; i++) {
    const half = i >>> 5
    const bit = 1 << (i & 31)
    if ((words[w + at.presentLow + half]! & bit) !== 0) {
      page.set(scratch.u8.subarray(line * LINE_BYTES, (line + 1) * LINE_BYTES), i * LINE_BYTES)
      line++
    } else if ((words[w + at.zeroLow + half]! & bit) !== 0) {
      page.fill(0, i * LINE_BYTES, (i + 1) * LINE_BYTES)
    }
  }
  return line
}
