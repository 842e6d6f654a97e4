/** LOCK. */
import { bool, nothing, struct } from '../schema.js'
import { handle, rangeLock } from '../types.js'
import { verb } from '../verb.js'

export const lock = verb(
  55,
  'LOCK',
  'Takes a byte-range lock. Without an owner it is that of the handle.',
  struct('lock_args', { handle, lock: rangeLock, wait: bool }),
  nothing,
)
