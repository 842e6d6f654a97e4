/** OPEN_HANDLE. */
import { struct, u32 } from '../schema.js'
import { opened } from '../types.js'
import { verb } from '../verb.js'

export const openHandle = verb(
  11,
  'OPEN_HANDLE',
  'Opens a file by inode and generation: ESTALE when that file is no more.',
  struct('open_handle_args', { ino: u32, generation: u32, flags: u32 }),
  opened,
)
