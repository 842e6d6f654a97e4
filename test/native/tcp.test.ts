import assert from 'node:assert/strict'
import { afterEach, before, test } from 'node:test'
import { readFileSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { setImmediate as turn } from 'node:timers/promises'
import type { ByteStream } from '../../src/base/byte_stream.js'
import { HoldfastError } from '../../src/base/errors.js'
import { tcp } from '../../src/native/tcp.js'
import { randomBytes, seeded } from './support.js'
import { all, busyPart, close, End, leastBusyPart, listening, pair, sockets } from './streams.js'

const hasIpv6 = (): boolean =>
  Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'))

let open = 0
before(() => {
  open = sockets()
})
afterEach(() => {
  const [before, now] = [open, sockets()]
  open = now
  assert.equal(now, before, 'every socket was closed')
})

async function echoes(host: string): Promise<void> {
  const random = seeded(`echo at ${host}`)
  const [client, server] = await pair(host)
  const pieces = (most: number) => () => 1 + (random() % most)
  const sent = randomBytes(random, 6_000_000)
  const echo = async () => {
    for (;;) {
      const bytes = await server.next()
      if (bytes === null) break
      await server.send(bytes, pieces(30_000))
    }
    server.stream.end()
  }
  const echoing = echo()
  const sending = client.send(sent, pieces(300_000)).then(() => client.stream.end())
  const got = await client.receive(sent.length + 1, pieces(100_000))
  await Promise.all([echoing, sending])
  assert.ok(Buffer.from(got).equals(sent), 'what came back is what was sent')
  close(client, server)
}

test('megabytes come back as they were sent, whatever the pieces', () => echoes('127.0.0.1'))

test('and over IPv6', { skip: hasIpv6() ? false : 'no IPv6 here' }, () => echoes('::1'))

test('both ends name each other, IPv6 in brackets', async (t) => {
  const [client, server] = await pair()
  assert.match(client.stream.peer, /^127\.0\.0\.1:\d+$/)
  assert.match(server.stream.peer, /^127\.0\.0\.1:\d+$/)
  assert.notEqual(client.stream.peer, server.stream.peer)
  const segment = client.stream.segmentBytes!
  assert.ok(segment >= 500 && segment < 65536, `${segment}`)
  close(client, server)
  assert.equal(client.stream.segmentBytes, null)
  if (!hasIpv6()) return t.skip('no IPv6 here')
  const [six, other] = await pair('::1')
  assert.match(six.stream.peer, /^\[::1\]:\d+$/)
  assert.match(other.stream.peer, /^\[::1\]:\d+$/)
  assert.ok(six.stream.segmentBytes! >= 500)
  close(six, other)
})

test('who does not read holds the sender up, and loses nothing', async () => {
  const random = seeded('back pressure')
  const [client, server] = await pair()
  const bytes = randomBytes(random, 1 << 20)
  let total = 0
  /** Until it is full; the bytes repeat. */
  const fill = () => {
    for (;;) {
      const start = total % bytes.length
      const taken = client.stream.send(bytes, start, bytes.length - start)
      total += taken
      if (taken < bytes.length - start) return
    }
  }
  fill()
  assert.ok(total < 64 << 20, 'the kernel bounds what is under way')
  // The rest of what the kernel moves to the other side, and then no call any more.
  let calls = 0
  const refill = async () => {
    for (;;) {
      await client.canSend()
      calls++
      fill()
    }
  }
  void refill()
  assert.ok((await leastBusyPart()) < 0.5, 'a sender that waits costs nothing')
  const stalled = calls
  await busyPart(50)
  assert.equal(calls, stalled, 'not writable while nobody reads')
  let at = 0
  const got = new Uint8Array(bytes.length)
  const enough = total + (8 << 20)
  while (at < enough) {
    const length = server.stream.receive(got, 0, got.length)
    if (length === 0) await server.canReceive()
    for (let i = 0; i < length; i += 997) assert.equal(got[i], bytes[(at + i) % bytes.length])
    at += length
  }
  assert.ok(calls > stalled, 'writable again when there was room')
  close(client, server)
})

test('room is told of once, and then costs nothing', async () => {
  const [client, server] = await pair()
  const bytes = new Uint8Array(1 << 20)
  let sent = 0
  for (let taken = -1; taken !== 0; sent += taken)
    taken = client.stream.send(bytes, 0, bytes.length)
  let calls = 0
  client.writable = () => {
    calls++
  }
  assert.equal((await server.receive(sent, all)).length, sent)
  assert.ok((await leastBusyPart(100)) < 0.5, 'no busy loop')
  assert.equal(calls, 1)
  close(client, server)
})

test('an end in one direction leaves the other open', async () => {
  const [client, server] = await pair()
  const five = Uint8Array.of(1, 2, 3, 4, 5)
  await client.send(five, all)
  client.stream.end()
  client.stream.end()
  assert.throws(() => client.stream.send(five, 0, 5), { name: 'HoldfastError', code: 'EPIPE' })
  assert.deepEqual(await server.receive(10, all), five)
  assert.equal(server.stream.receive(five, 0, 5), -1)
  assert.equal(server.stream.receive(five, 0, 5), -1, 'still')
  server.stream.reading(true)
  assert.ok((await leastBusyPart(50)) < 0.5, 'an end that was received is not told again')
  await server.send(five, all)
  assert.deepEqual(await client.receive(5, all), five)
  server.stream.end()
  assert.equal(await client.next(), null)
  close(client, server)
})

test('what was sent before a close arrives, though the other side sent too', async () => {
  const [client, server] = await pair()
  const sent = randomBytes(seeded('close'), 200_000)
  await client.send(sent.subarray(0, 1000), all)
  await server.canReceive()
  await server.send(sent, all)
  server.stream.close()
  const got = await client.receive(sent.length + 1, all)
  assert.ok(Buffer.from(got).equals(sent))
  close(client)
})

test('a reset comes after what was received before it, and stays', async () => {
  const [client, server] = await pair()
  const bytes = Uint8Array.of(1, 2, 3)
  await server.send(bytes, all)
  await client.canReceive()
  server.stream.abort()
  const target = new Uint8Array(10)
  assert.equal(client.stream.receive(target, 0, 10), 3)
  let first: unknown
  await assert.rejects(client.next(), (error) => {
    first = error
    assert.ok(error instanceof HoldfastError)
    assert.equal(error.code, 'ECONNRESET')
    assert.ok(error.message.includes(client.stream.peer), error.message)
    return true
  })
  for (const again of [
    () => client.stream.receive(target, 0, 10),
    () => client.stream.send(target, 0, 10),
  ]) {
    assert.throws(again, (error) => error === first)
  }
  client.stream.reading(true)
  assert.ok((await leastBusyPart(50)) < 0.5, 'an error that was received is not told again')
  client.stream.end()
  close(client)
})

test('a reset that a send finds is an error for who receives, not an end', async () => {
  const [client, server] = await pair()
  const bytes = new Uint8Array(10)
  await server.send(Uint8Array.of(7), all)
  await client.canReceive()
  server.stream.abort()
  await assert.rejects(sendOn(client.stream), { code: 'ECONNRESET' })
  assert.equal(client.stream.receive(bytes, 0, 10), 1)
  assert.equal(bytes[0], 7)
  assert.throws(() => client.stream.receive(bytes, 0, 10), { code: 'ECONNRESET' })
  close(client)
})

test('a reset wakes nobody who does not read, and is found by who sends', async () => {
  const [client, server] = await pair()
  server.stream.abort()
  assert.ok((await leastBusyPart()) < 0.5, 'no busy loop')
  const bytes = new Uint8Array(10)
  assert.throws(() => client.stream.send(bytes, 0, 10), { code: 'ECONNRESET' })
  close(client)
})

test('bytes that nobody reads cost nothing, and neither does an end', async () => {
  const [client, server] = await pair()
  server.stream.reading(true)
  server.stream.reading(false)
  await client.send(new Uint8Array(1000), all)
  assert.ok((await leastBusyPart()) < 0.5)
  client.stream.end()
  assert.ok((await leastBusyPart(50)) < 0.5)
  server.stream.reading(true)
  server.stream.reading(false)
  client.stream.abort()
  assert.ok((await leastBusyPart(50)) < 0.5)
  close(server)
})

test('a sender that waits for room hears of a reset', async () => {
  const [client, server] = await pair()
  const bytes = new Uint8Array(1 << 20)
  while (client.stream.send(bytes, 0, bytes.length) === bytes.length);
  const room = client.canSend()
  server.stream.abort()
  await room
  assert.throws(() => client.stream.send(bytes, 0, 1), { code: 'ECONNRESET' })
  close(client)
})

test('a closed stream calls nobody, and refuses bytes', async () => {
  const [client, server] = await pair()
  const bytes = new Uint8Array(10)
  server.stream.reading(true)
  client.stream.send(bytes, 0, 10)
  server.stream.close()
  await turn()
  for (const again of ['close', 'abort', 'end'] as const) server.stream[again]()
  server.stream.reading(false)
  assert.throws(() => server.stream.send(bytes, 0, 1), { name: 'HoldfastError', code: 'EBADF' })
  assert.throws(() => server.stream.receive(bytes, 0, 1), { code: 'EBADF' })
  assert.equal(await client.next(), null)
  close(client)
})

test('streams may be closed by what they call, and others with them', async () => {
  const pairs = await Promise.all(Array.from({ length: 20 }, () => pair()))
  const ends = pairs.flat()
  const { promise, resolve } = withResolvers<void>()
  let calls = 0
  const closeAll = () => {
    calls++
    for (const { stream } of ends) stream.abort()
    for (const { stream } of ends) stream.close()
    resolve()
  }
  for (const end of ends) {
    end.readable = closeAll
    end.writable = closeAll
    end.stream.reading(true)
  }
  for (const end of ends) end.stream.send(new Uint8Array(1 << 24), 0, 1 << 24)
  await promise
  await turn()
  await turn()
  assert.equal(calls, 1)
})

test('a listener may be closed by what it calls', async () => {
  const { promise, resolve } = withResolvers<ByteStream>()
  const listener = await tcp.listen('127.0.0.1', 0, (stream) => {
    listener.close()
    listener.close()
    resolve(stream)
  })
  const client = await tcp.connect(listener.host, listener.port)
  const accepted = await promise
  accepted.close()
  assert.equal(await new End(client).next(), null)
  client.close()
})

test('connections wait while none are taken', async () => {
  const { listener, waiting, accept } = await listening()
  listener.accepting(false)
  const client = await tcp.connect(listener.host, listener.port)
  assert.ok((await leastBusyPart(50)) < 0.5)
  assert.equal(waiting.length, 0)
  listener.accepting(true)
  const accepted = await accept()
  close(new End(client), new End(accepted))
  listener.close()
})

test('a thousand connections at a time, each with its own bytes', async () => {
  const { listener, accept } = await listening()
  const serve = async (stream: ByteStream) => {
    const end = new End(stream)
    for (let bytes; (bytes = await end.next()) !== null;) await end.send(bytes, all)
    close(end)
  }
  const ask = async (number: number) => {
    const end = new End(await tcp.connect(listener.host, listener.port))
    const sent = new Uint8Array(1000 + (number % 100)).fill(number)
    sent[0] = number >> 8
    await end.send(sent, () => 700)
    assert.deepEqual(await end.receive(sent.length, all), sent)
    return end
  }
  const serving = Array.from({ length: 1000 }, async () => serve(await accept()))
  const clients = await Promise.all(Array.from({ length: 1000 }, (_, i) => ask(i)))
  close(...clients)
  await Promise.all(serving)
  listener.close()
})

test('a peer that says nothing is asked after, at both ends', async () => {
  const [client, server] = await pair()
  for (const end of [client, server]) {
    const port = Number(end.stream.peer.split(':')[1])
    const row = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .find((columns) => columns[2] === `0100007F:${hex(port)}`)
    // Kind of the timer, and hundredths of a second (Documentation/networking/proc_net_tcp).
    const [kind, rest] = row![5]!.split(':')
    assert.equal(kind, '02', 'the keepalive timer runs')
    const seconds = parseInt(rest!, 16) / 100
    assert.ok(seconds > 20 && seconds <= 30, `${seconds} seconds`)
  }
  close(client, server)
})

const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0')

test('bytes of arrays that are shared, detached or out of range', async () => {
  const [client, server] = await pair()
  const shared = new Uint8Array(new SharedArrayBuffer(100), 10, 50).fill(3)
  assert.equal(client.stream.send(shared, 5, 40), 40)
  await server.canReceive()
  const target = new Uint8Array(new SharedArrayBuffer(100), 50)
  assert.equal(server.stream.receive(target, 2, 30), 30)
  assert.deepEqual([...target.subarray(0, 34)], [0, 0, ...new Array<number>(30).fill(3), 0, 0])
  const detached = new Uint8Array(100)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  for (const array of [detached, new Uint8Array(99)]) {
    assert.throws(() => client.stream.send(array, 0, 100), { code: 'ERR_OUT_OF_RANGE' })
    assert.throws(() => server.stream.receive(array, 0, 100), { code: 'ERR_OUT_OF_RANGE' })
  }
  assert.equal(client.stream.send(detached, 0, 0), 0)
  assert.equal(server.stream.receive(detached, 0, 0), 0)
  assert.equal(server.stream.receive(target, 0, 50), 10, 'the connection is none the worse')
  close(client, server)
})

/** Until it throws. */
async function sendOn(stream: ByteStream): Promise<never> {
  for (;;) {
    stream.send(new Uint8Array(1), 0, 1)
    await turn()
  }
}

function withResolvers<T>() {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
