/** PUNCH. */
import { nothing, size, struct } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const punch = verb(
  48,
  'PUNCH',
  'Frees the blocks of a range.',
  struct('punch_args', { handle, offset: size, length: size, options: changeOptions }),
  nothing,
)
