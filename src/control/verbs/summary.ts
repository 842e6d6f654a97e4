/** SUMMARY. */
import { nothing, struct, text } from '../schema.js'
import { verb } from '../verb.js'

export const summary = verb(
  92,
  'SUMMARY',
  'What the volume is.',
  nothing,
  struct('summary_result', { json: text(65536) }),
)
