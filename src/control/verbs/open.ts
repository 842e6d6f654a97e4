/** OPEN. */
import { struct, u32 } from '../schema.js'
import { changeOptions, opened, path } from '../types.js'
import { verb } from '../verb.js'

export const open = verb(
  10,
  'OPEN',
  'Opens a file by its path (open(2)).',
  struct('open_args', { path, flags: u32, mode: u32, options: changeOptions }),
  opened,
  { inNameOf: true },
)
