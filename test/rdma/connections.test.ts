/** How connections come to be, or do not: what is offered, taken, refused, and given up. */
import assert from 'node:assert/strict'
import { connect as connectRaw, createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'
import {
  Device,
  type HoldfastError,
  RejectedError,
  type AcceptOptions,
  type ConnectionRequest,
  type ConnectOptions,
  type DeviceOptions,
  type Listener,
  type Offer,
  type QueuePair,
  type Rtr,
  type Transport,
} from '../../src/rdma/index.js'
import { Opcode } from '../../src/rdma/wire/ddp.js'
import { encodeMpa } from '../../src/rdma/wire/mpa.js'
import { FakeTimers } from '../layout/timers.js'
import { connected, pattern, sameBytes, turns, until } from './pair.js'
import { Tap } from './tap.js'

const MIB = 1 << 20

const newQp = (device: Device): QueuePair =>
  device.queuePair(device.protectionDomain(), { sendCq: device.completionQueue() })

/** A device that listens, and one that connects to it. */
class Hosts implements AsyncDisposable {
  readonly server: Device
  readonly client: Device
  listener!: Listener

  constructor(server: DeviceOptions = {}, client: DeviceOptions = {}) {
    this.server = new Device(server)
    this.client = new Device(client)
  }

  async listen(options = {}): Promise<this> {
    this.listener = await this.server.listen(options)
    return this
  }

  connect(qp = newQp(this.client), options: Partial<ConnectOptions> = {}) {
    const { host, port } = this.listener
    return this.client.connect(qp, { host, port, ...options })
  }

  async request(): Promise<ConnectionRequest> {
    const request = await this.listener.next()
    assert.ok(request !== null)
    return request
  }

  accept(request: ConnectionRequest, options: AcceptOptions = {}): QueuePair {
    const qp = newQp(this.server)
    request.accept(qp, options)
    return qp
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.client.close()
    this.server.close()
    return turns(2)
  }
}

/** Errors of a promise that nobody waits for yet. */
function failureOf(promise: Promise<unknown>): Promise<HoldfastError> {
  return promise.then(
    () => assert.fail('it did not fail'),
    (error: unknown) => error as HoldfastError,
  )
}

// ---- private data ------------------------------------------------------------------------------

for (const revision of [1, 2] as const) {
  test(`private data goes both ways, revision ${revision}, from none to as much as fits`, async () => {
    const most = revision === 1 ? 512 : 508
    for (const length of [0, 1, 192, most]) {
      await using hosts = await new Hosts().listen()
      const qp = newQp(hosts.client)
      const connecting = hosts.connect(qp, { privateData: pattern(length, 5), revision })
      const request = await hosts.request()
      sameBytes(request.privateData, pattern(length, 5), 'of the request')
      const accepted = hosts.accept(request, { privateData: pattern(length, 6) })
      await connecting
      sameBytes(qp.peerPrivateData, pattern(length, 6), 'of the reply')
      sameBytes(accepted.peerPrivateData, pattern(length, 5), 'at the queue pair')
    }
  })
}

test('private data that does not fit is EINVAL, and nothing is lost by it', async () => {
  await using hosts = await new Hosts().listen()
  const qp = newQp(hosts.client)
  const privateData = new Uint8Array(509)
  await assert.rejects(hosts.connect(qp, { privateData }), { code: 'EINVAL' })
  assert.equal(qp.state, 'idle')
  const connecting = hosts.connect(qp)
  const request = await hosts.request()
  const accepted = newQp(hosts.server)
  assert.throws(() => request.accept(accepted, { privateData }), { code: 'EINVAL' })
  assert.throws(() => request.reject(privateData), { code: 'EINVAL' })
  request.accept(accepted)
  await connecting
})

test('who is rejected is told why, and may try again with the same queue pair', async () => {
  await using hosts = await new Hosts().listen()
  const qp = newQp(hosts.client)
  for (const length of [0, 1, 508]) {
    const failing = failureOf(hosts.connect(qp))
    const request = await hosts.request()
    request.reject(pattern(length))
    request.reject(pattern(9))
    assert.equal(request.pending, false)
    assert.throws(() => request.accept(newQp(hosts.server)), { code: 'EINVAL' })
    const error = await failing
    assert.ok(error instanceof RejectedError)
    assert.equal(error.code, 'ECONNREFUSED')
    sameBytes(error.privateData, pattern(length), 'of the rejection')
    assert.equal(qp.state, 'idle')
    assert.equal(hosts.server.connections, 0)
  }
  const connecting = hosts.connect(qp)
  hosts.accept(await hosts.request())
  await connecting
  assert.equal(qp.state, 'connected')
  await assert.rejects(hosts.connect(qp), { code: 'EISCONN' })
})

// ---- what the two ends agree on ----------------------------------------------------------------

const BOTH = [true, false]

for (const crc of BOTH) {
  for (const theirs of BOTH) {
    for (const markers of BOTH) {
      for (const large of BOTH) {
        const what = `CRC ${crc}/${theirs}, markers here ${markers}, there ${!markers || !large}`
        test(`bytes arrive as they were: ${what}, long frames ${large}`, async () => {
          const server = { crc: theirs, markers: !markers || !large, large }
          await exchange({ crc, markers, large }, server, crc || theirs)
        })
      }
    }
  }
}

async function exchange(client: Offer, server: Offer, crc: boolean): Promise<void> {
  using pair = await connected(client, server)
  for (const { qp } of [pair.client, pair.server]) assert.equal(qp.agreed!.crc, crc)
  assert.equal(pair.client.qp.agreed!.receiveMarkers, client.markers)
  assert.equal(pair.server.qp.agreed!.receiveMarkers, server.markers)
  assert.equal(pair.client.qp.agreed!.sendMarkers, server.markers)
  const sizes = [0, 1, 2, 3, 4, 509, 512, 1428, 1429, 65_476, 300_001]
  const memory = new Uint8Array(MIB)
  const { remote } = pair.expose(memory)
  for (const size of sizes) {
    const bytes = pattern(size, size)
    const [message] = pair.server.receive(size)
    const [answer] = pair.client.receive(size)
    pair.client.post({ op: 'send', local: bytes })
    pair.server.post({ op: 'send', local: bytes })
    pair.client.post({ op: 'write', local: bytes, remote: remote(7) })
    const back = new Uint8Array(size)
    pair.client.post({ op: 'read', local: back, remote: remote(7) })
    assert.equal((await pair.server.received()).bytes, size)
    assert.equal((await pair.client.received()).bytes, size)
    for (let i = 0; i < 3; i++) assert.equal((await pair.client.sent()).status, 'SUCCESS')
    await pair.server.sent()
    for (const got of [message!, answer!, back]) sameBytes(got, bytes, `${size} bytes`)
  }
  const end = await pair.client.qp.disconnect()
  assert.equal(end.cause, 'disconnected')
}

test('either end speaks the revision that both do', async () => {
  for (const peerToPeer of BOTH) {
    using pair = await connected({ peerToPeer }, { revision: 2 })
    assert.equal(pair.server.qp.agreed!.revision, 2)
  }
  using pair = await connected({ revision: 1, crc: false }, { crc: false })
  assert.deepEqual(
    [pair.client, pair.server].map(({ qp }) => qp.agreed!.revision),
    [1, 1],
  )
  await pair.settle()
})

test('who speaks revision 1 alone rejects a Request of revision 2, and says so to its program', async () => {
  await using hosts = await new Hosts().listen()
  const failing = failureOf(hosts.connect())
  const request = await hosts.request()
  assert.throws(() => hosts.accept(request, { revision: 1 }), { code: 'EPROTO' })
  const error = await failing
  assert.ok(error instanceof RejectedError, String(error))
})

const RTRS: readonly [Rtr, first: number][] = [
  ['write', Opcode.write],
  ['read', Opcode.readRequest],
  ['send', Opcode.send],
]

for (const [rtr, first] of RTRS) {
  test(`a responder may speak first where both ends agree: RTR ${rtr}`, async () => {
    const tap = new Tap()
    await using hosts = await new Hosts({}, { transport: tap }).listen()
    const qp = newQp(hosts.client)
    const connecting = hosts.connect(qp, { rtrs: [rtr] })
    const accepted = newQp(hosts.server)
    // An RTR that is a Send takes a receive, as every Send does.
    if (rtr === 'send') accepted.postReceive({ id: 'rtr' })
    const into = new Uint8Array(8)
    qp.postReceive({ into })
    ;(await hosts.request()).accept(accepted, { rtrs: ['send', 'read', 'write'] })
    accepted.postSend({ op: 'send', local: pattern(8) })
    await connecting
    assert.equal(qp.agreed!.rtr, rtr)
    await Promise.all([qp.established, accepted.established])
    await until(() => into[7] === pattern(8)[7], 'the first word')
    assert.equal(tap.opcodes(true)[0], first)
    assert.equal(tap.seen.find(({ sent }) => sent)!.payload, rtr === 'read' ? 28 : 0)
    assert.equal((await qp.disconnect()).cause, 'disconnected')
    assert.equal((await accepted.closed).cause, 'disconnected')
  })
}

test('two ends without a common RTR do not connect, and both programs hear it', async () => {
  await using hosts = await new Hosts().listen()
  const failing = failureOf(hosts.connect(undefined, { rtrs: ['send'] }))
  const request = await hosts.request()
  assert.throws(() => hosts.accept(request, { rtrs: ['read', 'write'] }), { code: 'EPROTO' })
  assert.ok((await failing) instanceof RejectedError)
})

test('without peer-to-peer a responder keeps what it posts until the initiator has spoken', async () => {
  const tap = new Tap()
  await using hosts = await new Hosts({ transport: tap }).listen()
  const qp = newQp(hosts.client)
  const into = new Uint8Array(8)
  qp.postReceive({ into })
  const connecting = hosts.connect(qp, { peerToPeer: false })
  const accepted = hosts.accept(await hosts.request())
  let established = false
  void accepted.established.then(() => (established = true))
  await connecting
  assert.equal(accepted.agreed!.rtr, null)
  accepted.postSend({ op: 'send', local: pattern(8) })
  await turns(20)
  assert.deepEqual([established, tap.opcodes(true)], [false, []])
  qp.postSend({ op: 'write', local: [], remote: { stag: 0, address: 0 } })
  await accepted.established
  await until(() => into[0] === pattern(8)[0], 'the message')
  await qp.established
})

// ---- how many ----------------------------------------------------------------------------------

test('a listener sets as many up at a time as its backlog says; others wait', async () => {
  await using hosts = await new Hosts().listen({ backlog: 2 })
  const qps = Array.from({ length: 5 }, () => newQp(hosts.client))
  const settled = Promise.allSettled(qps.map((qp) => hosts.connect(qp)))
  const [first, second] = [await hosts.request(), await hosts.request()]
  let third = false
  const waiting = hosts.request().then((request) => {
    third = true
    return request
  })
  await turns(20)
  assert.deepEqual([third, hosts.server.connections], [false, 2])
  hosts.accept(first)
  hosts.accept(await waiting)
  second.reject()
  for (let i = 0; i < 2; i++) hosts.accept(await hosts.request())
  const results = await settled
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 4)
})

