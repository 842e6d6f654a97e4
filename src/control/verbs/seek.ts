/** SEEK. */
import { choice, long, size, struct } from '../schema.js'
import { handle } from '../types.js'
import { verb } from '../verb.js'

export const seek = verb(
  52,
  'SEEK',
  'The next byte in data or in a hole (lseek(2)).',
  struct('seek_args', { handle, offset: long, what: choice('seek_what', 'data', 'hole') }),
  struct('seek_result', { offset: size }),
)
