/** CHOWN. */
import { nothing, struct, u32 } from '../schema.js'
import { target } from '../types.js'
import { verb } from '../verb.js'

export const chown = verb(
  28,
  'CHOWN',
  'Changes the owner; 2^32-1 leaves it.',
  struct('chown_args', { target, uid: u32, gid: u32 }),
  nothing,
  { inNameOf: true },
)
