/**
 * The messages of the handshake, in XDR.
 *
 *     Hello      kind 1, version, key id<64>, nonce[32], hello<512>        initiator -> acceptor
 *     Challenge  kind 2, nonce[32], server id<64>, hello<512>, mac[32]     initiator <- acceptor
 *     Proof      kind 3, mac[32]                                            initiator -> acceptor
 *     Outcome    kind 4, accepted (1) or refused (0), mac[32]               initiator <- acceptor
 *
 * Each is shorter than GREETING_BYTES_MAX, and has one form: anything else is EPROTO.
 */
import { MAC_BYTES } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
import { malformed, XdrReader, XdrWriter } from './xdr.js'

export const HANDSHAKE_VERSION = 1
export const NONCE_BYTES = 32
/** Bytes of a key's id, and of a server's. */
export const ID_BYTES_MAX = 64
/** Bytes of what the two ends say about themselves: versions and capabilities. */
export const HELLO_BYTES_MAX = 512

const Kind = { hello: 1, challenge: 2, proof: 3, outcome: 4 } as const
type Kind = (typeof Kind)[keyof typeof Kind]
const KIND_NAMES = ['', 'hello', 'challenge', 'proof', 'outcome'] as const

export interface Hello {
  readonly keyId: string
  readonly nonce: Uint8Array
  readonly hello: Uint8Array
}

export interface Challenge {
  readonly nonce: Uint8Array
  readonly serverId: Uint8Array
  readonly hello: Uint8Array
  readonly mac: Uint8Array
  /** The message up to its MAC: what the MAC is over. */
  readonly signed: Uint8Array
}

export interface Outcome {
  readonly accepted: boolean
  readonly mac: Uint8Array
}

export function encodeHello({ keyId, nonce, hello }: Hello): Uint8Array {
  const to = begin(Kind.hello)
  to.u32(HANDSHAKE_VERSION)
  to.opaque(bounded(Buffer.from(keyId), ID_BYTES_MAX))
  to.fixed(nonce)
  to.opaque(bounded(hello, HELLO_BYTES_MAX))
  return to.bytes.slice()
}

export function decodeHello(message: Uint8Array): Hello {
  const from = read(message, Kind.hello)
  const version = from.u32()
  if (version !== HANDSHAKE_VERSION) {
    const detail = `version ${version} of the handshake; this end speaks ${HANDSHAKE_VERSION}`
    throw new HoldfastError('EPROTO', detail)
  }
  const keyId = Buffer.from(from.opaque(ID_BYTES_MAX)).toString('latin1')
  if (!/^[!-~]+$/.test(keyId)) throw malformed('a key id that is not of printable ASCII')
  const nonce = from.fixed(NONCE_BYTES).slice()
  const hello = from.opaque(HELLO_BYTES_MAX).slice()
  from.end()
  return { keyId, nonce, hello }
}

/** A Challenge up to its MAC, which is over these bytes. */
export function encodeChallenge({ nonce, serverId, hello }: Omit<Challenge, 'mac' | 'signed'>) {
  const to = begin(Kind.challenge)
  to.fixed(nonce)
  to.opaque(bounded(serverId, ID_BYTES_MAX))
  to.opaque(bounded(hello, HELLO_BYTES_MAX))
  return to.bytes.slice()
}

export function decodeChallenge(message: Uint8Array): Challenge {
  const from = read(message, Kind.challenge)
  const nonce = from.fixed(NONCE_BYTES).slice()
  const serverId = from.opaque(ID_BYTES_MAX).slice()
  const hello = from.opaque(HELLO_BYTES_MAX).slice()
  const mac = from.fixed(MAC_BYTES).slice()
  from.end()
  const signed = message.slice(0, message.length - MAC_BYTES)
  return { nonce, serverId, hello, mac, signed }
}

export function encodeProof(mac: Uint8Array): Uint8Array {
  const to = begin(Kind.proof)
  to.fixed(mac)
  return to.bytes.slice()
}

export function decodeProof(message: Uint8Array): Uint8Array {
  const from = read(message, Kind.proof)
  const mac = from.fixed(MAC_BYTES).slice()
  from.end()
  return mac
}

export function encodeOutcome({ accepted, mac }: Outcome): Uint8Array {
  const to = begin(Kind.outcome)
  to.u32(accepted ? 1 : 0)
  to.fixed(mac)
  return to.bytes.slice()
}

export function decodeOutcome(message: Uint8Array): Outcome {
  const from = read(message, Kind.outcome)
  const accepted = from.u32()
  if (accepted > 1) throw malformed(`an outcome of ${accepted}`)
  const mac = from.fixed(MAC_BYTES).slice()
  from.end()
  // A refusal says nothing more, and nothing by chance either.
  if (accepted === 0 && mac.some((byte) => byte !== 0)) throw malformed('a refusal with a MAC')
  return { accepted: accepted === 1, mac }
}

function begin(kind: Kind): XdrWriter {
  const to = new XdrWriter()
  to.u32(kind)
  return to
}

function read(message: Uint8Array, kind: Kind): XdrReader {
  const from = new XdrReader(message)
  const found = from.u32()
  if (found === kind) return from
  throw malformed(`a ${KIND_NAMES[kind]} of the handshake is wanted, found kind ${found}`)
}

function bounded(bytes: Uint8Array, most: number): Uint8Array {
  if (bytes.length <= most) return bytes
  throw new HoldfastError('EINVAL', `at most ${most} bytes are wanted, found ${bytes.length}`)
}
