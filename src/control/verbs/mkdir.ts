/** MKDIR. */
import { nothing, struct, u32 } from '../schema.js'
import { path } from '../types.js'
import { verb } from '../verb.js'

export const mkdir = verb(
  18,
  'MKDIR',
  'Makes a directory.',
  struct('mkdir_args', { path, mode: u32 }),
  nothing,
  { inNameOf: true },
)
