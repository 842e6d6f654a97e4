/** Messages over a stream, however it cuts them, however slow who takes them is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { Channel, type ChannelEvents } from '../../src/control/channel.js'
import { GREETING_BYTES_MAX, MESSAGE_BYTES_MAX } from '../../src/control/limits.js'
import { LONG, seed } from '../rdma/random.js'
import { SimulatedTime } from '../rdma/simulated_time.js'
import { messagesOf, record, ScriptedStream } from './scripted_stream.js'

const MARK = 4

class Scene {
  readonly time = new SimulatedTime()
  readonly stream = new ScriptedStream(this.time)
  readonly messages: Uint8Array[] = []
  readonly ends: (Error | null)[] = []
  readonly spared: number[] = []
  drained = 0
  readonly channel: Channel

  constructor(events: Partial<ChannelEvents> = {}, messageBytes = MESSAGE_BYTES_MAX) {
    this.channel = new Channel(
      this.stream,
      this.time,
      {
        message: (bytes) => {
          assert.equal(this.ends.length, 0, 'nothing comes after the end')
          this.messages.push(bytes)
        },
        ended: (error) => this.ends.push(error),
        drained: () => this.drained++,
        spare: (fd) => this.spared.push(fd),
        ...events,
      },
      messageBytes,
    )
  }

  /** All that can happen without time going by happens. */
  settle(): Promise<void> {
    return this.time.pass(0)
  }

  demandMessages(records: readonly Uint8Array[]): void {
    assert.equal(this.messages.length, records.length)
    this.messages.forEach((message, i) => {
      assert.equal(Buffer.compare(message, records[i]!.subarray(MARK)), 0, `message ${i}`)
    })
  }
}

const joined = (parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts))

/** Lengths at which something else is done. */
const LENGTHS = [0, 1, 3, 4, 100, 4096, 16380, 16384, 16385, 65536, MESSAGE_BYTES_MAX]

test(`messages come whole, in order, however they are cut (SEED=${seed})`, async () => {
  const random = new Prng(seed)
  for (let run = 0; run < 60 * LONG; run++) {
    const count = 1 + random.below(random.pick([3, 200]))
    const small = random.chance(1, 2)
    const records = Array.from({ length: count }, (_, i) =>
      record(small ? random.below(60) : random.pick(LENGTHS), i),
    )
    const all = joined(records)
    const scene = new Scene()
    scene.stream.piece = random.pick([7, 1000, 16384, 1 << 20])
    for (let at = 0; at < all.length;) {
      const length = 1 + random.below(random.pick([5, 3000, 100_000, 1 << 20]))
      scene.stream.come(all.subarray(at, at + length))
      at += length
      if (random.chance(1, 3)) await scene.settle()
    }
    scene.stream.over()
    await scene.settle()
    scene.demandMessages(records)
    assert.deepEqual([scene.ends, scene.stream.state], [[null], 'closed'])
  }
})

test('messages come byte by byte', async () => {
  const records = [0, 1, 5, 300, 2].map((length, i) => record(length, i))
  const scene = new Scene()
  for (const byte of joined(records)) {
    scene.stream.come(Uint8Array.of(byte))
    await scene.settle()
  }
  scene.demandMessages(records)
})

test('a message is kept as it came, whatever comes after it', async () => {
  const scene = new Scene()
  for (const length of [10, 20_000, 16_380]) {
    scene.stream.come(record(length, 1), record(length, 2))
    await scene.settle()
    scene.stream.come(record(length, 3))
    await scene.settle()
  }
  scene.demandMessages(
    [10, 20_000, 16_380].flatMap((length) => [1, 2, 3].map((salt) => record(length, salt))),
  )
})

