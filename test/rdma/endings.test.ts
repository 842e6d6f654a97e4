/** How connections end: in order, at once, by an error of either end, or by the wire. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { End } from '../../src/rdma/index.js'
import { Opcode } from '../../src/rdma/wire/ddp.js'
import { DdpError, RdmapError } from '../../src/rdma/wire/terminate.js'
import { FakeTimers } from '../layout/timers.js'
import {
  assertStatus,
  connected,
  NOWHERE,
  pattern,
  sameBytes,
  statuses,
  turns,
  until,
  type Pair,
} from './pair.js'
import { Tap } from './tap.js'

const MIB = 1 << 20

/** Nothing is left of it anywhere. */
function assertNothingLeft({ client, server }: Pair): void {
  for (const { device, qp, sendCq, receiveCq } of [client, server]) {
    assert.equal(qp.state, 'closed')
    assert.equal(device.connections, 0)
    assert.equal(device.sendBuffer.kept, 0, 'bytes that are kept')
    assert.equal(sendCq.take(), null)
    assert.equal(receiveCq.take(), null)
  }
}

// ---- in order ----------------------------------------------------------------------------------

test('a disconnect ends the connection when all that was posted is done, at both ends', async () => {
  using pair = await connected()
  const { client, server } = pair
  const memory = new Uint8Array(16 * MIB)
  const { remote } = pair.expose(memory)
  const into = new Uint8Array(16 * MIB)
  const [message] = server.receive(MIB)
  client.post({ op: 'write', id: 1, local: pattern(16 * MIB), remote: remote(0) })
  client.post({ op: 'read', id: 2, local: into, remote: remote(0) })
  client.post({ op: 'send', id: 3, local: pattern(MIB, 3), fence: true })
  const end = client.qp.disconnect()
  assert.deepEqual(await statuses(client.sendCq, 3), ['1 SUCCESS', '2 SUCCESS', '3 SUCCESS'])
  assert.equal((await server.received()).status, 'SUCCESS')
  assert.deepEqual(await end, { cause: 'disconnected', detail: '', error: null })
  assert.equal((await server.qp.closed).cause, 'disconnected')
  sameBytes(memory, pattern(16 * MIB), 'written')
  sameBytes(into, pattern(16 * MIB), 'read')
  sameBytes(message!, pattern(MIB, 3), 'sent')
  assertNothingLeft(pair)
})

test('a disconnect answers the peer’s Reads that are under way first', async () => {
  using pair = await connected()
  const { client, server } = pair
  const memory = pattern(16 * MIB)
  const region = client.domain.register(memory, { access: ['remoteRead'] })
  await pair.settle()
  const into = new Uint8Array(16 * MIB)
  server.post({ op: 'read', id: 1, local: into, remote: { stag: region.stag, address: 0 } })
  await until(() => server.qp.counters.receivedBytes > MIB, 'the first bytes')
  void client.qp.disconnect()
  assert.deepEqual(await statuses(server.sendCq, 1), ['1 SUCCESS'])
  sameBytes(into, memory, 'read')
  for (const { cause } of await pair.ends()) assert.equal(cause, 'disconnected')
  assertNothingLeft(pair)
})

test('both ends may disconnect at once, and more than once', async () => {
  using pair = await connected()
  const ends = [pair.client, pair.server, pair.client].map(({ qp }) => qp.disconnect())
  for (const { cause } of await Promise.all(ends)) assert.equal(cause, 'disconnected')
  assert.equal((await pair.client.qp.disconnect()).cause, 'disconnected')
  assertNothingLeft(pair)
})

test('what is posted behind a disconnect and its end is flushed, and nothing is sent of it', async () => {
  using pair = await connected()
  const { client, server } = pair
  server.receive(8)
  const end = client.qp.disconnect()
  client.post({ op: 'send', id: 'late', local: pattern(8) })
  assert.deepEqual(await statuses(client.sendCq, 1), ['late WR_FLUSH_ERR'])
  assert.equal((await end).cause, 'disconnected')
  client.post({ op: 'read', id: 'later', local: [], remote: NOWHERE })
  client.receive(8)
  assert.deepEqual(await statuses(client.sendCq, 1), ['later WR_FLUSH_ERR'])
  assert.deepEqual(await statuses(client.receiveCq, 1), ['0 WR_FLUSH_ERR'])
  assert.deepEqual(await statuses(server.receiveCq, 1), ['0 WR_FLUSH_ERR'])
  assert.equal((await server.qp.closed).cause, 'disconnected')
  assertNothingLeft(pair)
})

