/** WRITE. */
import { DATA_BYTES_MAX } from '../limits.js'
import { opaque, size, struct, u32 } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const write = verb(
  14,
  'WRITE',
  'Writes all of it: at the end where the file is open for appending. `end` is the first ' +
    'byte after it.',
  struct('write_args', {
    handle,
    position: size,
    data: opaque(DATA_BYTES_MAX),
    options: changeOptions,
  }),
  struct('write_result', { count: u32, end: size }),
)
