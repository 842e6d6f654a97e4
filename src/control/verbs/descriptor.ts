/** DESCRIPTOR. */
import { bool, nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const descriptor = verb(
  2,
  'DESCRIPTOR',
  'The region itself, to be mapped: a descriptor comes with the reply. EPERM for who is not ' +
    'trusted with it.',
  nothing,
  struct('descriptor_result', { slot: u32, readOnly: bool }),
)
