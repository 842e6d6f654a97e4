/** GETFLAGS. */
import { bool, optional, struct } from '../schema.js'
import { path, policy } from '../types.js'
import { verb } from '../verb.js'

export const inodeFlags = verb(
  34,
  'GETFLAGS',
  'Inode flags (chattr(1)) and what holds of its layout.',
  struct('getflags_args', { path }),
  struct('getflags_result', {
    append: bool,
    immutable: bool,
    fixed: bool,
    writeSealed: bool,
    policy: optional(policy),
  }),
  { inNameOf: true },
)
