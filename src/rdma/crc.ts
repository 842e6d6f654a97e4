/** CRC32C (Castagnoli; RFC 3720, 12.1), computed by the processor where it can. */
import { native } from '../native/native.js'

/** Of `length` bytes from `start` on; `crc`: of what came before them. */
export function crc32cOf(bytes: Uint8Array, start: number, length: number, crc = 0): number {
  return native.crc32cOf(bytes, start, length, crc)
}
