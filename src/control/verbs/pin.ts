/** PIN. */
import { struct } from '../schema.js'
import { granted, holdWish } from '../types.js'
import { verb } from '../verb.js'

export const pin = verb(
  60,
  'PIN',
  'Pins a range: its blocks stay.',
  struct('pin_args', { wish: holdWish }),
  granted,
)
