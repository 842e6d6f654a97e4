/** SETXATTR. */
import { choice, nothing, optional, struct } from '../schema.js'
import { target, xattrName, xattrValue } from '../types.js'
import { verb } from '../verb.js'

export const setXattr = verb(
  31,
  'SETXATTR',
  'Sets one.',
  struct('setxattr_args', {
    target,
    name: xattrName,
    value: xattrValue,
    mode: optional(choice('xattr_mode', 'create', 'replace')),
  }),
  nothing,
  { inNameOf: true },
)