test('many connections that are set up at a time are no leak to be warned of', async () => {
  const warnings: Error[] = []
  const warned = (warning: Error) => warnings.push(warning)
  process.on('warning', warned)
  await using hosts = await new Hosts().listen()
  const silent = Array.from({ length: 20 }, () => raw(hosts.listener.port))
  await until(() => hosts.server.connections === 20, 'all of them')
  await turns(3)
  process.off('warning', warned)
  assert.deepEqual(warnings, [])
  for (const one of silent) one.destroy()
})

test('streams that say nothing hold no more than the backlog, and five seconds', async () => {
  const timers = new FakeTimers()
  await using hosts = await new Hosts({ timers }).listen({ backlog: 3 })
  const failures: string[] = []
  hosts.listener.onFailure = (_, error) => failures.push((error as HoldfastError).code)
  const silent = Array.from({ length: 4 }, () => raw(hosts.listener.port))
  await until(() => hosts.server.connections === 3, 'three of them')
  const connecting = hosts.connect()
  await turns(10)
  assert.equal(hosts.server.connections, 3)
  await timers.pass(5000)
  await until(() => failures.length === 3, 'that they are given up')
  assert.deepEqual(failures, ['ETIMEDOUT', 'ETIMEDOUT', 'ETIMEDOUT'])
  hosts.accept(await hosts.request())
  await connecting
  for (const socket of silent) socket.destroy()
})

