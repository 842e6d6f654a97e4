/** SYNC. */
import { nothing, optional, struct } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const sync = verb(
  46,
  'SYNC',
  'A file, or without one the volume, is durable when it is answered.',
  struct('sync_args', { handle: optional(handle) }),
  nothing,
)
