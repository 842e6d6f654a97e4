/** STATISTICS. */
import { nothing, struct, text } from '../schema.js'
import { verb } from '../verb.js'

export const statistics = verb(
  91,
  'STATISTICS',
  'Counters of the server, as its metrics have them.',
  nothing,
  struct('statistics_result', { text: text(65536) }),
)
