/** WRITE. */
import { DATA_BYTES_MAX } from '../limits.js'
import { opaque, optional, size, struct, u32 } from '../schema.js'
import { changeOptions, handle } from '../types.js'
import { verb } from '../verb.js'

export const write = verb(
  14,
  'WRITE',
  'Writes all of it.',
  struct('write_args', {
    handle,
    position: optional(size),
    data: opaque(DATA_BYTES_MAX),
    options: changeOptions,
  }),
  struct('write_result', { count: u32 }),
)
