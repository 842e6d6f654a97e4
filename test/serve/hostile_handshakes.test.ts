/** Who has no key, another's words, or another's tokens and STags, gets nothing. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { systemCrypto } from '../../src/base/crypto.js'
import { O } from '../../src/base/open_flags.js'
import { encodePurpose } from '../../src/control/greeting.js'
import { Initiator } from '../../src/control/handshake.js'
import { encodeHello } from '../../src/control/handshake_messages.js'
import { connectPeer, type Peer } from '../../src/rdma/index.js'
import { contentOf, hostileTest, type HostileScene, type Step } from './hostile_scene.js'
import { callBytes, codeOf, type RawClient } from './raw_client.js'

const NOTHING = new Uint8Array(0)
const EMPTY = { force: false }

const steps: Step[] = []
const step = (name: string, run: Step['run']) => steps.push({ name, run })

step('who does not have the key is refused, and learns nothing', async (scene) => {
  const { secret } = scene.keys.get('ada')!
  const wrong = { id: 'ada', secret: new Uint8Array(randomBytes(32)) }
  const unknown = { id: 'nobody', secret }
  const lengths: number[] = []
  for (const key of [wrong, unknown]) {
    const client = await scene.remote(null)
    const initiator = new Initiator(key, NOTHING, systemCrypto)
    client.send(initiator.first)
    const challenge = await client.message()
    lengths.push(challenge.length)
    assert.throws(() => initiator.receive(challenge), { code: 'EACCES' })
    // It answers all the same.
    client.send(proofOf(randomBytes(32)))
    assert.equal(
      Buffer.from(await client.message()).toString('hex'),
      `0000000400000000${'0'.repeat(64)}`,
    )
    await client.gone()
  }
  assert.equal(lengths[0], lengths[1])
})

step('handshakes that were recorded, reflected or changed are refused', async (scene) => {
  const key = scene.keys.get('ada')!
  // A handshake that succeeds is recorded.
  const recorded = new Initiator(key, NOTHING, systemCrypto)
  const first = await scene.remote(null)
  first.send(recorded.first)
  const proof = recorded.receive(await first.message()).send!
  first.send(proof)
  assert.equal((await first.message())[7], 1)
  // It is said again.
  const replay = await scene.remote(null)
  replay.send(recorded.first)
  await replay.message()
  replay.send(proof)
  assert.equal((await replay.message())[7], 0)
  await replay.gone()
  // What the server says is said back to it.
  const mirror = await scene.remote(null)
  const own = new Initiator(key, NOTHING, systemCrypto)
  mirror.send(own.first)
  const challenge = await mirror.message()
  mirror.send(proofOf(challenge.slice(-32)))
  assert.equal((await mirror.message())[7], 0)
  await mirror.gone()
  // Its hello is changed on the way, its proof is for what it had said.
  const tampered = await scene.remote(null)
  const honest = new Initiator(key, Uint8Array.of(1, 0, 0, 0), systemCrypto)
  const changed = honest.first.slice()
  changed[changed.length - 4] = 2
  tampered.send(changed)
  assert.throws(() => honest.receive(new Uint8Array(0)), { code: 'EPROTO' })
  const fresh = new Initiator(key, NOTHING, systemCrypto)
  const answer = await tampered.message()
  assert.throws(() => fresh.receive(answer), { code: 'EACCES' })
  tampered.abort()
})

step('whatever else is said before the handshake ends the connection', async (scene) => {
  const nonce = new Uint8Array(32)
  const hello = { version: 1, versionMin: 1, capabilities: 0, name: 'x', umask: 0 }
  const said: Uint8Array[] = [
    NOTHING,
    callBytes('hello', hello),
    callBytes('open', { path: Buffer.from('/secret'), flags: 0, mode: 0, options: EMPTY }),
    encodeHello({ keyId: 'ada', nonce, hello: NOTHING }).subarray(0, 20),
    Buffer.concat([encodeHello({ keyId: 'ada', nonce, hello: NOTHING }), nonce]),
    proofOf(nonce),
    new Uint8Array(1024),
    new Uint8Array(1025),
    randomBytes(700),
  ]
  for (const message of said) {
    const client = await scene.remote(null)
    client.send(message)
    await client.gone()
    assert.deepEqual(client.messages, [])
  }
  // A half message, and the end.
  const half = await scene.remote(null)
  half.raw(Uint8Array.of(0x80, 0, 4, 0, 1))
  half.abort()
  for (const privateData of [
    NOTHING,
    randomBytes(8),
    randomBytes(500),
    Buffer.from('4846435002010000', 'hex'),
  ]) {
    const options = { host: '127.0.0.1', port: scene.port, privateData }
    await assert.rejects(connectPeer(scene.device, options))
  }
})

function proofOf(mac: Uint8Array): Uint8Array {
  return new Uint8Array(Buffer.concat([Buffer.from([0, 0, 0, 3]), mac]))
}

// ---- data connections --------------------------------------------------------------------------

function connectData(scene: HostileScene, token: Uint8Array): Promise<Peer> {
  const privateData = encodePurpose({ kind: 'data', token })
  const there = { host: '127.0.0.1', port: scene.port, privateData }
  return connectPeer(scene.device, { ...there, messages: 0 })
}

step('a token opens one data connection, of its session, as long as that lives', async (scene) => {
  const ada = await scene.greeted('ada')
  const bob = await scene.greeted('bob')
  const token = ada.secret!.dataToken(0)
  const peers = [await connectData(scene, token)]
  const refused = async (bytes: Uint8Array) => {
    await assert.rejects(connectData(scene, bytes), 'no data connection with it')
  }
  await refused(token)
  for (let at = 0; at < token.length; at += 5) {
    const changed = ada.secret!.dataToken(1)
    changed[at]! ^= 0x10
    await refused(changed)
  }
  // The session of one with the MAC of another.
  const mixed = bob.secret!.dataToken(1)
  mixed.set(ada.secret!.dataToken(1).subarray(0, 24))
  await refused(mixed)
  await refused(randomBytes(56))
  await refused(token.subarray(1))
  for (let counter = 1; counter < 64; counter++) {
    peers.push(await connectData(scene, ada.secret!.dataToken(counter)))
  }
  await refused(ada.secret!.dataToken(64))
  await refused(ada.secret!.dataToken(65))
  // One goes, another may come: with a token that is new.
  peers[7]!.abort()
  let [again, counter] = [null as Peer | null, 66]
  while (again === null)
    again = await connectData(scene, ada.secret!.dataToken(counter++)).catch(() => null)
  const late = ada.secret!.dataToken(counter)
  ada.abort()
  await Promise.all([...peers, again].map((peer) => peer.closed))
  await refused(late)
})

// ---- STags -------------------------------------------------------------------------------------

async function opened(client: RawClient, path: string, flags: number): Promise<number> {
  const options = EMPTY
  return (await client.call('open', { path: Buffer.from(path), flags, mode: 0o600, options }))
    .handle
}

const register = (client: RawClient, handle: number, write: boolean, hold?: number) =>
  client.call('register', { handle, hold, write })

/** Reads through an STag on a connection of its own: what comes, or null. */
async function steal(scene: HostileScene, client: RawClient, stag: number, counter: number) {
  const peer = await connectData(scene, client.secret!.dataToken(counter))
  const got = await peer.read(stag, 0, 4096).catch(() => null)
  peer.abort()
  return got
}

