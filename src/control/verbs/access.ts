/** ACCESS. */
import { nothing, struct, u32 } from '../schema.js'
import { path } from '../types.js'
import { verb } from '../verb.js'

export const access = verb(
  17,
  'ACCESS',
  'EACCES unless the rights (4 read, 2 write, 1 execute) are had.',
  struct('access_args', { path, want: u32 }),
  nothing,
  { inNameOf: true },
)
