/** ZERO_RANGE. */
import { bool, nothing, size, struct } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const zeroRange = verb(
  49,
  'ZERO_RANGE',
  'A range reads as zeros and has blocks.',
  struct('zero_range_args', {
    handle,
    offset: size,
    length: size,
    keepSize: bool,
    options: changeOptions,
  }),
  nothing,
)
