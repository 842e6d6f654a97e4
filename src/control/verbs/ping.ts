/** NULL. */
import { nothing } from '../schema.js'
import { verb } from '../verb.js'

export const ping = verb(
  0,
  'NULL',
  'Nothing: that the other end is there (RFC 5531, section 12.1).',
  nothing,
  nothing,
)