test('what is posted behind the end of the stream is flushed though the peer has not gone', async () => {
  using pair = await connected({}, { qp: { receivePatience: 60_000 } })
  const { client } = pair
  client.post({ op: 'send', id: 's', local: pattern(8) })
  const end = client.qp.disconnect()
  assert.deepEqual(await statuses(client.sendCq, 1), ['s SUCCESS'])
  await turns(3)
  client.post({ op: 'write', id: 'late', local: pattern(8), remote: NOWHERE })
  assert.deepEqual(await statuses(client.sendCq, 1), ['late WR_FLUSH_ERR'])
  assert.equal(client.qp.state, 'connected')
  pair.server.receive(8)
  assert.equal((await end).cause, 'disconnected')
})

test('a queue pair that was never connected ends by itself', async () => {
  using pair = await connected()
  const { device, domain, sendCq } = pair.client
  const qp = device.queuePair(domain, { sendCq })
  qp.postReceive({ id: 'r', into: new Uint8Array(8) })
  assert.throws(() => qp.postSend({ op: 'send' }), { code: 'ENOTCONN' })
  assert.equal((await qp.disconnect()).cause, 'aborted')
  await qp.established
  assert.deepEqual(await statuses(sendCq, 1), ['r WR_FLUSH_ERR'])
  const connecting = device.connect(qp, { host: '127.0.0.1', port: 1 })
  await assert.rejects(connecting, { code: 'EISCONN' })
})

// ---- everything that was posted is told once ---------------------------------------------------

interface Ending {
  readonly what: string
  readonly end: (pair: Pair, tap: Tap) => void
  readonly cause: End['cause']
  readonly peer: End['cause']
  /** Of the Read that is under way. */
  readonly read: string
}

const ENDINGS: readonly Ending[] = [
  {
    what: 'this end gives up',
    end: ({ client }) => client.qp.abort(),
    cause: 'aborted',
    peer: 'lost',
    read: 'WR_FLUSH_ERR',
  },
  {
    what: 'its device is closed',
    end: ({ client }) => client.device.close(),
    cause: 'aborted',
    peer: 'lost',
    read: 'WR_FLUSH_ERR',
  },
  {
    what: 'the peer gives up',
    end: ({ server }) => server.qp.abort(),
    cause: 'lost',
    peer: 'aborted',
    read: 'RETRY_EXC_ERR',
  },
  {
    what: 'the peer’s device is closed',
    end: ({ server }) => server.device.close(),
    cause: 'lost',
    peer: 'aborted',
    read: 'RETRY_EXC_ERR',
  },
  {
    what: 'the wire breaks',
    end: (_, tap) => tap.streams[0]!.cut(),
    cause: 'lost',
    peer: 'lost',
    read: 'RETRY_EXC_ERR',
  },
]

for (const { what, end, cause, peer, read } of ENDINGS) {
  test(`all that was posted is told once, in order, when ${what}`, async () => {
    const tap = new Tap()
    using pair = await connected({}, { transport: tap })
    const { client, server } = pair
    const { remote } = pair.expose(pattern(64))
    tap.room = 0
    client.receive(8, 8, 8)
    server.receive(8)
    client.post({ op: 'write', id: 'done', local: pattern(8), remote: remote(0), signaled: false })
    client.post({ op: 'read', id: 'read', local: new Uint8Array(8), remote: remote(0) })
    client.post({ op: 'write', id: 'sent', local: pattern(8), remote: remote(0) })
    client.post({ op: 'send', id: 'fenced', fence: true, signaled: false })
    client.post({ op: 'localInvalidate', id: 'last', region: client.domain.register(pattern(1)) })
    await until(() => tap.opcodes(false).includes(Opcode.readRequest), 'the Read')
    end(pair, tap)
    const told = await statuses(client.sendCq, 4)
    const [client_, server_] = await pair.ends()
    assert.deepEqual([client_.cause, server_.cause], [cause, peer], client_.detail)
    assert.deepEqual(await statuses(client.receiveCq, 3), [
      '0 WR_FLUSH_ERR',
      '1 WR_FLUSH_ERR',
      '2 WR_FLUSH_ERR',
    ])
    assert.deepEqual(await statuses(server.receiveCq, 1), ['0 WR_FLUSH_ERR'])
    assert.deepEqual(told, [
      `read ${read}`,
      'sent WR_FLUSH_ERR',
      'fenced WR_FLUSH_ERR',
      'last WR_FLUSH_ERR',
    ])
    assertNothingLeft(pair)
  })
}

