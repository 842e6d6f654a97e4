import assert from 'node:assert/strict'
import {
  closeSync,
  fstatSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { after, afterEach, before, test } from 'node:test'
import type { ReceivedDescriptor } from '../../src/base/byte_stream.js'
import { native } from '../../src/native/native.js'
import { listenUnix } from '../../src/native/unix.js'
import { compilePeer, startPeer } from './peer.js'
import { all, close, End, pair, queue, unixPair } from './streams.js'
import { fails, randomBytes, seeded } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-descriptors-'))
const script = fileURLToPath(new URL('unix_process.js', import.meta.url))
const at = (name: string) => join(folder, name)
const peer = compilePeer(folder)
const nobody = { skip: peer === undefined ? 'no C compiler' : false }
after(() => rmSync(folder, { recursive: true }))

/** Descriptors that are files in memory or sockets: the engine's own come and go. */
const descriptors = (): number => readdirSync('/proc/self/fd').filter(isOurs).length
function isOurs(fd: string): boolean {
  try {
    const stat = fstatSync(Number(fd))
    return stat.isFile() || stat.isSocket()
  } catch {
    return false
  }
}

let open = 0
before(() => {
  open = descriptors()
})
afterEach(() => {
  assert.equal(descriptors(), open, 'every descriptor was closed')
})

const ino = (fd: number): number => fstatSync(fd).ino
const CLOSE_ON_EXEC = 0o2000000

/** Sends a byte with descriptors, when there is room. */
async function sendWith(end: End, byte: number, fds: number[]): Promise<void> {
  while (end.stream.sendDescriptors!(Uint8Array.of(byte), 0, fds) === 0) await end.canSend()
}

test('a descriptor leads to the same file, and goes to no child', async () => {
  const [client, server] = await unixPair(at('same'))
  const fd = native.memfd('passed', 4096, false)
  writeSync(fd, 'what is in it', 0)
  server.stream.wantDescriptors!(1)
  await sendWith(client, 7, [fd])
  assert.deepEqual(await server.next(), Uint8Array.of(7))
  const [got, ...more] = server.stream.takeDescriptors!()
  assert.equal(more.length, 0)
  assert.equal(got!.at, 0)
  assert.notEqual(got!.fd, fd)
  assert.equal(ino(got!.fd), ino(fd))
  assert.match(readFileSync(`/proc/self/fd/${got!.fd}`, 'utf8'), /^what is in it\0/)
  const flags = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${got!.fd}`, 'utf8'))!
  assert.equal(parseInt(flags[1]!, 8) & CLOSE_ON_EXEC, CLOSE_ON_EXEC)
  closeSync(got!.fd)
  closeSync(fd)
  close(client, server)
})

interface Sent {
  readonly at: number
  readonly fds: readonly number[]
}

/** Bytes and descriptors in an order that chance makes; where each went. */
async function sendMixed(end: End, bytes: Uint8Array, files: number[], random: () => number) {
  const sent: Sent[] = []
  for (let start = 0; start < bytes.length;) {
    if (random() % 3 === 0) {
      const fds = Array.from({ length: 1 + (random() % 4) }, () => files[random() % files.length]!)
      await sendWith(end, bytes[start]!, fds)
      sent.push({ at: start, fds: fds.map(ino) })
      start++
    } else {
      const piece = bytes.subarray(start, start + 1 + (random() % 500))
      await end.send(piece, all)
      start += piece.length
    }
  }
  end.stream.end()
  return sent
}

/** Until the end, in pieces that chance makes, whole or in parts. */
async function receiveMixed(end: End, into: Uint8Array, random: () => number) {
  const got: ReceivedDescriptor[] = []
  for (let start = 0; ;) {
    const length = Math.min(into.length - start, 1 + (random() % 700))
    const half = length >> 1
    const parts = [into, start, half, into, start + half, length - half]
    const { stream } = end
    const received =
      random() % 2 === 0 ? stream.receive(into, start, length) : stream.receiveParts!(parts, 2)
    if (received < 0) return got
    start += received
    got.push(...stream.takeDescriptors!())
    if (received === 0) await end.canReceive()
  }
}

test('each descriptor comes with its byte, whatever the pieces', async () => {
  const random = seeded('places of descriptors')
  const [client, server] = await unixPair(at('places'))
  server.stream.wantDescriptors!(4)
  const files = Array.from({ length: 5 }, (_, i) => native.memfd(`file ${i}`, 4096, false))
  const bytes = randomBytes(random, 40_000)
  const into = new Uint8Array(bytes.length + 1)
  const receiving = receiveMixed(server, into, random)
  const sent = await sendMixed(client, bytes, files, random)
  const got = await receiving
  assert.ok(Buffer.from(into.subarray(0, bytes.length)).equals(bytes))
  assert.ok(sent.length > 20)
  const expected = sent.flatMap(({ at, fds }) => fds.map((file) => ({ at, file })))
  assert.deepEqual(
    got.map(({ fd, at }) => ({ at, file: ino(fd) })),
    expected,
  )
  for (const { fd } of got) closeSync(fd)
  for (const fd of files) closeSync(fd)
  close(client, server)
})

test('descriptors that nobody wants are closed', async () => {
  const [client, server] = await unixPair(at('unwanted'))
  const files = Array.from({ length: 3 }, (_, i) => native.memfd(`file ${i}`, 4096, false))
  const before = descriptors()
  await sendWith(client, 1, files)
  assert.deepEqual(await server.next(), Uint8Array.of(1))
  assert.deepEqual(server.stream.takeDescriptors!(), [], 'none was wanted')
  assert.equal(descriptors(), before)
  server.stream.wantDescriptors!(4)
  await sendWith(client, 2, files)
  assert.deepEqual(await server.next(), Uint8Array.of(2))
  assert.equal(descriptors(), before + 3)
  await sendWith(client, 3, files)
  assert.deepEqual(await server.next(), Uint8Array.of(3))
  assert.equal(descriptors(), before + 4, 'the first of them, for which there was room')
  const got = server.stream.takeDescriptors!()
  const places = got.map(({ fd, at }) => [at, ino(fd)])
  assert.deepEqual(
    places,
    [0, 1, 2, 0].map((file, i) => [i < 3 ? 1 : 2, ino(files[file]!)]),
  )
  for (const { fd } of got) closeSync(fd)
  await sendWith(client, 4, files)
  await server.next()
  server.stream.wantDescriptors!(0)
  await sendWith(client, 5, files)
  await server.next()
  assert.equal(descriptors(), before + 3, 'those that wait, wait on')
  close(client, server)
  assert.equal(descriptors(), before - 2, 'and are closed with their stream')
  for (const fd of files) closeSync(fd)
})

test('descriptors that were not received go with the connection', async () => {
  const [client, server] = await unixPair(at('unreceived'))
  const [read, written] = [at('file'), at('file')].map((path) => openSync(path, 'w+'))
  await sendWith(client, 1, [read!, written!])
  closeSync(read!)
  closeSync(written!)
  server.stream.wantDescriptors!(10)
  close(server, client)
})

test('what cannot be sent is the sender’s mistake, and harms nothing', async () => {
  const [client, server] = await unixPair(at('mistakes'))
  const bytes = Uint8Array.of(1, 2, 3)
  const send = (fds: number[], start = 0) => client.stream.sendDescriptors!(bytes, start, fds)
  const fd = native.memfd('many', 4096, false)
  assert.throws(() => send([fd, 0x7fffffff]), { name: 'HoldfastError', code: 'EBADF' })
  assert.throws(() => send([-1]), { code: 'EBADF' })
  for (const fds of [[], new Array<number>(254).fill(fd)])
    fails('ERR_OUT_OF_RANGE', () => send(fds))
  fails('ERR_OUT_OF_RANGE', () => send([fd], 3))
  server.stream.wantDescriptors!(253)
  assert.equal(send(new Array<number>(253).fill(fd), 1), 1)
  assert.deepEqual(await server.next(), Uint8Array.of(2))
  const got = server.stream.takeDescriptors!()
  assert.equal(got.length, 253)
  for (const each of got) closeSync(each.fd)
  client.stream.end()
  assert.throws(() => send([fd]), { code: 'EPIPE' })
  close(client, server)
  assert.throws(() => send([fd]), { code: 'EBADF' })
  closeSync(fd)
})

test('a full socket takes no descriptor, and says when it does again', async () => {
  const [client, server] = await unixPair(at('full'))
  const fd = native.memfd('late', 4096, false)
  const bytes = new Uint8Array(1 << 20)
  let sent = 0
  for (let taken = -1; taken !== 0; sent += taken) taken = client.stream.send(bytes, 0, 1 << 20)
  assert.equal(client.stream.sendDescriptors!(bytes, 0, [fd]), 0)
  const sending = client.canSend().then(() => sendWith(client, 1, [fd]))
  server.stream.wantDescriptors!(1)
  await server.receive(sent + 1, all)
  await sending
  const [got] = server.stream.takeDescriptors!()
  assert.equal(got!.at, sent)
  closeSync(got!.fd)
  closeSync(fd)
  close(client, server)
})

test('descriptors that were sent with several bytes come with one of them', nobody, async () => {
  const { accepted, accept } = queue()
  const listener = await listenUnix(at('loose'), 0o600, accepted)
  const sender = startPeer(peer!, ['send', at('loose')])
  const server = new End(await accept())
  server.stream.wantDescriptors!(10)
  assert.equal(await sender.line(), 'sent')
  assert.equal(Buffer.from((await server.next())!).toString(), 'abc', 'the kernel stops there')
  const got = server.stream.takeDescriptors!()
  assert.deepEqual(
    got.map((each) => each.at),
    [2, 2, 2],
  )
  for (const { fd } of got) closeSync(fd)
  assert.equal(Buffer.from((await server.next())!).toString(), 'def')
  close(server)
  listener.close()
  sender.end()
  assert.equal(await sender.exit(), 0)
})

test('who has no room for descriptors loses the connection, and leaks none', async () => {
  const { accepted, accept } = queue()
  const listener = await listenUnix(at('few'), 0o600, accepted)
  const limited = ['-c', 'ulimit -n 100; exec "$@"', 'sh', process.execPath, script]
  const taker = startPeer('sh', [...limited, 'take', at('few')])
  const server = new End(await accept())
  const fd = native.memfd('many', 4096, false)
  const fds = new Array<number>(30).fill(fd)
  for (let i = 0; i < 10; i++) await sendWith(server, i, fds)
  const { code, taken, held } = JSON.parse(await taker.line()) as Record<string, number | string>
  assert.equal(code, 'EMFILE')
  assert.equal(held, taken)
  assert.ok(Number(taken) >= 30 && Number(taken) % 30 === 0, `${taken} taken`)
  await server.next().catch(() => null)
  close(server)
  assert.equal(await taker.exit(), 0)
  listener.close()
  closeSync(fd)
})

test('TCP has no descriptors and knows nobody', async () => {
  const ends = await pair()
  for (const { stream } of ends) {
    assert.equal(stream.sendDescriptors, undefined)
    assert.equal(stream.credentials, undefined)
  }
  close(...ends)
})