test('a message that is too long ends the channel before it comes', async () => {
  for (const [most, length] of [
    [MESSAGE_BYTES_MAX, MESSAGE_BYTES_MAX + 1],
    [GREETING_BYTES_MAX, GREETING_BYTES_MAX + 1],
    [MESSAGE_BYTES_MAX, 0x7fff_ffff],
  ] as const) {
    const scene = new Scene({}, most)
    const mark = new Uint8Array(4)
    new DataView(mark.buffer).setUint32(0, (0x8000_0000 | length) >>> 0)
    scene.stream.come(record(most, 1), mark)
    await scene.settle()
    scene.demandMessages([record(most, 1)])
    assert.equal((scene.ends[0] as HoldfastError).code, 'EPROTO')
    assert.deepEqual([scene.ends.length, scene.stream.state], [1, 'aborted'])
  }
})

test('a record in several fragments ends the channel', async () => {
  const scene = new Scene()
  scene.stream.come(Uint8Array.of(0, 0, 0, 1, 9))
  await scene.settle()
  assert.equal((scene.ends[0] as HoldfastError).code, 'EPROTO')
})

test('an end within a message is an error, behind one it is none', async () => {
  for (const length of [1, 3, 4, 9]) {
    const scene = new Scene()
    scene.stream.come(record(10).subarray(0, length))
    scene.stream.over()
    await scene.settle()
    assert.equal((scene.ends[0] as HoldfastError).code, 'ECONNRESET')
  }
  const scene = new Scene()
  scene.stream.come(record(10))
  scene.stream.over()
  await scene.settle()
  assert.deepEqual([scene.messages.length, scene.ends], [1, [null]])
})

test('memory for a message is taken as it comes', async () => {
  const scene = new Scene()
  const taken = await allocated(async () => {
    scene.stream.come(record(MESSAGE_BYTES_MAX).subarray(0, 100))
    await scene.settle()
  })
  assert.ok(taken <= 20 << 10, `${taken} bytes for a message of which 100 have come`)
})

test('bytes are copied a few times at most, however small the pieces are', async () => {
  for (const piece of [64, 1000, 20_000]) {
    const records = [record(MESSAGE_BYTES_MAX), ...Array.from({ length: 500 }, () => record(50))]
    const all = joined(records)
    const scene = new Scene()
    scene.stream.piece = piece
    const taken = await allocated(async () => {
      scene.stream.come(all)
      await scene.settle()
    })
    scene.demandMessages(records)
    assert.ok(taken < 4 * all.length, `${taken} bytes for ${all.length} in pieces of ${piece}`)
  }
})

/** Bytes of arrays that are made, as far as they are made by `slice` and `new Uint8Array(N)`. */
async function allocated(run: () => Promise<void>): Promise<number> {
  let sum = 0
  const { slice } = Uint8Array.prototype
  const Plain = globalThis.Uint8Array
  Plain.prototype.slice = function (this: Uint8Array, ...range: [number?, number?]) {
    const part = slice.apply(this, range)
    sum += part.length
    return part
  } as typeof slice
  globalThis.Uint8Array = new Proxy(Plain, {
    construct(target, args: [number]) {
      if (typeof args[0] === 'number') sum += args[0]
      return new target(...args)
    },
  })
  try {
    await run()
  } finally {
    globalThis.Uint8Array = Plain
    Plain.prototype.slice = slice
  }
  return sum
}

test('nothing is handed over while nobody reads, and nothing is lost', async () => {
  const random = new Prng(seed)
  for (let run = 0; run < 30 * LONG; run++) {
    const records = Array.from({ length: 1 + random.below(300) }, (_, i) =>
      record(random.pick([0, 5, 40, 20_000]), i),
    )
    let paused = false
    const scene: Scene = new Scene({
      message: (bytes) => {
        assert.equal(paused, false)
        scene.messages.push(bytes)
        if (!random.chance(1, 4)) return
        paused = true
        scene.channel.reading(false)
      },
    })
    scene.stream.come(joined(records))
    if (random.chance(1, 2)) scene.stream.over()
    for (let turn = 0; scene.messages.length < records.length; turn++) {
      assert.ok(turn < 5000, 'it goes on')
      await scene.time.pass(1)
      if (scene.messages.length < records.length) assert.deepEqual(scene.ends, [])
      if (paused) assert.equal(scene.stream.wanted, false)
      paused = false
      scene.channel.reading(true)
    }
    scene.demandMessages(records)
  }
})

