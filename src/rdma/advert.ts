/**
 * Where a buffer is, as rping tells it in its messages: address of 64 bits, STag and length of 32,
 * big-endian.
 */
import { HoldfastError } from '../base/errors.js'

export const ADVERT_BYTES = 16

export interface Advert {
  readonly address: number | bigint
  readonly stag: number
  readonly length: number
}

export function encodeAdvert({ address, stag, length }: Advert): Uint8Array {
  const bytes = new Uint8Array(ADVERT_BYTES)
  const view = new DataView(bytes.buffer)
  view.setBigUint64(0, BigInt(address))
  view.setUint32(8, stag)
  view.setUint32(12, Math.min(length, 0xffff_ffff))
  return bytes
}

export function decodeAdvert(bytes: Uint8Array): Advert & { readonly address: bigint } {
  if (bytes.length !== ADVERT_BYTES) {
    throw new HoldfastError('EPROTO', `a message of ${bytes.length} bytes, rping's have 16`)
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  return { address: view.getBigUint64(0), stag: view.getUint32(8), length: view.getUint32(12) }
}
