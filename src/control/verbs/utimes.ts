/** UTIMES. */
import { nothing, struct } from '../schema.js'
import { target, time } from '../types.js'
import { verb } from '../verb.js'

export const utimes = verb(
  29,
  'UTIMES',
  'Changes times.',
  struct('utimes_args', { target, atime: time, mtime: time }),
  nothing,
  { inNameOf: true },
)