test('others have their turn between many messages', async () => {
  let since = 0
  let most = 0
  const scene: Scene = new Scene({
    message: (bytes) => {
      scene.messages.push(bytes)
      most = Math.max(most, ++since)
    },
  })
  const tick = () => {
    since = 0
    if (scene.messages.length < 3000) scene.time.later(0, tick)
  }
  scene.stream.come(joined(Array.from({ length: 3000 }, () => record(8))))
  tick()
  await scene.settle()
  assert.equal(scene.messages.length, 3000)
  assert.ok(most <= 64 * 3, `${most} messages between two turns of others`)
})

test('others have their turn while a lot comes', async () => {
  const scene = new Scene()
  scene.stream.piece = 100
  let [last, most] = [0, 0]
  const tick = () => {
    most = Math.max(most, scene.stream.receives - last)
    last = scene.stream.receives
    if (scene.messages.length < 5) scene.time.later(0, tick)
  }
  scene.stream.come(joined([1, 2, 3, 4, 5].map((salt) => record(50_000, salt))))
  tick()
  await scene.settle()
  assert.equal(scene.messages.length, 5)
  assert.ok(most <= 40, `${most} receives between two turns of others`)
})

// ---- sending -----------------------------------------------------------------------------------

test(`what is sent goes out in order, as it is taken (SEED=${seed})`, async () => {
  const random = new Prng(seed)
  for (let run = 0; run < 60 * LONG; run++) {
    const scene = new Scene()
    scene.stream.window = random.below(200)
    const sent: Uint8Array[] = []
    // Memory that is used again for each of them.
    const shared = new Uint8Array(70_000)
    for (let i = 0; i < 40; i++) {
      const one = record(random.pick([0, 1, 90, 5000, 65_000]), i)
      shared.set(one)
      sent.push(one)
      scene.channel.send(shared.subarray(0, one.length))
      shared.fill(0xee)
      if (random.chance(1, 2)) scene.stream.take(random.below(random.pick([10, 100_000])))
      if (random.chance(1, 2)) await scene.settle()
    }
    const all = joined(sent)
    assert.ok(Buffer.compare(scene.stream.sent, all.subarray(0, scene.stream.sent.length)) === 0)
    assert.equal(scene.channel.backlog, all.length - scene.stream.sent.length)
    while (scene.channel.backlog > 0) {
      scene.stream.take(1 + random.below(200_000))
      await scene.settle()
    }
    assert.equal(Buffer.compare(scene.stream.sent, all), 0)
  }
})

test('who waits for what was sent to be taken is told once', async () => {
  const scene = new Scene()
  scene.stream.window = 10
  for (let i = 0; i < 3; i++) scene.channel.send(record(20, i))
  await scene.settle()
  assert.deepEqual([scene.drained, scene.channel.backlog], [0, 3 * 24 - 10])
  scene.stream.take(5)
  await scene.settle()
  assert.equal(scene.drained, 0)
  scene.stream.take(1000)
  await scene.settle()
  assert.deepEqual([scene.drained, scene.channel.backlog], [1, 0])
})

