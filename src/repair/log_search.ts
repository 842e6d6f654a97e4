/**
 * Where the log begins when its tail is lost: the records of the last mount are still in the ring,
 * each sealed with the salt of that mount. All that are in one row with the newest are replayed:
 * those before the lost tail say what home says already.
 */
import { LINE_BYTES, LINES_PER_BLOCK } from '../base/limits.js'
import type { Medium, Scratch } from '../check/medium.js'
import type { Header } from '../check/volume_header.js'
import { invalidRecordHeader, LogRecord, RecordKind, tornRecord } from '../media/log.js'

interface Found {
  readonly position: number
  readonly sequence: number
  readonly lines: number
}

const at = LogRecord.word

/** Position of the oldest record that leads up to the newest; -1 when there is none. */
export function searchLog(medium: Medium, scratch: Scratch, header: Header): number {
  const ringLines = header.logBlocks * LINES_PER_BLOCK
  const bySequence = new Map<number, Found>()
  // What only looks like a record may claim any length: so much is read for all of them together.
  let patience = 8 * ringLines
  let newest = -1
  for (let line = 0; line < ringLines && patience > 0;) {
    const found = readRecord(medium, scratch, header, line, (lines) => (patience -= lines))
    if (found === null) {
      line++
      continue
    }
    bySequence.set(found.sequence, found)
    newest = Math.max(newest, found.sequence)
    line += found.lines
  }
  let oldest = bySequence.get(newest)
  for (let before = oldest; before !== undefined;) {
    oldest = before
    before = bySequence.get(oldest.sequence - 1)
    if (before !== undefined && before.position + before.lines !== oldest.position) break
  }
  return oldest?.position ?? -1
}

function readRecord(
  medium: Medium,
  scratch: Scratch,
  header: Header,
  line: number,
  onRead: (lines: number) => void,
): Found | null {
  const ringLines = header.logBlocks * LINES_PER_BLOCK
  const offset = line * LINE_BYTES
  medium.readHome(header.logStart, offset, scratch.u8, 0, LINE_BYTES)
  const get = (word: number) => scratch.u32[word]!
  const position = get(at.position) + get(at.position + 1) * 2 ** 32
  if (position % ringLines !== line) return null
  if (invalidRecordHeader(scratch, 0, position, -1, ringLines - line) !== null) return null
  const sequence = get(at.sequence) + get(at.sequence + 1) * 2 ** 32
  const lines = get(at.lines)
  if (get(at.kind) === RecordKind.transaction) {
    onRead(lines)
    scratch.require(lines * LINE_BYTES)
    medium.readHome(header.logStart, offset, scratch.u8, 0, lines * LINE_BYTES)
  }
  return tornRecord(scratch, 0, header.recordSeed) === null ? { position, sequence, lines } : null
}
