/** Who keeps blocks in limbo: what no file owns any more, and is used as long as it is held. */
import type { HoldInfo } from '../base/layout.js'
import type { Core } from '../volume/core.js'
import type { Kept } from '../volume/transaction.js'
import type { Holds } from './holds.js'

/** What is in limbo, and every hold that covers some of it: by address, or as it was deferred. */
export function keptInLimbo(core: Core, holds: Holds): Kept {
  const { limbo } = core
  const { blocks, number } = limbo
  if (blocks === 0) return { blocks, holds: [] }
  const slots = new Set<number>()
  holds.table.pieces.overlapping(number, 0, Infinity, (slot) => slots.add(slot))
  holds.table.each((slot) => {
    holds.ghosts.each(slot, (block, count) => {
      if (reaches(core, block, count)) slots.add(slot)
    })
  })
  return { blocks, holds: [...slots].map((slot): HoldInfo => holds.info(slot)) }
}

/** Whether any block of a run is in limbo. */
function reaches({ limbo, extents, inodes }: Core, block: number, count: number): boolean {
  if (!extents.before(inodes.get(limbo.number), block + count)) return false
  return extents.fileBlock + extents.count > block
}