test('descriptors come with the first byte of their messages, and are closed once', async () => {
  const random = new Prng(seed)
  for (let run = 0; run < 40; run++) {
    const scene = new Scene()
    scene.stream.window = random.below(60)
    const wanted: { fd: number; at: number }[] = []
    let at = 0
    for (let i = 0; i < 20; i++) {
      const one = record(random.below(30), i)
      if (random.chance(1, 3)) {
        scene.channel.attach(100 + i)
        wanted.push({ fd: 100 + i, at })
      }
      scene.channel.send(one)
      at += one.length
      if (random.chance(1, 3)) scene.stream.take(random.below(50))
      if (random.chance(1, 3)) await scene.settle()
    }
    const ends = random.chance(1, 3)
    if (ends) scene.channel.abort()
    scene.stream.take(10_000)
    await scene.settle()
    const { descriptors } = scene.stream
    assert.deepEqual(descriptors, wanted.slice(0, descriptors.length))
    if (!ends) assert.equal(descriptors.length, wanted.length)
    assert.deepEqual(scene.spared.sort(), wanted.map(({ fd }) => fd).sort())
  }
})

test('a descriptor for a channel that has ended is closed', () => {
  const scene = new Scene()
  scene.channel.close()
  scene.channel.attach(7)
  scene.channel.send(record(1))
  assert.deepEqual(scene.spared, [7])
})

test('a channel that is closed sends what it has, and takes nothing', async () => {
  const scene = new Scene()
  scene.stream.window = 3
  scene.channel.send(record(20, 1))
  scene.channel.close()
  scene.channel.close()
  scene.channel.send(record(20, 2))
  scene.stream.come(record(1))
  await scene.settle()
  assert.deepEqual([scene.stream.state, scene.ends.length], ['open', 0])
  scene.stream.take(100)
  await scene.settle()
  assert.deepEqual([scene.stream.state, scene.ends, scene.messages.length], ['closed', [null], 0])
  assert.equal(Buffer.compare(joined(messagesOf(scene.stream.sent)), record(20, 1).subarray(4)), 0)
  await scene.time.pass(60_000)
  assert.deepEqual([scene.ends.length, scene.time.timers], [1, 0])
})

test('who never takes what it was sent is left', async () => {
  const scene = new Scene()
  scene.stream.window = 3
  scene.channel.send(record(20, 1))
  scene.channel.close()
  await scene.time.pass(4900)
  assert.equal(scene.ends.length, 0)
  await scene.time.pass(200)
  assert.equal((scene.ends[0] as HoldfastError).code, 'ETIMEDOUT')
  assert.equal(scene.stream.state, 'aborted')
})

test('what fails ends the channel, once', async () => {
  const failure = new HoldfastError('EPIPE', 'gone')
  const sending = new Scene()
  sending.channel.attach(5)
  sending.stream.failure = failure
  sending.channel.send(record(1))
  sending.channel.send(record(1))
  // Whoever sends may be in the middle of a call: it is told when that is over.
  assert.deepEqual([sending.ends, sending.spared], [[], [5]])
  await sending.settle()
  assert.deepEqual(sending.ends, [failure])
  const flushing = new Scene()
  flushing.stream.window = 0
  flushing.channel.send(record(1))
  flushing.stream.failure = failure
  flushing.stream.take(1)
  await flushing.settle()
  assert.deepEqual(flushing.ends, [failure])
  const receiving = new Scene()
  receiving.stream.failure = failure
  receiving.stream.come(record(1))
  await receiving.settle()
  assert.deepEqual([receiving.ends, receiving.messages.length], [[failure], 0])
  const handler = new Error('a bug')
  const handling = new Scene({
    message: () => {
      throw handler
    },
  })
  handling.stream.come(record(1), record(1))
  await handling.settle()
  assert.deepEqual([handling.ends, handling.stream.state], [[handler], 'aborted'])
})

test('a channel may be ended while it hands over', async () => {
  for (const how of ['abort', 'close'] as const) {
    const scene: Scene = new Scene({
      message: (bytes) => {
        scene.messages.push(bytes)
        if (scene.messages.length === 3) scene.channel[how]()
      },
    })
    scene.stream.come(joined(Array.from({ length: 200 }, () => record(4))))
    await scene.settle()
    assert.deepEqual([scene.messages.length, scene.ends], [3, [null]])
  }
})
