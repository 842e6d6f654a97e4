/** `holdfast rping` and `holdfast rdma-target`, as people start them. */
import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, test } from 'node:test'
import { connectPeer, Device, type Peer, type WorkError } from '../../src/rdma/index.js'
import { done, failed, finish, holdfast, start } from './support.js'

const directory = mkdtempSync('/dev/shm/holdfast-rdma-')
const device = new Device()
after(() => {
  device.close()
  rmSync(directory, { recursive: true })
})

/** A command that listens: its first line says where. */
async function listening(...args: string[]): Promise<{ child: ChildProcess; port: number }> {
  const child = start(args)
  child.stderr!.pipe(process.stderr)
  const lines = createInterface({ input: child.stdout! })
  const line = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    lines.once('close', () => reject(new Error(`${args.join(' ')}: it never listened`)))
  })
  return { child, port: Number(/:(\d+)/.exec(line)![1]) }
}

/** What a client of rdma-target is told with the Reply. */
function advertOf(peer: Peer) {
  const { buffer, byteOffset, length } = peer.privateData
  assert.equal(length, 20)
  const view = new DataView(buffer, byteOffset)
  return { address: view.getBigUint64(0), bytes: view.getBigUint64(8), rkey: view.getUint32(16) }
}

const connect = (port: number) => connectPeer(device, { host: '127.0.0.1', port })

test('a client pings a server, and each shows the text that came', async () => {
  const { child, port } = await listening('rping', '-s', '-p', '0', '-v')
  const ended = finish(child)
  const { out } = await done('rping', '-c', '-p', `${port}`, '-C', '3', '-S', '38', '-v', '-V')
  const texts = ['ABCDEFGHIJKLMNOPQRSTUVWX', 'BCDEFGHIJKLMNOPQRSTUVWXY', 'CDEFGHIJKLMNOPQRSTUVWXYZ']
  const pings = texts.map((letters, i) => `ping data: rdma-ping-${i}: ${letters}`)
  assert.match(out, new RegExp(`^${pings.join('\n')}\n3 pings of 38 bytes: p50 \\d+, `))
  const server = await ended
  assert.equal(server.code, 0)
  assert.match(server.out, new RegExp(pings.map((ping) => `server ${ping}\n`).join('')))
})

for (const flags of [['--no-crc'], ['--markers'], ['--mpa', '1'], ['--rtr', 'read', '-S', '1M']]) {
  test(`pings come back whole with ${flags.join(' ')}`, async () => {
    const { child, port } = await listening('rping', '-s', '-p', '0')
    const ended = finish(child)
    const { out } = await done('rping', '-c', '-p', `${port}`, '-C', '5', '-V', '--json', ...flags)
    assert.equal((JSON.parse(out) as { pings: number }).pings, 5)
    assert.equal((await ended).code, 0)
  })
}

test('a server stays for the next client when it is told to, until it is stopped', async () => {
  const { child, port } = await listening('rping', '-s', '-P', '-p', '0')
  const ended = finish(child)
  await done('rping', '-c', '-p', `${port}`, '-C', '1')
  await done('rping', '-c', '-p', `${port}`, '-C', '2')
  child.kill('SIGINT')
  const { code, out } = await ended
  assert.equal(code, 130)
  assert.match(out, /: 1 pings\n.*: 2 pings\n/)
})

test('a client that is stopped says good-bye, and is no failure to its server', async () => {
  const { child, port } = await listening('rping', '-s', '-p', '0')
  const ended = finish(child)
  const client = start(['rping', '-c', '-p', `${port}`, '-v'])
  const stopped = finish(client)
  await once(client.stdout!, 'data')
  client.kill('SIGINT')
  const { code, out } = await stopped
  assert.equal(code, 130)
  const pings = /^(\d+) pings of 100 bytes/m.exec(out)![1]!
  const server = await ended
  assert.equal(server.code, 0)
  assert.match(server.out, new RegExp(`: ${pings} pings\n$`))
})

test('servers that are stopped while clients are there say nothing of it', async () => {
  for (const args of [
    ['rping', '-s', '-P', '-p', '0'],
    ['rdma-target', '--memory', '1M', '--listen', ':0'],
  ]) {
    const { child, port } = await listening(...args)
    const ended = finish(child)
    const peer = await connect(port)
    child.kill('SIGINT')
    const { code, out, err } = await ended
    assert.equal(code, 130)
    assert.equal(err, '')
    assert.doesNotMatch(out, /failed/)
    assert.notEqual((await peer.closed).cause, 'disconnected')
  }
})

test('a server that stays lets go of clients that fail, and serves the next', async () => {
  const { child, port } = await listening('rping', '-s', '-P', '-p', '0')
  const ended = finish(child)
  const far = { host: '127.0.0.1', port }
  await assert.rejects(connectPeer(device, { ...far, rtrs: ['send'] }), { code: 'ECONNREFUSED' })
  const greedy = await connectPeer(device, far)
  const advert = new Uint8Array(16)
  new DataView(advert.buffer).setUint32(12, 0xffff_ffff)
  await greedy.send(advert)
  assert.equal((await greedy.closed).cause, 'lost')
  await done('rping', '-c', '-p', `${port}`, '-C', '1')
  child.kill('SIGINT')
  assert.equal((await ended).code, 130)
})

