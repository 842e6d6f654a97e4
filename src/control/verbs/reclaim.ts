/** RECLAIM. */
import { RECLAIM_EXTENTS_MAX } from '../limits.js'
import { list, optional, size, struct, u32 } from '../schema.js'
import { extent, granted, holdKind, iomode, layoutId, words } from '../types.js'
import { verb } from '../verb.js'

export const reclaim = verb(
  66,
  'RECLAIM',
  'Takes a hold again that the last server had granted (RFC 8881, section 8.4.2.1). ESTALE ' +
    'when it is gone.',
  struct('reclaim_args', {
    ino: u32,
    generation: u32,
    layout: layoutId,
    kind: holdKind,
    iomode: optional(iomode),
    offset: size,
    length: size,
    extents: list(extent, RECLAIM_EXTENTS_MAX),
    reason: words,
  }),
  granted,
)
