/** OPEN_HANDLE. */
import { optional, struct, u32 } from '../schema.js'
import { handleKey, opened } from '../types.js'
import { verb } from '../verb.js'

export const openHandle = verb(
  11,
  'OPEN_HANDLE',
  'Opens a file by inode and generation: ESTALE when that file is no more. With the key that ' +
    'OPEN answered, which privileged sessions may leave out.',
  struct('open_handle_args', {
    ino: u32,
    generation: u32,
    key: optional(handleKey),
    flags: u32,
  }),
  opened,
)
