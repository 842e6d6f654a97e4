/**
 * A name: a header of 16 bytes and the name's bytes, in 1 to 9 slots of a name slab, one after
 * another. Directory entries have 255 bytes at most, names of extended attributes too; their values
 * stand in name slabs up to 512 bytes.
 */
import { checksumOf, type Bytes } from '../base/bytes.js'
import { SLAB_VALUE_BYTES_MAX } from '../base/limits.js'
import { defineStruct, hex, magic } from '../base/struct.js'

export const NAME_MAGIC = magic('HFN1')
export const NAME_SLOT_BYTES = 64

export const NameHeader = defineStruct('name header', 16, 'a name; its bytes follow', {
  magic: [0, 4, "'HFN1'"],
  checksum: [4, 4, 'CRC32C of all slots of the name, this field as zero'],
  owner: [8, 4, 'inode of the directory, or of the attribute: the back-pointer'],
  length: [12, 2, 'bytes of the name, 1 to 255; of a value, 1 to 512'],
  slots: [14, 2, 'slots that it takes: header and name, rounded up; the rest of the last is zero'],
})

/** Slots that a name of `length` bytes takes. */
export function nameSlots(length: number): number {
  return (NameHeader.size + length + NAME_SLOT_BYTES - 1) >>> 6
}

/**
 * Why the slot at `base` is not a name, or null. `room`: slots from here to the end of the slab.
 */
export function invalidName(bytes: Bytes, base: number, room: number): string | null {
  const w = base >>> 2
  const at = NameHeader.word
  if (bytes.u32[w + at.magic] !== NAME_MAGIC)
    return `magic ${hex(bytes.u32[w + at.magic]!)}, not a name`
  const length = bytes.u32[w + at.length]! & 0xffff
  const slots = bytes.u32[w + at.length]! >>> 16
  if (length < 1 || length > SLAB_VALUE_BYTES_MAX) return `name of ${length} bytes`
  if (slots !== nameSlots(length) || slots > room)
    return `name of ${length} bytes in ${slots} slots`
  const sum = checksumOf(bytes, base, NameHeader, slots * NAME_SLOT_BYTES)
  if (bytes.u32[w + at.checksum] !== sum) {
    return `checksum ${hex(bytes.u32[w + at.checksum]!)}, computed ${hex(sum)}`
  }
  return null
}
