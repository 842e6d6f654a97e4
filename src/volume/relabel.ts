/**
 * The label of a volume that nobody has open: two superblocks written, nothing else touched. The
 * log may hold records that wait for the next mount; no record is about the superblock.
 */
import { HoldfastError } from '../base/errors.js'
import { LABEL_BYTES_MAX } from '../base/limits.js'
import { hex } from '../base/struct.js'
import type { Region } from '../region/region.js'
import { SuperblockPair } from './superblock.js'

/** EINVAL when the text is no label. */
export function checkLabel(text: string): void {
  const { length } = new TextEncoder().encode(text)
  if (length > LABEL_BYTES_MAX) {
    throw new HoldfastError('EINVAL', `a label of ${length} bytes, at most ${LABEL_BYTES_MAX}`)
  }
  if (text.includes('\0')) throw new HoldfastError('EINVAL', 'a label has no NUL in it')
}

/** `region` is open for writing, and so locked. */
export function relabel(region: Region, text: string): void {
  checkLabel(text)
  const pair = new SuperblockPair(region)
  pair.read()
  const unknown = pair.unknownRoCompat
  if (unknown !== 0) {
    throw new HoldfastError(
      'EROFS',
      `${region.path} has features (${hex(unknown)}) that only a newer holdfast may write`,
    )
  }
  pair.setText('label', text)
  pair.write()
  region.check()
}
