/** What is given up, or taken away, in the middle of something: at once, and for good. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Device } from '../../src/rdma/device.js'
import { Fault, type MemorySource } from '../../src/rdma/source.js'
import { RdmapError } from '../../src/rdma/wire/terminate.js'
import type { Status } from '../../src/rdma/completion_queue.js'
import { SimulatedTime } from './simulated_time.js'
import { FAST, SimulatedNetwork, type Wire } from './simulated_transport.js'

/** How a promise stands, without waiting for it. */
function outcomeOf(promise: Promise<unknown>) {
  const outcome: { error: { code?: string } | null; settled: boolean } = {
    error: null,
    settled: false,
  }
  promise.then(
    () => (outcome.settled = true),
    (error: { code?: string }) => Object.assign(outcome, { settled: true, error }),
  )
  return outcome
}

const pairOf = (device: Device) =>
  device.queuePair(device.protectionDomain(), { sendCq: device.completionQueue() })

/** Two queue pairs that are connected. */
async function connected(wire: Wire) {
  const time = new SimulatedTime()
  const network = new SimulatedNetwork(time, 5)
  network.wire = wire
  const make = () => new Device({ transport: network.transport, timers: time })
  const [client, server] = [make(), make()]
  const listener = await server.listen()
  const queue = server.completionQueue()
  const initiator = pairOf(client)
  const responder = server.queuePair(server.protectionDomain(), { sendCq: queue })
  const connecting = client.connect(initiator, { host: 'there', port: listener.port })
  void listener.next().then((request) => request!.accept(responder))
  let open = false
  void connecting.then(() => (open = true))
  assert.ok(await time.until(() => open, 10_000))
  listener.close()
  return { time, client, server, initiator, responder, queue }
}

test('a region that ends in the middle of a Read is looked up no more, and not sent', async () => {
  const wire = { ...FAST, window: 4000, room: 4000, delay: 1 }
  const { time, client, server, initiator, responder } = await connected(wire)
  const length = 1 << 20
  const memory = new Uint8Array(length).fill(0x33)
  let looked = 0
  const source: MemorySource = {
    length,
    translate(offset, count, _store, pieces) {
      assert.ok(region.valid)
      looked += count
      pieces.add(memory, offset, count)
      return Fault.none
    },
  }
  const region = responder.domain.register(source, { access: ['remoteRead'] })
  const into = new Uint8Array(length)
  initiator.postSend({ op: 'read', local: into, remote: { stag: region.stag, address: 0 } })
  await time.until(() => into[100_000] === 0x33, 100_000)
  const before = looked
  region.invalidate()
  memory.fill(0x44)
  let end: unknown = null
  void initiator.closed.then((one) => (end = one))
  assert.ok(await time.until(() => end !== null, 100_000))
  assert.deepEqual((end as { error: unknown }).error, RdmapError.invalidStag)
  assert.equal(looked, before)
  assert.ok(looked < length)
  assert.equal(into.includes(0x44), false)
  await time.pass(10_000)
  assert.deepEqual([client.connections, server.connections, time.timers], [0, 0, 0])
})

test('a queue pair that is given up while it connects is not connected', async () => {
  const time = new SimulatedTime()
  const network = new SimulatedNetwork(time, 5)
  network.wire = { ...FAST, delay: 20 }
  const make = () => new Device({ transport: network.transport, timers: time })
  const [client, server] = [make(), make()]
  const listener = await server.listen()
  const serve = async () => {
    for await (const request of listener) {
      try {
        request.accept(pairOf(server))
      } catch (error) {
        // It has gone meanwhile.
        assert.equal((error as { code?: string }).code, 'ECONNRESET')
      }
    }
  }
  void serve()
  for (const after of [0, 1, 10, 30, 60]) {
    const qp = pairOf(client)
    const outcome = outcomeOf(client.connect(qp, { host: 'there', port: listener.port }))
    await time.pass(after)
    qp.abort()
    await time.pass(200)
    assert.equal(outcome.settled, true, `${after} ms`)
    assert.equal(qp.state, 'closed')
    assert.deepEqual([client.connections, server.connections, time.timers], [0, 0, 0])
  }
  server.close()
})

test('a program that gives a connection up when it is told of a message is left alone', async () => {
  const { time, client, server, initiator, responder, queue } = await connected(FAST)
  const access = ['localWrite', 'remoteWrite', 'remoteInvalidate'] as const
  const region = responder.domain.register(new Uint8Array(8), { access })
  const into = new Uint8Array(8)
  responder.postReceive({ id: 1, into })
  responder.postReceive({ id: 2, into })
  responder.onInvalidate = () => responder.abort()
  initiator.postSend({ op: 'send', local: new Uint8Array(8), invalidate: region.stag })
  await time.pass(100)
  const told: [unknown, Status][] = []
  for (let one = queue.take(); one !== null; one = queue.take()) told.push([one.id, one.status])
  assert.equal(told.length, 2)
  assert.deepEqual(new Set(told.map(([id]) => id)), new Set([1, 2]))
  assert.deepEqual([client.connections, server.connections], [0, 0])
})
