/** SESSIONS. */
import { LISTED_MAX } from '../limits.js'
import { bool, list, struct, u32 } from '../schema.js'
import { sessionInfo } from '../types.js'
import { verb } from '../verb.js'

export const sessions = verb(
  71,
  'SESSIONS',
  'Who is connected, from an id on.',
  struct('sessions_args', { from: u32 }),
  struct('sessions_result', { sessions: list(sessionInfo, LISTED_MAX), more: bool }),
)
