/** FIND. */
import { struct } from '../schema.js'
import { handleKey, path, stats } from '../types.js'
import { verb } from '../verb.js'

export const find = verb(
  59,
  'FIND',
  'What lstat(2) says of a file, and the key with which paths may begin at it.',
  struct('find_args', { path }),
  struct('find_result', { stats, key: handleKey }),
  { inNameOf: true },
)
