/**
 * The handshake of remote sessions: both ends show that they have the same key, without showing it,
 * before anything else is said.
 *
 *     initiator                                                    acceptor
 *         Hello(key id, nonce, hello)                  ->
 *                                                      <-  Challenge(nonce, server id, hello, A)
 *         Proof(I)                                     ->
 *                                                      <-  Outcome(accepted, C), or refused
 *
 *     T = length(Hello) | Hello | length(Challenge without A) | Challenge without A
 *     A = HMAC(key, "holdfast handshake 1: acceptor"  | 0 | T)
 *     I = HMAC(key, "holdfast handshake 1: initiator" | 0 | T | A)
 *     C = HMAC(key, "holdfast handshake 1: accepted"  | 0 | T | A | I)
 *     session secret = HMAC(key, "holdfast handshake 1: session" | 0 | T | A | I)
 *
 * Invariants:
 * - every byte of both hellos, ids and nonces is in T, so that a peer who changed one of them
 *   (another version, fewer capabilities, another name) is refused by the end that is deceived;
 * - both nonces are new each time: what was recorded fits no other handshake. The labels say
 *   whose word it is and which: what one end said is never taken for what the other should say;
 * - an id that is not known goes the same way as a wrong key, with the same work: a decoy in the
 *   place of the key, and one refusal at the end. Keys are compared nowhere, MACs in constant time;
 * - a state machine that failed takes nothing more.
 *
 * A key has 128 random bits at least (keys.ts), so that a MAC tells who has it and nobody else: it
 * could be tried against a list of passwords.
 *
 * What the acceptor's hello says is seen by those who have no key: versions and capabilities, never
 * anything about the volume. The stream after the handshake is neither encrypted nor authenticated.
 */
import { MAC_BYTES, type Crypto } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
import {
  decodeChallenge,
  decodeHello,
  decodeOutcome,
  decodeProof,
  encodeChallenge,
  encodeHello,
  encodeOutcome,
  encodeProof,
  NONCE_BYTES,
} from './handshake_messages.js'
import { SessionSecret } from './session_secret.js'

/** A key as one end has it: what it is called, and what nobody else knows. */
export interface KeySecret {
  readonly id: string
  readonly secret: Uint8Array
}

/** What both ends know when the handshake is done. */
export interface Established {
  readonly keyId: string
  readonly serverId: Uint8Array
  /** What the other end said about itself. */
  readonly peerHello: Uint8Array
  readonly secret: SessionSecret
}

/** What follows from a message that came. */
export interface Step {
  /** To be sent, null: nothing. */
  readonly send: Uint8Array | null
  /** The handshake is done. */
  readonly established: Established | null
  /** `send` refuses the peer, who is to be left: why, for the log and never for the peer. */
  readonly refused: string | null
}

const label = (what: string) => Buffer.from(`holdfast handshake 1: ${what}\0`, 'latin1')
const ACCEPTOR = label('acceptor')
const INITIATOR = label('initiator')
const ACCEPTED = label('accepted')
const SESSION = label('session')
const DECOY = label('decoy')

/** Both messages, each after its length: no two pairs have the same bytes. */
function transcriptOf(hello: Uint8Array, challenge: Uint8Array): Uint8Array {
  const lengths = new DataView(new ArrayBuffer(8))
  lengths.setUint32(0, hello.length)
  lengths.setUint32(4, challenge.length)
  const word = (at: number) => new Uint8Array(lengths.buffer, at, 4)
  return Buffer.concat([word(0), hello, word(4), challenge])
}

function nonceOf({ entropy }: Crypto): Uint8Array {
  const nonce = new Uint8Array(NONCE_BYTES)
  entropy.fill(nonce)
  return nonce
}

/** Who connects. */
export class Initiator {
  /** The first message: what the handshake begins with. */
  readonly first: Uint8Array

  readonly #key: KeySecret
  readonly #crypto: Crypto
  #state: 'challenge' | 'outcome' | 'over' = 'challenge'
  #established: Established | null = null
  #confirmation: Uint8Array | null = null

  constructor(key: KeySecret, hello: Uint8Array, crypto: Crypto) {
    this.#key = key
    this.#crypto = crypto
    this.first = encodeHello({ keyId: key.id, nonce: nonceOf(crypto), hello })
  }

  /** EACCES: not with this key; EPROTO: no message of this handshake. Nothing is taken after. */
  receive(message: Uint8Array): Step {
    const state = this.#state
    this.#state = 'over'
    if (state === 'challenge') return this.#challenge(message)
    if (state === 'outcome') return this.#outcome(message)
    throw new HoldfastError('EPROTO', 'a message after the end of the handshake')
  }

