/** RENAME. */
import { bool, nothing, struct } from '../schema.js'
import { changeOptions, path } from '../types.js'
import { verb } from '../verb.js'

export const rename = verb(
  21,
  'RENAME',
  'Renames, in one step (renameat2(2)).',
  struct('rename_args', {
    from: path,
    to: path,
    noReplace: bool,
    exchange: bool,
    options: changeOptions,
  }),
  nothing,
  { inNameOf: true },
)
