import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { after, afterEach, before, test } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import { native } from '../../src/native/native.js'
import { adoptUnix, connectUnix, listenUnix } from '../../src/native/unix.js'
import { compilePeer, startPeer } from './peer.js'
import { all, busyPart, close, End, leastBusyPart, queue, sockets, unixPair } from './streams.js'
import { fails, randomBytes, seeded } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-unix-'))
const script = fileURLToPath(new URL('unix_process.js', import.meta.url))
const at = (name: string) => join(folder, name)
const peer = compilePeer(folder)
const nobody = { skip: peer === undefined ? 'no C compiler' : false }
const root = { skip: process.getuid!() === 0 ? false : 'changes its user: wants root' }
after(() => rmSync(folder, { recursive: true }))

let open = 0
before(() => {
  open = sockets()
})
afterEach(() => {
  assert.equal(sockets(), open, 'every socket was closed')
})

async function refused(promise: Promise<unknown>, code: string, text: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(error instanceof HoldfastError, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, text)
    return true
  })
}

/** A socket file at which nobody listens any more. */
async function abandon(path: string): Promise<void> {
  const listener = await listenUnix(path, 0o600, () => assert.fail('nobody connects'))
  renameSync(path, `${path}.kept`)
  listener.close()
  renameSync(`${path}.kept`, path)
}

test('megabytes come back as they were sent, whatever the pieces', async () => {
  const random = seeded('echo through a Unix socket')
  const [client, server] = await unixPair(at('echo'))
  const pieces = (most: number) => () => 1 + (random() % most)
  const sent = randomBytes(random, 3_000_000)
  const echo = async () => {
    for (let bytes; (bytes = await server.next()) !== null;) await server.send(bytes, pieces(9000))
    server.stream.end()
  }
  const sending = client.send(sent, pieces(300_000)).then(() => client.stream.end())
  const receiving = client.receive(sent.length + 1, pieces(100_000))
  const [, , got] = await Promise.all([echo(), sending, receiving])
  assert.ok(Buffer.from(got).equals(sent), 'what came back is what was sent')
  assert.equal(client.stream.segmentBytes, null)
  assert.ok(client.stream.room > 0)
  close(client, server)
})

test('the mode of the socket file is the one asked for, whatever umask(2) says', async () => {
  for (const umask of [0o000, 0o077]) {
    const before = process.umask(umask)
    for (const mode of [0o600, 0o660, 0o666]) {
      const listener = await listenUnix(at('mode'), mode, () => {})
      assert.equal(lstatSync(at('mode')).mode & 0o777, mode)
      listener.close()
    }
    process.umask(before)
  }
})

test('a path is listened at by one, who is said to be there', async () => {
  const { accepted, accept, waiting } = queue()
  const listener = await listenUnix(at('one'), 0o600, accepted)
  assert.equal(listener.path, at('one'))
  await refused(
    listenUnix(at('one'), 0o600, () => {}),
    'EADDRINUSE',
    /cannot listen at .*one: address in use; a process listens there/,
  )
  const client = await connectUnix(at('one'))
  // The one that looked whether somebody is there came first.
  const looker = new End(await accept())
  assert.equal(await looker.next(), null)
  close(looker)
  const served = await accept()
  listener.close()
  listener.close()
  assert.equal(existsSync(at('one')), false, 'removed with its listener')
  await refused(connectUnix(at('one')), 'ENOENT', /start the server/)
  client.close()
  served.close()
  for (const stream of waiting) stream.close()
})

test('a socket file at which nobody listens is replaced', async () => {
  await abandon(at('stale'))
  const old = lstatSync(at('stale')).ino
  await refused(connectUnix(at('stale')), 'ECONNREFUSED', /nobody listens there any more/)
  const { accepted, accept } = queue()
  const listener = await listenUnix(at('stale'), 0o640, accepted)
  assert.equal(lstatSync(at('stale')).mode & 0o777, 0o640)
  const client = await connectUnix(at('stale'))
  ;(await accept()).close()
  client.close()
  listener.close()
  assert.equal(existsSync(at('stale')), false)
  assert.ok(old > 0)
})

