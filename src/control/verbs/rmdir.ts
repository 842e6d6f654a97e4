/** RMDIR. */
import { nothing, struct } from '../schema.js'
import { path } from '../types.js'
import { verb } from '../verb.js'

export const rmdir = verb(
  19,
  'RMDIR',
  'Removes an empty directory.',
  struct('rmdir_args', { path }),
  nothing,
  { inNameOf: true },
)
