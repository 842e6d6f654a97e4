/** REGISTER. */
import { bool, optional, size, struct, u32 } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const register = verb(
  80,
  'REGISTER',
  'Makes a range of a file memory that the data connections of the session reach. `hold` ' +
    'left out: on demand, without a hold.',
  struct('register_args', {
    handle,
    hold: optional(size),
    offset: size,
    length: optional(size),
    write: bool,
  }),
  struct('register_result', { stag: u32, address: size, length: size }),
)
