/** EVICT. */
import { nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const evict = verb(
  73,
  'EVICT',
  'Ends a session, and all that it holds; root may.',
  struct('evict_args', { session: u32 }),
  nothing,
)
