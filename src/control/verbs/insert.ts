/** INSERT. */
import { nothing, size, struct } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const insert = verb(
  51,
  'INSERT',
  'Puts a hole of whole blocks in.',
  struct('insert_args', { handle, offset: size, length: size, options: changeOptions }),
  nothing,
)
