/** WATCH. */
import { bool, nothing, struct } from '../schema.js'
import { verb } from '../verb.js'

export const watch = verb(
  90,
  'WATCH',
  'Tells of changes and of holds from now on.',
  struct('watch_args', { changes: bool, holds: bool }),
  nothing,
)
