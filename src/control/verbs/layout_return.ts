/** LAYOUTRETURN. */
import { nothing, optional, size, struct } from '../schema.js'
import { byteRange } from '../types.js'
import { verb } from '../verb.js'

export const layoutReturn = verb(
  63,
  'LAYOUTRETURN',
  'Gives a hold back: all, or what touches a range of bytes (RFC 8881, section 18.44).',
  struct('layoutreturn_args', { id: size, range: optional(byteRange) }),
  nothing,
)
