/** Memory regions: what a peer may reach, and what it is told of what it may not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Device, Fault, type AccessName, type Status, type Work } from '../../src/rdma/index.js'
import type { MemoryRegion, MemorySource } from '../../src/rdma/index.js'
import { DdpError, RdmapError, type ErrorCode } from '../../src/rdma/wire/terminate.js'
import { connected, pattern, sameBytes, until, type Pair } from './pair.js'

const KIB = 1024
const MIB = 1024 * KIB
/** More than the kernel takes at once. */
const LARGE = 32 * MIB
const ALL: readonly AccessName[] = ['localWrite', 'remoteWrite', 'remoteRead', 'remoteAtomic']

type Op = 'write' | 'read' | 'fetchAdd' | 'compareSwap'
const OPS: readonly Op[] = ['write', 'read', 'fetchAdd', 'compareSwap']
const RIGHT = {
  write: 'remoteWrite',
  read: 'remoteRead',
  fetchAdd: 'remoteAtomic',
  compareSwap: 'remoteAtomic',
} as const satisfies Record<Op, AccessName>

/** One operation on eight bytes of the peer. */
function work(op: Op, stag: number, address: number | bigint, local: Uint8Array): Work {
  const common = { id: op, local, remote: { stag, address } }
  if (op === 'fetchAdd') return { ...common, op, add: 1 }
  if (op === 'compareSwap') return { ...common, op, compare: 0, swap: 1 }
  return { ...common, op }
}

interface Wrong {
  readonly what: string
  readonly access?: readonly AccessName[]
  readonly address?: number
  /** Where the operation goes, from the beginning of the region. */
  readonly at?: number | bigint
  readonly prepare?: (pair: Pair, region: MemoryRegion) => void
  readonly stag?: (pair: Pair, region: MemoryRegion) => number
  /** What is said of a Write, and of all others. */
  readonly placing: ErrorCode
  readonly fetching: ErrorCode
}

const BASE = 2 ** 40
const LENGTH = 4096

const WRONG: readonly Wrong[] = [
  {
    what: 'an STag that nobody has',
    stag: (_, region) => region.stag ^ 0x5a5a_5a5a,
    placing: DdpError.invalidStag,
    fetching: RdmapError.invalidStag,
  },
  {
    what: 'an STag of which one bit is another',
    stag: (_, region) => (region.stag ^ 1) >>> 0,
    placing: DdpError.invalidStag,
    fetching: RdmapError.invalidStag,
  },
  {
    what: 'STag 0',
    stag: () => 0,
    placing: DdpError.invalidStag,
    fetching: RdmapError.invalidStag,
  },
  {
    what: 'a region that was invalidated',
    prepare: (_, region) => region.invalidate(),
    placing: DdpError.invalidStag,
    fetching: RdmapError.invalidStag,
  },
  {
    what: 'a region of another protection domain',
    stag: ({ server }) =>
      server.device
        .protectionDomain()
        .register(new Uint8Array(LENGTH), { access: ALL, address: BASE }).stag,
    placing: DdpError.stagNotOfStream,
    fetching: RdmapError.stagNotOfStream,
  },
  {
    what: 'bytes before the region',
    at: -8,
    placing: DdpError.bounds,
    fetching: RdmapError.bounds,
  },
  {
    what: 'bytes of which the last is past the region',
    address: BASE + 7,
    at: LENGTH - 7,
    placing: DdpError.bounds,
    fetching: RdmapError.bounds,
  },
  {
    what: 'bytes behind the region',
    at: LENGTH,
    placing: DdpError.bounds,
    fetching: RdmapError.bounds,
  },
  {
    what: 'an offset that is the region’s modulo 2^32',
    at: 2 ** 32,
    placing: DdpError.bounds,
    fetching: RdmapError.bounds,
  },
  {
    what: 'an offset that is the region’s modulo 2^53',
    at: 1n << 53n,
    placing: DdpError.bounds,
    fetching: RdmapError.bounds,
  },
  {
    what: 'bytes that end at 2^64',
    at: (1n << 64n) - 8n - BigInt(BASE),
    placing: DdpError.bounds,
    fetching: RdmapError.bounds,
  },
]

