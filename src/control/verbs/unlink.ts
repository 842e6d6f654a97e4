/** UNLINK. */
import { nothing, struct } from '../schema.js'
import { changeOptions, path } from '../types.js'
import { verb } from '../verb.js'

export const unlink = verb(
  20,
  'UNLINK',
  'Removes a name.',
  struct('unlink_args', { path, options: changeOptions }),
  nothing,
  { inNameOf: true },
)