step('an STag is of one session, of one life, and of what it was made for', async (scene) => {
  const ada = await scene.greeted('ada')
  const bob = await scene.greeted('bob')
  const handle = await opened(ada, '/ada', O.RDWR)
  const { stag } = await register(ada, handle, false)
  const mine = await steal(scene, ada, stag, 0)
  assert.equal(Buffer.compare(mine!, contentOf('/ada').subarray(0, 4096)), 0)
  // Of another session.
  assert.equal(await steal(scene, bob, stag, 0), null)
  for (let guess = 1; guess < 6; guess++) {
    assert.equal(await steal(scene, bob, (stag + guess) >>> 0, guess), null)
  }
  assert.equal(await codeOf(bob.call('deregister', { stag })), 'ESTALE')
  assert.equal(await codeOf(bob.call('commit', { stag })), 'ESTALE')
  // It was made for reading.
  const writer = await connectData(scene, ada.secret!.dataToken(1))
  await assert.rejects(
    writer.write(stag, 0, new Uint8Array(16)).then(() => writer.read(stag, 0, 1)),
  )
  // Its handle is closed: the file is still open for it, and nobody else's.
  await ada.call('close', { handle })
  assert.equal(await codeOf(register(ada, handle, false)), 'EBADF')
  assert.equal((await steal(scene, ada, stag, 2))?.length, 4096)
  await ada.call('deregister', { stag })
  assert.equal(await steal(scene, ada, stag, 3), null)
  assert.equal(await codeOf(ada.call('deregister', { stag })), 'ESTALE')
})

