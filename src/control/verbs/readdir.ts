/** READDIR. */
import { ITEMS_MAX } from '../limits.js'
import { bool, list, size, struct, u32 } from '../schema.js'
import { entry, target } from '../types.js'
import { verb } from '../verb.js'

export const readdir = verb(
  26,
  'READDIR',
  'Entries of a directory after a cookie, as many as a reply has room for.',
  struct('readdir_args', { target, cookie: size, limit: u32 }),
  struct('readdir_result', { entries: list(entry, ITEMS_MAX), end: bool }),
  { inNameOf: true },
)