for (const wrong of WRONG) {
  for (const op of OPS) {
    test(`${op}: ${wrong.what} is refused, and no byte moves`, async () => {
      using pair = await connected()
      await refuses(pair, op, wrong)
    })
  }
}

async function refuses(pair: Pair, op: Op, wrong: Wrong): Promise<void> {
  const { access = ALL, address = BASE, at = 0, placing, fetching } = wrong
  const memory = pattern(LENGTH)
  const region = pair.server.domain.register(memory, { access, address })
  wrong.prepare?.(pair, region)
  const stag = wrong.stag?.(pair, region) ?? region.stag
  const to = typeof at === 'bigint' ? BigInt(address) + at : address + at
  const local = pattern(8, 99)
  pair.client.post(work(op, stag >>> 0, to, local))
  pair.client.post({ op: 'read', id: 'behind', local: [], remote: { stag: 0, address: 0 } })
  const first = await pair.client.sent()
  // A Write is done when it is on its way: whoever posted it hears of it by the end.
  assert.equal(first.status, op === 'write' ? 'SUCCESS' : 'REM_ACCESS_ERR', first.detail)
  assert.equal((await pair.client.sent()).status, 'WR_FLUSH_ERR')
  await pair.refused(op === 'write' ? placing : fetching, wrong.what)
  sameBytes(memory, pattern(LENGTH), 'memory of the server')
  sameBytes(local, pattern(8, 99), 'memory of the client')
}

for (const op of ['write', 'read'] as const) {
  test(`${op}: bytes that go past 2^64 are refused as such`, async () => {
    using pair = await connected()
    const region = pair.server.domain.register(new Uint8Array(LENGTH), { access: ALL })
    const local = new Uint8Array(9)
    pair.client.post(work(op, region.stag, (1n << 64n) - 8n, local))
    await pair.refused(op === 'write' ? DdpError.toWrap : RdmapError.toWrap)
  })
}

for (const op of OPS) {
  test(`${op}: every right but its own is not enough`, async () => {
    using pair = await connected()
    const access = ALL.filter((name) => name !== RIGHT[op])
    const rights = RdmapError.accessRights
    await refuses(pair, op, { what: 'no right', access, placing: rights, fetching: rights })
  })

  test(`${op}: its own right is enough`, async () => {
    using pair = await connected()
    const access = ['localWrite', RIGHT[op]] as const
    const region = pair.server.domain.register(new Uint8Array(8), { access })
    const { status } = await pair.client.done(work(op, region.stag, 0, new Uint8Array(8)))
    assert.equal(status, 'SUCCESS')
  })

  test(`${op}: a region without any right is reached by nobody`, async () => {
    using pair = await connected()
    const rights = RdmapError.accessRights
    await refuses(pair, op, { what: 'no right', access: [], placing: rights, fetching: rights })
  })
}

/** What is wrong in several ways, and what is told of it: RFC 5040 and 5041 have an order. */
const SEVERAL: readonly [op: Op, what: string, ErrorCode, (pair: Pair) => [number, bigint]][] = [
  ['write', 'domain before all else', DdpError.stagNotOfStream, inOtherDomain],
  ['read', 'domain before all else', RdmapError.stagNotOfStream, inOtherDomain],
  ['write', 'wrap before bounds and rights', DdpError.toWrap, withoutRights],
  ['write', 'bounds before rights', DdpError.bounds, (pair) => [withoutRights(pair)[0], 4097n]],
  ['read', 'rights before wrap and bounds', RdmapError.accessRights, withoutRights],
  ['fetchAdd', 'rights before wrap and bounds', RdmapError.accessRights, withoutRights],
]

const LAST = (1n << 64n) - 7n

function inOtherDomain({ server }: Pair): [number, bigint] {
  return [server.device.protectionDomain().register(new Uint8Array(LENGTH)).stag, LAST]
}

function withoutRights({ server }: Pair): [number, bigint] {
  return [server.domain.register(new Uint8Array(LENGTH)).stag, LAST]
}

for (const [op, what, error, make] of SEVERAL) {
  test(`${op}: of several errors the first is told: ${what}`, async () => {
    using pair = await connected()
    const [stag, address] = make(pair)
    // An atomic is looked at when it is aligned.
    const to = op === 'fetchAdd' ? address - 1n : address
    pair.client.post(work(op, stag, to, new Uint8Array(8)))
    await pair.refused(error)
  })
}

