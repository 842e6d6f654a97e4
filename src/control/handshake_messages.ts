/**
<<<<<<< HEAD
 * The messages of the handshake, as bytes: numbers are u32, big-endian; bytes of variable length
 * have their number before them and zeros after them up to a multiple of four (XDR, RFC 4506).
 *
 *     Hello      kind 1, version, key id<64>, nonce[32], hello<4096>        initiator -> acceptor
 *     Challenge  kind 2, nonce[32], server id<64>, hello<4096>, mac[32]     initiator <- acceptor
 *     Proof      kind 3, mac[32]                                            initiator -> acceptor
 *     Outcome    kind 4, accepted (1) or refused (0), mac[32]               initiator <- acceptor
 *
 * Everything has one form: bytes after the end, padding that is not zero and a length beyond its
 * bound are EPROTO.
 */
import { MAC_BYTES } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
=======
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
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b

export const HANDSHAKE_VERSION = 1
export const NONCE_BYTES = 32
/** Bytes of a key's id, and of a server's. */
export const ID_BYTES_MAX = 64
/** Bytes of what the two ends say about themselves: versions and capabilities. */
<<<<<<< HEAD
export const HELLO_BYTES_MAX = 4096
/** Bytes of the longest message: what a carrier need take before the peer is known. */
export const HANDSHAKE_BYTES_MAX = 8 * 4 + ID_BYTES_MAX + NONCE_BYTES + HELLO_BYTES_MAX + MAC_BYTES
=======
export const HELLO_BYTES_MAX = 512
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b

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
<<<<<<< HEAD
  const writer = new Writer(Kind.hello)
  writer.u32(HANDSHAKE_VERSION)
  writer.variable(Buffer.from(keyId), ID_BYTES_MAX)
  writer.fixed(nonce, NONCE_BYTES)
  writer.variable(hello, HELLO_BYTES_MAX)
  return writer.bytes()
}

export function decodeHello(message: Uint8Array): Hello {
  const reader = new Reader(message, Kind.hello)
  const version = reader.u32()
=======
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
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b
  if (version !== HANDSHAKE_VERSION) {
    const detail = `version ${version} of the handshake; this end speaks ${HANDSHAKE_VERSION}`
    throw new HoldfastError('EPROTO', detail)
  }
<<<<<<< HEAD
  const id = reader.variable(ID_BYTES_MAX, 'key id')
  const keyId = Buffer.from(id).toString('latin1')
  if (!/^[!-~]+$/.test(keyId)) throw malformed('the key id is not of printable ASCII')
  const nonce = reader.fixed(NONCE_BYTES)
  const hello = reader.variable(HELLO_BYTES_MAX, 'hello')
  reader.end()
=======
  const keyId = Buffer.from(from.opaque(ID_BYTES_MAX)).toString('latin1')
  if (!/^[!-~]+$/.test(keyId)) throw malformed('a key id that is not of printable ASCII')
  const nonce = from.fixed(NONCE_BYTES).slice()
  const hello = from.opaque(HELLO_BYTES_MAX).slice()
  from.end()
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b
  return { keyId, nonce, hello }
}

/** A Challenge up to its MAC, which is over these bytes. */
export function encodeChallenge({ nonce, serverId, hello }: Omit<Challenge, 'mac' | 'signed'>) {
<<<<<<< HEAD
  const writer = new Writer(Kind.challenge)
  writer.fixed(nonce, NONCE_BYTES)
  writer.variable(serverId, ID_BYTES_MAX)
  writer.variable(hello, HELLO_BYTES_MAX)
  return writer.bytes()
}

export function decodeChallenge(message: Uint8Array): Challenge {
  const reader = new Reader(message, Kind.challenge)
  const nonce = reader.fixed(NONCE_BYTES)
  const serverId = reader.variable(ID_BYTES_MAX, 'server id')
  const hello = reader.variable(HELLO_BYTES_MAX, 'hello')
  const mac = reader.fixed(MAC_BYTES)
  reader.end()
=======
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
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b
  const signed = message.slice(0, message.length - MAC_BYTES)
  return { nonce, serverId, hello, mac, signed }
}

