/** WATCH. */
import { bool, nothing, optional, struct } from '../schema.js'
import { verb } from '../verb.js'

export const watch = verb(
  90,
  'WATCH',
  'Tells of changes and of holds from now on; `others`: not of changes by the session itself.',
  struct('watch_args', { changes: bool, others: optional(bool), holds: bool }),
  nothing,
)
