/** FIX. */
import { nothing, struct } from '../schema.js'
import { changeOptions, path } from '../types.js'
import { verb } from '../verb.js'

export const fix = verb(
  37,
  'FIX',
  'Fixes a file: its layout does not change any more.',
  struct('fix_args', { path, options: changeOptions }),
  nothing,
  { inNameOf: true },
)
