/** EXTENTS. */
import { ITEMS_MAX } from '../limits.js'
import { bool, list, struct, u32 } from '../schema.js'
import { extent, layoutId, target } from '../types.js'
import { verb } from '../verb.js'

export const extents = verb(
  36,
  'EXTENTS',
  'Where the blocks of a file are, from a file block on.',
  struct('extents_args', { target, from: u32 }),
  struct('extents_result', { layout: layoutId, extents: list(extent, ITEMS_MAX), more: bool }),
  { inNameOf: true },
)
