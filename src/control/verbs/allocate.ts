/** ALLOCATE. */
import { bool, nothing, size, struct } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const allocate = verb(
  47,
  'ALLOCATE',
  'Blocks for a range (fallocate(2)).',
  struct('allocate_args', {
    handle,
    offset: size,
    length: size,
    keepSize: bool,
    contiguous: bool,
    options: changeOptions,
  }),
  nothing,
)
