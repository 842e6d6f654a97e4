/** SNAPSHOT. */
import { nothing, struct } from '../schema.js'
import { changeOptions, path } from '../types.js'
import { verb } from '../verb.js'

export const snapshot = verb(
  42,
  'SNAPSHOT',
  'Clones a directory tree.',
  struct('snapshot_args', { from: path, to: path, options: changeOptions }),
  nothing,
  { inNameOf: true },
)