test('a device has as many connections as it may, and makes or takes no more', async () => {
  await using hosts = await new Hosts({ maxConnections: 2 }, { maxConnections: 3 }).listen()
  const qps = Array.from({ length: 4 }, () => newQp(hosts.client))
  const connecting = qps.map((qp) => hosts.connect(qp))
  assert.equal((await failureOf(connecting[3]!)).code, 'EAGAIN')
  const accepted = [hosts.accept(await hosts.request()), hosts.accept(await hosts.request())]
  await turns(20)
  assert.equal(hosts.server.connections, 2)
  await accepted[0]!.disconnect()
  hosts.accept(await hosts.request())
  await Promise.all(connecting.slice(0, 3))
  await until(() => hosts.client.connections === 2, 'that the first is over')
  const more = hosts.connect(qps[3])
  await qps[1]!.disconnect()
  hosts.accept(await hosts.request())
  await more
})

// ---- giving up ---------------------------------------------------------------------------------

const NEVER: Transport = {
  connect: (_host, _port, signal) =>
    new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error))
    }),
  listen: () => Promise.reject(new Error('it only connects')),
}

const GIVING_UP: readonly [
  what: string,
  (hosts: Hosts, qp: QueuePair, c: AbortController) => void,
][] = [
  ['its signal', (_, __, controller) => controller.abort(new Error('no more'))],
  ['its device', ({ client }) => client.close()],
  ['its queue pair', (_, qp) => qp.abort()],
]

