/** DEREGISTER. */
import { nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const deregister = verb(
  81,
  'DEREGISTER',
  'Nobody reaches it any more when this is answered.',
  struct('deregister_args', { stag: u32 }),
  nothing,
)
