/**
 * The handshake of remote sessions: what both ends compute, and that nobody comes in by changing,
 * repeating, reflecting or guessing.
 */
import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import { seededEntropy } from '../../src/base/clock.js'
import { cryptoWith, type Crypto } from '../../src/base/crypto.js'
import { HoldfastError } from '../../src/base/errors.js'
import { Acceptor, Initiator, type Established } from '../../src/control/handshake.js'
import { GREETING_BYTES_MAX } from '../../src/control/limits.js'
import { decodeHello, encodeHello, HELLO_BYTES_MAX } from '../../src/control/handshake_messages.js'

const SECRET = Uint8Array.from({ length: 32 }, (_, i) => i * 7 + 1)
const OTHER = Uint8Array.from({ length: 32 }, (_, i) => i * 5 + 2)
const SERVER_ID = Buffer.from('a volume')
const SERVER_HELLO = Buffer.from('versions 1 to 2')
const CLIENT_HELLO = Buffer.from('versions 1 to 3, holds')
const DECOY = Uint8Array.from({ length: 32 }, (_, i) => i * 3 + 3)
/** A Hello's and a Challenge's bytes of nonce, for messages made by hand. */
const NONCE = Uint8Array.from({ length: 32 }, (_, i) => 0xa0 ^ i)

interface World {
  readonly keys: Map<string, Uint8Array>
  readonly crypto: Crypto
  readonly initiator: Initiator
  readonly acceptor: Acceptor
}

let seeds = 1

function world({ id = 'laptop', secret = SECRET, seed = seeds++ } = {}): World {
  const crypto = cryptoWith(seededEntropy(seed))
  const keys = new Map([['laptop', SECRET]])
  const initiator = new Initiator({ id, secret }, CLIENT_HELLO, crypto)
  return { keys, crypto, initiator, acceptor: acceptorOf(keys, crypto) }
}

const acceptorOf = (keys: ReadonlyMap<string, Uint8Array>, crypto: Crypto) =>
  new Acceptor({
    serverId: SERVER_ID,
    secretOf: (id) => keys.get(id),
    decoy: DECOY,
    hello: () => SERVER_HELLO,
    crypto,
  })

const NAMES = ['hello', 'challenge', 'proof', 'outcome'] as const
type Name = (typeof NAMES)[number]
type Tamper = (name: Name, message: Uint8Array) => Uint8Array

interface Result {
  readonly client: Established | null
  readonly server: Established | null
  /** Codes of what the two ends threw, and what the server refused for. */
  readonly clientError: string | null
  readonly serverError: string | null
  readonly refused: string | null
  readonly messages: readonly Uint8Array[]
}

/** Runs a handshake with somebody in between. */
function run({ initiator, acceptor }: World, tamper: Tamper = (_, message) => message): Result {
  const messages: Uint8Array[] = []
  const end = (from: Partial<Result>): Result => ({
    client: null,
    server: null,
    clientError: null,
    serverError: null,
    refused: null,
    messages,
    ...from,
  })
  const pass = (message: Uint8Array) => {
    messages.push(message)
    return tamper(NAMES[messages.length - 1]!, message)
  }
  try {
    const challenge = acceptor.receive(pass(initiator.first))
    const answer = attempt(() => initiator.receive(pass(challenge.send!)))
    if (answer.error !== null) return end({ clientError: answer.error })
    const { send, established: server, refused } = acceptor.receive(pass(answer.step!.send!))
    const last = attempt(() => initiator.receive(pass(send!)))
    const client = last.step?.established ?? null
    return end({ client, server, clientError: last.error, refused })
  } catch (error) {
    return end({ serverError: codeOf(error) })
  }
}

function attempt(receive: () => ReturnType<Initiator['receive']>) {
  try {
    return { step: receive(), error: null }
  } catch (error) {
    return { step: null, error: codeOf(error) }
  }
}

