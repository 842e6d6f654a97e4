import assert from 'node:assert/strict'
import { afterEach, before, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { ByteStream } from '../../src/base/byte_stream.js'
import { HoldfastError } from '../../src/base/errors.js'
import { tcp } from '../../src/native/tcp.js'
import { busyPart, child, close, End, listening, sockets } from './streams.js'

let open = 0
before(() => {
  open = sockets()
})
afterEach(() => {
  const [before, now] = [open, sockets()]
  open = now
  assert.equal(now, before, 'every socket was closed')
})

async function refused(promise: Promise<unknown>, code: string, text: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof HoldfastError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, text)
    return true
  })
}

test('where nobody listens the connection is refused, by all addresses of the name', async () => {
  const { listener } = await listening()
  const { port } = listener
  listener.close()
  const at = `cannot connect to 127\\.0\\.0\\.1:${port}: .*; nobody listens there`
  await refused(tcp.connect('127.0.0.1', port), 'ECONNREFUSED', new RegExp(at))
  await refused(tcp.connect('localhost', port), 'ECONNREFUSED', /connect to localhost:\d+/)
})

test('what names no host is said so', async () => {
  await refused(tcp.connect('', 1), 'EINVAL', /host is empty/)
  await refused(tcp.connect('a'.repeat(300), 1), 'EINVAL', /cannot connect to aaa/)
  for (const port of [0, -1, 65536, 1.5, NaN]) {
    await refused(tcp.connect('127.0.0.1', port), 'EINVAL', /port .* is no integer/)
  }
  await refused(
    tcp.listen('127.0.0.1', -1, () => {}),
    'EINVAL',
    /port -1 is no integer/,
  )
})

test('an address is listened at by one, and by nobody who has it not', async () => {
  const { listener, accept } = await listening()
  const { port } = listener
  const nothing = () => {}
  const text = new RegExp(`cannot listen at 127\\.0\\.0\\.1:${port}: .*; choose another port`)
  await refused(tcp.listen('127.0.0.1', port, nothing), 'EADDRINUSE', text)
  await refused(tcp.listen('192.0.2.1', 0, nothing), 'EADDRNOTAVAIL', /192\.0\.2\.1:0/)
  const client = await tcp.connect('127.0.0.1', port)
  const accepted = await accept()
  listener.close()
  // This end closes first, so that the port lingers (TIME_WAIT).
  accepted.close()
  const again = await tcp.listen('127.0.0.1', port, nothing)
  assert.equal(again.port, port, 'at once after it was closed')
  again.close()
  client.close()
})

test('a signal that is aborted already leaves nothing behind', async () => {
  const { listener, waiting } = await listening()
  const reason = new Error('no')
  const connecting = tcp.connect('127.0.0.1', listener.port, AbortSignal.abort(reason))
  await assert.rejects(connecting, (error) => error === reason)
  await turn()
  assert.equal(waiting.length, 0)
  listener.close()
})

test('a signal that is aborted at any moment gives its reason or a connection', async () => {
  const { listener, waiting } = await listening()
  const outcomes = { reason: 0, connected: 0 }
  for (let moment = 0; moment < 60; moment++) {
    const controller = new AbortController()
    const reason = new Error(`at ${moment}`)
    const connecting = tcp.connect('localhost', listener.port, controller.signal)
    const outcome = connecting.then(
      (stream) => {
        outcomes.connected++
        stream.close()
      },
      (error) => {
        outcomes.reason++
        assert.equal(error, reason)
      },
    )
    for (let i = 0; i < moment % 30; i++) await Promise.resolve()
    if (moment >= 30) for (let i = 0; i < moment - 30; i++) await turn()
    controller.abort(reason)
    await outcome
    await turn()
    for (const stream of waiting.splice(0)) stream.close()
  }
  assert.ok(outcomes.reason > 0)
  const stream = await tcp.connect('127.0.0.1', listener.port, new AbortController().signal)
  stream.close()
  listener.close()
  for (const left of waiting) left.close()
})

test('a connection that gets no answer can be given up', async () => {
  // Connections that nobody takes fill the queue, until the next finds no room in it.
  const { listener, waiting } = await listening()
  listener.accepting(false)
  const streams: ByteStream[] = []
  const reason = new Error('given up')
  let given = 0
  while (given === 0) {
    const controller = new AbortController()
    const connecting = tcp.connect('127.0.0.1', listener.port, controller.signal)
    const connected = connecting.then((stream) => {
      streams.push(stream)
      return true
    })
    if (await Promise.race([connected, patience(50)])) continue
    assert.ok(streams.length > 100, `${streams.length} connections wait`)
    controller.abort(reason)
    await assert.rejects(connecting, (error) => error === reason)
    given++
  }
  for (const stream of streams) stream.abort()
  listener.close()
  for (const stream of waiting) stream.close()
})

async function patience(turns: number): Promise<boolean> {
  for (let i = 0; i < turns; i++) await busyPart(1)
  return false
}

test('without descriptors connections wait, and are taken when there are some again', async () => {
  const host = child('few_descriptors.js', [], { descriptors: 64 })
  const port = Number(await host.line())
  const clients = await Promise.all(
    Array.from({ length: 100 }, async () => new End(await tcp.connect('127.0.0.1', port))),
  )
  const told = JSON.parse(await host.line()) as { accepted: number; busy: number; refused: string }
  assert.ok(told.accepted > 10 && told.accepted < 64, `${told.accepted} of 100`)
  assert.ok(told.busy < 0.5, `busy ${told.busy} of the time`)
  assert.equal(told.refused, 'EMFILE')
  assert.equal(await host.line(), 'all 100')
  assert.equal(await host.exit(), 0)
  close(...clients)
})
