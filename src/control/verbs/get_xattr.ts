/** GETXATTR. */
import { struct } from '../schema.js'
import { target, xattrName, xattrValue } from '../types.js'
import { verb } from '../verb.js'

export const getXattr = verb(
  30,
  'GETXATTR',
  'The value of an extended attribute.',
  struct('getxattr_args', { target, name: xattrName }),
  struct('getxattr_result', { value: xattrValue }),
  { inNameOf: true },
)