for (const [what, giveUp] of GIVING_UP) {
  test(`connecting ends with ${what} at once, whatever it waits for`, async () => {
    for (const stage of ['before', 'tcp', 'reply'] as const) {
      const timers = new FakeTimers()
      const transport = stage === 'tcp' ? { transport: NEVER } : {}
      await using hosts = await new Hosts({}, { timers, ...transport }).listen()
      const controller = new AbortController()
      const qp = newQp(hosts.client)
      if (stage === 'before') giveUp(hosts, qp, controller)
      const failing = failureOf(hosts.connect(qp, { signal: controller.signal }))
      const request = stage === 'reply' ? await hosts.request() : null
      if (stage !== 'before') giveUp(hosts, qp, controller)
      const error = await failing
      const codes = { 'its signal': undefined, 'its device': 'EBADF' } as Record<string, unknown>
      const code = codes[what] ?? (stage === 'before' ? 'EISCONN' : 'ECONNABORTED')
      if (what === 'its signal') assert.equal(error.message, 'no more')
      else assert.equal(error.code, code, `${stage}: ${error.message}`)
      assert.equal(qp.state, what === 'its queue pair' ? 'closed' : 'idle')
      assert.deepEqual([hosts.client.connections, timers.waiting], [0, 0], stage)
      if (request === null) continue
      await turns(3)
      assert.throws(() => hosts.accept(request), { code: 'ECONNRESET' })
      assert.equal(hosts.server.connections, 0)
    }
  })
}

test('a signal that comes when the connection stands changes nothing', async () => {
  await using hosts = await new Hosts().listen()
  const controller = new AbortController()
  const qp = newQp(hosts.client)
  const connecting = hosts.connect(qp, { signal: controller.signal })
  hosts.accept(await hosts.request())
  await connecting
  controller.abort()
  await turns(5)
  assert.equal(qp.state, 'connected')
})

test('a listener that is closed takes nothing more, and lets go of what waits', async () => {
  const timers = new FakeTimers()
  await using hosts = await new Hosts({ timers }).listen()
  const silent = raw(hosts.listener.port)
  await until(() => hosts.server.connections === 1, 'the silent one')
  const qp = newQp(hosts.client)
  const accepting = hosts.connect(qp)
  const accepted = hosts.accept(await hosts.request())
  await accepting
  const answered = failureOf(hosts.connect())
  const request = await hosts.request()
  const queued = failureOf(hosts.connect())
  await until(() => hosts.server.connections === 4, 'the last one')
  await turns(3)
  hosts.listener.close()
  hosts.listener.close()
  assert.equal(await hosts.listener.next(), null)
  assert.equal(timers.waiting, 0, 'nothing waits for an answer that comes too late')
  assert.ok((await answered) instanceof RejectedError)
  assert.ok((await queued) instanceof RejectedError)
  assert.equal(request.pending, false)
  assert.throws(() => hosts.accept(request), { code: 'EINVAL' })
  const refused = await failureOf(hosts.connect())
  assert.equal(refused.code, 'ECONNREFUSED')
  assert.equal(hosts.server.connections, 1)
  assert.equal(accepted.state, 'connected', 'what was accepted lives on')
  request.reject()
  silent.destroy()
})

test('a request that nobody answers is rejected after ten seconds', async () => {
  const timers = new FakeTimers()
  await using hosts = await new Hosts({ timers }).listen()
  const failing = failureOf(hosts.connect())
  const request = await hosts.request()
  await timers.pass(10_000)
  assert.equal(request.pending, false)
  assert.ok((await failing) instanceof RejectedError)
})

test('the stream of who is rejected ends when it ends it, or after two seconds', async () => {
  const timers = new FakeTimers()
  await using hosts = await new Hosts({ timers }).listen()
  const flags = { markers: false, crc: true, reject: false, large: false }
  const request = { kind: 'request', revision: 1, enhanced: null, ...flags } as const
  for (const leaves of [true, false]) {
    const frame = encodeMpa({ ...request, privateData: pattern(4) })
    const socket = raw(hosts.listener.port, frame)
    let ended = false
    socket.on('end', () => (ended = true))
    const asked = await hosts.request()
    asked.reject(pattern(3))
    await until(() => socket.bytesRead === frame.length - 1, 'the Reply')
    await turns(3)
    assert.equal(ended, false)
    assert.equal(hosts.server.connections, 0)
    if (leaves) socket.end()
    else await timers.pass(2000)
    await until(() => ended, 'the end of the stream')
    assert.equal(timers.waiting, 0)
  }
})

