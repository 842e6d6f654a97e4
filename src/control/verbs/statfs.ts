/** STATFS. */
import { nothing, struct, u32 } from '../schema.js'
import { verb } from '../verb.js'

export const statfs = verb(
  45,
  'STATFS',
  'How large and how full the volume is.',
  nothing,
  struct('statfs_result', {
    blockSize: u32,
    blocks: u32,
    blocksFree: u32,
    blocksAvailable: u32,
    files: u32,
    filesFree: u32,
    nameMax: u32,
  }),
)
