/** EVACUATE. */
import { list, size, struct, u32 } from '../schema.js'
import { changeOptions } from '../types.js'
import { verb } from '../verb.js'

export const evacuate = verb(
  44,
  'EVACUATE',
  'Moves what files have of a range of the region elsewhere. Tells of its progress.',
  struct('evacuate_args', { from: size, to: size, options: changeOptions }),
  struct('evacuate_result', {
    moved: u32,
    left: u32,
    unreadable: u32,
    unreadableOf: list(u32, 128),
  }),
  { inNameOf: true },
)