test('what cannot be meant, and who is not there, is said in one line', async () => {
  await failed(2, /either -s, to be the server, or -c/, 'rping')
  await failed(2, /a text has 16 to 16777216 bytes/, 'rping', '-c', '-S', '15')
  await failed(1, /ECONNREFUSED: .*127\.0\.0\.1:1\b/, 'rping', '-c', '-p', '1')
  await failed(2, /either a FILE, or --memory/, 'rdma-target')
  await failed(2, /memory has at least one byte/, 'rdma-target', '--memory', '0')
  await failed(2, /an address is HOST:PORT/, 'rdma-target', '--memory', '1M', '--listen', 'here')
})

test('clients of a target write memory, and are answered when it is durable', async () => {
  const file = join(directory, 'bytes')
  writeFileSync(file, Buffer.alloc(10_001, 7))
  const { child, port } = await listening('rdma-target', '--write', '--listen', ':0', file)
  const ended = finish(child)
  const peer = await connect(port)
  const { rkey, bytes, address } = advertOf(peer)
  assert.deepEqual([bytes, address], [10_001n, 0n])
  assert.deepEqual(await peer.read(rkey, 9_999, 2), new Uint8Array(2).fill(7))
  await peer.write(rkey, 9_996, Buffer.from('hello'))
  await peer.send(new Uint8Array(1))
  const answer = new DataView((await peer.receive())!.bytes.buffer)
  assert.deepEqual([answer.getUint32(8), answer.getUint32(12)], [rkey, 10_001])
  assert.equal(readFileSync(file).subarray(9_996).toString(), 'hello')
  assert.equal((await peer.close()).cause, 'disconnected')
  child.kill('SIGTERM')
  assert.equal((await ended).code, 143)
})

test('nobody is told that something is durable in a file that was cut short', async () => {
  const file = join(directory, 'short')
  writeFileSync(file, Buffer.alloc(100_000, 7))
  const { child, port } = await listening('rdma-target', '--write', '--listen', ':0', file)
  const ended = finish(child)
  const peer = await connect(port)
  truncateSync(file, 0)
  await peer.write(advertOf(peer).rkey, 50_000, Buffer.from('hello'))
  await peer.send(new Uint8Array(1))
  await assert.rejects(peer.receive(), /ECONNRESET/)
  child.kill('SIGTERM')
  assert.equal((await ended).code, 143)
})

test('clients of a target have tags of their own, and read only what may be read only', async () => {
  const { child, port } = await listening('rdma-target', '--memory', '64K', '--listen', ':0')
  const ended = finish(child)
  const [one, other] = [await connect(port), await connect(port)]
  assert.notEqual(advertOf(one).rkey, advertOf(other).rkey)
  await one.write(advertOf(one).rkey, 0, new Uint8Array(8))
  assert.equal((await one.closed).cause, 'terminated')
  const stranger = other.read(advertOf(one).rkey, 0, 1)
  await assert.rejects(stranger, (error) => (error as WorkError).status === 'REM_ACCESS_ERR')
  const third = await connect(port)
  assert.deepEqual(await third.read(advertOf(third).rkey, 0, 8), new Uint8Array(8))
  child.kill('SIGINT')
  assert.equal((await ended).code, 130)
})

test('a target for one client ends with it, or when it is told to, whoever is there', async () => {
  const one = ['rdma-target', '--memory', '64K', '--once', '--listen', ':0']
  const [first, second] = [await listening(...one), await listening(...one)]
  const ended = [finish(first.child), finish(second.child)] as const
  await (await connect(first.port)).close()
  assert.equal((await ended[0]).code, 0)
  const staying = await connect(second.port)
  await staying.placed()
  second.child.kill('SIGTERM')
  assert.equal((await ended[1]).code, 143)
  assert.equal((await staying.closed).cause, 'lost')
})

for (const crc of [true, false]) {
  test(`what a file lost under its target is an error each time, not zeros, CRC ${crc}`, async () => {
    const file = join(directory, `cut-${crc}`)
    writeFileSync(file, Buffer.alloc(256 << 10, 7))
    const { child, port } = await listening('rdma-target', '--listen', ':0', '--no-crc', file)
    const ended = finish(child)
    truncateSync(file, 64 << 10)
    for (let i = 0; i < 2; i++) {
      const peer = await connectPeer(device, { host: '127.0.0.1', port, crc })
      const { rkey } = advertOf(peer)
      assert.deepEqual(await peer.read(rkey, 65_000, 2), new Uint8Array(2).fill(7))
      await assert.rejects(peer.read(rkey, 65_000, 100_000))
      await peer.closed
    }
    child.kill('SIGINT')
    assert.equal((await ended).code, 130)
  })
}

test('a volume is not served raw', async () => {
  const volume = join(directory, 'volume')
  await done('mkfs', '--size', '1M', volume)
  await failed(1, /EBUSY: it has a volume/, 'rdma-target', '--write', volume)
  assert.equal((await holdfast('fsck', volume)).code, 0)
})
