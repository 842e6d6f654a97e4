/**
 * What both ends of a session have from its handshake, and nobody else: with it the data
 * connections of the session are opened.
 *
 *     session id = HMAC(secret, "holdfast session 1: id" | 0), its first 16 bytes
 *     token      = session id | counter (64 bits, big-endian) | MAC
 *     MAC        = HMAC(secret, "holdfast session 1: data connection" | 0 | session id | counter)
 *
 * Invariants: the id says which session and opens nothing. A counter opens one connection: the
 * server takes each once, and none that is `TOKEN_WINDOW` behind the newest.
 */
import { MAC_BYTES, type Crypto } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'

export const SESSION_ID_BYTES = 16
const COUNTER_BYTES = 8
/** Well below the 512 bytes of private data that connection setup has (RFC 5044, 7.1). */
export const DATA_TOKEN_BYTES = SESSION_ID_BYTES + COUNTER_BYTES + MAC_BYTES
/** Connections that may be opened at a time, and come in any order. */
export const TOKEN_WINDOW = 1024

const label = (what: string) => Buffer.from(`holdfast session 1: ${what}\0`, 'latin1')
const ID = label('id')
const DATA = label('data connection')

/** The id of the session that a token is for, as hex: a key of maps. EPROTO: it is none. */
export function sessionOfToken(token: Uint8Array): string {
  if (token.length !== DATA_TOKEN_BYTES) {
    const detail = `a token of a data connection has ${DATA_TOKEN_BYTES} bytes, found ${token.length}`
    throw new HoldfastError('EPROTO', detail)
  }
  return Buffer.from(token.subarray(0, SESSION_ID_BYTES)).toString('hex')
}

export class SessionSecret {
  /** As hex. */
  readonly id: string

  readonly #secret: Uint8Array
  readonly #crypto: Crypto
  readonly #id: Uint8Array
  readonly #taken = new Set<number>()
  #newest = -1

  constructor(secret: Uint8Array, crypto: Crypto) {
    this.#secret = secret
    this.#crypto = crypto
    this.#id = crypto.hmac(secret, ID).slice(0, SESSION_ID_BYTES)
    this.id = Buffer.from(this.#id).toString('hex')
  }

  /** Opens one data connection; a client counts from 0. */
  dataToken(counter: number): Uint8Array {
    const head = new Uint8Array(SESSION_ID_BYTES + COUNTER_BYTES)
    head.set(this.#id)
    new DataView(head.buffer).setBigUint64(SESSION_ID_BYTES, BigInt(counter))
    return new Uint8Array(Buffer.concat([head, this.#crypto.hmac(this.#secret, DATA, head)]))
  }

  /** Takes a token of this session, once, and gives its counter. EACCES, whatever is wrong. */
  takeToken(token: Uint8Array): number {
    const refused = () => new HoldfastError('EACCES', 'no data connection with this token')
    if (token.length !== DATA_TOKEN_BYTES) throw refused()
    const head = token.slice(0, SESSION_ID_BYTES + COUNTER_BYTES)
    const mac = this.#crypto.hmac(this.#secret, DATA, head)
    const right = this.#crypto.equal(mac, token.slice(head.length))
    const ours = this.#crypto.equal(head.slice(0, SESSION_ID_BYTES), this.#id)
    if (!right || !ours) throw refused()
    const counter = Number(new DataView(head.buffer).getBigUint64(SESSION_ID_BYTES))
    if (!Number.isSafeInteger(counter)) throw refused()
    if (counter <= this.#newest - TOKEN_WINDOW || this.#taken.has(counter)) throw refused()
    this.#taken.add(counter)
    if (counter > this.#newest) this.#advance(counter)
    return counter
  }

  /** Forgets what is out of the window, and refused for that. */
  #advance(counter: number): void {
    this.#newest = counter
    for (const old of this.#taken) if (old <= counter - TOKEN_WINDOW) this.#taken.delete(old)
  }
}
