/**
 * Fills the log as far as it goes: one more operation would be a checkpoint. The cache is as full
 * of dirty pages by then as it gets, so that what a crash leaves here is the longest recovery.
 */
import { Prng } from '../src/base/prng.js'
import type { Volume } from '../src/volume/volume.js'

/** What an operation logs at most here, in lines, and dirties in pages. */
const OPERATION_LINES = 64
const OPERATION_PAGES = 16

export interface FullLog {
  /** Bytes of records that a replay has to read. */
  readonly bytes: number
  readonly records: number
  readonly dirtyPages: number
}

/**
 * Renames, removes and makes files again, all over the volume as long as few pages are dirty for
 * the length of the log, else those of a moment ago again.
 */
export function fillLog(volume: Volume, paths: (i: number) => string, count: number): FullLog {
  const { log, transaction, pages } = volume.core
  transaction.checkpoint()
  const linesMax = log.room - 2 * log.recordLinesMax
  const pagesMax = transaction.dirtyPagesMax
  const firstRecord = log.records
  const prng = new Prng(count)
  const steps = new Uint8Array(count)
  const recent: number[] = []
  for (;;) {
    const lines = log.head - log.tail
    if (lines + OPERATION_LINES > linesMax) break
    if (pages.dirtyPages + OPERATION_PAGES > pagesMax) break
    const spread = pages.dirtyPages / pagesMax <= lines / linesMax
    const i = spread || recent.length === 0 ? prng.below(count) : prng.pick(recent)
    if (recent.length < 64) recent.push(i)
    else recent[prng.below(64)] = i
    step(volume, paths(i), steps[i]!)
    steps[i] = (steps[i]! + 1) % 4
  }
  const bytes = (log.head - log.tail) * 64
  return { bytes, records: log.records - firstRecord, dirtyPages: pages.dirtyPages }
}

function step(volume: Volume, path: string, at: number): void {
  if (at === 0) volume.rename(path, `${path}.moved`)
  else if (at === 1) volume.rename(`${path}.moved`, path)
  else if (at === 2) volume.unlink(path)
  else volume.open(path, 'wx').close()
}
