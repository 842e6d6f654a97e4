/** HELD_EXTENTS. */
import { ITEMS_MAX } from '../limits.js'
import { bool, list, size, struct, u32 } from '../schema.js'
import { extent } from '../types.js'
import { verb } from '../verb.js'

export const heldExtents = verb(
  65,
  'HELD_EXTENTS',
  'More of where the blocks of a hold are, from a file block on.',
  struct('held_extents_args', { id: size, from: u32 }),
  struct('held_extents_result', { extents: list(extent, ITEMS_MAX), more: bool }),
)
