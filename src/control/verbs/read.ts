/** READ. */
import { DATA_BYTES_MAX } from '../limits.js'
import { opaque, size, struct, u32 } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const read = verb(
  13,
  'READ',
  'Bytes of an open file; fewer at its end.',
  struct('read_args', { handle, position: size, length: u32 }),
  struct('read_result', { data: opaque(DATA_BYTES_MAX) }),
)
