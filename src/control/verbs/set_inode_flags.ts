/** SETFLAGS. */
import { bool, nothing, optional, struct } from '../schema.js'
import { path } from '../types.js'
import { verb } from '../verb.js'

export const setInodeFlags = verb(
  35,
  'SETFLAGS',
  'Changes inode flags; those left out stay.',
  struct('setflags_args', { path, append: optional(bool), immutable: optional(bool) }),
  nothing,
  { inNameOf: true },
)
