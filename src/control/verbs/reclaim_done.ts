/** RECLAIM_COMPLETE. */
import { list, nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const reclaimDone = verb(
  67,
  'RECLAIM_COMPLETE',
  'All that this session held is reclaimed (RFC 8881, section 18.51). The slots are those ' +
    'that its mappings hold the locks of.',
  struct('reclaim_complete_args', { slots: list(u32, 64) }),
  nothing,
)
