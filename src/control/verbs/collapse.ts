/** COLLAPSE. */
import { nothing, size, struct } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const collapse = verb(
  50,
  'COLLAPSE',
  'Takes a range of whole blocks out.',
  struct('collapse_args', { handle, offset: size, length: size, options: changeOptions }),
  nothing,
)
