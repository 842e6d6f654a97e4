/** REMOVEXATTR. */
import { nothing, struct } from '../schema.js'
import { target, xattrName } from '../types.js'
import { verb } from '../verb.js'

export const removeXattr = verb(
  32,
  'REMOVEXATTR',
  'Removes one.',
  struct('removexattr_args', { target, name: xattrName }),
  nothing,
  { inNameOf: true },
)
