/** LISTXATTR. */
import { XATTR_NAMES_MAX } from '../limits.js'
import { list, struct } from '../schema.js'
import { target, xattrName } from '../types.js'
import { verb } from '../verb.js'

export const listXattrs = verb(
  33,
  'LISTXATTR',
  'Their names.',
  struct('listxattr_args', { target }),
  struct('listxattr_result', { names: list(xattrName, XATTR_NAMES_MAX) }),
  { inNameOf: true },
)
