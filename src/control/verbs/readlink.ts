/** READLINK. */
import { struct } from '../schema.js'
import { linkContent, path } from '../types.js'
import { verb } from '../verb.js'

export const readlink = verb(
  24,
  'READLINK',
  'What a symbolic link says.',
  struct('readlink_args', { path }),
  struct('readlink_result', { content: linkContent }),
  { inNameOf: true },
)
