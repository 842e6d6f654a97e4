/** LAYOUTCOMMIT. */
import { nothing, optional, size, struct } from '../schema.js'
import { verb } from '../verb.js'

export const layoutCommit = verb(
  64,
  'LAYOUTCOMMIT',
  'What was stored through a hold is durable when it is answered; with a size, the file has ' +
    'at least that (RFC 8881, section 18.42).',
  struct('layoutcommit_args', { id: size, size: optional(size) }),
  nothing,
)
