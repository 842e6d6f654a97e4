/**
 * The answering end: each call is answered once, and nobody is kept waiting by who takes nothing.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { Answerer, type CallContext, type Handlers } from '../../src/control/answerer.js'
import { CALLS_MAX, DEFERRED_MAX, EVENT_BYTES_MAX, STRIKES_MAX } from '../../src/control/limits.js'
import { Kind, readNotice, writeCallHead, type Notice } from '../../src/control/message.js'
import type { ArgsOf, Verb } from '../../src/control/verb.js'
import { VERBS, type VerbName } from '../../src/control/verbs/index.js'
import { XdrReader, XdrWriter } from '../../src/control/xdr.js'
import { SimulatedTime } from '../rdma/simulated_time.js'
import { messagesOf, ScriptedStream } from './scripted_stream.js'

interface Answer {
  readonly id: number
  readonly errno: number
  readonly rest: Uint8Array
}

type Some = Partial<Record<VerbName, (session: string, args: never, call: CallContext) => unknown>>

const EIO = 5
const EINTR = 4
const EAGAIN = 11
const EPROTO = 71
const EOPNOTSUPP = 95
const ETIMEDOUT = 110

class Scene {
  readonly time = new SimulatedTime()
  readonly stream = new ScriptedStream(this.time)
  readonly bugs: unknown[] = []
  readonly ends: (Error | null)[] = []
  readonly timings: [VerbName, number, number, string | null][] = []
  heard = 0
  readonly answerer: Answerer<string>

  constructor(handlers: Some) {
    const all = handlers as unknown as Handlers<string>
    this.answerer = new Answerer<string>(this.stream, this.time, 'a session', all, {
      heard: () => this.heard++,
      answered: (verb, running, total, error) =>
        this.timings.push([verb, running, total, error?.code ?? null]),
      bug: (_verb, error) => this.bugs.push(error),
      spare: () => assert.fail('no descriptor was sent'),
      ended: (error) => this.ends.push(error),
    })
    this.answerer.greeted()
  }

  come(write: (out: XdrWriter) => void): void {
    const out = new XdrWriter()
    out.reset(4)
    write(out)
    const bytes = out.bytes.slice()
    new DataView(bytes.buffer).setUint32(0, (0x8000_0000 | (bytes.length - 4)) >>> 0)
    this.stream.come(bytes)
  }

  call<V extends VerbName>(id: number, verb: V, args: ArgsOf<(typeof VERBS)[V]>, limit = 0): void {
    this.come((out) => {
      writeCallHead(out, id, limit, undefined, VERBS[verb].number)
      ;(VERBS[verb] as Verb).args.write(out, args)
    })
  }

  cancel(id: number): void {
    this.come((out) => {
      out.u32(Kind.cancel)
      out.u32(id)
    })
  }

  settle(): Promise<void> {
    return this.time.pass(0)
  }

  get answers(): Answer[] {
    return this.#sent(Kind.reply).map((from) => {
      const id = from.u32()
      const errno = from.u32() === 0 ? 0 : from.u32()
      return { id, errno, rest: new Uint8Array(0) }
    })
  }

  /** Ids and errors. */
  get outcomes(): [number, number][] {
    return this.answers.map(({ id, errno }) => [id, errno])
  }

  get notices(): Notice[] {
    return this.#sent(Kind.notice).map((from) => readNotice(from)!)
  }

  #sent(wanted: number): XdrReader[] {
    return messagesOf(this.stream.sent)
      .map((message) => new XdrReader(message))
      .filter((from) => from.u32() === wanted)
  }
}

const PING = {} as never
/** A handler that waits until it is given up. */
const patient = (_session: string, _args: never, { signal }: CallContext) =>
  new Promise((_, reject) => {
    const over = () => reject(new HoldfastError('EINTR', 'given up'))
    signal.addEventListener('abort', over)
  })

