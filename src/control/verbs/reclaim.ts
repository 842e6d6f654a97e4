/** RECLAIM. */
import { RECLAIM_EXTENTS_MAX } from '../limits.js'
import { list, optional, size, struct, u32 } from '../schema.js'
import { extent, holdKind, iomode, layoutId, words } from '../types.js'
import { verb } from '../verb.js'

export const reclaim = verb(
  66,
  'RECLAIM',
  'Takes a hold again that the last server had granted (RFC 8881, section 8.4.2.1), or more of ' +
    'one, `into` which it goes, in the order of the file. Answers how many of the blocks are in ' +
    'the file still. ESTALE when some are elsewhere, EPERM before SHOW_MAPPING.',
  struct('reclaim_args', {
    ino: u32,
    generation: u32,
    layout: layoutId,
    kind: holdKind,
    iomode: optional(iomode),
    /** Bytes that this part covers. */
    offset: size,
    length: size,
    extents: list(extent, RECLAIM_EXTENTS_MAX),
    reason: words,
    into: optional(size),
  }),
  struct('reclaim_result', { id: size, layout: layoutId, blocks: size }),
)
