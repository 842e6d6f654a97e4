/** LINK. */
import { nothing, struct } from '../schema.js'
import { path, target } from '../types.js'
import { verb } from '../verb.js'

export const link = verb(
  22,
  'LINK',
  'A second name, of a file by its path or an open one without a name.',
  struct('link_args', { target, path }),
  nothing,
  { inNameOf: true },
)
