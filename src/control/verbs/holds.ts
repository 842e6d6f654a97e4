/** HOLDS. */
import { LISTED_MAX } from '../limits.js'
import { bool, list, size, struct } from '../schema.js'
import { hold } from '../types.js'
import { verb } from '../verb.js'

export const holds = verb(
  70,
  'HOLDS',
  'Holds of everybody, from an id on.',
  struct('holds_args', { from: size }),
  struct('holds_result', { holds: list(hold, LISTED_MAX), more: bool }),
)
