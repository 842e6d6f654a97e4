/** SET_POLICY. */
import { nothing, optional, struct } from '../schema.js'
import { path, policy } from '../types.js'
import { verb } from '../verb.js'

export const setPolicy = verb(
  40,
  'SET_POLICY',
  'What a shrink or punch does to pinned blocks of a file.',
  struct('set_policy_args', { path, policy: optional(policy) }),
  nothing,
  { inNameOf: true },
)
