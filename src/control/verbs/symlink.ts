/** SYMLINK. */
import { nothing, struct } from '../schema.js'
import { linkContent, path } from '../types.js'
import { verb } from '../verb.js'

export const symlink = verb(
  23,
  'SYMLINK',
  'Makes a symbolic link.',
  struct('symlink_args', { content: linkContent, path }),
  nothing,
  { inNameOf: true },
)
