/**
 * Replay: what the log has and home may not, brought home.
 *
 * Records that are whole go home straight from the ring, oldest first: what a page held before is
 * not looked at, and nothing goes through the page cache. The tail stays until all of it is
 * durable, so that a crash in the middle replays the same records again.
 *
 * What it costs is the length of the log, and one fault of the mapping for each page that the log
 * changes: a store alone meets one, a load before it would meet another.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, LINE_BYTES } from '../base/limits.js'
import { native, ScanEnd } from '../native/native.js'
import type { Region } from '../region/region.js'
import type { Geometry } from './geometry.js'
import type { Staging } from './log.js'

/** Lines of the ring that are looked at together: they fit in the processor's cache. */
const WINDOW_LINES = 2048

export class Replay {
  /** After the last valid record. */
  position = 0
  sequence = 1
  records = 0

  readonly #region: Region
  readonly #geometry: Geometry
  /** Records, and what they store. */
  readonly #records: Staging
  readonly #commands: Staging
  readonly #seed: number

  constructor(region: Region, geometry: Geometry, memory: [Staging, Staging], seed: number) {
    this.#region = region
    this.#geometry = geometry
    this.#records = memory[0]
    this.#commands = memory[1]
    this.#seed = seed
  }

  /** Replays from `tail` on: home is durable up to `position` when it returns. */
  run(tail: number): void {
    this.position = tail
    let lines = WINDOW_LINES
    // The ring holds at most its own length: also a forged log ends.
    while (lines > 0 && this.position - tail < this.#geometry.logLines) lines = this.#window(lines)
    if (this.records > 0) {
      // Home before the tail: else a cut leaves pages that neither home nor log has whole.
      if (this.#region.persistence === 'sync') this.#region.sync(0, this.#region.byteLength)
      else this.#region.fence()
    }
    this.#region.check()
  }

  /** Replays the records within `lines` lines: how many to look at next, 0 at the log's end. */
  #window(lines: number): number {
    const { logStart, logLines, bitmapStart, blockCount, stateBlock } = this.#geometry
    const { memory } = this.#records
    const commands = this.#commands.memory
    const linesToEnd = logLines - (this.position % logLines)
    const length = Math.min(lines, linesToEnd) * LINE_BYTES
    const offset = logStart * BLOCK_BYTES + (this.position % logLines) * LINE_BYTES
    this.#region.load(offset, memory, 0, length)
    const expected = {
      position: this.position,
      sequence: this.records === 0 ? 0 : this.sequence,
      linesToEnd,
      seed: this.#seed,
      firstBlock: bitmapStart,
      endBlock: blockCount,
      stateBlock,
    }
    const found = native.scanRecords(memory, 0, length, expected, commands)
    if (found.records > 0) {
      this.#region.storeLines(memory, commands, found.commands)
      this.position += found.lines
      this.records += found.records
      this.sequence = found.sequence
    }
    if (found.end === ScanEnd.forged) throw this.#forged(found.detail)
    if (found.end === ScanEnd.end) return 0
    if (found.end === ScanEnd.used || found.records > 0) return WINDOW_LINES
    if (found.detail * LINE_BYTES > this.#records.byteLength) {
      throw new HoldfastError('EUCLEAN', `log record at ${this.position} has ${found.detail} lines`)
    }
    return found.detail
  }

  #forged(block: number): HoldfastError {
    const what = block < 0 ? 'has not the lines of its pages' : `writes block ${block}`
    return new HoldfastError('EUCLEAN', `log record at ${this.position} ${what}`)
  }
}