test('what is no socket stays, and so does a socket of another type', nobody, async () => {
  writeFileSync(at('file'), 'text')
  const nothing = () => {}
  await refused(listenUnix(at('file'), 0o600, nothing), 'EEXIST', /no socket, and stays/)
  assert.equal(readFileSync(at('file'), 'utf8'), 'text')
  const datagrams = startPeer(peer!, ['datagram', at('datagram')])
  assert.equal(await datagrams.line(), 'bound')
  await refused(listenUnix(at('datagram'), 0o600, nothing), 'EADDRINUSE', /listens there/)
  await refused(connectUnix(at('datagram')), 'EPROTOTYPE', /of another type/)
  datagrams.kill()
  await datagrams.exit()
})

test('a file that another put in its place stays when a listener is closed', async () => {
  const listener = await listenUnix(at('mine'), 0o600, () => {})
  renameSync(at('mine'), at('moved'))
  writeFileSync(at('mine'), 'of another')
  listener.close()
  assert.equal(readFileSync(at('mine'), 'utf8'), 'of another')
  const again = await listenUnix(at('gone'), 0o600, () => {})
  rmSync(at('gone'))
  again.close()
})

test('who listens waits for others that are about to', nobody, async () => {
  await abandon(at('busy'))
  const owner = startPeer(peer!, ['own', folder])
  assert.equal(await owner.line(), 'locked')
  let listening = false
  const promise = listenUnix(at('busy'), 0o600, () => {}).then((listener) => {
    listening = true
    return listener
  })
  await busyPart(60)
  assert.equal(listening, false)
  owner.end()
  await owner.exit()
  const listener = await promise
  listener.close()
})

test('of many that listen at an abandoned path at once, one does', async () => {
  await abandon(at('race'))
  const racers = Array.from({ length: 3 }, () =>
    startPeer(process.execPath, [script, 'listen', at('race')]),
  )
  for (const racer of racers) assert.equal(await racer.line(), 'ready')
  for (const racer of racers) racer.go()
  const outcomes = await Promise.all(racers.map((racer) => racer.line()))
  assert.deepEqual(outcomes.sort(), ['EADDRINUSE', 'EADDRINUSE', 'listening'])
  for (const racer of racers) racer.end()
  for (const racer of racers) assert.equal(await racer.exit(), 0)
  assert.equal(existsSync(at('race')), false)
})

test('both ends know each other', async () => {
  const [client, server] = await unixPair(at('known'))
  const groups = process.getgroups!()
  for (const { stream } of [client, server]) {
    const { pid, uid, gid, groups: known } = stream.credentials!
    assert.deepEqual([pid, uid, gid], [process.pid, process.getuid!(), process.getgid!()])
    // getgroups(2) may show the group itself as well.
    for (const group of groups) assert.ok(group === gid || known.includes(group), `${group}`)
  }
  assert.equal(client.stream.peer, at('known'))
  assert.equal(server.stream.peer, `process ${process.pid} of user ${process.getuid!()}`)
  close(client, server)
})

test('another user is known by its ids and groups, where the mode lets it in', root, async () => {
  const { accepted, accept } = queue()
  const listener = await listenUnix(at('users'), 0o660, accepted)
  chmodSync(folder, 0o755)
  chownSync(at('users'), 0, 4711)
  const start = (groups: string) => {
    const ids = ['--reuid=1234', '--regid=1235', `--groups=${groups}`]
    return startPeer('setpriv', [...ids, process.execPath, script, 'connect', at('users')])
  }
  const client = start('4711,4712')
  const server = new End(await accept())
  const { pid, uid, gid, groups } = server.stream.credentials!
  assert.deepEqual(
    { pid, uid, gid, groups: [...groups] },
    {
      pid: client.pid,
      uid: 1234,
      gid: 1235,
      groups: [4711, 4712],
    },
  )
  const seen = JSON.parse(await client.line()) as { pid: number; uid: number }
  assert.deepEqual([seen.pid, seen.uid], [process.pid, 0])
  close(server)
  assert.equal(await client.exit(), 0)
  const stranger = start('4712')
  assert.equal(await stranger.line(), 'EACCES')
  assert.equal(await stranger.exit(), 0)
  listener.close()
})

