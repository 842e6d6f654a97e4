/** SEAL. */
import { struct } from '../schema.js'
import { granted, holdWish } from '../types.js'
import { verb } from '../verb.js'

export const seal = verb(
  61,
  'SEAL',
  'Seals a range, for a direct mapping.',
  struct('seal_args', { wish: holdWish }),
  granted,
)
