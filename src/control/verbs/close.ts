/** CLOSE. */
import { nothing, struct } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const close = verb(
  12,
  'CLOSE',
  'Closes it. Its holds and registrations live on.',
  struct('close_args', { handle }),
  nothing,
)
