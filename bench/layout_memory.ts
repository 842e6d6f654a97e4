/** What holds, and the counts under them, take of memory. */
import { runJob } from './child.js'
import { HOLDS } from './layout_holds.js'
import type { MemoryFound, MemoryJob } from './layout_memory_job.js'
import { table } from './table.js'

const HOLD_BYTES = 200
const FRAME_BYTES = 4

export function printMemory(): void {
  const job: MemoryJob = { holds: HOLDS }
  const found = runJob('layout_memory_job.js', job) as MemoryFound
  const row = (what: string, bytes: number, most?: number) => {
    const wanted = most === undefined ? '' : `<= ${most}: ${bytes <= most ? 'met' : 'missed'}`
    return [what, bytes.toFixed(2), wanted]
  }
  const rows = [
    row(`a hold of one block, with its object, of ${HOLDS}`, found.hold),
    row('the same besides its reason', found.hold - found.reason, HOLD_BYTES),
    row('of that, in the table of holds and the index', found.table),
    row('of that, in the frame table', found.frames),
    row('frame table, a block, each block pinned by itself', found.framesByBlock, FRAME_BYTES),
    row('frame table, a block, all pinned as one', found.framesInOne, FRAME_BYTES),
  ]
  console.log(`\n${table(['memory', 'bytes', 'wanted'], rows)}`)
}
