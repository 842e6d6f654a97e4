/** Peers: operations as promises, and messages to iterate over. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  acceptPeer,
  connectPeer,
  Device,
  HoldfastError,
  WorkError,
  type Message,
  type Peer,
  type PeerOptions,
  type Transport,
} from '../../src/rdma/index.js'
import { DdpError } from '../../src/rdma/wire/terminate.js'
import { FakeTimers, outcomeOf } from '../layout/timers.js'
import { collect } from '../native/garbage.js'
import { pattern, sameBytes, turns, until } from './pair.js'
import { Tap } from './tap.js'

const MIB = 1 << 20
const ALL = ['localWrite', 'remoteWrite', 'remoteRead', 'remoteAtomic', 'remoteInvalidate'] as const

interface Transports {
  readonly near?: Transport
  readonly far?: Transport
  readonly timers?: FakeTimers
}

class Peers implements Disposable {
  readonly devices: Device[]
  near!: Peer
  far!: Peer

  constructor({ near, far, timers }: Transports) {
    const clock = timers === undefined ? {} : { timers }
    this.devices = [near, far].map(
      (transport) => new Device({ ...clock, ...(transport === undefined ? {} : { transport }) }),
    )
  }

  async connect(near: PeerOptions, far: PeerOptions): Promise<this> {
    const [client, server] = this.devices as [Device, Device]
    const listener = await server.listen()
    const accepted = listener.next().then((request) => acceptPeer(server, request!, far))
    const { host, port } = listener
    this.near = await connectPeer(client, { host, port, ...near })
    this.far = await accepted
    listener.close()
    return this
  }

  /** Memory of the far peer. */
  expose(bytes: Uint8Array) {
    const region = this.far.domain.register(bytes, { access: ALL })
    return { region, rkey: region.stag }
  }

  [Symbol.dispose](): void {
    for (const device of this.devices) device.close()
  }
}

const peers = (near: PeerOptions = {}, far: PeerOptions = {}, transports: Transports = {}) =>
  new Peers(transports).connect(near, far)

async function failureOf(promise: Promise<unknown>): Promise<WorkError> {
  try {
    await promise
  } catch (error) {
    assert.ok(error instanceof WorkError, String(error))
    return error
  }
  return assert.fail('it did not fail')
}

// ---- one-sided ---------------------------------------------------------------------------------

test('memory of the peer is read, written, added to and swapped', async () => {
  using both = await peers()
  const memory = new Uint8Array(64)
  const { rkey } = both.expose(memory)
  const { near } = both
  await near.write(rkey, 8, pattern(16))
  await near.placed()
  sameBytes(memory.subarray(8, 24), pattern(16), 'written')
  sameBytes(await near.read(rkey, 8n, 16), pattern(16), 'read')
  const into = new Uint8Array(20)
  assert.equal(await near.read(rkey, 8, into.subarray(2, 18)).then(({ length }) => length), 16)
  sameBytes(into.subarray(2, 18), pattern(16), 'read to where it was wanted')
  const list = [into.subarray(0, 1), into.subarray(4, 6)]
  assert.equal(await near.read(rkey, 8, list), list)
  assert.deepEqual([into[0], into[4]], [pattern(1)[0], pattern(2)[1]])
  assert.equal(await near.fetchAdd(rkey, 32, 5), 0n)
  assert.equal(await near.fetchAdd(rkey, 32, -1), 5n)
  assert.equal(await near.compareSwap(rkey, 32, 4, 1n << 63n), 4n)
  assert.equal(await near.compareSwap(rkey, 32, 4, 0), 1n << 63n)
  assert.equal(new DataView(memory.buffer).getBigUint64(32, true), 1n << 63n)
  assert.deepEqual(await near.readMany([]), [])
})

test('many places are read at once, each to where it is wanted', async () => {
  using both = await peers({ maxSend: 16 })
  const memory = pattern(1 << 16)
  const { rkey } = both.expose(memory)
  const items = Array.from({ length: 1000 }, (_, i) => ({ rkey, address: 61 * i, length: i % 64 }))
  const into = new Uint8Array(9)
  const found = await both.near.readMany([...items, { rkey, address: 1, into }])
  items.forEach(({ address, length }, i) => {
    sameBytes(found[i] as Uint8Array, memory.subarray(address, address + length), `item ${i}`)
  })
  assert.equal(found.at(-1), into)
  sameBytes(into, memory.subarray(1, 10), 'the last one')
})

