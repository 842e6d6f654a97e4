/**
 * What connections of the protocol say in the private data of their setup (RFC 5044, section 7.1):
 * that they are one, and of which kind.
 *
 *     "HFCP"  1 byte: 0 control, 1 data  1 byte: 1  2 bytes: 0   of data: the token
 */
import { HoldfastError } from '../base/errors.js'

const MAGIC = Uint8Array.from([0x48, 0x46, 0x43, 0x50])
const HEAD_BYTES = 8
const VERSION = 1

export type Purpose =
  { readonly kind: 'control' } | { readonly kind: 'data'; readonly token: Uint8Array }

export function encodePurpose(purpose: Purpose): Uint8Array {
  const token = purpose.kind === 'data' ? purpose.token : new Uint8Array(0)
  const bytes = new Uint8Array(HEAD_BYTES + token.length)
  bytes.set(MAGIC)
  bytes[4] = purpose.kind === 'data' ? 1 : 0
  bytes[5] = VERSION
  bytes.set(token, HEAD_BYTES)
  return bytes
}

/** EPROTO when it is none. */
export function decodePurpose(bytes: Uint8Array): Purpose {
  const ours = bytes.length >= HEAD_BYTES && MAGIC.every((byte, i) => bytes[i] === byte)
  if (!ours) throw new HoldfastError('EPROTO', 'it does not speak the protocol of holdfast')
  if (bytes[5] !== VERSION) {
    throw new HoldfastError('EPROTO', `version ${bytes[5]} of the protocol, which is not known`)
  }
  const rest = bytes.slice(HEAD_BYTES)
  if (bytes[4] === 0 && rest.length === 0) return { kind: 'control' }
  if (bytes[4] === 1) return { kind: 'data', token: rest }
  throw new HoldfastError('EPROTO', 'a connection of no kind that is known')
}