export function encodeProof(mac: Uint8Array): Uint8Array {
<<<<<<< HEAD
  const writer = new Writer(Kind.proof)
  writer.fixed(mac, MAC_BYTES)
  return writer.bytes()
}

export function decodeProof(message: Uint8Array): Uint8Array {
  const reader = new Reader(message, Kind.proof)
  const mac = reader.fixed(MAC_BYTES)
  reader.end()
=======
  const to = begin(Kind.proof)
  to.fixed(mac)
  return to.bytes.slice()
}

export function decodeProof(message: Uint8Array): Uint8Array {
  const from = read(message, Kind.proof)
  const mac = from.fixed(MAC_BYTES).slice()
  from.end()
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b
  return mac
}

export function encodeOutcome({ accepted, mac }: Outcome): Uint8Array {
<<<<<<< HEAD
  const writer = new Writer(Kind.outcome)
  writer.u32(accepted ? 1 : 0)
  writer.fixed(mac, MAC_BYTES)
  return writer.bytes()
}

export function decodeOutcome(message: Uint8Array): Outcome {
  const reader = new Reader(message, Kind.outcome)
  const accepted = reader.u32()
  if (accepted > 1) throw malformed(`an outcome is 0 or 1, found ${accepted}`)
  const mac = reader.fixed(MAC_BYTES)
  reader.end()
  // One form: a refusal says nothing more, and says nothing by chance either.
=======
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
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b
  if (accepted === 0 && mac.some((byte) => byte !== 0)) throw malformed('a refusal with a MAC')
  return { accepted: accepted === 1, mac }
}

<<<<<<< HEAD
const malformed = (what: string) =>
  new HoldfastError('EPROTO', `malformed message of the handshake: ${what}`)

const padding = (length: number) => (4 - (length & 3)) & 3

class Writer {
  readonly #parts: Uint8Array[] = []

  constructor(kind: Kind) {
    this.u32(kind)
  }

  u32(value: number): void {
    const word = new Uint8Array(4)
    new DataView(word.buffer).setUint32(0, value)
    this.#parts.push(word)
  }

  fixed(bytes: Uint8Array, length: number): void {
    if (bytes.length !== length) {
      throw new HoldfastError('EINVAL', `${length} bytes are wanted, found ${bytes.length}`)
    }
    this.#parts.push(bytes)
  }

  variable(bytes: Uint8Array, most: number): void {
    if (bytes.length > most) {
      throw new HoldfastError('EINVAL', `at most ${most} bytes are wanted, found ${bytes.length}`)
    }
    this.u32(bytes.length)
    this.#parts.push(bytes, new Uint8Array(padding(bytes.length)))
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts))
  }
}

/** What it gives are copies: the message may be in a buffer that is used again. */
class Reader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #at = 0

  constructor(bytes: Uint8Array, kind: Kind) {
    this.#bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const found = this.u32()
    if (found !== kind) throw malformed(`a ${KIND_NAMES[kind]} is wanted, found kind ${found}`)
  }

  u32(): number {
    this.#need(4)
    const value = this.#view.getUint32(this.#at)
    this.#at += 4
    return value
  }

  fixed(length: number): Uint8Array {
    this.#need(length)
    const bytes = this.#bytes.slice(this.#at, this.#at + length)
    this.#at += length
    return bytes
  }

  variable(most: number, what: string): Uint8Array {
    const length = this.u32()
    if (length > most) throw malformed(`a ${what} of ${length} bytes, at most ${most}`)
    const bytes = this.fixed(length)
    const zeros = this.fixed(padding(length))
    if (zeros.some((byte) => byte !== 0)) throw malformed(`the padding of the ${what} is not zero`)
    return bytes
  }

  end(): void {
    const more = this.#bytes.length - this.#at
    if (more > 0) throw malformed(`${more} bytes after its end`)
  }

  #need(length: number): void {
    const there = this.#bytes.length - this.#at
    if (there < length) throw malformed(`it ends ${length - there} bytes early`)
  }
=======
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
>>>>>>> bf10ea6700cccadb32909b6b5e4190733b08e23b
}