test('calls are carried out in order and answered when they are done', async () => {
  const gates: (() => void)[] = []
  const scene = new Scene({
    sync: () => new Promise((resolve) => gates.push(() => resolve({}))),
    ping: () => ({}),
  })
  scene.call(1, 'sync', {})
  scene.call(2, 'ping', PING)
  scene.call(3, 'sync', {})
  await scene.settle()
  assert.deepEqual(scene.outcomes, [[2, 0]])
  assert.equal(scene.answerer.calls, 2)
  gates[1]!()
  gates[0]!()
  await scene.settle()
  assert.deepEqual(scene.outcomes, [
    [2, 0],
    [3, 0],
    [1, 0],
  ])
  assert.deepEqual([scene.answerer.calls, scene.heard], [0, 3])
})

test('what a handler throws is its answer, and of nobody else', async () => {
  const fail = () => {
    throw new HoldfastError('ENOENT', 'not here')
  }
  const scene = new Scene({ ping: fail, sync: async () => fail() })
  scene.call(1, 'ping', PING)
  scene.call(2, 'sync', {})
  await scene.settle()
  assert.deepEqual(scene.outcomes, [
    [1, 2],
    [2, 2],
  ])
  assert.deepEqual([scene.bugs, scene.ends], [[], []])
  assert.deepEqual(
    scene.timings.map(([verb, , , code]) => [verb, code]),
    [
      ['ping', 'ENOENT'],
      ['sync', 'ENOENT'],
    ],
  )
})

test('a handler that fails as none may is told of, answered with EIO, and nobody else suffers', async () => {
  for (const wrong of [new TypeError('a bug'), null, undefined, 'text', { code: 'EINTR' }]) {
    const thrown = () => {
      throw wrong
    }
    const scene = new Scene({ ping: thrown, sync: () => Promise.reject(wrong as unknown as Error) })
    scene.call(1, 'ping', PING)
    scene.call(2, 'sync', {}, 50)
    await scene.settle()
    assert.deepEqual(scene.outcomes, [
      [1, EIO],
      [2, EIO],
    ])
    assert.deepEqual(scene.bugs, [wrong, wrong])
    assert.equal(scene.time.timers, 0)
  }
})

test('who looks at the signal of a call late learns that it was given up before', async () => {
  let goOn = () => {}
  const seen: boolean[] = []
  const scene = new Scene({
    sync: async (_session, _args, call) => {
      await new Promise<void>((resolve) => (goOn = resolve))
      seen.push(call.signal.aborted)
      return {}
    },
  })
  for (const id of [1, 2]) {
    scene.call(id, 'sync', {})
    await scene.settle()
    if (id === 2) scene.cancel(id)
    await scene.settle()
    goOn()
    await scene.settle()
  }
  assert.deepEqual(seen, [false, true])
})

test('a handler that rejects with nothing after its time is over is a bug, and answered', async () => {
  const scene = new Scene({
    sync: (_session, _args, { signal }) =>
      // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- what it tests
      new Promise((_, reject) => signal.addEventListener('abort', () => reject(undefined))),
  })
  scene.call(1, 'sync', {}, 50)
  await scene.time.pass(100)
  assert.deepEqual([scene.outcomes, scene.bugs], [[[1, EIO]], [undefined]])
})

test('a result that is none is told of, and answered with EIO', async () => {
  const wrong: unknown[] = [undefined, null, {}, { data: 7 }, { data: new Uint8Array(300 << 10) }]
  for (const result of wrong) {
    const scene = new Scene({ read: () => result, write: () => Promise.resolve(result) })
    scene.call(1, 'read', { handle: 1, position: 0, length: 1 })
    scene.call(2, 'write', {
      handle: 1,
      position: 0,
      data: new Uint8Array(0),
      options: { force: false },
    })
    await scene.settle()
    assert.deepEqual(scene.outcomes, [
      [1, EIO],
      [2, EIO],
    ])
    assert.equal(scene.bugs.length, 2)
    assert.equal(scene.ends.length, 0)
  }
})

test('malformed calls are answered so many times; one more ends the channel', async () => {
  const scene = new Scene({ ping: () => assert.fail('nothing reaches a handler') })
  for (let id = 0; id < STRIKES_MAX; id++) {
    scene.come((out) => {
      writeCallHead(out, id, 0, undefined, VERBS.ping.number)
      out.u32(1)
    })
  }
  await scene.settle()
  assert.deepEqual(
    scene.outcomes,
    Array.from({ length: STRIKES_MAX }, (_, id) => [id, EPROTO]),
  )
  assert.equal(scene.ends.length, 0)
  scene.come((out) => writeCallHead(out, 99, 0, undefined, VERBS.stat.number))
  await scene.settle()
  assert.equal((scene.ends[0] as HoldfastError).code, 'EPROTO')
  assert.equal(scene.outcomes.length, STRIKES_MAX)
})

