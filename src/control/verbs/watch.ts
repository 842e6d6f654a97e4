/** WATCH. */
import { bool, nothing, optional, struct } from '../schema.js'
import { verb } from '../verb.js'

export const watch = verb(
  90,
  'WATCH',
  'Tells of changes and of holds from now on; `others`: not of changes by the session itself; ' +
    '`stores`: asks before others store to a file past all calls (STORING).',
  struct('watch_args', {
    changes: bool,
    others: optional(bool),
    holds: bool,
    stores: optional(bool),
  }),
  nothing,
)
