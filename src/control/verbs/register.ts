/** REGISTER. */
import { bool, optional, size, struct, u32 } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const register = verb(
  80,
  'REGISTER',
  'Makes a file memory that the data connections of the session reach, at its own offsets: what ' +
    'a hold of it covers, or, `hold` left out, all of it, on demand.',
  struct('register_args', { handle, hold: optional(size), write: bool }),
  struct('register_result', { stag: u32, address: size, length: size }),
)