test('a device that is closed listens and connects no more', async () => {
  await using hosts = await new Hosts().listen()
  hosts.server.close()
  await assert.rejects(hosts.server.listen(), { code: 'EBADF' })
  await assert.rejects(hosts.server.connect(newQp(hosts.server), { host: '127.0.0.1', port: 1 }), {
    code: 'EBADF',
  })
  const device = new Device()
  const listening = failureOf(device.listen())
  device.close()
  assert.equal((await listening).code, 'EBADF')
})

// ---- others ------------------------------------------------------------------------------------

function raw(port: number, first: string | Uint8Array = ''): Socket {
  const socket = connectRaw(port, '127.0.0.1', () => socket.write(first))
  socket.on('error', () => {})
  socket.resume()
  return socket
}

/** What becomes of connecting to something that answers like this. */
async function connectTo(answer: (socket: Socket) => void, timers?: FakeTimers): Promise<string> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    answer(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  using device = new Device(timers === undefined ? {} : { timers })
  const qp = newQp(device)
  const failing = failureOf(device.connect(qp, { host: '127.0.0.1', port }))
  if (timers !== undefined) {
    await until(() => timers.waiting > 0, 'the Request')
    await timers.pass(10_000)
  }
  const { code } = await failing
  assert.equal(qp.state, 'idle')
  assert.equal(device.connections, 0)
  server.close()
  return code
}

test('a server that speaks something else is EPROTO; one that goes, or is silent, says so', async () => {
  const http = 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'
  assert.equal(await connectTo((socket) => socket.end(http)), 'EPROTO')
  assert.equal(await connectTo((socket) => socket.write('S')), 'EPROTO')
  assert.equal(await connectTo((socket) => socket.write('MPA ID Req Frame')), 'EPROTO')
  assert.equal(await connectTo((socket) => socket.end()), 'ECONNRESET')
  assert.equal(await connectTo((socket) => socket.end('MPA ID Rep')), 'ECONNRESET')
  const afterRequest = (socket: Socket) => socket.once('data', () => socket.resetAndDestroy())
  assert.equal(await connectTo(afterRequest), 'ECONNRESET')
  assert.equal(await connectTo(() => {}, new FakeTimers()), 'ETIMEDOUT')
  const half = (socket: Socket) => socket.write('MPA ID Rep')
  assert.equal(await connectTo(half, new FakeTimers()), 'ETIMEDOUT')
})

test('a client that speaks something else is let go, and the listener says who and why', async () => {
  await using hosts = await new Hosts().listen()
  const failures: string[] = []
  hosts.listener.onFailure = (peer, error) => {
    assert.match(peer, /^127\.0\.0\.1:\d+$/)
    failures.push((error as HoldfastError).code)
  }
  const wrong = ['GET / HTTP/1.1\r\n', 'MPA ID Rep Frame', Buffer.alloc(20)]
  for (const first of wrong) {
    const socket = raw(hosts.listener.port, first)
    await new Promise((resolve) => socket.once('close', resolve))
    assert.equal(failures.pop(), 'EPROTO')
  }
  const socket = raw(hosts.listener.port, 'MPA ID Req')
  socket.end()
  await new Promise((resolve) => socket.once('close', resolve))
  await until(() => failures.pop() === 'ECONNRESET', 'that it went')
  assert.equal(hosts.server.connections, 0)
  const connecting = hosts.connect()
  hosts.accept(await hosts.request())
  await connecting
})

test('an initiator that speaks before it has a Reply is not accepted', async () => {
  await using hosts = await new Hosts().listen()
  const request = Buffer.alloc(20)
  request.write('MPA ID Req Frame')
  request[17] = 1
  const socket = raw(hosts.listener.port, Buffer.concat([request, Buffer.from([0])]))
  const asked = await hosts.request()
  await turns(3)
  assert.throws(() => hosts.accept(asked), { code: 'EPROTO' })
  await new Promise((resolve) => socket.once('close', resolve))
  assert.equal(hosts.server.connections, 0)
})

test('nobody listens: ECONNREFUSED, and the queue pair is as it was', async () => {
  await using hosts = await new Hosts().listen()
  hosts.listener.close()
  const qp = newQp(hosts.client)
  qp.postReceive({ into: new Uint8Array(8) })
  await assert.rejects(hosts.connect(qp), { code: 'ECONNREFUSED' })
  assert.equal(qp.state, 'idle')
})
