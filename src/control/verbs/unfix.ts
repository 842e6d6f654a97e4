/** UNFIX. */
import { nothing, struct } from '../schema.js'
import { path } from '../types.js'
import { verb } from '../verb.js'

export const unfix = verb(
  38,
  'UNFIX',
  'Takes that back.',
  struct('unfix_args', { path }),
  nothing,
  { inNameOf: true },
)
