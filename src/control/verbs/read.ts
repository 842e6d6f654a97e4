/** READ. */
import { DATA_BYTES_MAX } from '../limits.js'
import { opaque, optional, size, struct, u32 } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const read = verb(
  13,
  'READ',
  'Bytes of an open file; fewer at its end. Without a position: where the last one ended.',
  struct('read_args', { handle, position: optional(size), length: u32 }),
  struct('read_result', { data: opaque(DATA_BYTES_MAX) }),
)