test('of a Read whose end is past the region no byte is sent', async () => {
  using pair = await connected()
  const { remote } = pair.expose(new Uint8Array(MIB).fill(1))
  const into = new Uint8Array(MIB + 1)
  pair.client.post({ op: 'read', local: into, remote: remote(0) })
  await pair.refused(RdmapError.bounds)
  assert.ok(into.every((byte) => byte === 0))
})

test('a region ends for one peer and lives on for the others of its domain', async () => {
  using one = await connected()
  const other = one.server.device
  const memory = pattern(64)
  const region = one.server.domain.register(memory, { access: ALL })
  const doomed = one.server.domain.register(new Uint8Array(64), { access: ALL })
  const cq = other.completionQueue()
  const second = other.queuePair(one.server.domain, { sendCq: cq })
  const listener = await other.listen()
  const clientCq = one.client.device.completionQueue()
  const qp = one.client.device.queuePair(one.client.domain, { sendCq: clientCq })
  const accepted = listener.next().then((request) => request!.accept(second))
  await one.client.device.connect(qp, { host: listener.host, port: listener.port })
  await accepted
  doomed.invalidate()
  one.client.post(work('read', doomed.stag, 0, new Uint8Array(8)))
  await one.refused(RdmapError.invalidStag)
  const into = new Uint8Array(64)
  qp.postSend({ op: 'read', local: into, remote: { stag: region.stag, address: 0 } })
  await clientCq.wait()
  assert.equal(clientCq.take()?.status, 'SUCCESS')
  sameBytes(into, memory, 'the other connection')
})

// ---- zero bytes --------------------------------------------------------------------------------

test('Writes and Reads of no bytes look at no STag, right or bound', async () => {
  using pair = await connected()
  const dead = pair.server.domain.register(new Uint8Array(1))
  dead.invalidate()
  for (const stag of [0, dead.stag, 0xffff_ffff]) {
    for (const address of [0n, (1n << 64n) - 1n]) {
      for (const op of ['write', 'read'] as const) {
        const { status } = await pair.client.done({ op, local: [], remote: { stag, address } })
        assert.equal(status, 'SUCCESS', `${op} of no bytes at ${address} of ${stag}`)
      }
    }
  }
})

test('a region of no bytes gives none, and takes none', async () => {
  for (const op of ['write', 'read'] as const) {
    using pair = await connected()
    const region = pair.server.domain.register(new Uint8Array(0), { access: ALL, address: 4096 })
    assert.equal(region.length, 0)
    pair.client.post(work(op, region.stag, 4096, new Uint8Array(1)))
    await pair.refused(op === 'write' ? DdpError.bounds : RdmapError.bounds)
  }
})

// ---- where regions are -------------------------------------------------------------------------

test('the address of a region is where its first byte is, up to the last integers', async () => {
  const last = Number.MAX_SAFE_INTEGER
  for (const address of [0, 1, 4096, 2 ** 32 - 4, 2 ** 32, 2 ** 52 + 1, last - 16]) {
    using pair = await connected()
    const memory = pattern(16)
    const region = pair.server.domain.register(memory, { access: ALL, address })
    const into = new Uint8Array(16)
    const remote = { stag: region.stag, address }
    assert.equal((await pair.client.done({ op: 'read', local: into, remote })).status, 'SUCCESS')
    sameBytes(into, memory, `read at ${address}`)
    const from = pattern(5, 7)
    const to = { stag: region.stag, address: BigInt(address) + 11n }
    await pair.client.done({ op: 'write', local: from, remote: to })
    await pair.settle()
    sameBytes(memory.subarray(11), from, `written at ${address}`)
    sameBytes(memory.subarray(0, 11), pattern(16).subarray(0, 11), `before ${address}`)
    pair.client.post(work('read', region.stag, BigInt(address) + 9n, new Uint8Array(8)))
    await pair.refused(RdmapError.bounds, `past the end at ${address}`)
  }
})

