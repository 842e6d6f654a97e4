/** Tokens of data connections: each opens one, of its own session. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemCrypto } from '../../src/base/crypto.js'
import {
  DATA_TOKEN_BYTES,
  SessionSecret,
  sessionOfToken,
  TOKEN_WINDOW,
} from '../../src/control/session_secret.js'

const both = (seed = 1) => {
  const secret = Uint8Array.from({ length: 32 }, (_, i) => i * seed)
  return [new SessionSecret(secret, systemCrypto), new SessionSecret(secret, systemCrypto)] as const
}
const EACCES = { code: 'EACCES', message: 'EACCES: no data connection with this token' }

test('a token opens one connection, and says of which session it is', () => {
  const [client, server] = both()
  const token = client.dataToken(0)
  assert.equal(token.length, DATA_TOKEN_BYTES)
  assert.equal(sessionOfToken(token), server.id)
  assert.equal(server.takeToken(token), 0)
  assert.throws(() => server.takeToken(token), EACCES)
  assert.equal(server.takeToken(client.dataToken(1)), 1)
})

test('a token with any bit changed opens nothing, and takes no counter away', () => {
  const [client, server] = both()
  const token = client.dataToken(3)
  for (let at = 0; at < token.length * 8; at++) {
    const changed = token.slice()
    changed[at >> 3]! ^= 1 << (at & 7)
    assert.throws(() => server.takeToken(changed), EACCES)
  }
  assert.equal(server.takeToken(token), 3)
})

test('a token of another session opens nothing, nor does a shorter or longer one', () => {
  const [client, server] = both()
  const [stranger] = both(2)
  assert.throws(() => server.takeToken(stranger.dataToken(0)), EACCES)
  const token = client.dataToken(0)
  assert.throws(() => server.takeToken(token.subarray(1)), EACCES)
  assert.throws(() => server.takeToken(Buffer.concat([token, Buffer.alloc(1)])), EACCES)
  assert.throws(() => sessionOfToken(token.subarray(1)), { code: 'EPROTO' })
})

test('tokens come in any order, as long as they are not far behind', () => {
  const [client, server] = both()
  const newest = TOKEN_WINDOW + 10
  assert.equal(server.takeToken(client.dataToken(newest)), newest)
  const oldest = newest - TOKEN_WINDOW + 1
  assert.throws(() => server.takeToken(client.dataToken(oldest - 1)), EACCES)
  for (let counter = newest - 1; counter >= oldest; counter--) {
    assert.equal(server.takeToken(client.dataToken(counter)), counter)
  }
  for (let counter = oldest - 1; counter <= newest; counter++) {
    assert.throws(() => server.takeToken(client.dataToken(counter)), EACCES)
  }
})

test('the last counter that there is can be used', () => {
  const [client, server] = both()
  const last = Number.MAX_SAFE_INTEGER
  assert.equal(server.takeToken(client.dataToken(last)), last)
  assert.throws(() => server.takeToken(client.dataToken(last)), EACCES)
})
