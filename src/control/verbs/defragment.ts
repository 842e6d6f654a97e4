/** DEFRAGMENT. */
import { struct, u32 } from '../schema.js'
import { changeOptions, path } from '../types.js'
import { verb } from '../verb.js'

export const defragment = verb(
  43,
  'DEFRAGMENT',
  'Moves a file into one run of blocks. Tells of its progress.',
  struct('defragment_args', { path, options: changeOptions }),
  struct('defragment_result', { before: u32, after: u32 }),
  { inNameOf: true },
)
