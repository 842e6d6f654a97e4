import assert from 'node:assert/strict'
import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  readSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { native, type MemoryId } from '../../src/native/native.js'
import type { PollId, Ready } from '../../src/native/sockets.js'
import { fails, pageBytes } from './support.js'
import { busyPart, child, leastBusyPart, sockets } from './streams.js'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-poll-'))
after(() => rmSync(folder, { recursive: true }))

let pipes = 0

/** A pipe with both ends in one descriptor. */
function pipe(): number {
  const path = join(folder, `pipe${pipes++}`)
  native.makeNode(Buffer.from(path), constants.S_IFIFO | 0o600, 0, 0)
  return openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
}

const never: Ready = () => assert.fail('called, though nothing was wanted')

const arrivals = new Map<PollId, () => void>()

/** Two connected sockets, polled; the second is told by `arrived`. */
async function connection(): Promise<[PollId, PollId]> {
  let client: PollId
  const accepted = await new Promise<PollId>((resolve) => {
    const listener = native.listenSocket('127.0.0.1', 0, 0, () => {
      const found = native.acceptSocket(listener, () => {
        native.watch(found!.poll, false, false)
        arrivals.get(found!.poll)!()
      })
      if (found === undefined) return
      native.closePoll(listener)
      resolve(found.poll)
    })
    native.watch(listener, true, false)
    client = native.connectSocket('127.0.0.1', native.boundTo(listener).port, never)
  })
  return [client!, accepted]
}

/** Until there is something to receive. */
function arrived(poll: PollId): Promise<void> {
  return new Promise((resolve) => {
    arrivals.set(poll, resolve)
    native.watch(poll, true, false)
  })
}

test('a descriptor is told of while it is ready, and only for what is wanted', async () => {
  const fd = pipe()
  const calls: string[] = []
  const poll = native.poll(fd, (readable, writable) => {
    calls.push(`${readable ? 'r' : ''}${writable ? 'w' : ''}`)
  })
  await turn()
  assert.deepEqual(calls, [], 'nothing was wanted')
  native.watch(poll, true, false)
  await busyPart(20)
  assert.deepEqual(calls, [], 'nothing to read')
  writeSync(fd, 'x')
  while (calls.length < 3) await turn()
  assert.deepEqual(new Set(calls), new Set(['r']))
  native.watch(poll, false, false)
  calls.length = 0
  assert.ok((await leastBusyPart(50)) < 0.5)
  assert.deepEqual(calls, [])
  native.watch(poll, true, true)
  while (calls.length < 2) await turn()
  assert.deepEqual(new Set(calls), new Set(['rw']))
  calls.length = 0
  readSync(fd, Buffer.alloc(1))
  while (calls.length < 2) await turn()
  assert.deepEqual(calls.at(-1), 'w')
  native.closePoll(poll)
  calls.length = 0
  await busyPart(20)
  assert.deepEqual(calls, [])
})

test('a poll closes its descriptor, once', () => {
  const fd = pipe()
  const poll = native.poll(fd, never)
  native.closePoll(poll)
  assert.throws(() => fstatSync(fd), { code: 'EBADF' })
  fails('EBADF', () => native.closePoll(poll))
  fails('EBADF', () => native.watch(poll, true, true))
  const another = native.poll(pipe(), never)
  assert.notEqual(another, poll)
  fails('EBADF', () => native.closePoll(poll))
  native.closePoll(another)
})

test('ids are not given out again, and only live ones are taken', () => {
  const seen = new Set<number>()
  for (let i = 0; i < 300; i++) {
    const poll = native.poll(pipe(), never)
    assert.ok(!seen.has(poll))
    seen.add(poll)
    native.closePoll(poll)
  }
  const live = native.poll(pipe(), never)
  for (const id of [0, live + 1, live + 2 ** 24, Number.MAX_SAFE_INTEGER, ...seen]) {
    fails('EBADF', () => native.watch(id as PollId, true, false))
    fails('EBADF', () => native.send(id as PollId, new Uint8Array(1), 0, 1))
  }
  for (const id of [-1, 0.5, NaN, 2 ** 53]) {
    fails('ERR_OUT_OF_RANGE', () => native.closePoll(id as PollId))
    fails('ERR_OUT_OF_RANGE', () => native.watch(id as PollId, true, false))
  }
  native.closePoll(live)
})

test('what cannot be watched stays with its owner', () => {
  const fd = openSync(join(folder, 'file'), 'w+')
  fails('EPERM', () => native.poll(fd, never))
  fstatSync(fd)
  closeSync(fd)
  fails('EBADF', () => native.poll(1_000_000, never))
  const once = pipe()
  const poll = native.poll(once, never)
  native.watch(poll, true, false)
  fails('EEXIST', () => native.poll(once, never))
  native.closePoll(poll)
  const kept = pipe()
  for (const bad of [undefined, null, 5, {}]) {
    fails('ERR_INVALID_ARG_TYPE', () => native.poll(kept, bad as unknown as Ready))
  }
  fails('ERR_OUT_OF_RANGE', () => native.poll(-1, never))
  closeSync(kept)
})

