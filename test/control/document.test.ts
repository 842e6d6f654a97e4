/** The handshake and the tokens of docs/PROTOCOL.md, made from what it says and nothing else. */
import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { systemCrypto } from '../../src/base/crypto.js'
import { Acceptor } from '../../src/control/handshake.js'
import { Encoder, ProtocolDocument, type Value } from './xdr_language.js'

const { language } = new ProtocolDocument()

function encode(type: string, value: Value): Buffer {
  const out = new Encoder()
  language.encode(language.type(type), value, out)
  return Buffer.from(out.all)
}

test('a client that is written from the document is accepted, and opens a data connection', () => {
  const secret = randomBytes(32)
  const serverId = new Uint8Array(randomBytes(16))
  const hmac = (key: Uint8Array, label: string, ...parts: Uint8Array[]) =>
    createHmac('sha256', key)
      .update(Buffer.concat([Buffer.from(`${label}\0`), ...parts]))
      .digest()
  const acceptor = new Acceptor({
    serverId,
    secretOf: (id) => (id === 'nic0' ? secret : undefined),
    decoy: randomBytes(32),
    hello: () => new Uint8Array(0),
    crypto: systemCrypto,
  })
  const none = new Uint8Array(0)
  const said = { kind: 1, version: 1, key_id: Buffer.from('nic0'), nonce: randomBytes(32) }
  const hello = encode('handshake_hello', { ...said, hello: none })
  const challenge = Buffer.from(acceptor.receive(hello).send!)
  const nonce = challenge.subarray(4, 36)
  const a = challenge.subarray(-32)
  const fields = { kind: 2, nonce, server_id: serverId, hello: none, mac: a }
  assert.deepEqual(challenge, encode('handshake_challenge', fields))
  const length = (bytes: Uint8Array) => {
    const word = Buffer.alloc(4)
    word.writeUInt32BE(bytes.length)
    return word
  }
  const signed = challenge.subarray(0, -32)
  const t = Buffer.concat([length(hello), hello, length(signed), signed])
  assert.deepEqual(a, hmac(secret, 'holdfast handshake 1: acceptor', t))
  const i = hmac(secret, 'holdfast handshake 1: initiator', t, a)
  const { send, established } = acceptor.receive(encode('handshake_proof', { kind: 3, mac: i }))
  const c = hmac(secret, 'holdfast handshake 1: accepted', t, a, i)
  const outcome = encode('handshake_outcome', { kind: 4, accepted: 1, mac: c })
  assert.deepEqual(Buffer.from(send!), outcome)
  const session = hmac(secret, 'holdfast handshake 1: session', t, a, i)
  const id = hmac(session, 'holdfast session 1: id').subarray(0, 16)
  const head = Buffer.concat([id, Buffer.from('0000000000000005', 'hex')])
  const mac = hmac(session, 'holdfast session 1: data connection', head)
  const token = new Uint8Array(Buffer.concat([head, mac]))
  assert.equal(established!.secret.takeToken(token), 5)
})

test('a refusal is the one that the document says', () => {
  const acceptor = new Acceptor({
    serverId: new Uint8Array(16),
    secretOf: () => undefined,
    decoy: randomBytes(32),
    hello: () => new Uint8Array(0),
    crypto: systemCrypto,
  })
  const hello = { kind: 1, version: 1, key_id: Buffer.from('x'), nonce: randomBytes(32) }
  acceptor.receive(encode('handshake_hello', { ...hello, hello: new Uint8Array(0) }))
  const proof = encode('handshake_proof', { kind: 3, mac: randomBytes(32) })
  const refusal = { kind: 4, accepted: 0, mac: new Uint8Array(32) }
  const { send } = acceptor.receive(proof)
  assert.deepEqual(Buffer.from(send!), encode('handshake_outcome', refusal))
})
