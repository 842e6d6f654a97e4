/** TEST_LOCK. */
import { optional, struct } from '../schema.js'
import { handle, rangeLock } from '../types.js'
import { verb } from '../verb.js'

export const testLock = verb(
  57,
  'TEST_LOCK',
  'The first lock in the way.',
  struct('test_lock_args', { handle, lock: rangeLock }),
  struct('test_lock_result', { held: optional(rangeLock) }),
)
