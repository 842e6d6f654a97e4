/** FLOCK. */
import { bool, choice, nothing, struct } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const flock = verb(
  58,
  'FLOCK',
  'Locks a whole file for the handle (flock(2)).',
  struct('flock_args', {
    handle,
    type: choice('flock_type', 'shared', 'exclusive', 'unlock'),
    wait: bool,
  }),
  nothing,
)