test('a message goes on past a multiple of 2^32, at either end', async () => {
  using pair = await connected()
  const address = 2 ** 33 - 100_000
  const memory = pattern(MIB)
  const { remote } = pair.expose(memory, address)
  const into = new Uint8Array(MIB)
  const access = ['localWrite'] as const
  const region = pair.client.domain.register(into, { access, address })
  const local = { region, offset: 0, length: MIB }
  const read = await pair.client.done({ op: 'read', local, remote: remote(0) })
  assert.equal(read.status, 'SUCCESS', read.detail)
  sameBytes(into, memory, 'read')
  into.reverse()
  await pair.client.done({ op: 'write', local, remote: remote(0) })
  await pair.settle()
  sameBytes(memory, into, 'written')
})

test('regions that would end past 2^53, and addresses that are none, are EINVAL', () => {
  using device = new Device()
  const domain = device.protectionDomain()
  for (const address of [-1, 0.5, NaN, 2 ** 53, Number.MAX_SAFE_INTEGER - 15]) {
    assert.throws(() => domain.register(new Uint8Array(16), { address }), { code: 'EINVAL' })
  }
  assert.throws(() => domain.register(new Uint8Array(1), { access: ['all' as AccessName] }), {
    code: 'EINVAL',
  })
  assert.equal(device.stags.size, 0, 'regions that were refused are not there')
})

test('who lets a peer change memory says that it may be changed here, too', () => {
  using device = new Device()
  const domain = device.protectionDomain()
  for (const right of ['remoteWrite', 'remoteAtomic'] as const) {
    assert.throws(() => domain.register(new Uint8Array(8), { access: [right] }), { code: 'EINVAL' })
  }
})

// ---- STags -------------------------------------------------------------------------------------

test('no STag of 100 000 is 0, comes twice, or is near the one before', () => {
  using device = new Device()
  const domain = device.protectionDomain()
  const memory = new Uint8Array(1)
  const seen = new Set<number>()
  const bits = new Array<number>(32).fill(0)
  let before = 0
  let near = 0
  for (let i = 0; i < 100_000; i++) {
    using region = domain.register(memory)
    const { stag } = region
    assert.ok(Number.isInteger(stag) && stag > 0 && stag < 2 ** 32, `STag ${stag}`)
    seen.add(stag)
    if (Math.abs(stag - before) < 2 ** 16) near++
    for (let bit = 0; bit < 32; bit++) bits[bit]! += (stag >>> bit) & 1
    before = stag
  }
  assert.equal(seen.size, 100_000)
  assert.equal(device.stags.size, 0, 'regions that ended are forgotten')
  assert.ok(near < 20, `${near} of 100 000 within 2^16 of the one before`)
  for (const count of bits)
    assert.ok(count > 49_000 && count < 51_000, `a bit is set ${count} times`)
})

test('two devices give other STags, and the same randomness gives the same', () => {
  const stagsOf = (entropy?: (words: Uint32Array) => void) => {
    using device = new Device(entropy === undefined ? {} : { entropy })
    const domain = device.protectionDomain()
    return Array.from({ length: 64 }, () => domain.register(new Uint8Array(1)).stag)
  }
  const fixed = (words: Uint32Array) => words.fill(7)
  assert.deepEqual(stagsOf(fixed), stagsOf(fixed))
  const one = new Set(stagsOf())
  assert.equal(stagsOf().filter((stag) => one.has(stag)).length, 0)
  // Either word of the key alone changes all of them.
  for (const word of [0, 1]) {
    const other = stagsOf((words) => {
      words.fill(7)
      words[word] = 8
    })
    assert.notDeepEqual(other, stagsOf(fixed))
  }
})

// ---- invalidation ------------------------------------------------------------------------------

test('what is invalidated in the middle of a Read does not leave any more', async () => {
  using pair = await connected()
  const memory = pattern(LARGE)
  const { region, remote } = pair.expose(memory)
  const into = new Uint8Array(LARGE)
  pair.client.post({ op: 'read', local: into, remote: remote(0) })
  await until(() => pair.client.qp.counters.receivedBytes > 64 * KIB, 'the first bytes')
  region.invalidate()
  const expected = memory.slice()
  memory.fill(0xee)
  const sent = pair.server.qp.counters.sentBytes
  assert.equal((await pair.client.sent()).status, 'REM_ACCESS_ERR')
  await pair.refused(RdmapError.invalidStag)
  const more = pair.server.qp.counters.sentBytes - sent
  assert.ok(more < 256 * KIB, `${more} bytes were sent after it was invalidated`)
  const whole = into.findLastIndex((byte) => byte !== 0) + 1
  assert.ok(whole > 0 && whole < LARGE)
  sameBytes(into.subarray(0, whole), expected.subarray(0, whole), 'what had come')
})

