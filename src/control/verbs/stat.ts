/** STAT. */
import { struct } from '../schema.js'
import { stats, target } from '../types.js'
import { verb } from '../verb.js'

export const stat = verb(
  15,
  'STAT',
  'What stat(2) says of a file.',
  struct('stat_args', { target }),
  stats,
  { inNameOf: true },
)
