/** REFLINK_RANGE. */
import { nothing, size, struct } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const reflinkRange = verb(
  54,
  'REFLINK_RANGE',
  'A range of whole blocks becomes a range of another file.',
  struct('reflink_range_args', {
    handle,
    offset: size,
    to: handle,
    toOffset: size,
    length: size,
    options: changeOptions,
  }),
  nothing,
)
