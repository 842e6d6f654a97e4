/** Failures that one end finds by itself: they end what they must, and are told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ByteStream, Transport } from '../../src/base/byte_stream.js'
import { HoldfastError } from '../../src/base/errors.js'
import { tcp } from '../../src/native/tcp.js'
import { Device, type MemorySource } from '../../src/rdma/index.js'
import { FakeTimers } from '../layout/timers.js'
import { assertStatus, connected, connectSides, next, NOWHERE, Pair, Side, until } from './pair.js'

/** TCP whose connections turn out to be lost when they are sent to once too often. */
function lostAfter(sends: number): Transport {
  let left = sends
  const send = (stream: ByteStream) => (bytes: Uint8Array, start: number, length: number) => {
    if (left-- > 0) return stream.send(bytes, start, length)
    throw new HoldfastError('ECONNRESET', 'the connection was lost')
  }
  const wrap = (stream: ByteStream) =>
    new Proxy(stream, {
      get(target, key) {
        if (key === 'send') return send(target)
        const value: unknown = Reflect.get(target, key, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  return {
    connect: async (...there) => wrap(await tcp.connect(...there)),
    listen: (host, port, accepted) => tcp.listen(host, port, accepted),
  }
}

/** Whether somebody who waits for receives of a side hears of them. */
function hears({ receiveCq }: Side): { heard: boolean } {
  const ear = { heard: false }
  receiveCq.listener = () => (ear.heard = true)
  return ear
}

test('a connection that is lost with its first message says so to who waits for receives', async () => {
  using pair = new Pair(new Side({ transport: lostAfter(1) }), new Side())
  pair.client.receive(8)
  const ear = hears(pair.client)
  await connectSides(pair)
  assert.equal((await pair.client.qp.closed).cause, 'lost')
  assert.ok(ear.heard)
  assertStatus(await pair.client.received(), 'WR_FLUSH_ERR')
})

test('a connection that is lost when a silent peer is nudged says so, too', async () => {
  const timers = new FakeTimers()
  const options = { transport: lostAfter(2), timers, peerToPeer: false }
  using pair = await connected(options)
  pair.client.receive(8)
  const ear = hears(pair.client)
  assertStatus(
    await pair.client.done({ op: 'write', local: [], remote: NOWHERE }),
    'SUCCESS',
    'the first message',
  )
  await timers.pass(20)
  assert.equal((await pair.client.qp.closed).cause, 'lost')
  assert.ok(ear.heard)
})

test('who does not take a completion well leaves the other completions told', async () => {
  using pair = await connected()
  const { client } = pair
  client.receive(8)
  const ear = hears(client)
  client.sendCq.listener = () => {
    throw new Error('not so')
  }
  client.post({ op: 'write', local: new Uint8Array(8), remote: NOWHERE })
  assert.throws(() => client.qp.abort(), { message: 'not so' })
  assert.ok(ear.heard)
})

test('a device that is closed ends all connections, whoever does not take it well', async () => {
  using device = new Device()
  using listener = await device.listen()
  const { host, port } = listener
  const far = new Device()
  const qps = []
  for (let i = 0; i < 3; i++) {
    const cq = device.completionQueue()
    cq.listener = () => {
      throw new Error(`not ${i}`)
    }
    const qp = device.queuePair(device.protectionDomain(), { sendCq: cq })
    const theirs = far.queuePair(far.protectionDomain(), { sendCq: far.completionQueue() })
    const accepted = listener.next().then((request) => request!.accept(qp))
    await Promise.all([far.connect(theirs, { host, port }), accepted])
    qp.postReceive({})
    qps.push(qp)
  }
  assert.throws(() => device.close(), { message: /^not \d$/ })
  assert.deepEqual(
    [qps.map(({ state }) => state), device.connections],
    [Array(3).fill('closed'), 0],
  )
  await until(() => far.connections === 0, 'the others have noticed')
})

test('a source that throws ends the connection of the message that waited for it', async () => {
  using pair = await connected({}, { qp: { receivePatience: 60_000 } })
  const { client, server } = pair
  const source: MemorySource = {
    length: 64,
    translate() {
      throw new Error('no such bytes')
    },
  }
  const region = server.domain.register(source, { access: ['localWrite'] })
  client.post({ op: 'send', local: new Uint8Array(8) })
  await until(() => server.qp.counters.receivedBytes > 20, 'the message')
  server.qp.postReceive({ into: { region, offset: 0, length: 64 } })
  const { cause, detail } = await server.qp.closed
  assert.deepEqual([cause, detail], ['lost', 'no such bytes'])
  assertStatus(await next(server.receiveCq), 'WR_FLUSH_ERR')
  assert.equal((await client.qp.closed).cause, 'lost')
})

for (const crc of [true, false]) {
  for (const [what, wrong] of [
    ['fewer', -8],
    ['more', 8],
  ] as const) {
    for (const op of ['read', 'write'] as const) {
      test(`a source with ${what} bytes than asked for ends a ${op}, CRC ${crc}`, async () => {
        using pair = await connected({ crc }, { crc })
        const { client, server } = pair
        const memory = new Uint8Array(4096)
        const source: MemorySource = {
          length: 2048,
          translate(offset, length, _store, pieces) {
            pieces.add(memory, offset, length + wrong)
            return 0
          },
        }
        const access = ['localWrite', 'remoteRead', 'remoteWrite'] as const
        const { stag } = server.domain.register(source, { access })
        const local = new Uint8Array(1000).fill(7)
        client.post({ op, local, remote: { stag, address: 0 } })
        const { cause, detail } = await server.qp.closed
        assert.deepEqual([cause, /a source finds the bytes/.test(detail)], ['lost', true])
        assert.ok(memory.every((byte) => byte === 0))
        await client.qp.closed
      })
    }
  }
}