test('thousands of operations are under way at a time, in the order of the calls', async () => {
  const tap = new Tap()
  using both = await peers({ maxSend: 8 }, {}, { near: tap })
  const memory = new Uint8Array(8)
  const { rkey } = both.expose(memory)
  const order: number[] = []
  const all: Promise<unknown>[] = []
  const seen: bigint[] = []
  for (let i = 0; i < 6000; i++) {
    const done = i % 3 === 0 ? both.near.fetchAdd(rkey, 0, 1) : both.near.read(rkey, 0, 8)
    all.push(
      done.then((value) => {
        order.push(i)
        if (typeof value === 'bigint') seen.push(value)
      }),
    )
  }
  await Promise.all(all)
  assert.deepEqual(
    order,
    Array.from(order, (_, i) => i),
  )
  assert.deepEqual(
    seen,
    Array.from({ length: 2000 }, (_, i) => BigInt(i)),
  )
  assert.ok(tap.mostOutstanding([1, 10], [2, 11]) <= 8, 'no more than maxSend at a time')
})

test('as many operations wait as may; one more is EAGAIN at once, and all others go on', async () => {
  const tap = new Tap()
  using both = await peers({ maxSend: 4 }, {}, { near: tap })
  const memory = new Uint8Array(8)
  const { rkey } = both.expose(memory)
  await both.near.placed()
  tap.room = 0
  const begin = process.cpuUsage()
  const writes = Array.from({ length: 4 + 65_536 }, () => both.near.write(rkey, 0, pattern(8)))
  const refused = await both.near.send(pattern(1)).catch((error: unknown) => error)
  assert.ok(refused instanceof HoldfastError && refused.code === 'EAGAIN', String(refused))
  tap.give(Infinity)
  await Promise.all(writes)
  await both.near.placed()
  sameBytes(memory, pattern(8), 'written')
  const { user } = process.cpuUsage(begin)
  assert.ok(user < 5_000_000, `${user / 1000} ms for what waits`)
})

// ---- errors ------------------------------------------------------------------------------------

test('what fails says how: the status of verbs, an errno, and why', async () => {
  using both = await peers()
  const { rkey, region } = both.expose(new Uint8Array(16))
  region.invalidate()
  const reading = both.near.read(rkey, 0, 8)
  const behind = failureOf(both.near.read(rkey, 0, 8))
  const error = await failureOf(reading)
  assert.deepEqual([error.status, error.code], ['REM_ACCESS_ERR', 'EACCES'])
  assert.match(error.message, /^EACCES: read: REM_ACCESS_ERR: .*RDMAP invalidStag/)
  const flushed = await behind
  assert.deepEqual([flushed.status, flushed.code], ['WR_FLUSH_ERR', 'ECONNRESET'])
  assert.match(flushed.message, /invalidStag/)
  const later = await failureOf(both.near.write(rkey, 0, pattern(1)))
  assert.equal(later.status, 'WR_FLUSH_ERR')
  assert.equal((await both.near.closed).cause, 'terminated')
  await assert.rejects(both.near.receive(), { code: 'ECONNRESET' })
})

test('errors have the errno that is nearest to their status', async () => {
  const cases: [(both: Peers) => Promise<unknown>, status: string, code: string][] = [
    [({ near }) => near.send(new Uint8Array(MIB)), 'REM_OP_ERR', 'EIO'],
    [
      ({ near }) => {
        const region = near.domain.register(new Uint8Array(8))
        return near.read(1, 0, { region, offset: 0, length: 8 })
      },
      'LOC_PROT_ERR',
      'EINVAL',
    ],
    [
      ({ near, far }) => {
        const reading = near.read(0, 0, 0)
        far.abort()
        return reading
      },
      'RETRY_EXC_ERR',
      'ECONNRESET',
    ],
  ]
  for (const [run, status, code] of cases) {
    const tap = new Tap()
    using both = await peers({}, { messages: 1, messageBytes: 8 }, { near: tap })
    if (status === 'REM_OP_ERR') tap.room = 100_000
    const error = await failureOf(run(both))
    assert.deepEqual([error.status, error.code], [status, code], error.message)
  }
})

