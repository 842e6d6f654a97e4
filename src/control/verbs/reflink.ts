/** REFLINK. */
import { nothing, struct } from '../schema.js'
import { changeOptions, path } from '../types.js'
import { verb } from '../verb.js'

export const reflink = verb(
  41,
  'REFLINK',
  'Makes one file a clone of another.',
  struct('reflink_args', { from: path, to: path, options: changeOptions }),
  nothing,
  { inNameOf: true },
)
