/** The asking end: each call settles once, whatever the other end does. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import { test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { Caller, idAfter } from '../../src/control/caller.js'
import {
  Kind,
  writeFailure,
  writeNotice,
  writeReply,
  type Notice,
} from '../../src/control/message.js'
import { VERBS } from '../../src/control/verbs/index.js'
import { XdrReader, XdrWriter } from '../../src/control/xdr.js'
import { SimulatedTime } from '../rdma/simulated_time.js'
import { messagesOf, ScriptedStream } from './scripted_stream.js'

class Scene {
  readonly time = new SimulatedTime()
  readonly stream = new ScriptedStream(this.time)
  readonly notices: Notice[] = []
  readonly ends: (Error | null)[] = []
  readonly caller = new Caller(this.stream, this.time, {
    notice: (notice) => this.notices.push(notice),
    ended: (error) => this.ends.push(error),
  })

  /** Kind and id of what was sent. */
  get sent(): [number, number][] {
    return messagesOf(this.stream.sent).map((message) => {
      const from = new XdrReader(message)
      return [from.u32(), from.u32()]
    })
  }

  async come(write: (out: XdrWriter) => void): Promise<void> {
    const out = new XdrWriter()
    out.reset(4)
    write(out)
    const bytes = out.bytes.slice()
    new DataView(bytes.buffer).setUint32(0, (0x8000_0000 | (bytes.length - 4)) >>> 0)
    this.stream.come(bytes)
    await this.time.pass(0)
  }

  reply(id: number, data: string): Promise<void> {
    const value = { data: Buffer.from(data) }
    return this.come((out) => writeReply(out, id, VERBS.read.result, value))
  }

  read(options = {}): Promise<string> {
    const args = { handle: 1, position: 0, length: 9 }
    return this.caller
      .call(VERBS.read, args, options)
      .then(({ data }) => Buffer.from(data).toString())
  }
}

test('replies find their calls, in any order', async () => {
  const scene = new Scene()
  const calls = [scene.read(), scene.read(), scene.read()]
  assert.deepEqual(scene.sent, [
    [Kind.call, 1],
    [Kind.call, 2],
    [Kind.call, 3],
  ])
  for (const id of [3, 1, 2]) await scene.reply(id, `of ${id}`)
  assert.deepEqual(await Promise.all(calls), ['of 1', 'of 2', 'of 3'])
  assert.equal(scene.caller.pending, 0)
})

test('an error that is answered is that of its call, and the next one goes on', async () => {
  const scene = new Scene()
  const call = scene.read()
  const error = new HoldfastError('ENOENT', 'nothing there', { path: '/x' })
  const failed = { code: 'ENOENT', path: '/x', detail: 'nothing there' }
  const rejected = assert.rejects(call, failed)
  await scene.come((out) => writeFailure(out, 1, error))
  await rejected
  const next = scene.read()
  await scene.reply(2, 'ok')
  assert.equal(await next, 'ok')
})

test('a malformed result fails its call alone', async () => {
  const scene = new Scene()
  const rejected = assert.rejects(scene.read(), { code: 'EPROTO' })
  await scene.come((out) => {
    out.u32(Kind.reply)
    out.u32(1)
    out.u32(0)
    out.u32(0x7fff_ffff)
  })
  await rejected
  assert.equal(scene.caller.ended, false)
})

test('a reply that nobody waits for ends the channel, and all calls with it', async () => {
  for (const id of [0, 2, 0xffff_ffff]) {
    const scene = new Scene()
    const call = scene.read()
    const rejected = assert.rejects(call, { code: 'ECONNRESET' })
    await scene.reply(id, 'what?')
    await rejected
    assert.equal((scene.ends[0] as HoldfastError).code, 'EPROTO')
    assert.equal(scene.stream.state, 'aborted')
  }
})

test('the same reply twice ends the channel', async () => {
  const scene = new Scene()
  const call = scene.read()
  await scene.reply(1, 'once')
  assert.equal(await call, 'once')
  await scene.reply(1, 'twice')
  assert.equal((scene.ends[0] as HoldfastError).code, 'EPROTO')
})

test('a call that is given up is told, and settles with its answer', async () => {
  const scene = new Scene()
  const controller = new AbortController()
  const { signal } = controller
  const call = scene.read({ signal })
  controller.abort()
  assert.deepEqual(scene.sent, [
    [Kind.call, 1],
    [Kind.cancel, 1],
  ])
  await scene.reply(1, 'too late to give it up')
  assert.equal(await call, 'too late to give it up')
  await assert.rejects(scene.read({ signal }), { code: 'EINTR' })
  assert.equal(scene.sent.length, 2)
})