test('an operation that cannot be meant fails alone', async () => {
  using both = await peers()
  const { near } = both
  await assert.rejects(near.read(-1, 0, 8), { code: 'EINVAL' })
  await assert.rejects(near.fetchAdd(1, 0, 0.5), { code: 'EINVAL' })
  await near.placed()
})

// ---- messages ----------------------------------------------------------------------------------

test('messages come whole, in order, with what their sender said', async () => {
  using both = await peers({}, { messageBytes: 100_000 })
  const { near, far } = both
  const { rkey, region } = both.expose(new Uint8Array(8))
  await near.send(pattern(70_000))
  await near.send([], { solicited: true })
  await near.send([pattern(3), pattern(4)], { invalidate: rkey })
  near.qp.postSend({ op: 'immediate', immediate: 7, immediateLow: 9, signaled: false })
  const got: Message[] = []
  for (let i = 0; i < 4; i++) got.push((await far.receive())!)
  const [first, second, third, fourth] = got
  sameBytes(first!.bytes, pattern(70_000), 'the first')
  assert.deepEqual([second!.bytes.length, second!.solicited, first!.solicited], [0, true, false])
  sameBytes(third!.bytes, Buffer.concat([pattern(3), pattern(4)]), 'the third')
  assert.deepEqual([third!.invalidated, region.valid], [rkey, false])
  assert.deepEqual([third!.immediate, fourth!.immediate, fourth!.immediateLow], [null, 7, 9])
  first!.bytes.fill(0)
  await far.send(pattern(1))
  assert.equal((await near.receive())!.bytes.length, 1)
})

test('messages are iterated over until the peer closes; those that had come are not lost', async () => {
  using both = await peers()
  const { near, far } = both
  for (let i = 0; i < 10; i++) await near.send(Uint8Array.of(i))
  assert.equal((await near.close()).cause, 'disconnected')
  assert.equal((await far.closed).cause, 'disconnected')
  const got: number[] = []
  for await (const { bytes } of far.messages()) got.push(bytes[0]!)
  assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.equal(await far.receive(), null)
  assert.equal(await near.receive(), null)
})

test('several may wait for messages; each gets one', async () => {
  using both = await peers()
  const waiting = Array.from({ length: 5 }, () => both.far.receive())
  for (let i = 0; i < 5; i++) await both.near.send(Uint8Array.of(i))
  const got = (await Promise.all(waiting)).map((message) => message!.bytes[0]!)
  assert.deepEqual(got.sort(), [0, 1, 2, 3, 4])
})

test('messages that nobody takes hold their sender up, in bounded memory, and none is lost', async () => {
  using both = await peers({ maxSend: 64 }, { messages: 4, messageBytes: MIB })
  const { near, far } = both
  const count = 40
  const outcomes = Array.from({ length: count }, (_, i) =>
    outcomeOf(near.send(new Uint8Array(MIB).fill(i + 1))),
  )
  await until(() => far.qp.counters.receivedBytes > 4 * MIB, 'four of them')
  await turns(50)
  const { receivedBytes } = far.qp.counters
  await turns(50)
  assert.equal(far.qp.counters.receivedBytes, receivedBytes)
  assert.ok(receivedBytes < 6 * MIB, `${receivedBytes} bytes were taken`)
  assert.ok(outcomes.filter(({ settled }) => settled).length < 20, 'the sender waits')
  for (let i = 0; i < count; i++) {
    const { bytes } = (await far.receive())!
    assert.ok(bytes.length === MIB && bytes.every((byte) => byte === i + 1), `message ${i}`)
  }
  await near.placed()
  assert.ok(outcomes.every(({ settled, error }) => settled && error === undefined))
})