test('a verb that the server does not have is EOPNOTSUPP', async () => {
  const scene = new Scene({})
  scene.come((out) => writeCallHead(out, 4, 0, undefined, 4000))
  await scene.settle()
  assert.deepEqual(scene.outcomes, [[4, EOPNOTSUPP]])
})

test('what is no call ends the channel at once', async () => {
  const bad: ((out: XdrWriter) => void)[] = [
    () => {},
    (out) => out.u32(Kind.call),
    (out) => {
      out.u32(Kind.reply)
      out.u32(1)
    },
    (out) => {
      out.u32(Kind.notice)
      out.u32(1)
    },
    (out) => {
      out.u32(77)
      out.u32(1)
    },
    (out) => {
      out.u32(Kind.cancel)
      out.u32(1)
      out.u32(1)
    },
  ]
  for (const write of bad) {
    const scene = new Scene({})
    scene.come(write)
    await scene.settle()
    assert.equal((scene.ends[0] as HoldfastError).code, 'EPROTO')
    assert.deepEqual(scene.outcomes, [])
  }
})

test('an id that is under way is not taken again', async () => {
  const scene = new Scene({ sync: patient })
  scene.call(5, 'sync', {})
  scene.call(5, 'sync', {})
  await scene.settle()
  assert.deepEqual([scene.outcomes, scene.answerer.calls], [[[5, EPROTO]], 1])
  scene.cancel(5)
  await scene.settle()
  scene.call(5, 'sync', {})
  await scene.settle()
  assert.deepEqual([scene.outcomes.length, scene.answerer.calls], [2, 1])
})

test('a call is given up by its caller, by its time, and by the end of the channel', async () => {
  const scene = new Scene({ sync: patient })
  scene.call(1, 'sync', {})
  scene.call(2, 'sync', {}, 100)
  scene.call(3, 'sync', {})
  scene.cancel(99)
  scene.cancel(1)
  await scene.settle()
  assert.deepEqual(scene.outcomes, [[1, EINTR]])
  scene.cancel(1)
  await scene.time.pass(150)
  assert.deepEqual(scene.outcomes.at(-1), [2, ETIMEDOUT])
  scene.stream.over()
  await scene.settle()
  assert.deepEqual([scene.answerer.calls, scene.ends, scene.time.timers], [0, [null], 0])
  assert.equal(scene.outcomes.length, 2)
})

test('so many calls are under way at most; others wait in their order', async () => {
  const gates: (() => void)[] = []
  const scene = new Scene({
    sync: () => new Promise((resolve) => gates.push(() => resolve({}))),
  })
  for (let id = 0; id < 3 * CALLS_MAX; id++) scene.call(id, 'sync', {})
  await scene.settle()
  assert.deepEqual([gates.length, scene.answerer.calls], [CALLS_MAX, CALLS_MAX])
  for (let done = 0; done < 3 * CALLS_MAX; done++) {
    assert.ok(gates.length - done <= CALLS_MAX)
    gates[done]!()
    if (done % 10 === 0) await scene.settle()
    while (gates.length <= done + 1 && done + 1 < 3 * CALLS_MAX) await scene.settle()
  }
  await scene.settle()
  assert.deepEqual([scene.outcomes.length, scene.answerer.calls], [3 * CALLS_MAX, 0])
})

test('nothing is taken from who takes no answers, and all of it once they are taken', async () => {
  const data = new Uint8Array(200 << 10)
  const scene = new Scene({ read: () => ({ data }) })
  scene.stream.window = 0
  const count = 40
  for (let id = 0; id < count; id++) {
    scene.call(id, 'read', { handle: 1, position: 0, length: data.length })
  }
  await scene.settle()
  const { backlog } = scene.answerer.channel
  assert.ok(backlog > EVENT_BYTES_MAX && backlog < EVENT_BYTES_MAX + 2 * data.length, `${backlog}`)
  for (let turn = 0; scene.stream.sent.length < count * (data.length + 20); turn++) {
    assert.ok(turn < 500, 'it goes on')
    scene.stream.take(100 << 10)
    await scene.settle()
  }
  assert.deepEqual(
    scene.outcomes.map(([id]) => id),
    Array.from({ length: count }, (_, id) => id),
  )
  assert.equal(scene.answerer.channel.backlog, 0)
})

