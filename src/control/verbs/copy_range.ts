/** COPY_RANGE. */
import { size, struct } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const copyRange = verb(
  53,
  'COPY_RANGE',
  'Copies bytes between two open files; it may copy fewer.',
  struct('copy_range_args', {
    handle,
    offset: size,
    to: handle,
    toOffset: size,
    length: size,
    options: changeOptions,
  }),
  struct('copy_range_result', { count: size }),
)
