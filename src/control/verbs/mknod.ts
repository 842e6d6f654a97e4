/** MKNOD. */
import { nothing, struct, u32 } from '../schema.js'
import { path } from '../types.js'
import { verb } from '../verb.js'

export const mknod = verb(
  25,
  'MKNOD',
  'A FIFO, socket, device or empty file.',
  struct('mknod_args', { path, mode: u32, device: u32 }),
  nothing,
  { inNameOf: true },
)