test('a peer whose messages nobody takes is let go when patience ends', async () => {
  const timers = new FakeTimers()
  using both = await peers({}, { messages: 1, receivePatience: 700 }, { timers })
  await both.near.send(pattern(1))
  await both.near.send(pattern(2))
  await until(() => both.far.qp.counters.receivedBytes > 60, 'both')
  await turns(3)
  await timers.pass(699)
  assert.equal(both.far.qp.state, 'connected')
  await timers.pass(1)
  const { cause, error } = await both.near.closed
  assert.deepEqual([cause, error], ['terminated', DdpError.noBuffer])
  assert.equal((await both.far.receive())!.bytes.length, 1, 'what had come is not lost')
  await assert.rejects(both.far.receive(), { code: 'ECONNRESET', message: /700 ms/ })
})

// ---- the end -----------------------------------------------------------------------------------

test('close finishes all that was begun, and begins nothing more', async () => {
  using both = await peers({ maxSend: 4 }, { messages: 100 })
  const memory = new Uint8Array(8)
  const { rkey } = both.expose(memory)
  const { near } = both
  const begun: Promise<unknown>[] = []
  for (let i = 0; i < 30; i++) begun.push(near.send(pattern(8)), near.fetchAdd(rkey, 0, 1))
  const closed = near.close()
  const late = failureOf(near.send(pattern(8)))
  await Promise.all(begun)
  assert.equal((await late).status, 'WR_FLUSH_ERR')
  assert.equal((await closed).cause, 'disconnected')
  assert.equal((await near.close()).cause, 'disconnected')
  assert.equal(memory[0], 30)
  let count = 0
  for await (const { bytes } of both.far.messages()) count += bytes.length / 8
  assert.equal(count, 30)
})

test('abort ends all at once: what is under way, what waits, and who waits for messages', async () => {
  const tap = new Tap()
  using both = await peers({ maxSend: 2 }, {}, { far: tap })
  const { near, far } = both
  await near.placed()
  tap.room = 0
  const failing = Array.from({ length: 10 }, () => failureOf(near.placed()))
  const receiving = near.receive()
  const theirs = assert.rejects(far.receive(), { code: 'ECONNRESET' })
  await turns(3)
  near.abort()
  for (const error of await Promise.all(failing)) assert.equal(error.status, 'WR_FLUSH_ERR')
  assert.equal(await receiving, null)
  assert.equal((await near.closed).cause, 'aborted')
  await theirs
})

test('a peer is closed when its block ends', async () => {
  using both = await peers()
  {
    await using near = both.near
    await near.send(pattern(1))
  }
  assert.equal((await both.near.closed).cause, 'disconnected')
  assert.equal((await both.far.closed).cause, 'disconnected')
})

test('a peer that could not be connected, or accepted, leaves nothing', async () => {
  using device = new Device()
  const listener = await device.listen()
  const { host, port } = listener
  const failing = connectPeer(device, { host, port })
  const request = await listener.next()
  assert.throws(() => acceptPeer(device, request!, { rtrs: ['send'] }), { code: 'EPROTO' })
  await assert.rejects(failing, { code: 'ECONNREFUSED' })
  assert.equal(device.connections, 0)
  assert.equal(device.stags.size, 0)
})

/** Bytes, of both ends together. */
const IDLE_BYTES_MAX = 40 << 10

test('a connection that has been used and is idle costs a few KiB', async (t) => {
  using server = new Device()
  using client = new Device()
  const listener = await server.listen()
  const small = { messages: 64, messageBytes: 16 << 10, maxSend: 64 }
  const all: Peer[] = []
  const add = async (count: number) => {
    for (let i = 0; i < count; i++) {
      const accepted = listener.next().then((request) => acceptPeer(server, request!, small))
      const near = await connectPeer(client, { host: '127.0.0.1', port: listener.port, ...small })
      const far = await accepted
      all.push(near, far)
      await near.send(pattern(1000))
      sameBytes((await far.receive())!.bytes, pattern(1000), 'the message')
      await near.placed()
    }
    await turns(3)
    collect()
    await turns(3)
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const before = await add(20)
  const each = ((await add(100)) - before) / 100
  assert.ok(each < IDLE_BYTES_MAX, `${each} bytes a connection`)
  t.diagnostic(`${Math.round(each)} bytes a connection, of both ends`)
})
