/** UNLOCK. */
import { nothing, optional, size, struct } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const unlock = verb(
  56,
  'UNLOCK',
  'Ends what the owner holds of a range.',
  struct('unlock_args', { handle, start: size, length: size, owner: optional(size) }),
  nothing,
)
