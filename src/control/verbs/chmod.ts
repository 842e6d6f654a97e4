/** CHMOD. */
import { nothing, struct, u32 } from '../schema.js'
import { target } from '../types.js'
import { verb } from '../verb.js'

export const chmod = verb(
  27,
  'CHMOD',
  'Changes permissions.',
  struct('chmod_args', { target, mode: u32 }),
  nothing,
  { inNameOf: true },
)
