/** Queue pairs: the order in which work is done and told, and how it ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Completion, CompletionQueue, type Status, type Work } from '../../src/rdma/index.js'
import { Opcode } from '../../src/rdma/wire/ddp.js'
import { DdpError, RdmapError } from '../../src/rdma/wire/terminate.js'
import { FakeTimers } from '../layout/timers.js'
import {
  connected,
  connectSides,
  next,
  NOWHERE,
  Pair,
  pattern,
  sameBytes,
  Side,
  statuses,
  turn,
  turns,
  until,
} from './pair.js'
import { Tap } from './tap.js'

const KIB = 1024
const MIB = 1024 * KIB

// ---- order -------------------------------------------------------------------------------------

test('work completes in the order in which it was posted, whatever it waits for', async () => {
  using pair = await connected()
  const { client } = pair
  const { remote } = pair.expose(pattern(8 * MIB))
  const words = pair.expose(new Uint8Array(64))
  pair.server.receive(...Array.from({ length: 40 }, () => 16))
  const posted: string[] = []
  for (let i = 0; i < 120; i++) {
    const id = `${i}`
    posted.push(`${id} SUCCESS`)
    const local = new Uint8Array(i % 7 === 0 ? MIB : 8)
    const kinds: Work[] = [
      { op: 'write', id, local, remote: remote(0) },
      { op: 'read', id, local, remote: remote(i * 8) },
      { op: 'send', id, local: new Uint8Array(8) },
      { op: 'fetchAdd', id, local: new Uint8Array(8), add: 1, remote: words.remote(8) },
      { op: 'read', id, local: [], remote: NOWHERE },
      { op: 'localInvalidate', id, region: client.domain.register(new Uint8Array(1)) },
    ]
    client.post(kinds[i % kinds.length]!)
  }
  assert.deepEqual(await statuses(client.sendCq, 120), posted)
})

test('messages come in the order in which they were sent, and behind the Writes before them', async () => {
  using pair = await connected()
  const memory = new Uint8Array(256 * KIB)
  const { remote } = pair.expose(memory)
  const count = 60
  const into = pair.server.receive(...Array.from({ length: count }, () => 4))
  for (let i = 1; i <= count; i++) {
    pair.client.post({
      op: 'write',
      local: new Uint8Array(memory.length).fill(i),
      remote: remote(0),
    })
    pair.client.post({ op: 'send', id: i, local: Uint8Array.of(i, 0, i) })
  }
  for (let i = 1; i <= count; i++) {
    const { id, bytes, status } = await pair.server.received()
    assert.deepEqual([id, bytes, status], [i - 1, 3, 'SUCCESS'])
    assert.deepEqual([...into[i - 1]!], [i, 0, i, 0])
    assert.ok(memory[0]! >= i && memory.at(-1)! >= i, `the Write before message ${i} is there`)
  }
})

test('a Read sees what was written before it by the same end', async () => {
  using pair = await connected()
  const { remote } = pair.expose(new Uint8Array(MIB))
  for (let i = 1; i <= 20; i++) {
    const into = new Uint8Array(MIB)
    pair.client.post({ op: 'write', local: new Uint8Array(MIB).fill(i), remote: remote(0) })
    pair.client.post({ op: 'read', local: into, remote: remote(0) })
    assert.deepEqual([into.indexOf(i), (await pair.client.sent()).op], [-1, 'write'])
    await pair.client.sent()
    assert.ok(into.every((byte) => byte === i))
  }
})

test('what is fenced begins when the Reads and Atomics before it have completed', async () => {
  for (const fence of [true, false]) {
    const tap = new Tap()
    using pair = await connected({ transport: tap })
    const { remote } = pair.expose(new Uint8Array(256 * KIB))
    pair.client.post({ op: 'read', local: new Uint8Array(256 * KIB), remote: remote(0) })
    pair.client.post({ op: 'fetchAdd', local: new Uint8Array(8), add: 1, remote: remote(0) })
    pair.client.post({ op: 'write', local: new Uint8Array(8), remote: remote(8), fence })
    await statuses(pair.client.sendCq, 3)
    const written = tap.seen.findLastIndex(
      ({ sent, opcode, payload }) => sent && opcode === Opcode.write && payload === 8,
    )
    const answered = tap.seen.findIndex(({ opcode }) => opcode === Opcode.atomicResponse)
    assert.equal(written > answered, fence, `fence ${fence}`)
  }
})

// ---- how many at a time ------------------------------------------------------------------------

const DEPTHS: readonly [ord: number, ird: number][] = [
  [1, 16],
  [3, 16],
  [16, 2],
  [128, 128],
]

for (const [ord, ird] of DEPTHS) {
  test(`with ORD ${ord} and IRD ${ird} so many requests are on the wire, and no more`, async () => {
    const tap = new Tap()
    const server = new Tap()
    using pair = await connected({ transport: tap, ord }, { ird, transport: server })
    const most = Math.min(ord, ird)
    assert.equal(pair.client.qp.agreed!.ord, most)
    assert.equal(pair.server.qp.agreed!.ird, most)
    const { remote } = pair.expose(pattern(64 * KIB))
    const count = 200
    // Nothing is answered before all that may be asked was.
    server.room = 0
    for (let i = 0; i < count; i++) {
      const local = new Uint8Array(8)
      if (i % 3 === 0) pair.client.post({ op: 'fetchAdd', local, add: 0, remote: remote(8 * i) })
      else pair.client.post({ op: 'read', local, remote: remote(8 * i) })
    }
    const requests = [Opcode.readRequest, Opcode.atomicRequest]
    const isRequest = (opcode: number) => requests.includes(opcode as 1)
    await until(() => server.opcodes(false).filter(isRequest).length === most, 'the first requests')
    await turns(5)
    assert.equal(tap.opcodes(true).filter(isRequest).length, most, 'asked before an answer')
    server.give(Infinity)
    await statuses(pair.client.sendCq, count)
    const responses = [Opcode.readResponse, Opcode.atomicResponse]
    assert.equal(tap.mostOutstanding(requests, responses), most)
    assert.equal(tap.opcodes(true).filter(isRequest).length, count)
  })
}

test('Reads that the peer serves none of are refused here, and hold up nothing', async () => {
  using pair = await connected({ ord: 0 })
  pair.server.receive(8)
  const local = new Uint8Array(8)
  for (const work of [
    { op: 'read', local, remote: NOWHERE },
    { op: 'fetchAdd', local, add: 1, remote: NOWHERE },
    { op: 'compareSwap', local, compare: 1, swap: 2, remote: NOWHERE },
  ] as const) {
    assert.throws(() => pair.client.post(work), { code: 'EOPNOTSUPP' })
  }
  assert.equal((await pair.client.done({ op: 'send', local })).status, 'SUCCESS')
  assert.equal((await pair.client.qp.disconnect()).cause, 'disconnected')
})

// ---- completions -------------------------------------------------------------------------------

test('a Write or Send is done when the stream has all of it, and not before', async () => {
  const tap = new Tap()
  using pair = await connected({ transport: tap })
  const { remote } = pair.expose(new Uint8Array(MIB))
  pair.server.receive(MIB)
  await pair.settle()
  tap.room = 0
  pair.client.post({ op: 'write', id: 'small', local: new Uint8Array(8), remote: remote(0) })
  await turns(5)
  assert.equal(pair.client.sendCq.length, 0, 'what is framed is not done')
  tap.give(1000)
  assert.deepEqual(await statuses(pair.client.sendCq, 1), ['small SUCCESS'])
  pair.client.post({ op: 'write', id: 'w', local: new Uint8Array(MIB), remote: remote(0) })
  pair.client.post({ op: 'send', id: 's', local: new Uint8Array(MIB) })
  await turns(5)
  assert.equal(pair.client.sendCq.length, 0, 'nothing is done')
  tap.give(MIB + 100_000)
  assert.deepEqual(await statuses(pair.client.sendCq, 1), ['w SUCCESS'])
  await turns(5)
  assert.equal(pair.client.sendCq.length, 0, 'the Send is not')
  tap.give(MIB)
  assert.deepEqual(await statuses(pair.client.sendCq, 1), ['s SUCCESS'])
})

test('a peer that asks for much does not keep this end from sending', async () => {
  const tap = new Tap()
  using pair = await connected({}, { transport: tap })
  const { remote } = pair.expose(new Uint8Array(64 * KIB))
  await pair.settle()
  pair.client.receive(8)
  tap.room = 0
  for (let i = 0; i < 100; i++) {
    pair.client.post({ op: 'read', local: new Uint8Array(64 * KIB), remote: remote(0) })
  }
  const asked = () => tap.opcodes(false).filter((opcode) => opcode === Opcode.readRequest).length
  await until(() => asked() === 101, 'all Reads')
  pair.server.post({ op: 'send', local: new Uint8Array(8) })
  await turns(2)
  tap.give(Infinity)
  assert.equal((await pair.client.received()).status, 'SUCCESS')
  await statuses(pair.client.sendCq, 100)
  const at = tap.opcodes(true).indexOf(Opcode.send)
  assert.ok(at > 0 && at < 12, `the message went behind ${at} answers`)
})

test('who asks for more at a time than is served is refused', async () => {
  for (const depth of [2, 3]) {
    const tap = new Tap()
    // Revision 1 says nothing of it.
    using pair = await connected({ revision: 1, ord: depth }, { ird: 2, transport: tap })
    tap.room = 0
    for (let i = 0; i < depth; i++) pair.client.post({ op: 'read', local: [], remote: NOWHERE })
    const asked = () => tap.opcodes(false).filter((opcode) => opcode === Opcode.readRequest).length
    await until(() => asked() === depth, 'all Reads')
    await turns(2)
    tap.give(Infinity)
    if (depth > 2) await pair.refused(DdpError.noBuffer)
    else assert.deepEqual(await statuses(pair.client.sendCq, 2), ['null SUCCESS', 'null SUCCESS'])
  }
})

test('unsignaled work says nothing of its success, keeps no room, and tells its failure', async () => {
  using pair = await connected({ qp: { maxSend: 4 } })
  const { remote, region } = pair.expose(new Uint8Array(64))
  for (let i = 0; i < 50; i++) {
    const local = new Uint8Array(8)
    pair.client.post({ op: 'write', local, remote: remote(0), signaled: false })
    pair.client.post({ op: 'read', local, remote: remote(0), signaled: false })
    pair.client.post({ op: 'read', id: i, local: [], remote: NOWHERE })
    assert.equal((await pair.client.sent()).id, i)
    assert.equal(pair.client.qp.sendRoom, 4)
  }
  region.invalidate()
  const unsignaled = { local: new Uint8Array(8), remote: remote(0), signaled: false } as const
  pair.client.post({ op: 'read', id: 'refused', ...unsignaled })
  pair.client.post({ op: 'read', id: 'behind', ...unsignaled })
  assert.deepEqual(await statuses(pair.client.sendCq, 2), [
    'refused REM_ACCESS_ERR',
    'behind WR_FLUSH_ERR',
  ])
})

test('work has room again when its completion was taken, and not before', async () => {
  using pair = await connected({ qp: { maxSend: 3, maxReceive: 2 } })
  const { client } = pair
  const send = { op: 'write', local: [], remote: NOWHERE } as const
  for (let left = 3; left > 0; left--) {
    assert.equal(client.qp.sendRoom, left)
    client.post(send)
  }
  assert.throws(() => client.post(send), { code: 'ENOMEM' })
  await until(() => client.sendCq.length === 3, 'all completions')
  assert.throws(() => client.post(send), { code: 'ENOMEM' })
  assert.equal(client.sendCq.poll([new Completion(), new Completion()]), 2)
  assert.equal(client.qp.sendRoom, 2)
  client.post(send)
  client.receive(8, 8)
  assert.throws(() => client.receive(8), { code: 'ENOMEM' })
  pair.server.post({ op: 'send', local: new Uint8Array(8) })
  await until(() => client.receiveCq.length === 1, 'a message')
  assert.throws(() => client.receive(8), { code: 'ENOMEM' })
  assert.equal((await client.received()).status, 'SUCCESS')
  assert.equal(client.qp.receiveRoom, 1)
  client.receive(8)
})

test('work that cannot be meant is EINVAL, and leaves the queue as it was', async () => {
  using pair = await connected({ qp: { maxSend: 2 } })
  const local = new Uint8Array(8)
  const wrong: Work[] = [
    { op: 'write', local, remote: { stag: -1, address: 0 } },
    { op: 'write', local, remote: { stag: 2 ** 32, address: 0 } },
    { op: 'write', local, remote: { stag: 1, address: 2 ** 53 } },
    { op: 'read', local, remote: { stag: 1, address: 0.5 } },
    { op: 'fetchAdd', local: new Uint8Array(4), add: 1, remote: NOWHERE },
    { op: 'fetchAdd', local, add: 0.5, remote: NOWHERE },
    { op: 'compareSwap', local, compare: 2 ** 60, swap: 1, remote: NOWHERE },
    { op: 'immediate', immediate: 2 ** 32 },
    { op: 'send', local, invalidate: 1.5 },
  ]
  for (const work of wrong) assert.throws(() => pair.client.post(work), { code: 'EINVAL' })
  assert.equal(pair.client.qp.sendRoom, 2)
  assert.equal(
    (await pair.client.done({ op: 'read', local: [], remote: NOWHERE })).status,
    'SUCCESS',
  )
  for (const depth of [0, 1.5, 2 ** 16 + 1]) {
    const sendCq = pair.client.sendCq
    for (const options of [{ maxSend: depth }, { maxReceive: depth }]) {
      const make = () => pair.client.device.queuePair(pair.client.domain, { sendCq, ...options })
      assert.throws(make, { code: 'EINVAL' })
    }
  }
})

test('a completion says what it is of: bytes, immediates, the queue pair', async () => {
  using pair = await connected()
  const { client, server } = pair
  const { remote } = pair.expose(new Uint8Array(64))
  server.receive(16, 0, 0, 4)
  const immediate = { immediate: 0xffff_fffe, immediateLow: 7 }
  client.post({ op: 'send', local: new Uint8Array(5) })
  client.post({ op: 'immediate', ...immediate })
  client.post({ op: 'writeImmediate', local: pattern(9), remote: remote(3), immediate: 1 })
  client.post({ op: 'send' })
  client.post({ op: 'read', local: new Uint8Array(12), remote: remote(0) })
  const told: unknown[] = []
  for (let i = 0; i < 5; i++) {
    const { op, bytes, qp } = await client.sent()
    assert.equal(qp, client.qp)
    told.push([op, bytes])
  }
  assert.deepEqual(told, [
    ['send', 0],
    ['immediate', 0],
    ['write', 0],
    ['send', 0],
    ['read', 12],
  ])
  const got: unknown[] = []
  for (let i = 0; i < 4; i++) {
    const one = await server.received()
    assert.deepEqual([one.qp, one.op], [server.qp, 'receive'])
    got.push([one.bytes, one.immediate, one.immediateLow])
  }
  assert.deepEqual(got, [
    [5, null, 0],
    [0, 0xffff_fffe, 7],
    [0, 1, 0],
    [0, null, 0],
  ])
})

test('solicited events wake who waits for them alone; so do failures', async () => {
  using pair = await connected()
  const { client, server } = pair
  const woken: string[] = []
  const wait = (what: string, options = {}) =>
    void server.receiveCq.wait(options).then(() => woken.push(what))
  const local = new Uint8Array(1)
  server.receive(1, 1, 1, 1)
  wait('any')
  wait('solicited', { solicited: true })
  client.post({ op: 'send', local })
  await until(() => server.receiveCq.length === 1, 'a message')
  await turn()
  assert.deepEqual(woken.splice(0), ['any'])
  client.post({ op: 'send', local, solicited: true })
  await until(() => server.receiveCq.length === 2, 'a solicited message')
  await turn()
  assert.deepEqual(woken.splice(0), ['solicited'])
  // It is there: nobody who comes later sleeps over it.
  wait('later', { solicited: true })
  await turn()
  assert.deepEqual(woken.splice(0), ['later'])
  assert.equal((await server.received()).solicited, false)
  assert.equal((await server.received()).solicited, true)
  wait('failure', { solicited: true })
  client.post({ op: 'send', local })
  await until(() => server.receiveCq.length === 1, 'a third message')
  await turn()
  assert.deepEqual(woken, [], 'a message that is not solicited')
  client.qp.abort()
  await server.qp.closed
  await turn()
  assert.deepEqual(woken, ['failure'])
})

test('one completion queue serves many queue pairs, and forgets those that are done', async () => {
  const cq = new CompletionQueue()
  for (let round = 0; round < 3; round++) {
    const pairs: Pair[] = []
    for (let i = 0; i < 20; i++) {
      const client = new Side({ qp: { maxReceive: 4 } })
      const server = new Side({ qp: { sendCq: cq, receiveCq: cq, maxSend: 4, maxReceive: 4 } })
      pairs.push(await connectSides(new Pair(client, server)))
    }
    for (const { client, server } of pairs) {
      server.receive(4, 4)
      client.receive(4)
      client.post({ op: 'send', local: new Uint8Array(4) })
      server.post({ op: 'send', id: 'back', local: new Uint8Array(4) })
    }
    const by = new Map<unknown, string[]>()
    for (let i = 0; i < 2 * pairs.length; i++) {
      const { qp, op, status } = await next(cq)
      assert.equal(status, 'SUCCESS')
      by.set(qp, [...(by.get(qp) ?? []), op])
    }
    for (const { server } of pairs) {
      assert.deepEqual(by.get(server.qp)?.sort(), ['receive', 'send'])
    }
    for (const pair of pairs) pair.close()
    for (let i = 0; i < pairs.length; i++) assert.equal((await next(cq)).status, 'WR_FLUSH_ERR')
    // One that is posted to after its end is told of like all others.
    const [first] = pairs
    first!.server.receive(1, 2, 3, 4)
    for (let i = 0; i < 4; i++) assert.equal((await next(cq)).qp, first!.server.qp)
    assert.equal(cq.length, 0)
  }
})

test('a queue pair that is posted to after its end takes nobody’s room', async () => {
  const cq = new CompletionQueue()
  const qp = { sendCq: cq, receiveCq: cq, maxSend: 1, maxReceive: 1 }
  const sides = [new Side({ qp }), new Side({ qp })] as const
  for (const side of sides) {
    using pair = await connectSides(new Pair(new Side(), side))
    pair.client.receive(8)
    side.receive(8)
    side.post({ op: 'send', local: new Uint8Array(8) })
    if (side === sides[0]) {
      assert.equal((await next(cq)).status, 'SUCCESS')
      side.qp.abort()
      assert.equal((await next(cq)).status, 'WR_FLUSH_ERR')
    }
  }
  await until(() => cq.length === 2, 'all of the second')
  for (const { qp: ended } of sides.slice(0, 1)) {
    ended.postSend({ op: 'send', id: 'late' })
    ended.postReceive({ id: 'late' })
  }
  await turn()
  const told = await statuses(cq, 4)
  assert.deepEqual(told.slice(2), ['late WR_FLUSH_ERR', 'late WR_FLUSH_ERR'])
})

test('a completion queue is iterated over, and its listener called once for a turn', async () => {
  using pair = await connected()
  let calls = 0
  pair.client.sendCq.listener = () => calls++
  for (let i = 0; i < 100; i++) {
    pair.client.post({ op: 'write', id: i, local: [], remote: NOWHERE })
  }
  let expected = 0
  for await (const { id } of pair.client.sendCq) {
    assert.equal(id, expected++)
    if (expected === 100) break
  }
  assert.equal(calls, 1)
  assert.equal(pair.client.sendCq.take(), null)
})

// ---- lists -------------------------------------------------------------------------------------

test('work gathers from a list and scatters to one, wherever segments are cut', async () => {
  for (const large of [true, false]) {
    using pair = await connected({ large })
    const { client, server } = pair
    const sizes = [0, 1, 7, 1424, 0, 1425, 4096, 65_490, 3]
    const bytes = sizes.reduce((sum, size) => sum + size)
    const all = pattern(bytes)
    let at = 0
    const from = sizes.map((size) => {
      const part = all.slice(at, (at += size))
      if (size % 2 === 0) return part
      const region = client.domain.register(Buffer.concat([Buffer.alloc(3), part]))
      return { region, offset: 3, length: size }
    })
    const into = new Uint8Array(bytes)
    at = 0
    const to = sizes.toReversed().map((size) => into.subarray(at, (at += size)))
    const region = server.domain.register(to[3]!, { access: ['localWrite'] })
    const list = to.map((part, i) => (i === 3 ? { region, offset: 0, length: part.length } : part))
    server.qp.postReceive({ into: list })
    client.post({ op: 'send', local: from })
    assert.equal((await server.received()).bytes, bytes)
    sameBytes(into, all, 'sent')

    const memory = new Uint8Array(bytes)
    const { remote } = pair.expose(memory)
    await client.sent()
    assert.equal(
      (await client.done({ op: 'write', local: from, remote: remote(0) })).status,
      'SUCCESS',
    )
    await pair.settle()
    sameBytes(memory, all, 'written')
    const back = new Uint8Array(bytes)
    at = 0
    const parts = sizes.map((size) => back.subarray(at, (at += size)))
    await client.done({ op: 'read', local: parts, remote: remote(0) })
    sameBytes(back, all, 'read')
  }
})

const WRONG_PARTS: [what: string, make: (side: Side) => Work['op'] | Work][] = [
  [
    'too long',
    ({ domain }) => write({ region: domain.register(new Uint8Array(8)), offset: 1, length: 8 }),
  ],
  [
    'before it',
    ({ domain }) => write({ region: domain.register(new Uint8Array(8)), offset: -1, length: 8 }),
  ],
  [
    'from the middle of a byte',
    ({ domain }) => write({ region: domain.register(new Uint8Array(8)), offset: 0.5, length: 4 }),
  ],
  [
    'up to the middle of a byte',
    ({ domain }) => write({ region: domain.register(new Uint8Array(8)), offset: 0, length: 4.5 }),
  ],
  [
    'of another domain',
    ({ device }) => {
      const region = device.protectionDomain().register(new Uint8Array(8))
      return write({ region, offset: 0, length: 8 })
    },
  ],
  [
    'invalidated',
    ({ domain }) => {
      const region = domain.register(new Uint8Array(8))
      region.invalidate()
      return write({ region, offset: 0, length: 8 })
    },
  ],
  [
    'not to be changed here',
    ({ domain }) => {
      const region = domain.register(new Uint8Array(8))
      return { op: 'read', local: { region, offset: 0, length: 8 }, remote: NOWHERE }
    },
  ],
]

test('parts of regions that are not good for the work fail it, and nothing is sent of it', async () => {
  for (const [what, make] of WRONG_PARTS) {
    using pair = await connected()
    const memory = new Uint8Array(64)
    const { remote } = pair.expose(memory)
    const work = { ...(make(pair.client) as Work), remote: remote(0) } as Work
    pair.client.post({ op: 'write', id: 'before', local: pattern(8), remote: remote(8) })
    pair.client.post({ ...work, id: 'wrong' })
    pair.client.post({ op: 'send', id: 'behind' })
    const seen: [unknown, Status][] = []
    for (let i = 0; i < 3; i++) {
      const { id, status } = await pair.client.sent()
      seen.push([id, status])
    }
    assert.deepEqual(
      seen.slice(1),
      [
        ['wrong', 'LOC_PROT_ERR'],
        ['behind', 'WR_FLUSH_ERR'],
      ],
      what,
    )
    const [client, server] = await pair.ends()
    assert.deepEqual([client.cause, client.error], ['refused', RdmapError.catastrophic])
    assert.deepEqual([server.cause, server.error], ['terminated', RdmapError.catastrophic])
    assert.ok(
      memory.subarray(0, 8).every((byte) => byte === 0),
      'nothing of it was written',
    )
    sameBytes(memory.subarray(8, 16), pattern(8), 'what was posted before it')
  }
})

const write = (local: {
  region: ReturnType<Side['domain']['register']>
  offset: number
  length: number
}): Work => ({
  op: 'write',
  local,
  remote: NOWHERE,
})

// ---- receives ----------------------------------------------------------------------------------

test('a message that finds no receive ends the connection, unless it may wait', async () => {
  for (const work of [
    { op: 'send', local: new Uint8Array(8) },
    { op: 'immediate', immediate: 1 },
  ] as const) {
    using pair = await connected()
    pair.client.post(work)
    await pair.refused(DdpError.noBuffer)
  }
})

test('a message longer than its receive ends the connection, and says so of the receive', async () => {
  for (const length of [9, MIB]) {
    using pair = await connected()
    const [into] = pair.server.receive(8, 8)
    pair.client.post({ op: 'send', local: new Uint8Array(length).fill(1) })
    assert.deepEqual(await statuses(pair.server.receiveCq, 2), ['0 LOC_LEN_ERR', '1 WR_FLUSH_ERR'])
    await pair.refused(DdpError.tooLong)
    assert.ok(
      into!.every((byte) => byte === 0),
      'nothing of it was placed',
    )
  }
})

test('with patience, messages wait for receives: in order, and in bounded memory', async () => {
  const tap = new Tap()
  const patient = { transport: tap, qp: { receivePatience: 60_000 } }
  using pair = await connected({ qp: { maxSend: 64 } }, patient)
  const { client, server } = pair
  const count = 64
  for (let i = 0; i < count; i++) {
    client.post({ op: 'send', id: i, local: new Uint8Array(MIB).fill(i + 1) })
  }
  await until(() => server.qp.counters.receivedBytes > 0, 'the first message')
  await turns(50)
  const { receivedBytes } = server.qp.counters
  await turns(50)
  assert.equal(server.qp.counters.receivedBytes, receivedBytes, 'nothing is taken any more')
  assert.equal(tap.streams[0]!.wantsReading, false, 'nor looked for')
  assert.ok(receivedBytes <= 2 * MIB, `${receivedBytes} bytes are kept`)
  assert.ok(client.qp.counters.sentBytes < 32 * MIB, 'the sender has stopped')
  for (let i = 0; i < count; i++) {
    const [into] = server.receive(MIB)
    const { bytes, status } = await server.received()
    assert.deepEqual([bytes, status], [MIB, 'SUCCESS'])
    assert.ok(
      into!.every((byte) => byte === i + 1),
      `message ${i}`,
    )
  }
  assert.equal((await statuses(client.sendCq, count)).at(-1), `${count - 1} SUCCESS`)
})

test('small messages that came together are taken one for each receive that is posted', async () => {
  using pair = await connected({}, { qp: { receivePatience: 60_000 } })
  const { remote } = pair.expose(new Uint8Array(8))
  for (let i = 0; i < 10; i++) pair.client.post({ op: 'send', id: i, local: Uint8Array.of(i) })
  pair.client.post({ op: 'write', id: 'w', local: Uint8Array.of(7), remote: remote(0) })
  pair.client.post({ op: 'read', id: 'r', local: new Uint8Array(1), remote: remote(0) })
  await statuses(pair.client.sendCq, 11)
  for (const several of [1, 3, 4, 1]) {
    const into = pair.server.receive(...Array.from({ length: several }, () => 1))
    for (let i = 0; i < several; i++) assert.equal((await pair.server.received()).status, 'SUCCESS')
    assert.equal(pair.server.receiveCq.length, 0)
    assert.equal(pair.client.sendCq.length, 0, 'the Read is behind the messages')
    assert.equal(into.length, several)
  }
  pair.server.receive(1)
  await pair.server.received()
  assert.deepEqual(await statuses(pair.client.sendCq, 1), ['r SUCCESS'])
})

test('who has a message waiting sends and reads all the same', async () => {
  using pair = await connected({}, { qp: { receivePatience: 60_000 } })
  const { client, server } = pair
  client.receive(8)
  client.post({ op: 'send', local: new Uint8Array(8) })
  await until(() => server.qp.counters.receivedBytes > 0, 'the message')
  await turns(3)
  assert.equal((await server.done({ op: 'send', local: new Uint8Array(8) })).status, 'SUCCESS')
  assert.equal((await client.received()).status, 'SUCCESS')
  assert.equal(server.qp.state, 'connected')
  server.receive(8)
  assert.equal((await server.received()).status, 'SUCCESS')
})

test('patience ends: the message that waited is refused', async () => {
  const timers = new FakeTimers()
  using pair = await connected({}, { timers, qp: { receivePatience: 1000 } })
  pair.client.post({ op: 'send', local: new Uint8Array(8) })
  await until(() => pair.server.qp.counters.receivedBytes > 0, 'the message')
  await timers.pass(999)
  assert.equal(pair.server.qp.state, 'connected')
  await timers.pass(1)
  await pair.refused(DdpError.noBuffer)
})

test('patience that no timer has is EINVAL', () => {
  for (const receivePatience of [-1, 0.5, NaN, Infinity, 2 ** 31]) {
    assert.throws(() => new Side({ qp: { receivePatience } }), { code: 'EINVAL' })
  }
  new Side({ qp: { receivePatience: 2 ** 31 - 1 } }).qp.abort()
})

test('a connection that is closing waits for no peer for ever, whatever else it waited for', async () => {
  const timers = new FakeTimers()
  const patient = { qp: { receivePatience: 60_000 } }
  using pair = await connected(patient, { timers, ...patient })
  const { client, server } = pair
  await pair.settle()
  // The client has a message that waits, and does not see that the server is done.
  server.post({ op: 'send', local: new Uint8Array(8) })
  await until(() => client.qp.counters.receivedBytes > 20, 'the message')
  const closed = server.qp.disconnect()
  await server.sent()
  client.post({ op: 'send', local: new Uint8Array(8) })
  await client.sent()
  await turns(5)
  server.receive(8)
  assert.equal((await server.received()).status, 'SUCCESS')
  assert.equal(server.qp.state, 'connected')
  for (let i = 0; i < 2; i++) await timers.pass(5000)
  assert.equal((await closed).cause, 'lost')
  assert.equal(timers.waiting, 0)
})

test('a receive without memory gets it with its message, of one segment or of many', async () => {
  using pair = await connected()
  const { client, server } = pair
  for (const [i, length] of [0, 5, 100_000].entries()) {
    server.qp.postReceive({ id: i, length: 100_000 })
    client.post({ op: 'send', local: pattern(length, i) })
    const { id, status, bytes, message } = await server.received()
    assert.deepEqual([id, status, bytes], [i, 'SUCCESS', length])
    sameBytes(message!, pattern(length, i), `message ${i}`)
    await client.sent()
  }
  // One with memory of its own has none made for it.
  const [into] = server.receive(8)
  client.post({ op: 'send', local: pattern(8) })
  assert.equal((await server.received()).message, null)
  sameBytes(into!, pattern(8), 'where it was to go')
  server.qp.postReceive({ length: 7 })
  client.post({ op: 'send', local: pattern(8) })
  await pair.refused(DdpError.tooLong)
  assert.throws(() => server.qp.postReceive({ length: -1 }), { code: 'EINVAL' })
})