test('each piece of work is told once when the peer refuses one in the middle', async () => {
  using pair = await connected({ qp: { maxSend: 512 } })
  const { remote } = pair.expose(pattern(4096))
  const { region: doomed, remote: gone } = pair.expose(pattern(8))
  doomed.invalidate()
  for (let i = 0; i < 200; i++) {
    const to = i === 100 ? gone(0) : remote(8 * i)
    pair.client.post({ op: 'read', id: i, local: new Uint8Array(8), remote: to })
  }
  const told = await statuses(pair.client.sendCq, 200)
  assert.deepEqual(
    told,
    Array.from({ length: 200 }, (_, i) => {
      return `${i} ${i < 100 ? 'SUCCESS' : i === 100 ? 'REM_ACCESS_ERR' : 'WR_FLUSH_ERR'}`
    }),
  )
  await pair.refused(RdmapError.invalidStag)
  assertNothingLeft(pair)
})

// ---- lost --------------------------------------------------------------------------------------

test('of two Writes side by side the one that is wrong is blamed', async () => {
  using pair = await connected()
  const { region, remote } = pair.expose(new Uint8Array(100))
  const { client } = pair
  client.post({ op: 'read', id: 'r', local: new Uint8Array(8), remote: remote(0) })
  client.post({ op: 'write', id: 'right', local: new Uint8Array(60), remote: remote(40) })
  client.post({ op: 'write', id: 'wrong', local: new Uint8Array(60), remote: remote(100) })
  assert.deepEqual(await statuses(client.sendCq, 3), [
    'r WR_FLUSH_ERR',
    'right WR_FLUSH_ERR',
    'wrong REM_ACCESS_ERR',
  ])
  await pair.refused(DdpError.bounds, `STag ${region.stag}`)
})

test('a connection that is lost in the middle of a message says so, at both ends', async () => {
  const tap = new Tap()
  using pair = await connected({ transport: tap })
  const [into] = pair.server.receive(MIB)
  tap.room = 100_000
  pair.client.post({ op: 'send', id: 's', local: new Uint8Array(MIB).fill(1) })
  pair.client.post({ op: 'write', id: 'w', local: [], remote: NOWHERE })
  await until(() => tap.room === 0 && into![0] === 1, 'the beginning')
  tap.streams[0]!.cut()
  const told = await statuses(pair.client.sendCq, 2)
  assert.deepEqual(told, ['s RETRY_EXC_ERR', 'w WR_FLUSH_ERR'])
  assert.deepEqual(await statuses(pair.server.receiveCq, 1), ['0 WR_FLUSH_ERR'])
  for (const { cause, error } of await pair.ends()) assert.deepEqual([cause, error], ['lost', null])
  assertNothingLeft(pair)
})

test('a connection that is lost in the middle of a Read fails the Read', async () => {
  const tap = new Tap()
  using pair = await connected({}, { transport: tap })
  const { remote } = pair.expose(new Uint8Array(MIB).fill(1))
  tap.room = 100_000
  const into = new Uint8Array(MIB)
  pair.client.post({ op: 'read', id: 'r', local: into, remote: remote(0) })
  pair.client.post({ op: 'read', id: 'behind', local: [], remote: NOWHERE })
  await until(() => tap.room === 0 && into[0] === 1, 'the beginning')
  tap.streams[0]!.cut()
  const told = await statuses(pair.client.sendCq, 2)
  assert.deepEqual(told, ['r RETRY_EXC_ERR', 'behind WR_FLUSH_ERR'])
  for (const { cause } of await pair.ends()) assert.equal(cause, 'lost')
})

test('a peer that ends its stream in the middle of a message has lost the connection', async () => {
  for (const room of [1, 20, 70_000]) {
    const tap = new Tap()
    using pair = await connected({ transport: tap })
    const { remote } = pair.expose(new Uint8Array(MIB))
    await pair.settle()
    tap.room = room
    pair.client.post({ op: 'write', local: new Uint8Array(MIB), remote: remote(0) })
    await until(() => tap.room === 0, 'the beginning')
    tap.streams[0]!.end()
    const { cause, detail } = await pair.server.qp.closed
    assert.equal(cause, 'lost')
    assert.match(detail, /middle/)
  }
})