  #challenge(message: Uint8Array): Step {
    const { hmac, equal } = this.#crypto
    const { id: keyId, secret } = this.#key
    const { serverId, hello: peerHello, mac, signed } = decodeChallenge(message)
    const transcript = transcriptOf(this.first, signed)
    if (!equal(hmac(secret, ACCEPTOR, transcript), mac)) {
      throw new HoldfastError('EACCES', `the server does not know key '${keyId}' as it is here`)
    }
    const proof = hmac(secret, INITIATOR, transcript, mac)
    this.#confirmation = hmac(secret, ACCEPTED, transcript, mac, proof)
    const session = hmac(secret, SESSION, transcript, mac, proof)
    const established = new SessionSecret(session, this.#crypto)
    this.#established = { keyId, serverId, peerHello, secret: established }
    this.#state = 'outcome'
    return { send: encodeProof(proof), established: null, refused: null }
  }

  #outcome(message: Uint8Array): Step {
    const { accepted, mac } = decodeOutcome(message)
    if (!accepted || !this.#crypto.equal(mac, this.#confirmation!)) {
      throw new HoldfastError('EACCES', `the server refuses key '${this.#key.id}'`)
    }
    return { send: null, established: this.#established, refused: null }
  }
}

/** What an acceptor goes by. */
export interface AcceptorOptions {
  readonly serverId: Uint8Array
  /** The key of an id; asked again at the end, so that one removed meanwhile lets nobody in. */
  secretOf(keyId: string): Uint8Array | undefined
  /** Random bytes of this server alone: keys of ids that it does not know come from them. */
  readonly decoy: Uint8Array
  /** What this end says about itself; EPROTO when it cannot speak with such a peer. */
  hello(peerHello: Uint8Array): Uint8Array
  readonly crypto: Crypto
}

/** Who was connected to. */
export class Acceptor {
  readonly #options: AcceptorOptions
  #state: 'hello' | 'proof' | 'over' = 'hello'
  #keyId = ''
  #peerHello: Uint8Array = new Uint8Array()
  #secret: Uint8Array = new Uint8Array()
  /** The transcript and the MAC of this end. */
  #said: readonly [Uint8Array, Uint8Array] = [new Uint8Array(), new Uint8Array()]

  constructor(options: AcceptorOptions) {
    this.#options = options
  }

  /** EPROTO: no message of this handshake; the peer is to be left without a word. */
  receive(message: Uint8Array): Step {
    const state = this.#state
    this.#state = 'over'
    if (state === 'hello') return this.#hello(message)
    if (state === 'proof') return this.#proof(message)
    throw new HoldfastError('EPROTO', 'a message after the end of the handshake')
  }

  #hello(message: Uint8Array): Step {
    const { serverId, crypto } = this.#options
    const { keyId, hello } = decodeHello(message)
    this.#keyId = keyId
    this.#peerHello = hello
    this.#secret = this.#secretOrDecoy(keyId)
    const signed = encodeChallenge({
      nonce: nonceOf(crypto),
      serverId,
      hello: this.#options.hello(hello),
    })
    const transcript = transcriptOf(message, signed)
    const mac = crypto.hmac(this.#secret, ACCEPTOR, transcript)
    this.#said = [transcript, mac]
    this.#state = 'proof'
    return { send: new Uint8Array(Buffer.concat([signed, mac])), established: null, refused: null }
  }

  #proof(message: Uint8Array): Step {
    const { serverId, crypto, secretOf } = this.#options
    const proof = decodeProof(message)
    const secret = this.#secret
    const right = crypto.equal(crypto.hmac(secret, INITIATOR, ...this.#said), proof)
    const known = secretOf(this.#keyId)
    const same = crypto.equal(this.#tag(secret), this.#tag(this.#secretOrDecoy(this.#keyId)))
    const mac = crypto.hmac(secret, ACCEPTED, ...this.#said, proof)
    const session = crypto.hmac(secret, SESSION, ...this.#said, proof)
    if (!right || known === undefined || !same) {
      const send = encodeOutcome({ accepted: false, mac: new Uint8Array(MAC_BYTES) })
      return { send, established: null, refused: this.#why(known, same) }
    }
    const established: Established = {
      keyId: this.#keyId,
      serverId,
      peerHello: this.#peerHello,
      secret: new SessionSecret(session, crypto),
    }
    return { send: encodeOutcome({ accepted: true, mac }), established, refused: null }
  }

  #why(known: Uint8Array | undefined, same: boolean): string {
    if (!same) return 'the key was changed or removed meanwhile'
    return known === undefined ? 'no such key id' : 'the key is not the one of this id'
  }

  /** The decoy is made whether it is needed or not: both take as long. */
  #secretOrDecoy(keyId: string): Uint8Array {
    const { secretOf, decoy, crypto } = this.#options
    const instead = crypto.hmac(decoy, DECOY, Buffer.from(keyId, 'latin1'))
    return secretOf(keyId) ?? instead
  }

  /** Of one length, whatever the key's. */
  #tag(secret: Uint8Array): Uint8Array {
    return this.#options.crypto.hmac(this.#options.decoy, secret)
  }
}
