/** LAYOUTGET. */
import { struct } from '../schema.js'
import { granted, holdWish, iomode } from '../types.js'
import { verb } from '../verb.js'

export const layoutGet = verb(
  62,
  'LAYOUTGET',
  'Lends a range, to be given back on recall (RFC 8881, section 18.43).',
  struct('layoutget_args', { wish: holdWish, iomode }),
  granted,
)
