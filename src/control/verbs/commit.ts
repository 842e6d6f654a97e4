/** COMMIT. */
import { nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const commit = verb(
  82,
  'COMMIT',
  'What was placed in a registration before is durable when it is answered.',
  struct('commit_args', { stag: u32 }),
  nothing,
)