test('a sign of life and a return are dealt with while as many calls wait as may', async () => {
  const gates: (() => void)[] = []
  const returned: number[] = []
  const scene = new Scene({
    sync: () => new Promise((resolve) => gates.push(() => resolve({}))),
    ping: () => ({}),
    layoutReturn: (_session, { id }: { id: number }) => {
      returned.push(id)
      return {}
    },
  })
  for (let id = 0; id < 2 * CALLS_MAX; id++) scene.call(id, 'sync', {})
  scene.call(9001, 'ping', PING)
  scene.call(9002, 'layoutReturn', { id: 7 })
  await scene.settle()
  assert.deepEqual(scene.outcomes, [
    [9001, 0],
    [9002, 0],
  ])
  assert.deepEqual([returned, gates.length], [[7], CALLS_MAX])
  scene.cancel(CALLS_MAX + 3)
  await scene.settle()
  assert.deepEqual(scene.outcomes.at(-1), [CALLS_MAX + 3, EINTR], 'one that waits is given up, too')
})

test('a commit and a return are begun in their order while as many calls wait as may', async () => {
  const seen: string[] = []
  const scene = new Scene({
    sync: () => new Promise(() => {}),
    layoutCommit: async () => {
      seen.push('commit')
      await Promise.resolve()
      return {}
    },
    layoutReturn: () => {
      seen.push('return')
      return {}
    },
  })
  for (let id = 0; id < CALLS_MAX + 10; id++) scene.call(id, 'sync', {})
  scene.call(9001, 'layoutCommit', { id: 7, size: undefined })
  scene.call(9002, 'layoutReturn', { id: 7, range: undefined })
  await scene.settle()
  assert.deepEqual(seen, ['commit', 'return'])
  assert.deepEqual(new Set(scene.outcomes.map(([id]) => id)), new Set([9001, 9002]))
})

test('so many commits that never end do not hurry past others for ever', async () => {
  let begun = 0
  const scene = new Scene({
    sync: () => new Promise(() => {}),
    layoutCommit: () => {
      begun++
      return new Promise(() => {})
    },
  })
  for (let id = 0; id < CALLS_MAX; id++) scene.call(id, 'sync', {})
  for (let id = 0; id < 4 * CALLS_MAX; id++) {
    scene.call(9000 + id, 'layoutCommit', { id: 7, size: undefined })
  }
  for (let turn = 0; turn < 30; turn++) await scene.settle()
  assert.equal(begun, CALLS_MAX)
})

test('the time of a call runs while it waits for others, and it is not begun after that', async () => {
  const gates: (() => void)[] = []
  let stats = 0
  const scene = new Scene({
    sync: () => new Promise((resolve) => gates.push(() => resolve({}))),
    statfs: (session, args, call) => {
      stats++
      return patient(session, args, call)
    },
  })
  for (let id = 0; id < CALLS_MAX; id++) scene.call(id, 'sync', {})
  scene.call(5000, 'statfs', {}, 100)
  scene.call(5001, 'statfs', {}, 300)
  await scene.time.pass(150)
  assert.deepEqual([scene.outcomes, stats], [[[5000, ETIMEDOUT]], 0])
  gates[0]!()
  await scene.settle()
  assert.equal(stats, 1)
  await scene.time.pass(100)
  assert.equal(scene.outcomes.length, 2, 'it has 50 ms left')
  await scene.time.pass(100)
  assert.deepEqual(scene.outcomes.at(-1), [5001, ETIMEDOUT])
})

test('once it is closed no call is begun that waited', async () => {
  let begun = 0
  const scene = new Scene({ sync: patient, mkdir: () => (begun++, {}) })
  scene.stream.window = 0
  for (let id = 0; id < CALLS_MAX; id++) scene.call(id, 'sync', {})
  scene.call(5000, 'mkdir', { path: Buffer.from('/d'), mode: 0o700 })
  await scene.settle()
  scene.answerer.tell('ended', { why: 'it was evicted', stops: false })
  scene.answerer.close()
  await scene.time.pass(100)
  scene.stream.take(Infinity)
  await scene.time.pass(100)
  assert.equal(begun, 0)
})

