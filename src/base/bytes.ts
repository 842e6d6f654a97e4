/** Bytes as the on-medium structures see them: one buffer, looked at as bytes and as words. */
import { isUint8Array } from 'node:util/types'
import { HoldfastError } from './errors.js'

export interface Bytes {
  readonly u8: Uint8Array
  /** The same buffer as little-endian words. */
  readonly u32: Uint32Array
  /** CRC32C of `length` bytes of this buffer at `offset`, continued from `seed`. */
  crc32c(offset: number, length: number, seed: number): number
}

/** A structure with a checksum field: what any declaration with one looks like. */
export interface Sealed {
  readonly size: number
  readonly word: { readonly checksum: number }
}

/**
 * The checksum that the structure at byte `base` should have: CRC32C over `length` bytes (its
 * declared size unless given), the checksum field itself taken as zero.
 */
export function checksumOf(
  bytes: Bytes,
  base: number,
  struct: Sealed,
  length: number = struct.size,
  seed = 0,
): number {
  const field = (base >>> 2) + struct.word.checksum
  const stored = bytes.u32[field]!
  bytes.u32[field] = 0
  const computed = bytes.crc32c(base, length, seed)
  bytes.u32[field] = stored
  return computed
}

/** EINVAL for what is no bytes, such as a string: asked before anything is changed. */
export function checkBytes(buffer: unknown): asserts buffer is Uint8Array {
  if (buffer instanceof Uint8Array || isUint8Array(buffer)) return
  let remedy = ''
  if (typeof buffer === 'string') remedy = '; Buffer.from makes them of a string'
  if (ArrayBuffer.isView(buffer)) {
    remedy = '; new Uint8Array(it.buffer, it.byteOffset, it.byteLength) is those of a view'
  }
  throw new HoldfastError('EINVAL', `bytes are to be a Uint8Array${remedy}`)
}

/** Number of set bits of a 32-bit mask. */
export function popcount(mask: number): number {
  let v = mask - ((mask >>> 1) & 0x5555_5555)
  v = (v & 0x3333_3333) + ((v >>> 2) & 0x3333_3333)
  return Math.imul((v + (v >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24
}
