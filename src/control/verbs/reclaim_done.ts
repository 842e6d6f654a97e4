/** RECLAIM_COMPLETE. */
import { nothing } from '../schema.js'
import { verb } from '../verb.js'

export const reclaimDone = verb(67, 'RECLAIM_COMPLETE', 'All that this session held is reclaimed (RFC 8881, section 18.51).', nothing, nothing)
