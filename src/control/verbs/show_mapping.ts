/** SHOW_MAPPING. */
import { nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const showMapping = verb(
  68,
  'SHOW_MAPPING',
  'Shows that somebody maps the region since the last server: the descriptor that it was mapped ' +
    'with comes along. Answers its slot. EPERM: it has no lock, or is not alone to have that one. ' +
    'ESTALE when the grace period is over.',
  nothing,
  struct('show_mapping_result', { slot: u32 }),
)
