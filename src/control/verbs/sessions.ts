/** SESSIONS. */
import { ITEMS_MAX } from '../limits.js'
import { list, nothing, struct } from '../schema.js'
import { sessionInfo } from '../types.js'
import { verb } from '../verb.js'

export const sessions = verb(
  71,
  'SESSIONS',
  'Who is connected.',
  nothing,
  struct('sessions_result', { sessions: list(sessionInfo, ITEMS_MAX) }),
)