step('after a fence, a return and the end of its session an STag is nothing', async (scene) => {
  const ada = await scene.greeted('ada')
  const root = await scene.greetedLocal()
  const handle = await opened(ada, '/shared/leased', O.RDWR | O.CREAT)
  const bytes = new Uint8Array(8192).fill(7)
  await ada.call('write', { handle, position: 0, data: bytes, options: EMPTY })
  const wish = { handle, offset: 0, length: 8192, reason: 'a lease', unshare: undefined }
  const lease = () => ada.call('layoutGet', { wish, iomode: 'rw' })
  const returned = await lease()
  const one = await register(ada, handle, true, returned.id)
  await ada.call('layoutReturn', { id: returned.id })
  assert.equal(await steal(scene, ada, one.stag, 0), null)
  assert.equal(await codeOf(register(ada, handle, true, returned.id)), 'ESTALE')
  // Another asks for the blocks: nobody answers the recall.
  const kept = await lease()
  const two = await register(ada, handle, true, kept.id)
  const options = { force: false, deadline: 50 }
  const truncated = root.call('truncate', {
    target: { path: { path: Buffer.from('/shared/leased'), follow: true } },
    size: 0,
    options,
  })
  await truncated
  assert.equal(await steal(scene, ada, two.stag, 1), null)
  const names = ada.notices.map(({ name }) => name)
  assert.ok(names.includes('recall') && names.includes('fence'), names.join())
  assert.equal(await codeOf(ada.call('layoutCommit', { id: kept.id, size: 4096 })), 'ESTALE')
  assert.equal(await codeOf(ada.call('layoutReturn', { id: kept.id })), 'ESTALE')
  // The session ends while its data connection reads.
  const file = await opened(ada, '/ada', 0)
  const { stag } = await register(ada, file, false)
  const peer = await connectData(scene, ada.secret!.dataToken(2))
  assert.equal((await peer.read(stag, 0, 10)).length, 10)
  ada.abort()
  await peer.closed
})

step('the data connections of one user leave room for those of others', async (scene) => {
  let accepted = 0
  for (let sessions = 0; sessions < 6; sessions++) {
    const ada = await scene.greeted('ada')
    for (let counter = 0; counter < 64; counter += 16) {
      const some = Array.from({ length: 16 }, (_, i) =>
        connectData(scene, ada.secret!.dataToken(counter + i)),
      )
      for (const { status } of await Promise.allSettled(some)) {
        if (status === 'fulfilled') accepted++
      }
    }
  }
  // A quarter of the four that there are for each session.
  assert.equal(accepted, 300)
  const bob = await scene.greeted('bob')
  await connectData(scene, bob.secret!.dataToken(0))
})

step('a key that is gone reaches nothing from then on, whoever listens', async (scene) => {
  const ada = await scene.greeted('ada')
  const handle = await opened(ada, '/shared/much', O.CREAT | O.RDWR)
  const options = EMPTY
  await ada.call('truncate', { target: { handle }, size: 1 << 20, options })
  const peer = await connectData(scene, ada.secret!.dataToken(0))
  const { stag } = await register(ada, handle, true)
  assert.equal((await peer.read(stag, 0, 4096)).length, 4096)
  // Answers that it does not take keep its connection for some seconds.
  ada.greedy(false)
  for (let id = 1000; id < 1064; id++) {
    ada.send(callBytes('read', { handle, position: 0, length: 256 << 10 }, { id }))
  }
  const restore = scene.withoutKey('ada')
  const began = performance.now()
  await scene.ask('reload')
  await assert.rejects(peer.read(stag, 0, 4096))
  await peer.closed
  ada.greedy(true)
  const took = performance.now() - began
  assert.ok(took < 4000, `${took} ms`)
  await assert.rejects(connectData(scene, ada.secret!.dataToken(1)))
  restore()
  await scene.ask('reload')
  await scene.greeted('ada')
})

hostileTest('who has no key, or the words and tokens of others', steps)