test('a socket that listens already is taken over, its file left alone', nobody, async () => {
  const command = [process.execPath, script, 'adopt']
  const server = startPeer(peer!, ['activate', at('made'), ...command])
  assert.deepEqual(JSON.parse(await server.line()), {
    fd: 3,
    name: 'control',
    others: 0,
    path: at('made'),
  })
  const client = new End(await connectUnix(at('made')))
  assert.equal(client.stream.credentials!.pid, server.pid)
  await client.send(Uint8Array.of(1, 2, 3), all)
  assert.deepEqual(await client.receive(3, all), Uint8Array.of(1, 2, 3))
  close(client)
  assert.equal(await server.exit(), 0)
  assert.equal(existsSync(at('made')), true)
})

test('what does not listen is not taken over', async () => {
  const [client, server] = await unixPair(at('pair'))
  const file = native.memfd('no socket', 4096, false)
  const nothing = () => {}
  fails('EINVAL', () => native.adoptUnix(file, nothing))
  fails('EINVAL', () => native.adoptUnix(0x7fffffff, nothing))
  assert.throws(() => adoptUnix(file, nothing), { name: 'HoldfastError', code: 'EINVAL' })
  closeSync(file)
  close(client, server)
})

test('paths that cannot be are refused', async () => {
  const nothing = () => {}
  const long = join('/tmp', 'x'.repeat(103))
  assert.equal(long.length, 108)
  await refused(listenUnix(long, 0o600, nothing), 'ENAMETOOLONG', /at most 107 bytes/)
  await refused(connectUnix(`${at('a')}\0b`), 'ENAMETOOLONG', /107 bytes/)
  await refused(connectUnix(''), 'EINVAL', /connect to/)
  await refused(listenUnix('@name', 0o600, nothing), 'EINVAL', /listen at @name/)
  await refused(listenUnix(at('none/here'), 0o600, nothing), 'ENOENT', /none\/here/)
  const longest = at('y'.repeat(106 - folder.length))
  const listener = await listenUnix(longest, 0o600, nothing)
  assert.equal(listener.path, longest)
  listener.close()
  fails('ERR_OUT_OF_RANGE', () => native.listenUnix(at('b'), 0o1777, nothing))
  fails('ERR_INVALID_ARG_TYPE', () => native.connectUnix(7 as unknown as string, nothing))
  fails('ERR_INVALID_ARG_TYPE', () => native.connectUnix(at('b'), 7 as unknown as () => void))
})

test('who finds the queue full comes later, or gives up when told to', async () => {
  const { accepted, accept, waiting } = queue()
  const listener = await listenUnix(at('full'), 0o600, accepted)
  listener.accepting(false)
  const streams = []
  for (;;) {
    try {
      const poll = native.connectUnix(at('full'), () => {})
      streams.push(poll)
    } catch (error) {
      assert.equal((error as { code: string }).code, 'EAGAIN')
      break
    }
  }
  assert.ok(streams.length > 100, `${streams.length} wait`)
  const reason = new Error('given up')
  const controller = new AbortController()
  const given = connectUnix(at('full'), controller.signal)
  await busyPart(30)
  controller.abort(reason)
  await assert.rejects(given, (error) => error === reason)
  const connecting = connectUnix(at('full'))
  listener.accepting(true)
  const client = await connecting
  for (let i = 0; i <= streams.length; i++) (await accept()).close()
  for (const poll of streams) native.closeSocket(poll, false)
  client.close()
  listener.close()
  assert.equal(waiting.length, 0)
})

test('a peer that closes with bytes unread resets the connection, after what it sent', async () => {
  const [client, server] = await unixPair(at('reset'))
  await client.send(new Uint8Array(1000), all)
  await server.send(Uint8Array.of(9), all)
  server.stream.abort()
  const bytes = new Uint8Array(10)
  assert.equal(client.stream.receive(bytes, 0, 10), 1)
  assert.throws(() => client.stream.receive(bytes, 0, 10), { code: 'ECONNRESET' })
  assert.throws(() => client.stream.send(bytes, 0, 10), { code: 'ECONNRESET' })
  client.stream.reading(true)
  assert.ok((await leastBusyPart(50)) < 0.5, 'an error that was received is not told again')
  close(client)
  const [one, other] = await unixPair(at('end'))
  await one.send(Uint8Array.of(1), all)
  other.stream.close()
  assert.equal(await one.next(), null, 'closed, it is an end')
  close(one)
})
