/** DROPPED. */
import { nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const dropped = verb(
  93,
  'DROPPED',
  'Answers STORING: pages of the file were written back, and none is kept.',
  struct('dropped_args', { token: u32 }),
  nothing,
)