test('calls beyond those that may wait are refused, and the next are not', async () => {
  const gates: (() => void)[] = []
  const scene = new Scene({
    sync: () => new Promise((resolve) => gates.push(() => resolve({}))),
  })
  for (let id = 0; id < CALLS_MAX; id++) scene.call(id, 'sync', {})
  for (let id = 0; id < DEFERRED_MAX + 3; id++) scene.call(1000 + id, 'sync', {})
  for (let turn = 0; turn < 200; turn++) await scene.settle()
  assert.deepEqual(
    scene.outcomes,
    [0, 1, 2].map((beyond) => [1000 + DEFERRED_MAX + beyond, EAGAIN]),
  )
  for (let done = 0; done < CALLS_MAX + DEFERRED_MAX; done++) {
    while (gates.length <= done) await scene.settle()
    gates[done]!()
  }
  for (let turn = 0; turn < 20; turn++) await scene.settle()
  assert.equal(scene.outcomes.length, CALLS_MAX + DEFERRED_MAX + 3)
  assert.equal(scene.answerer.calls, 0)
})

test('who asks for signs of life and takes none makes nothing grow, and is not heard of', async () => {
  const scene = new Scene({ ping: () => ({}) })
  scene.stream.window = 0
  for (let id = 0; id < 150_000; id++) {
    scene.call(id, 'ping', PING)
    if (id % 64 === 0) await scene.settle()
  }
  assert.ok(!scene.stream.wanted && scene.stream.unread > 0, 'it is read no more')
  const { backlog } = scene.answerer.channel
  assert.ok(backlog < 3 * EVENT_BYTES_MAX, `${backlog}`)
  const { heard } = scene
  await scene.time.pass(1000)
  assert.equal(scene.heard, heard)
  scene.stream.take(1000)
  await scene.settle()
  assert.ok(scene.heard > heard, 'what it takes is a sign of life')
})

test('events are dropped for who is too slow, who learns how many; what must be known is not', async () => {
  const scene = new Scene({})
  scene.stream.window = 0
  const holds = { kind: 'content' as const, ino: 7 }
  const told = 100_000
  for (let i = 0; i < told; i++) scene.answerer.tellEvent('changed', holds)
  const { backlog } = scene.answerer.channel
  assert.ok(backlog <= EVENT_BYTES_MAX + 100, `${backlog}`)
  scene.answerer.tell('released', { id: 3 })
  scene.stream.take(Infinity)
  await scene.settle()
  const names = scene.notices
  const events = names.filter(({ name }) => name === 'changed').length
  const lost = names.filter(({ name }) => name === 'lost')
  assert.deepEqual(lost, [{ name: 'lost', body: { events: told - events } }])
  assert.equal(names.filter(({ name }) => name === 'released').length, 1)
  scene.answerer.tellEvent('changed', holds)
  await scene.settle()
  assert.equal(scene.notices.at(-1)!.name, 'changed')
})

test('an end that is closed says what it has to, and gives up what is under way', async () => {
  const scene = new Scene({ sync: patient })
  scene.call(1, 'sync', {})
  await scene.settle()
  scene.stream.window = 0
  scene.answerer.tell('ended', { why: 'over', stops: true })
  scene.answerer.close()
  await scene.settle()
  assert.equal(scene.answerer.calls, 0)
  scene.stream.take(1000)
  await scene.settle()
  assert.deepEqual([scene.notices.map(({ name }) => name), scene.ends], [['ended'], [null]])
  scene.answerer.tell('ended', { why: 'over', stops: true })
  scene.answerer.tellEvent('lost', { events: 1 })
  assert.equal(scene.notices.length, 1)
})

test('messages go to the gate before the other end has said who it is', async () => {
  const scene = new Scene({ ping: () => assert.fail('not yet') })
  const came: number[] = []
  scene.answerer.gate = (message) => came.push(message.length)
  scene.call(1, 'ping', PING)
  await scene.settle()
  assert.deepEqual([came.length, scene.outcomes], [1, []])
})
