/**
 * Peers that mean harm, or are broken: they cost a bounded amount of memory, hit nothing, and
 * nobody else suffers. SEED repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Prng } from '../../src/base/prng.js'
import { Device } from '../../src/rdma/device.js'
import { RDMAP_VERSION, Opcode, UntaggedHeader } from '../../src/rdma/wire/ddp.js'
import { encodeMpa } from '../../src/rdma/wire/mpa.js'
import { DdpError, RdmapError } from '../../src/rdma/wire/terminate.js'
import { ADDRESS, RECEIVE_BYTES, REGION_BYTES, Target } from './hostile_target.js'
import { LONG, seed } from './random.js'
import { atomicResponse, RawPeer, readRequest, segmentOf } from './raw_peer.js'
import { FAST } from './simulated_transport.js'

const MIB = 1 << 20
const bytes = (length: number) => new Uint8Array(length).fill(0xee)
const send = (msn: number, length = 8) => segmentOf(Opcode.send, { msn, payload: bytes(length) })
const memoryNow = () => {
  ;(globalThis as { gc?: () => void }).gc?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

test('who says nothing after connecting is gone in seconds', async () => {
  await Target.with({}, async (target) => {
    const silent = await target.raw(null)
    assert.equal(target.device.connections, 2)
    await target.time.pass(4900)
    assert.equal(silent.ended, false)
    await target.time.pass(200)
    assert.equal(silent.ended, true)
    assert.equal(target.device.connections, 1)
  })
})

test('a Request of a byte a second is not waited for', async () => {
  await Target.with({}, async (target) => {
    const slow = await target.raw(null)
    const request = encodeMpa({
      kind: 'request',
      revision: 1,
      markers: false,
      crc: true,
      reject: false,
      large: false,
      enhanced: null,
      privateData: new Uint8Array(0),
    })
    for (const byte of request) {
      slow.raw(new Uint8Array([byte]))
      await target.time.pass(1000)
    }
    assert.equal(slow.ended, true)
    assert.deepEqual([target.device.connections, target.qps.length], [1, 0])
  })
})

test('frames of a byte a second come in, whole, and nobody waits for them', async () => {
  await Target.with({}, async (target) => {
    const slow = await target.raw()
    const content = Uint8Array.from({ length: 40 }, (_, i) => i)
    const { stag } = target.regions.open
    const at = [0, ADDRESS] as const
    for (const byte of slow.frame(segmentOf(Opcode.write, { stag, to: at, payload: content }))) {
      const before = target.memory
      assert.equal(before.includes(39), false)
      slow.raw(new Uint8Array([byte]))
      await target.time.pass(1000)
      await target.goodWorks()
    }
    assert.equal(Buffer.from(target.memory).indexOf(content), REGION_BYTES)
  })
})

test('a thousand connections that say nothing leave a place for others', async () => {
  await Target.with({ maxConnections: 100, backlog: 64 }, async (target) => {
    const silent: RawPeer[] = []
    for (let i = 0; i < 1000; i++) {
      const stream = RawPeer.connect(target.network.transport, target.listener.port, null)
      silent.push(await target.sim(stream))
      assert.ok(target.device.connections <= 100)
    }
    assert.equal(target.device.connections, 65)
    await target.goodWorks()
    // Those that wait with the kernel have their turn, and their time, too.
    const late = await target.sim(RawPeer.connect(target.network.transport, target.listener.port))
    assert.ok(await target.time.until(() => late.reply !== null, 100_000), 'it is let in')
    await target.time.pass(6000)
    assert.equal(silent.filter(({ ended }) => ended).length, 1000)
    late.close()
  })
})

test('a thousand frames of 64 KiB of which two bytes come take next to nothing', async () => {
  await Target.with({}, async (target) => {
    const before = memoryNow()
    const peers: RawPeer[] = []
    for (let i = 0; i < 1000; i++) {
      const peer = await target.raw()
      peer.raw(new Uint8Array([0xff, 0xff]))
      peers.push(peer)
    }
    await target.time.pass(100)
    const each = (memoryNow() - before) / peers.length
    assert.equal(target.device.connections, 1001)
    assert.ok(each < 64 << 10, `${Math.round(each)} bytes a connection, the peer's own among them`)
    assert.equal(target.device.sendBuffer.kept, 0)
    for (const peer of peers) peer.close()
    await target.time.pass(10)
    assert.equal(target.device.connections, 1)
  })
})

test('who never reads is sent a buffer and no more, and served no more', async () => {
  const wire = { ...FAST, window: 10_000, room: 10_000 }
  const run = async (target: Target) => {
    const before = memoryNow()
    const peers: RawPeer[] = []
    for (let i = 0; i < 20; i++) {
      const peer = await target.raw()
      peer.greedy = false
      const ask = readRequest(target.regions.open.stag, [0, ADDRESS], REGION_BYTES)
      // As many as are served at a time; and again whenever there may be room.
      for (let msn = 1; msn <= 4; msn++) {
        peer.send(segmentOf(Opcode.readRequest, { msn, payload: ask }))
      }
      peers.push(peer)
    }
    await target.time.pass(60_000)
    // What a stream had no room for is about as long as one answer.
    assert.ok(target.device.sendBuffer.kept <= peers.length * 8192)
    assert.ok(memoryNow() - before < 20 * (256 << 10) + 8 * MIB)
    await target.goodWorks()
    // It does not hold up the end, either.
    for (const qp of target.qps) void qp.disconnect()
    assert.ok(await target.time.until(() => target.ends.length === 20, 6000))
    assert.equal(target.device.sendBuffer.kept, 0)
  }
  await Target.with({}, run, wire)
})

test('Read Requests past what is served end their connection, read or not', async () => {
  const wire = { ...FAST, window: 10_000, room: 10_000 }
  const run = async (target: Target) => {
    const peer = await target.raw()
    peer.greedy = false
    const ask = readRequest(target.regions.open.stag, [0, ADDRESS], REGION_BYTES)
    for (let msn = 1; msn <= 1000; msn++) {
      peer.send(segmentOf(Opcode.readRequest, { msn, payload: ask }))
    }
    assert.ok(await target.time.until(() => target.ends.length === 1, 3000))
    assert.deepEqual(target.ends[0]!.error, DdpError.noBuffer)
    assert.equal(target.device.sendBuffer.kept, 0)
  }
  await Target.with({}, run, wire)
})

test('Sends without receives wait, unread, as long as patience lasts', async () => {
  const wire = { ...FAST, window: 50_000, room: 50_000 }
  const run = async (target: Target) => {
    const before = memoryNow()
    const peer = await target.raw()
    for (let msn = 1; msn < 30_000; msn++) peer.raw(peer.frame(send(msn, RECEIVE_BYTES)))
    await target.time.pass(9000)
    // Most of it was not even taken from him.
    assert.ok(peer.unsent > 2 * MIB, `${peer.unsent} bytes`)
    assert.equal(target.ends.length, 0)
    const [qp] = target.qps
    assert.ok(qp!.counters.receivedBytes < 400 << 10)
    await target.goodWorks()
    qp!.postReceive({ into: new Uint8Array(RECEIVE_BYTES) })
    await target.time.pass(9000)
    assert.equal(target.ends.length, 0, 'each message that is taken has its own patience')
    await target.time.pass(4000)
    assert.deepEqual(target.ends[0]!.error, DdpError.noBuffer)
    assert.ok(memoryNow() - before < 64 * MIB)
  }
  await Target.with({ patience: 10_000 }, run, wire)
})

test(`nobody guesses an STag (SEED=${seed})`, async () => {
  const random = new Prng(seed)
  await Target.with({}, async (target) => {
    const before = target.memory
    for (let i = 0; i < 500 * LONG; i++) {
      const peer = await target.raw()
      // Near those that there are, and anywhere.
      const near = target.regions[random.pick(['open', 'writable', 'words'] as const)].stag
      const guesses = [near ^ (1 << random.below(32)), near + 1, near - 1, near + 256]
      const stag = random.chance(1, 2) ? random.next() : random.pick(guesses) >>> 0
      const payload = readRequest(stag, [0, ADDRESS], 1)
      const guess = random.chance(1, 2)
        ? segmentOf(Opcode.readRequest, { payload })
        : segmentOf(Opcode.write, { stag, to: [0, ADDRESS], payload: bytes(8) })
      peer.send(guess)
      await target.time.pass(5)
      assert.match(peer.said!.name, /invalidStag/)
      peer.close()
    }
    assert.equal(Buffer.compare(target.memory, before), 0)
  })
})

test(`nor does who has as many guesses as it likes, or knows the others (SEED=${seed})`, () => {
  const random = new Prng(seed)
  const device = new Device()
  const domain = device.protectionDomain()
  const known = new Set<number>()
  for (let i = 0; i < 2000; i++) known.add(domain.register(new Uint8Array(1)).stag)
  assert.equal(known.size, 2000)
  assert.ok(!known.has(0))
  let hits = 0
  const steps = new Map<number, number>()
  const tags = [...known]
  for (let i = 1; i < tags.length; i++) {
    const step = (tags[i]! - tags[i - 1]!) >>> 0
    steps.set(step, (steps.get(step) ?? 0) + 1)
    // The next one by any step that was seen, or one of a bit.
    hits += known.has((tags[i]! ^ (1 << random.below(32))) >>> 0) ? 1 : 0
  }
  assert.ok(
    [...steps.values()].every((count) => count <= 2),
    'no step comes again and again',
  )
  for (let i = 0; i < 100_000; i++) hits += known.has(random.next()) ? 1 : 0
  // Of 10^5 guesses, 2000 tags of 2^32 are hit 0.05 times.
  assert.ok(hits <= 3, `${hits} hits`)
})

test('a peer that answers what it was not asked is told so, whatever the answer', async () => {
  const asked = async (
    answer: (stag: number, to: number) => Uint8Array,
    op: 'read' | 'fetchAdd',
  ) => {
    await Target.with({}, async (target) => {
      const peer = await target.raw()
      peer.send(segmentOf(Opcode.write, { stag: 1 }))
      await target.time.pass(5)
      const [qp] = target.qps
      const into = new Uint8Array(48).fill(0x22)
      const local = into.subarray(20, 28)
      const remote = { stag: 5, address: 0 }
      if (op === 'read') qp!.postSend({ op, local, remote })
      else qp!.postSend({ op, local, remote, add: 1 })
      await target.time.pass(5)
      const [request] = peer.cameOf(op === 'read' ? Opcode.readRequest : Opcode.atomicRequest)
      const view = new DataView(request!.buffer, request!.byteOffset + UntaggedHeader.size)
      peer.send(answer(view.getUint32(0), view.getUint32(8)))
      await target.time.pass(50)
      assert.ok(
        into.every((byte) => byte === 0x22),
        'nothing of it is placed',
      )
      errors.push(peer.said!.name)
      peer.close()
      await target.time.pass(50)
      assert.deepEqual([qp!.state, target.ends[0]?.cause], ['closed', 'refused'])
    })
  }
  const errors: string[] = []
  const response = (stag: number, to: number, length: number, last = true) =>
    segmentOf(Opcode.readResponse, { stag, to: [0, to], payload: bytes(length), last })
  await asked((stag, to) => response((stag ^ 256) >>> 0, to, 8), 'read')
  await asked((stag, to) => response(stag, to + 1, 8), 'read')
  await asked((stag, to) => response(stag, to, 9), 'read')
  await asked((stag, to) => response(stag, to, 7), 'read')
  await asked((stag, to) => response(stag, to, 9, false), 'read')
  await asked(() => segmentOf(Opcode.atomicResponse, { payload: atomicResponse(1) }), 'read')
  await asked((stag, to) => response(stag, to, 8), 'fetchAdd')
  await asked(() => segmentOf(Opcode.atomicResponse, { payload: atomicResponse(2) }), 'fetchAdd')
  const bounds = Array.from({ length: 4 }, () => 'DDP bounds')
  const unexpected = Array.from({ length: 3 }, () => 'RDMAP unexpectedOpcode')
  assert.deepEqual(errors, ['DDP invalidStag', ...bounds, ...unexpected])
})

test('a Terminate that lies about its headers ends the connection, unanswered', async () => {
  const random = new Prng(seed)
  const some = (length: number) => {
    const all = new Uint8Array(length)
    random.fill(all)
    return all
  }
  const payloads = [
    [0x11, 0, 0xff, 0xff],
    [0x11, 0, 0xc0, 0, 0xff, 0xff],
    [0x11, 0, 0x40, 0, 0, 0, 0xc1],
    [0x11, 0, 0x07, 0, 0, 0, 0x41, 0x43, 1],
    [0xff, 0xff, 0xff, 0xff, ...some(60_000)],
    ...Array.from({ length: 40 }, () => [...some(4 + random.below(60))]),
  ]
  for (const payload of payloads) {
    await Target.with({}, async (target) => {
      const peer = await target.raw()
      peer.send(segmentOf(Opcode.write, { stag: 1 }))
      await target.time.pass(5)
      const [qp] = target.qps
      const remote = { stag: 0x1111_1111, address: 0 }
      qp!.postSend({ op: 'read', local: new Uint8Array(8), remote })
      await target.time.pass(5)
      peer.send(segmentOf(Opcode.terminate, { payload: Uint8Array.from(payload) }))
      await target.time.pass(50)
      assert.equal(peer.said, null)
      assert.equal(peer.ended, true)
      assert.equal(target.ends[0]?.cause, 'terminated')
      peer.close()
    })
  }
})

test('messages of no bytes, and segments of none, are nothing to fear', async () => {
  await Target.with({}, async (target) => {
    const peer = await target.raw()
    const empty = (parts = {}) =>
      segmentOf(Opcode.write, { stag: 0, to: [0xffff_ffff, 9], ...parts })
    for (let i = 0; i < 2000; i++) peer.send(empty({ last: i % 2 === 1 }))
    const nothing = readRequest(0, [0xffff_ffff, 1], 0)
    for (let msn = 1; msn <= 100; msn++) {
      peer.send(segmentOf(Opcode.readRequest, { msn, payload: nothing }))
      await target.time.pass(2)
    }
    assert.equal(peer.cameOf(Opcode.readResponse).length, 100)
    for (let i = 0; i < 2000; i++) peer.send(segmentOf(Opcode.send, { last: false }))
    peer.send(segmentOf(Opcode.send))
    peer.send(segmentOf(Opcode.send, { msn: 2 }))
    await target.time.pass(50)
    assert.equal(target.ends.length, 0)
    peer.send(segmentOf(Opcode.send, { msn: 3 }))
    await target.time.pass(50)
    assert.deepEqual(peer.said!.error, DdpError.noBuffer)
    peer.close()
  })
})

test(`frames that are whole and say anything end their connection, or nothing (SEED=${seed})`, async () => {
  const random = new Prng(seed)
  const known = Object.values(RdmapError).length
  assert.ok(known > 0)
  for (let round = 0; round < 4; round++) {
    await Target.with({ receives: 50, markers: round % 2 === 1 }, async (target) => {
      for (let i = 0; i < 150 * LONG; i++) {
        const peer = await target.raw({}, round % 2 === 1)
        const msns = [1, 1, 1, 1]
        for (let n = 0; n < 30; n++) peer.send(anything(random, target, msns))
        await target.time.pass(20)
        const { said } = peer
        if (said !== null) assert.notEqual(said.name, 'unknown')
        peer.close()
        if (i % 20 === 0) await target.goodWorks()
      }
      await target.time.pass(5000)
      assert.equal(target.device.connections, 1)
    })
  }
})

/** A segment in which a field or two may be wrong. */
function anything(random: Prng, target: Target, msns: number[]): Uint8Array {
  const opcode = random.below(16)
  const qn = [0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 1, 3][opcode] ?? random.below(5)
  const odd = () => random.chance(1, 12)
  const payload = new Uint8Array(
    odd()
      ? random.below(200)
      : ({ 1: 28, 7: 4, 8: 8, 9: 8, 10: 52, 11: 12 }[opcode] ?? random.below(64)),
  )
  random.fill(payload)
  const region = target.regions[random.pick(['open', 'writable', 'readable', 'words'] as const)]
  const { stag } = region
  const to = [0, ADDRESS + random.below(REGION_BYTES)] as const
  if (opcode === 1)
    payload.set(readRequest(stag, to, random.below(REGION_BYTES)).subarray(0, payload.length))
  const segment = segmentOf(opcode, {
    ...(odd() ? { ddp: random.below(256) } : {}),
    rdmap: odd() ? random.below(256) : (RDMAP_VERSION << 6) | opcode,
    last: !odd(),
    stag: odd() ? random.next() : stag,
    to: odd() ? [random.next(), random.next()] : to,
    qn: odd() ? random.below(6) : qn,
    msn: odd() ? random.next() : msns[qn % 4]!++,
    mo: odd() ? random.below(100) : 0,
    invalidate: random.next(),
    payload,
  })
  return odd() ? segment.subarray(0, random.below(segment.length + 1)) : segment
}
