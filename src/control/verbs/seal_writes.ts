/** SEAL_WRITES. */
import { bool, nothing, struct } from '../schema.js'
import { path } from '../types.js'
import { verb } from '../verb.js'

export const sealWrites = verb(
  39,
  'SEAL_WRITES',
  'Seals the data of a fixed file, or takes the seal away.',
  struct('seal_writes_args', { path, off: bool }),
  nothing,
  { inNameOf: true },
)