test('addresses are numeric, and ports are ports', () => {
  const before = sockets()
  const listen: typeof native.connectSocket = (host, port, ready) =>
    native.listenSocket(host, port, 0, ready)
  for (const call of [native.connectSocket, listen]) {
    for (const host of ['localhost', '', '1.2.3.4.5', ':::', 'x'.repeat(1000), '127.0.0.1\0']) {
      fails('EINVAL', () => call(host, 0, never))
    }
    for (const port of [-1, 65536, 0.5]) {
      fails('ERR_OUT_OF_RANGE', () => call('127.0.0.1', port, never))
    }
    fails('ERR_INVALID_ARG_TYPE', () => call(5 as unknown as string, 0, never))
    fails('ERR_INVALID_ARG_TYPE', () => call('127.0.0.1', 0, 5 as unknown as Ready))
  }
  assert.equal(sockets(), before)
})

test('bytes are received straight into a memory, and the rest beside it', async () => {
  const [from, to] = await connection()
  const memory = native.anonymous(2 * pageBytes)
  const view = new Uint8Array(native.view(memory, 0, 2 * pageBytes))
  const sent = Uint8Array.from({ length: 200 }, (_, i) => i + 1)
  const rest = new Uint8Array(100)
  const cases = [
    { length: 150, more: 50, start: 20 },
    { length: 200, more: 100, start: 0 },
    { length: 0, more: 100, start: 0 },
    { length: 100, more: 0, start: 100 },
  ]
  for (const { length, more, start } of cases) {
    view.fill(0)
    rest.fill(0)
    const parts = [memory, 100, length, rest, start, more]
    assert.equal(native.receiveParts(to, parts, 2), 0, 'nothing yet')
    assert.equal(native.send(from, sent, 0, 200), 200)
    await arrived(to)
    const got = native.receiveParts(to, parts, 2)
    assert.equal(got, Math.min(200, length + more))
    const placed = Math.min(got, length)
    assert.deepEqual(view.subarray(100, 100 + placed), sent.subarray(0, placed))
    assert.deepEqual(rest.subarray(start, start + got - placed), sent.subarray(placed, got))
    assert.equal(view[99]! + view[100 + placed]!, 0, 'nothing beside it')
    assert.equal(
      rest.reduce((sum, byte) => sum + byte),
      sum(sent.subarray(placed, got)),
    )
    const left = new Uint8Array(200 - got)
    assert.equal(native.receive(to, left, 0, left.length), left.length)
    assert.deepEqual(left, sent.subarray(got))
  }
  native.endSocket(from)
  await arrived(to)
  assert.equal(native.receiveParts(to, [memory, 0, 10, rest, 0, 10], 2), -1)
  assert.equal(native.receiveParts(to, [], 0), 0)
  for (const poll of [from, to]) native.closeSocket(poll, false)
  native.unmap(memory)
})

const sum = (bytes: Uint8Array): number => bytes.reduce((all, byte) => all + byte, 0)

test('bytes are sent from memories and arrays in one go', async () => {
  const [from, to] = await connection()
  const memory = native.anonymous(pageBytes)
  const view = new Uint8Array(native.view(memory, 0, pageBytes)).fill(7)
  const bytes = Uint8Array.of(1, 2, 3, 4)
  const parts = [bytes, 1, 2, memory, 5, 3, bytes, 0, 0, bytes, 0, 4]
  assert.equal(native.sendParts(from, parts, 4), 9)
  assert.equal(native.sendParts(from, parts, 0), 0)
  await arrived(to)
  const got = new Uint8Array(20)
  assert.equal(native.receive(to, got, 0, 20), 9)
  assert.deepEqual([...got.subarray(0, 9)], [2, 3, 7, 7, 7, 1, 2, 3, 4])
  fails('ERR_OUT_OF_RANGE', () => native.sendParts(from, [bytes, 3, 2], 1))
  fails('ERR_OUT_OF_RANGE', () => native.sendParts(from, [memory, pageBytes, 1], 1))
  view.fill(0)
  let taken = 0
  const large = new Uint8Array(1 << 20)
  for (let n = -1; n !== 0; taken += n) n = native.sendParts(from, [large, 0, large.length], 1)
  assert.ok(taken > 0, 'as much as there is room for, and then nothing')
  for (const poll of [from, to]) native.closeSocket(poll, true)
  native.unmap(memory)
})