test('what is invalidated in the middle of a Write gets none of the rest', async () => {
  using pair = await connected()
  const memory = new Uint8Array(LARGE)
  const { region, remote } = pair.expose(memory)
  const local = new Uint8Array(memory.length).fill(1)
  pair.client.post({ op: 'write', local, remote: remote(0) })
  await until(() => memory[0] === 1, 'the first bytes')
  region.invalidate()
  const placed = memory.indexOf(0)
  assert.ok(placed > 0)
  assert.equal((await pair.client.sent()).status, 'REM_ACCESS_ERR')
  await pair.refused(DdpError.invalidStag)
  assert.equal(memory.indexOf(0), placed, 'bytes came after it was invalidated')
  assert.equal(memory.lastIndexOf(1), placed - 1)
})

test('a Send with Invalidate ends a region that allows it, before it is delivered', async () => {
  for (const solicited of [false, true]) {
    using pair = await connected()
    const { region, stag } = pair.expose(new Uint8Array(8))
    const told: MemoryRegion[] = []
    pair.server.qp.onInvalidate = (one) => told.push(one)
    const [into] = pair.server.receive(16)
    pair.client.post({ op: 'send', local: pattern(16), invalidate: stag, solicited })
    const completion = await pair.server.received()
    assert.equal(completion.status, 'SUCCESS')
    assert.equal(completion.invalidated, stag)
    assert.equal(completion.solicited, solicited)
    sameBytes(into!, pattern(16), 'the message')
    assert.equal(region.valid, false)
    assert.deepEqual(told, [region])
    pair.client.post(work('write', stag, 0, new Uint8Array(8)))
    await pair.refused(DdpError.invalidStag)
  }
})

const UNFIT: readonly [what: string, ErrorCode, (pair: Pair) => MemoryRegion | number][] = [
  [
    'one that does not allow it',
    RdmapError.protectionCannotInvalidate,
    ({ server }) => server.domain.register(new Uint8Array(8), { access: ALL }),
  ],
  [
    'one of another domain',
    RdmapError.protectionCannotInvalidate,
    ({ server }) => {
      const access = [...ALL, 'remoteInvalidate'] as const
      return server.device.protectionDomain().register(new Uint8Array(8), { access })
    },
  ],
  ['one that nobody has', RdmapError.cannotInvalidate, () => 0xdead_beef],
]

for (const [what, error, make] of UNFIT) {
  test(`a Send with Invalidate of ${what} is refused, and not delivered`, async () => {
    using pair = await connected()
    const named = make(pair)
    const stag = typeof named === 'number' ? named : named.stag
    pair.server.receive(8)
    pair.client.post({ op: 'send', local: pattern(8), invalidate: stag })
    assert.equal((await pair.server.received()).status, 'WR_FLUSH_ERR')
    await pair.refused(error, what)
    if (typeof named !== 'number') assert.ok(named.valid)
  })
}

test('a local invalidate is done in its turn, and a Read can end the region that it fills', async () => {
  using pair = await connected()
  const { client } = pair
  const mine = client.domain.register(new Uint8Array(16), { access: ['localWrite'] })
  const { remote } = pair.expose(pattern(16))
  const local = { region: mine, offset: 0, length: 16 }
  client.post({ op: 'read', id: 1, local, remote: remote(0) })
  client.post({ op: 'localInvalidate', id: 2, region: mine, fence: true })
  client.post({ op: 'read', id: 3, local, remote: remote(0) })
  assert.ok(mine.valid, 'not before its turn')
  const got: [unknown, Status, string][] = []
  for (let i = 0; i < 3; i++) {
    const { id, status, op } = await client.sent()
    got.push([id, status, op])
  }
  assert.deepEqual(got, [
    [1, 'SUCCESS', 'read'],
    [2, 'SUCCESS', 'localInvalidate'],
    [3, 'LOC_PROT_ERR', 'read'],
  ])
})

