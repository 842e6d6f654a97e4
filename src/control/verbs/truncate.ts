/** TRUNCATE. */
import { nothing, size, struct } from '../schema.js'
import { changeOptions, target } from '../types.js'
import { verb } from '../verb.js'

export const truncate = verb(
  16,
  'TRUNCATE',
  'Makes a file so long.',
  struct('truncate_args', { target, size, options: changeOptions }),
  nothing,
  { inNameOf: true },
)
