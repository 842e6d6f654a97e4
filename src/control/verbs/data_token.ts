/** DATA_TOKEN. */
import { nothing, opaque, struct } from '../schema.js'
import { verb } from '../verb.js'

export const dataToken = verb(
  3,
  'DATA_TOKEN',
  'Leave to open one data connection: what it presents in its private data.',
  nothing,
  struct('data_token_result', { token: opaque(64) }),
)