test('nothing is received where it does not fit', async () => {
  const [from, to] = await connection()
  const memory = native.anonymous(pageBytes)
  const rest = new Uint8Array(100)
  native.send(from, rest, 0, 10)
  await arrived(to)
  const into = (m: MemoryId, offset: number, length: number, start: number, more: number) =>
    native.receiveParts(to, [m, offset, length, rest, start, more], 2)
  fails('ERR_OUT_OF_RANGE', () => into(memory, 0, pageBytes + 1, 0, 0))
  fails('ERR_OUT_OF_RANGE', () => into(memory, pageBytes, 1, 0, 0))
  fails('ERR_OUT_OF_RANGE', () => into(memory, 0, 1, 100, 1))
  fails('ERR_OUT_OF_RANGE', () => into(memory, 0, 1, 0, 101))
  fails('ERR_OUT_OF_RANGE', () => into(memory, 2 ** 53, 2 ** 53, 0, 0))
  fails('ERR_OUT_OF_RANGE', () => into(memory, NaN, 1, 0, 0))
  const words = new Uint16Array(1) as unknown as Uint8Array
  fails('ERR_INVALID_ARG_TYPE', () => native.receiveParts(to, [words, 0, 1], 1))
  fails('ERR_OUT_OF_RANGE', () => native.receiveParts(to, [rest, 0], 1))
  fails('ERR_OUT_OF_RANGE', () => native.receiveParts(to, [], 1025))
  const unmapped = native.reserve(pageBytes)
  fails('EFAULT', () => into(unmapped, 0, 10, 0, 0))
  native.unmap(unmapped)
  fails('EINVAL', () => into(unmapped, 0, 10, 0, 0))
  assert.equal(into(memory, 0, 4, 0, 6), 10, 'all is still there')
  for (const poll of [from, to]) native.closeSocket(poll, true)
  native.unmap(memory)
})

test('a poll belongs to the thread that opened it', async () => {
  const poll = native.poll(pipe(), never)
  const module = new URL('../../src/native/native.js', import.meta.url).href
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(({ native }) => {
      try { native.watch(workerData.poll, true, false) } catch (error) {
        parentPort.postMessage(error.code)
      }
    })`
  const worker = new Worker(code, { eval: true, workerData: { module, poll } })
  const answer = await new Promise((resolve, reject) => {
    worker.once('message', resolve)
    worker.once('error', reject)
  })
  assert.equal(answer, 'EBADF')
  native.closePoll(poll)
})

test('a thread that ends closes its sockets, however it ends', async () => {
  const before = sockets()
  const modules = {
    native: new URL('../../src/native/native.js', import.meta.url).href,
    tcp: new URL('../../src/native/tcp.js', import.meta.url).href,
  }
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.modules.tcp).then(async ({ tcp }) => {
      const bytes = new Uint8Array(65536)
      const echo = (stream) => stream.attach({
        readable() { stream.send(bytes, 0, Math.max(0, stream.receive(bytes, 0, 65536))) },
        writable() {},
      })
      const listener = await tcp.listen('127.0.0.1', 0, echo)
      for (let i = 0; i < 10; i++) {
        const stream = await tcp.connect('127.0.0.1', listener.port)
        echo(stream)
        stream.send(bytes, 0, 1000)
      }
      parentPort.postMessage(listener.port)
      if (workerData.how === 'exit') setImmediate(() => process.exit(0))
      if (workerData.how === 'throw') setImmediate(() => { throw new Error('meant') })
    })`
  for (const how of ['exit', 'throw', 'terminate', 'terminate', 'terminate']) {
    const worker = new Worker(code, { eval: true, workerData: { modules, how } })
    const errors: string[] = []
    worker.on('error', ({ message }) => errors.push(message))
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    await new Promise((resolve) => worker.once('message', resolve))
    if (how === 'terminate') await worker.terminate()
    await ended
    assert.deepEqual(errors, how === 'throw' ? ['meant'] : [])
    assert.equal(sockets(), before, how)
  }
})

test('what a callback throws is an uncaught exception, and the next call comes', async () => {
  const process = child('poll_process.js', ['throws'])
  assert.equal(await process.line(), 'uncaught 1, 2, 3; microtasks 1, 2, 3')
  assert.equal(await process.exit(), 0)
})

test('an exception that nobody catches ends the process', async () => {
  const process = child('poll_process.js', ['dies'], { quiet: true })
  assert.equal(await process.exit(), 7)
})

test('an open stream keeps the process, also one that is not read', async () => {
  const process = child('poll_process.js', ['stays'])
  assert.equal(await process.line(), 'open')
  assert.equal(await process.line(), 'still here')
  assert.equal(await process.exit(), 0, 'and it ends when all are closed')
})