for (const op of ['localInvalidate', 'read'] as const) {
  test(`a ${op} ends no region of another protection domain`, async () => {
    using pair = await connected()
    const { client } = pair
    const { remote } = pair.expose(pattern(16))
    const region = client.device.protectionDomain().register(new Uint8Array(16))
    const local = new Uint8Array(16)
    if (op === 'read') client.post({ op, local, remote: remote(0), invalidate: region })
    else client.post({ op, region })
    assert.equal((await client.sent()).status, 'LOC_PROT_ERR')
    assert.ok(region.valid)
  })
}

test('a Read with local invalidate ends the region when the last byte has come', async () => {
  using pair = await connected()
  const bytes = new Uint8Array(MIB)
  const mine = pair.client.domain.register(bytes, { access: ['localWrite'] })
  const { remote } = pair.expose(pattern(MIB))
  const local = { region: mine, offset: 0, length: MIB }
  const { status } = await pair.client.done({
    op: 'read',
    local,
    remote: remote(0),
    invalidate: mine,
  })
  assert.equal(status, 'SUCCESS')
  assert.equal(mine.valid, false)
  sameBytes(bytes, pattern(MIB), 'what was read')
})

// ---- memory that goes away ---------------------------------------------------------------------

/** What the library's declarations for this language do not have yet. */
interface Resizable extends ArrayBuffer {
  resize(length: number): void
}
interface Growable extends SharedArrayBuffer {
  grow(length: number): void
}
type Maker<B> = new (length: number, options: { maxByteLength: number }) => B

const resizable = (length: number) =>
  new (ArrayBuffer as Maker<ArrayBuffer> as Maker<Resizable>)(length, { maxByteLength: length })
const growable = (length: number, maxByteLength: number) =>
  new (SharedArrayBuffer as Maker<SharedArrayBuffer> as Maker<Growable>)(length, { maxByteLength })
const detach = (buffer: ArrayBuffer) => structuredClone(buffer, { transfer: [buffer] })

const GONE: readonly [what: string, () => { bytes: Uint8Array; go: () => void }][] = [
  [
    'a detached ArrayBuffer',
    () => {
      const buffer = new ArrayBuffer(LENGTH)
      return { bytes: new Uint8Array(buffer), go: () => void detach(buffer) }
    },
  ],
  [
    'a shrunken ArrayBuffer',
    () => {
      const buffer = resizable(LENGTH)
      return { bytes: new Uint8Array(buffer), go: () => buffer.resize(100) }
    },
  ],
  [
    'an array that a shrunken ArrayBuffer holds no more',
    () => {
      const buffer = resizable(LENGTH)
      return { bytes: new Uint8Array(buffer, 0, LENGTH), go: () => buffer.resize(LENGTH - 1) }
    },
  ],
]

for (const [what, make] of GONE) {
  for (const op of OPS) {
    test(`${op}: ${what} has no bytes there`, async () => {
      using pair = await connected()
      const { bytes, go } = make()
      const { stag } = pair.expose(bytes)
      const { status } = await pair.client.done(work(op, stag, 4000, new Uint8Array(8)))
      assert.equal(status, 'SUCCESS', 'as long as they are there')
      go()
      pair.client.post(work(op, stag, 4000, new Uint8Array(8)))
      await pair.refused(op === 'write' ? DdpError.bounds : RdmapError.bounds)
    })
  }

  test(`${what} is no local memory any more, and says so of the work that names it`, async () => {
    for (const op of ['write', 'read', 'send'] as const) {
      using pair = await connected()
      const { remote } = pair.expose(new Uint8Array(LENGTH))
      pair.server.receive(LENGTH)
      const { bytes, go } = make()
      if (op === 'send') pair.client.post({ op, local: bytes })
      else pair.client.post({ op, local: bytes, remote: remote(0) })
      go()
      const completion = await pair.client.sent()
      assert.equal(completion.status, 'LOC_PROT_ERR', completion.detail)
      const [client, server] = await pair.ends()
      assert.deepEqual([client.cause, client.error], ['refused', RdmapError.catastrophic])
      assert.deepEqual([server.cause, server.error], ['terminated', RdmapError.catastrophic])
    }
  })

  test(`${what} takes no message`, async () => {
    using pair = await connected()
    const { bytes, go } = make()
    pair.server.qp.postReceive({ id: 'r', into: bytes })
    go()
    pair.client.post({ op: 'send', local: pattern(LENGTH) })
    assert.equal((await pair.server.received()).status, 'LOC_PROT_ERR')
    await pair.refused(RdmapError.catastrophic)
  })
}

