/**
 * The inode map: where the slab of each 16 inode numbers is. An array in a fixed place, so that an
 * inode is found in one step at any number of files.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const INODE_MAP_MAGIC = magic('HFM1')
export const MAP_ENTRIES = 508

export const InodeMapPage = defineStruct('inode map page', 4096, '508 entries of the inode map', {
  magic: [0, 4, "'HFM1'"],
  checksum: [4, 4, 'CRC32C of the 4096 bytes, this field as zero'],
  index: [8, 4, 'number of the page: the back-pointer'],
  used: [12, 4, 'entries with a slab'],
  reserved: [16, 16, 'zero'],
  entries: [32, MAP_ENTRIES * 8, 'entries of 8 bytes: see inode map entry'],
})

export const InodeMapEntry = defineStruct('inode map entry', 8, 'the slab of 16 inode numbers', {
  block: [0, 4, 'block of the slab, 0 none'],
  generation: [4, 4, 'every inode of these numbers gets a generation above this one'],
})

export function invalidInodeMapPage(bytes: Bytes, base: number, index: number): string | null {
  const w = base >>> 2
  const at = InodeMapPage.word
  if (bytes.u32[w + at.magic] !== INODE_MAP_MAGIC) {
    return `magic ${hex(bytes.u32[w + at.magic]!)}, not an inode map page`
  }
  const sum = checksumOf(bytes, base, InodeMapPage)
  if (bytes.u32[w + at.checksum] !== sum) {
    return `checksum ${hex(bytes.u32[w + at.checksum]!)}, computed ${hex(sum)}`
  }
  if (bytes.u32[w + at.index] !== index) {
    return `page ${bytes.u32[w + at.index]!} in the place of ${index}`
  }
  return null
}
