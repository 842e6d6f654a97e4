/** RECLAIM_COMPLETE. */
import { SLOTS_MAX } from '../limits.js'
import { list, nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const reclaimDone = verb(
  67,
  'RECLAIM_COMPLETE',
  'All that this session held is reclaimed (RFC 8881, section 18.51). The slots are those that it ' +
    'has shown, and all mappings of which stand on what was reclaimed: others are waited for until ' +
    'they are gone.',
  struct('reclaim_complete_args', { slots: list(u32, SLOTS_MAX) }),
  nothing,
)
