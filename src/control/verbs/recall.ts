/** RECALL. */
import { choice, size, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const recall = verb(
  72,
  'RECALL',
  'Asks a lease back, for whoever may: its owner and root.',
  struct('recall_args', { id: size, deadline: u32 }),
  struct('recall_result', { outcome: choice('recall_outcome', 'returned', 'fenced') }),
)