test('a signal has no listener once its call has settled', async () => {
  const scene = new Scene()
  const { signal } = new AbortController()
  for (let id = 1; id <= 50; id++) {
    const call = scene.read({ signal })
    assert.equal(getEventListeners(signal, 'abort').length, 1)
    await scene.reply(id, '')
    await call
  }
  assert.equal(getEventListeners(signal, 'abort').length, 0)
  const last = assert.rejects(scene.read({ signal }), { code: 'ECONNRESET' })
  scene.caller.abort()
  await last
  assert.equal(getEventListeners(signal, 'abort').length, 0)
})

test('a time limit is sent, up to whole milliseconds', async () => {
  const scene = new Scene()
  void scene.read({ limit: 10.2 }).catch(() => {})
  const [message] = messagesOf(scene.stream.sent)
  const from = new XdrReader(message!)
  assert.deepEqual([from.u32(), from.u32(), from.u32()], [Kind.call, 1, 11])
})

test('in whose name a call is made is sent', async () => {
  const scene = new Scene()
  void scene.read({ as: { uid: 5, gid: 6, groups: [7] } }).catch(() => {})
  const from = new XdrReader(messagesOf(scene.stream.sent)[0]!)
  const words = Array.from({ length: 11 }, () => from.u32())
  assert.deepEqual(words, [Kind.call, 1, 0, 1, 5, 6, 1, 7, 0, 0, VERBS.read.number])
})

test('ids begin anew behind the last one, and pass over those that are under way', () => {
  const pending = new Set([1, 2, 4])
  assert.equal(idAfter(0, new Set()), 1)
  assert.equal(idAfter(0xffff_fffe, pending), 0xffff_ffff)
  assert.equal(idAfter(0xffff_ffff, pending), 3)
  assert.equal(idAfter(3, pending), 5)
})

test('what ends the channel ends all calls, and those that come after it', async () => {
  const scene = new Scene()
  const calls = [scene.read(), scene.read()]
  const settled = Promise.all(
    calls.map((call) =>
      assert.rejects(call, { code: 'ECONNRESET', detail: 'the server has closed the connection' }),
    ),
  )
  scene.stream.over()
  await scene.time.pass(0)
  await settled
  assert.deepEqual([scene.ends, scene.caller.pending], [[null], 0])
  await assert.rejects(scene.read(), { code: 'ECONNRESET' })
})

test('notices come in order; progress goes to its call, and to nobody when that is over', async () => {
  const scene = new Scene()
  const moved: number[] = []
  const call = scene.read({ onProgress: (bytes: number) => moved.push(bytes) })
  await scene.come((out) => writeNotice(out, 'progress', { call: 1, moved: 4096 }))
  await scene.come((out) => writeNotice(out, 'lost', { events: 3 }))
  await scene.reply(1, '')
  await call
  await scene.come((out) => writeNotice(out, 'progress', { call: 1, moved: 8192 }))
  await scene.come((out) => writeNotice(out, 'graceOver', {}))
  assert.deepEqual(moved, [4096])
  assert.deepEqual(
    scene.notices.map(({ name }) => name),
    ['lost', 'graceOver'],
  )
})

test('a call from a server ends the channel', async () => {
  const scene = new Scene()
  await scene.come((out) => {
    out.u32(Kind.call)
    out.u32(1)
  })
  assert.equal((scene.ends[0] as HoldfastError).code, 'EPROTO')
})

test('an argument that the protocol has no room for fails its call, and sends nothing', async () => {
  const scene = new Scene()
  const args = { handle: -1, position: 0, length: 9 }
  await assert.rejects(scene.caller.call(VERBS.read, args), /32 bits/)
  assert.deepEqual([scene.sent.length, scene.caller.pending], [0, 0])
})

test('what comes before the ends know each other goes to the gate', async () => {
  const scene = new Scene()
  const came: number[] = []
  scene.caller.gate = (message) => came.push(message.length)
  await scene.come((out) => out.u32(9))
  scene.caller.gate = null
  assert.deepEqual([came, scene.ends], [[4], []])
})

test('when something came last is known', async () => {
  const scene = new Scene()
  await scene.time.pass(500)
  assert.equal(scene.caller.heard, 0)
  await scene.come((out) => writeNotice(out, 'graceOver', {}))
  assert.equal(scene.caller.heard, 500)
})