function codeOf(error: unknown): string {
  if (!(error instanceof HoldfastError)) throw error
  return error.code
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** HMAC-SHA-256 of a label, a zero, and parts, by node:crypto alone. */
function mac(secret: Uint8Array, label: string, ...parts: readonly Uint8Array[]): Buffer {
  const hmac = createHmac('sha256', secret)
  hmac.update(Buffer.from(label, 'ascii'))
  hmac.update(Buffer.of(0))
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

const u32 = (value: number) => {
  const word = Buffer.alloc(4)
  word.writeUInt32BE(value)
  return word
}

describe('two ends with the same key', () => {
  test('know each other, and have the same secret', () => {
    const { client, server, messages } = run(world())
    assert.equal(client!.keyId, 'laptop')
    assert.equal(server!.keyId, 'laptop')
    assert.equal(hex(client!.peerHello), hex(SERVER_HELLO))
    assert.equal(hex(server!.peerHello), hex(CLIENT_HELLO))
    assert.equal(hex(client!.serverId), hex(SERVER_ID))
    assert.equal(client!.secret.id, server!.secret.id)
    assert.equal(server!.secret.takeToken(client!.secret.dataToken(0)), 0)
    assert.equal(messages.length, 4)
  })

  test('say what the golden messages say, computed step by step', () => {
    const seed = 99
    const { client, messages } = run(world({ seed }))
    const entropy = seededEntropy(seed)
    const [clientNonce, serverNonce] = [new Uint8Array(32), new Uint8Array(32)]
    entropy.fill(clientNonce)
    entropy.fill(serverNonce)
    // Hello: kind 1, version 1; 'laptop' has 6 bytes and 2 of padding; the hello 22 and 2.
    const id = [u32(6), Buffer.from('laptop'), Buffer.alloc(2)]
    const said = [u32(22), CLIENT_HELLO, Buffer.alloc(2)]
    const hello = Buffer.concat([u32(1), u32(1), ...id, clientNonce, ...said])
    assert.equal(hex(messages[0]!), hex(hello))
    // Challenge: kind 2; 'a volume' has 8 bytes; the hello 15 and 1 of padding.
    const server = [u32(8), SERVER_ID, u32(15), SERVER_HELLO, Buffer.alloc(1)]
    const challenge = Buffer.concat([u32(2), serverNonce, ...server])
    const transcript = Buffer.concat([u32(hello.length), hello, u32(challenge.length), challenge])
    const a = mac(SECRET, 'holdfast handshake 1: acceptor', transcript)
    assert.equal(hex(messages[1]!), hex(Buffer.concat([challenge, a])))
    const i = mac(SECRET, 'holdfast handshake 1: initiator', transcript, a)
    assert.equal(hex(messages[2]!), hex(Buffer.concat([u32(3), i])))
    const c = mac(SECRET, 'holdfast handshake 1: accepted', transcript, a, i)
    assert.equal(hex(messages[3]!), hex(Buffer.concat([u32(4), u32(1), c])))
    const secret = mac(SECRET, 'holdfast handshake 1: session', transcript, a, i)
    const session = mac(secret, 'holdfast session 1: id').subarray(0, 16)
    assert.equal(client!.secret.id, hex(session))
    const head = Buffer.concat([session, u32(0), u32(5)])
    const token = Buffer.concat([head, mac(secret, 'holdfast session 1: data connection', head)])
    assert.equal(hex(client!.secret.dataToken(5)), hex(token))
  })

  test('never have the same nonces, secrets or messages twice', () => {
    const crypto = cryptoWith(seededEntropy(4))
    const keys = new Map([['laptop', SECRET]])
    const seen = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const initiator = new Initiator({ id: 'laptop', secret: SECRET }, CLIENT_HELLO, crypto)
      const result = run({ keys, crypto, initiator, acceptor: acceptorOf(keys, crypto) })
      for (const message of result.messages) seen.add(hex(message))
      seen.add(result.client!.secret.id)
    }
    assert.equal(seen.size, 50 * 5)
  })
})

describe('somebody in between', () => {
  for (const name of NAMES) {
    test(`changes one bit of the ${name}, whichever, and the end that gets it sees it`, () => {
      const length = run(world({ seed: 1 })).messages[NAMES.indexOf(name)]!.length
      for (let at = 0; at < length * 8; at++) {
        const result = run(world({ seed: 1 }), (which, message) => {
          if (which !== name) return message
          const changed = message.slice()
          changed[at >> 3]! ^= 1 << (at & 7)
          return changed
        })
        const what = `bit ${at}: ${JSON.stringify([result.clientError, result.serverError])}`
        assert.equal(result.client, null, what)
        // The server is done when the client's proof has come.
        if (name !== 'outcome') assert.equal(result.server, null, what)
        const codes = [result.clientError, result.serverError].filter((code) => code !== null)
        assert.deepEqual(codes.length, 1, what)
        assert.ok(['EACCES', 'EPROTO'].includes(codes[0]!), what)
      }
    })

    test(`cuts the ${name} short, or makes it longer: EPROTO`, () => {
      const { length } = run(world({ seed: 1 })).messages[NAMES.indexOf(name)]!
      for (let to = 0; to <= length + 4; to++) {
        if (to === length) continue
        const { client, server, clientError, serverError } = run(
          world({ seed: 1 }),
          (which, message) => {
            if (which !== name) return message
            const changed = new Uint8Array(to)
            changed.set(message.subarray(0, to))
            return changed
          },
        )
        assert.equal(client, null)
        if (name !== 'outcome') assert.equal(server, null)
        assert.equal(clientError ?? serverError, 'EPROTO', `${to} bytes of ${length}`)
      }
    })
  }

  test('takes a capability out of the hello of either end: both notice, nobody is let in', () => {
    const less = (message: Uint8Array, from: string, to: string) =>
      Buffer.from(Buffer.from(message).toString('latin1').replace(from, to), 'latin1')
    const client = run(world(), (name, message) =>
      name === 'hello' ? less(message, '1 to 3', '1 to 1') : message,
    )
    assert.deepEqual([client.clientError, client.server], ['EACCES', null])
    const server = run(world(), (name, message) =>
      name === 'challenge' ? less(message, '1 to 2', '1 to 1') : message,
    )
    assert.deepEqual([server.clientError, server.server], ['EACCES', null])
  })

  test('plays back a proof, or a whole client, that was recorded: refused', () => {
    const recorded = run(world()).messages
    const { keys, crypto } = world()
    const acceptor = acceptorOf(keys, crypto)
    acceptor.receive(recorded[0]!)
    const { established, refused, send } = acceptor.receive(recorded[2]!)
    assert.equal(established, null)
    assert.equal(refused, 'the key is not the one of this id')
    assert.equal(hex(send!), hex(Buffer.concat([u32(4), u32(0), Buffer.alloc(32)])))
  })

  test('plays back a server that was recorded: the client sees it', () => {
    const recorded = run(world()).messages
    const { initiator } = world()
    assert.throws(() => initiator.receive(recorded[1]!), { code: 'EACCES' })
  })

  test('gives the client its own words back: a hello is no challenge', () => {
    const { initiator } = world()
    assert.throws(() => initiator.receive(initiator.first), { code: 'EPROTO' })
  })

  test('gives the server its own MAC back as a proof: refused', () => {
    const { initiator, acceptor } = world()
    const challenge = acceptor.receive(initiator.first).send!
    const own = challenge.subarray(challenge.length - 32)
    assert.notEqual(acceptor.receive(Buffer.concat([u32(3), own])).refused, null)
  })

  test('has a server answer for it that serves with the same key: it proves nothing there', () => {
    // The attacker connects to A, and has B, to whom it also connects, answer A's challenge.
    const { keys, crypto } = world()
    const [a, b] = [acceptorOf(keys, crypto), acceptorOf(keys, crypto)]
    const hello = encodeHello({ keyId: 'laptop', nonce: NONCE, hello: CLIENT_HELLO })
    const challenge = a.receive(hello).send!
    const nonce = challenge.slice(4, 36)
    const answer = b.receive(encodeHello({ keyId: 'laptop', nonce, hello: CLIENT_HELLO })).send!
    const borrowed = answer.subarray(answer.length - 32)
    assert.notEqual(a.receive(Buffer.concat([u32(3), borrowed])).refused, null)
  })

  test('accepts in the place of a server that refused: the client sees it', () => {
    const result = run(world(), (name, message) => {
      if (name === 'proof') return Buffer.concat([u32(3), Buffer.alloc(32, 1)])
      if (name === 'outcome') return Buffer.concat([u32(4), u32(1), Buffer.alloc(32, 1)])
      return message
    })
    assert.equal(result.refused, 'the key is not the one of this id')
    assert.deepEqual([result.client, result.server, result.clientError], [null, null, 'EACCES'])
  })
})

/** Who has no key goes on all the same: with a proof of a key of their own. */
function guess(id: string, keys: ReadonlyMap<string, Uint8Array>) {
  const crypto = cryptoWith(seededEntropy(seeds++))
  const acceptor = acceptorOf(keys, crypto)
  const hello = encodeHello({ keyId: id, nonce: NONCE, hello: CLIENT_HELLO })
  const challenge = acceptor.receive(hello).send!
  const proof = Buffer.concat([u32(3), mac(OTHER, 'holdfast handshake 1: initiator', challenge)])
  const { send, refused, established } = acceptor.receive(proof)
  return { challenge, send: send!, refused, established }
}

describe('a client without the key', () => {
  test('is refused with a wrong one, and sees that the server is not its own', () => {
    const result = run(world({ secret: OTHER }))
    assert.deepEqual([result.clientError, result.server], ['EACCES', null])
  })

  test('does not learn whether an id is known: same messages, same work', () => {
    const keys = new Map([['laptop', SECRET]])
    const [known, unknown] = [guess('laptop', keys), guess('nobody', keys)]
    assert.equal(known.challenge.length, unknown.challenge.length)
    assert.equal(hex(known.send), hex(unknown.send))
    assert.deepEqual([known.established, unknown.established], [null, null])
    // The log of the server knows more than the peer.
    assert.equal(known.refused, 'the key is not the one of this id')
    assert.equal(unknown.refused, 'no such key id')
  })

  test('has the server do as many hashes and comparisons for an id that is not known', () => {
    const counts = ['laptop', 'nobody'].map((id) => {
      const crypto = cryptoWith(seededEntropy(1))
      const counted = { hmac: 0, equal: 0 }
      const acceptor = acceptorOf(new Map([['laptop', SECRET]]), {
        ...crypto,
        hmac: (...args) => (counted.hmac++, crypto.hmac(...args)),
        equal: (a, b) => (counted.equal++, crypto.equal(a, b)),
      })
      acceptor.receive(encodeHello({ keyId: id, nonce: NONCE, hello: CLIENT_HELLO }))
      acceptor.receive(Buffer.concat([u32(3), NONCE]))
      return counted
    })
    assert.ok(counts[0]!.hmac >= 5)
    assert.deepEqual(counts[0], counts[1])
  })

  test('does not come in with the decoy, even if it knew it', () => {
    const { crypto, keys } = world()
    const decoy = mac(DECOY, 'holdfast handshake 1: decoy', Buffer.from('nobody'))
    const initiator = new Initiator({ id: 'nobody', secret: decoy }, CLIENT_HELLO, crypto)
    const result = run({ keys, crypto, initiator, acceptor: acceptorOf(keys, crypto) })
    // The decoy is what the server answered with, and still it opens nothing.
    assert.equal(result.refused, 'no such key id')
    assert.deepEqual([result.client, result.server], [null, null])
  })

  test('whose key is removed, or replaced, in the middle is refused', () => {
    for (const [change, why] of [
      [(keys: World['keys']) => keys.delete('laptop'), /meanwhile/],
      [(keys: World['keys']) => keys.set('laptop', OTHER), /meanwhile/],
    ] as const) {
      const scene = world()
      const result = run(scene, (name, message) => {
        if (name === 'proof') change(scene.keys)
        return message
      })
      assert.match(result.refused!, why)
      assert.deepEqual([result.server, result.clientError], [null, 'EACCES'])
    }
  })
})

describe('messages of a handshake', () => {
  const good = { keyId: 'laptop', nonce: NONCE, hello: CLIENT_HELLO }
  const changed = (at: number, value: number) => {
    const message = Buffer.from(encodeHello(good))
    message.writeUInt32BE(value, at)
    return message
  }

  for (const [what, message, pattern] of [
    ['of another kind', changed(0, 2), /a hello of the handshake is wanted, found kind 2/],
    ['of another version', changed(4, 9), /version 9 of the handshake/],
    ['with a long key id', changed(8, 65), /65 bytes where 64 are allowed/],
    ['with a huge key id', changed(8, 0xffff_ffff), /4294967295 bytes where/],
    ['with a long hello', changed(52, HELLO_BYTES_MAX + 1), /513 bytes where 512 are allowed/],
    ['with padding that is not zero', changed(16, 0x6f70_0001), /padding/],
    ['with a key id that is no text', changed(12, 0x0a61_6263), /printable/],
    ['without a key id', encodeHello({ ...good, keyId: '' }), /printable/],
    ['of nothing', new Uint8Array(), /it ends too early/],
  ] as const) {
    test(`a hello ${what} is EPROTO, and says so`, () => {
      const { acceptor, initiator } = world()
      assert.throws(() => acceptor.receive(message), { code: 'EPROTO', message: pattern })
      // It failed: even the right message comes too late.
      assert.throws(() => acceptor.receive(initiator.first), { code: 'EPROTO' })
    })
  }

  test('the longest is taken before it is known who is there', () => {
    const { crypto } = world()
    const acceptor = new Acceptor({
      serverId: new Uint8Array(64),
      secretOf: () => SECRET,
      decoy: DECOY,
      hello: () => new Uint8Array(HELLO_BYTES_MAX),
      crypto,
    })
    const hello = { keyId: 'x'.repeat(64), nonce: NONCE, hello: new Uint8Array(HELLO_BYTES_MAX) }
    const first = encodeHello(hello)
    assert.ok(first.length <= GREETING_BYTES_MAX)
    assert.ok(acceptor.receive(first).send!.length <= GREETING_BYTES_MAX)
    assert.throws(() => encodeHello({ ...hello, keyId: 'x'.repeat(65) }), { code: 'EINVAL' })
  })

  test('are copies: a buffer that is used again changes nothing', () => {
    const message = encodeHello(good)
    const { nonce, hello } = decodeHello(message)
    message.fill(0)
    assert.deepEqual([hex(nonce), hex(hello)], [hex(NONCE), hex(CLIENT_HELLO)])
  })

  test('after the end, in either way, are EPROTO', () => {
    const accepted = world()
    const { messages } = run(accepted)
    assert.throws(() => accepted.acceptor.receive(messages[2]!), { code: 'EPROTO' })
    assert.throws(() => accepted.initiator.receive(messages[3]!), { code: 'EPROTO' })
    const refused = world({ secret: OTHER })
    run(refused)
    assert.throws(() => refused.initiator.receive(messages[1]!), { code: 'EPROTO' })
  })

  test('that tell of an outcome in another form than one are EPROTO', () => {
    for (const [accepted, byte] of [
      [2, 0],
      [0, 1],
    ] as const) {
      const { initiator, acceptor } = world()
      initiator.receive(acceptor.receive(initiator.first).send!)
      const outcome = Buffer.concat([u32(4), u32(accepted), Buffer.alloc(32, byte)])
      assert.throws(() => initiator.receive(outcome), { code: 'EPROTO' })
    }
  })

  test('out of turn are EPROTO', () => {
    const { messages } = run(world())
    for (const at of [1, 2, 3]) {
      assert.throws(() => world().acceptor.receive(messages[at]!), { code: 'EPROTO' })
    }
    for (const at of [0, 2, 3]) {
      assert.throws(() => world().initiator.receive(messages[at]!), { code: 'EPROTO' })
    }
  })
})