test('shared and growing memory is memory, as far as it was when it was registered', async () => {
  const growing = growable(64, 128)
  for (const memory of [
    new SharedArrayBuffer(64),
    growing,
    new ArrayBuffer(64),
    Buffer.alloc(64),
  ]) {
    using pair = await connected()
    const region = pair.server.domain.register(memory, { access: ALL })
    if (memory === growing) growing.grow(128)
    await pair.client.done(work('write', region.stag, 56, pattern(8)))
    const into = new Uint8Array(64)
    const remote = { stag: region.stag, address: 0 }
    await pair.client.done({ op: 'read', local: into, remote })
    sameBytes(into.subarray(56), pattern(8), 'read back')
    assert.ok(into.subarray(0, 56).every((byte) => byte === 0))
    pair.client.post(work('read', region.stag, 57, new Uint8Array(8)))
    await pair.refused(RdmapError.bounds)
  }
})

// ---- sources -----------------------------------------------------------------------------------

const FAULTS: readonly [keyof typeof Fault, placing: ErrorCode, fetching: ErrorCode, Status][] = [
  ['bounds', DdpError.bounds, RdmapError.bounds, 'REM_ACCESS_ERR'],
  ['rights', RdmapError.accessRights, RdmapError.accessRights, 'REM_ACCESS_ERR'],
  ['failed', RdmapError.catastrophic, RdmapError.catastrophic, 'WR_FLUSH_ERR'],
]

for (const [fault, placing, fetching, status] of FAULTS) {
  for (const op of OPS) {
    test(`${op}: a source that says '${fault}' ends the stream, and nothing is stored`, async () => {
      using pair = await connected()
      const stored: number[] = []
      const source: MemorySource = {
        length: LENGTH,
        translate: () => Fault[fault],
        stored: (offset) => stored.push(offset),
      }
      const region = pair.server.domain.register(source, { access: ALL })
      pair.client.post(work(op, region.stag, 16, new Uint8Array(8)))
      const completion = await pair.client.sent()
      assert.equal(completion.status, op === 'write' ? 'SUCCESS' : status)
      await pair.refused(op === 'write' ? placing : fetching)
      assert.deepEqual(stored, [])
    })
  }
}

test('a source is told of each store when it is over, and of no Read', async () => {
  using pair = await connected()
  const bytes = new Uint8Array(LENGTH)
  const calls: unknown[] = []
  const source: MemorySource = {
    length: LENGTH,
    translate(offset, length, store, pieces) {
      calls.push(['translate', offset, length, store])
      const half = Math.floor(length / 2)
      if (length === 8) pieces.add(bytes, offset, length)
      else {
        pieces.add(bytes, offset, half)
        pieces.add(bytes, offset + half, length - half)
      }
      return Fault.none
    },
    stored: (offset, length) => calls.push(['stored', offset, length, bytes[offset]]),
  }
  const { stag } = pair.server.domain.register(source, { access: ALL, address: 4096 })
  const remote = { stag, address: 4096 + 16 }
  await pair.client.done({ op: 'write', local: Uint8Array.of(5, 6, 7), remote })
  await pair.client.done({ op: 'read', local: new Uint8Array(3), remote })
  await pair.client.done({ op: 'fetchAdd', local: new Uint8Array(8), add: 1, remote })
  assert.deepEqual(calls, [
    ['translate', 16, 3, true],
    ['stored', 16, 3, 5],
    ['translate', 16, 3, false],
    ['translate', 16, 8, true],
    ['stored', 16, 8, 6],
  ])
  assert.deepEqual([...bytes.subarray(15, 21)], [0, 6, 6, 7, 0, 0])
})
