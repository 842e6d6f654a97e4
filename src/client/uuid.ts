/** The uuid of the volume in a region, by which its server is found. */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { uuidText } from '../base/uuid.js'
import { Superblock, SUPERBLOCK_BLOCKS, SUPERBLOCK_MAGIC } from '../media/superblock.js'
import { openRegion } from '../region/file_region.js'

/** Looks without a lock: whoever owns the region is not disturbed. ENODEV: no volume is there. */
export function readUuid(path: string): string {
  const region = openRegion(path, { readOnly: true })
  try {
    const bytes = new Uint8Array(Superblock.size)
    const words = new Uint32Array(bytes.buffer)
    for (const block of SUPERBLOCK_BLOCKS) {
      region.read(block * BLOCK_BYTES, bytes, 0, bytes.length)
      if (words[Superblock.word.magic] !== SUPERBLOCK_MAGIC) continue
      return uuidText(bytes.subarray(Superblock.at.uuid, Superblock.at.uuid + 16))
    }
    throw new HoldfastError('ENODEV', `there is no volume in ${path}; holdfast mkfs makes one`)
  } finally {
    region.close()
  }
}