test('a peer that ends its stream while it is asked for something has lost the connection', async () => {
  const tap = new Tap()
  using pair = await connected({}, { transport: tap })
  const { remote } = pair.expose(new Uint8Array(8))
  await pair.settle()
  tap.room = 0
  pair.client.post({ op: 'read', id: 'r', local: new Uint8Array(8), remote: remote(0) })
  await until(() => tap.opcodes(false).length >= 3, 'the Read')
  tap.streams[0]!.end()
  assert.deepEqual(await statuses(pair.client.sendCq, 1), ['r RETRY_EXC_ERR'])
  const { cause, detail } = await pair.client.qp.closed
  assert.deepEqual([cause, detail], ['lost', 'Reads were under way'])
})

// ---- peers that do not go ----------------------------------------------------------------------

test('a peer that does not close is not waited for: as long as it moves, and five seconds', async () => {
  const timers = new FakeTimers()
  const tap = new Tap()
  using pair = await connected({ timers, transport: tap })
  const { remote } = pair.expose(new Uint8Array(64 * MIB))
  tap.room = 0
  pair.client.post({ op: 'write', id: 'w', local: new Uint8Array(4 * MIB), remote: remote(0) })
  const end = pair.client.qp.disconnect()
  for (let i = 0; i < 4; i++) {
    await timers.pass(4900)
    tap.give(MIB / 2)
    await turns(3)
    assert.equal(pair.client.qp.state, 'connected', 'it moves')
  }
  await timers.pass(10_000)
  assert.equal((await end).cause, 'lost')
  assert.deepEqual(await statuses(pair.client.sendCq, 1), ['w RETRY_EXC_ERR'])
  assert.equal(timers.waiting, 0)
})

test('what was sent reaches a peer that takes it later than it is waited for', async () => {
  const timers = new FakeTimers()
  const patience = { qp: { receivePatience: 60_000 } }
  using pair = await connected({ timers }, patience)
  const { client, server } = pair
  const count = 128
  for (let i = 0; i < count; i++) {
    client.post({ op: 'send', id: i, local: new Uint8Array(16_384).fill(i) })
  }
  const sent = await statuses(client.sendCq, count)
  assert.ok(sent.every((status) => status.endsWith('SUCCESS')))
  const end = client.qp.disconnect()
  await timers.pass(5000)
  assert.equal((await end).cause, 'lost')
  for (let i = 0; i < count; i++) {
    const [into] = server.receive(16_384)
    assertStatus(await server.received(), 'SUCCESS', `message ${i}`)
    sameBytes(into!, new Uint8Array(16_384).fill(i), `message ${i}`)
  }
  assert.equal((await server.qp.closed).cause, 'disconnected')
})

test('a peer that was refused is not waited for longer than two seconds', async () => {
  const timers = new FakeTimers()
  const tap = new Tap()
  using pair = await connected({}, { timers, transport: tap })
  // The Terminate never leaves, and the peer has nothing to go for.
  tap.room = 0
  pair.client.post({ op: 'write', local: pattern(8), remote: { stag: 1, address: 0 } })
  await until(() => tap.opcodes(false).includes(Opcode.write), 'the Write')
  await turns(3)
  await timers.pass(1999)
  assert.equal(pair.server.qp.state, 'connected')
  await timers.pass(1)
  assert.equal((await pair.server.qp.closed).cause, 'refused')
  assert.equal(timers.waiting, 0)
  assert.equal((await pair.client.qp.closed).cause, 'lost')
})

test('what a peer sends after it was refused goes nowhere', async () => {
  using pair = await connected()
  const memory = new Uint8Array(4 * MIB)
  const { remote } = pair.expose(memory)
  pair.server.receive(8)
  pair.client.post({ op: 'write', local: pattern(8), remote: { stag: 1, address: 0 } })
  pair.client.post({ op: 'write', local: memory.slice().fill(1), remote: remote(0) })
  pair.client.post({ op: 'send', local: pattern(8) })
  assert.equal((await pair.server.received()).status, 'WR_FLUSH_ERR')
  await pair.ends()
  assert.ok(memory.every((byte) => byte === 0))
})
