/**
 * The plain endpoint: files of a served volume for clients that speak verbs alone. What the layout
 * contract promises holds for them as for others.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HoldfastError } from '../../src/base/errors.js'
import { pingClient } from '../../src/cli/rping.js'
import { connectPeer, Device, type Peer } from '../../src/rdma/index.js'
import { decodeAdvert } from '../../src/rdma/advert.js'
import { parseExposure, type Exposure } from '../../src/serve/plain.js'
import { until } from '../processes/program.js'
import { servedTest, type Served } from './service.js'

const BLOCK = 4096
const SIZE = 5 * BLOCK - 100

const pattern = (seed: number, length = SIZE) =>
  Uint8Array.from({ length }, (_, i) => (seed * 31 + i * 7 + (i >> 8)) & 0xff)

const EXPOSED: readonly Exposure[] = [
  parseExposure('/pinned:rw'),
  parseExposure('/followed:rw:fault'),
  parseExposure('/read'),
  parseExposure('/missing'),
]

interface Reached {
  readonly peer: Peer
  readonly stag: number
  readonly length: number
}

function plainTest(
  name: string,
  body: (served: Served, device: Device) => Promise<void>,
  maxSessions?: number,
): void {
  const plain = { host: '127.0.0.1', port: 0, expose: EXPOSED }
  const options = { plain, ...(maxSessions === undefined ? {} : { maxSessions }) }
  servedTest(`plain: ${name}`, options, async (served) => {
    for (const [i, path] of ['/pinned', '/followed', '/read', '/other'].entries()) {
      using file = served.volume.open(path, 'w')
      file.write(pattern(i), 0)
    }
    using device = new Device()
    await body(served, device)
  })
}

async function reach({ service }: Served, device: Device, path = ''): Promise<Reached> {
  const { host, port } = service.plain!
  const peer = await connectPeer(device, { host, port, privateData: Buffer.from(path) })
  const view = new DataView(Uint8Array.from(peer.privateData).buffer)
  assert.equal(view.getBigUint64(0), 0n, 'offsets are those of the file')
  return { peer, stag: view.getUint32(16), length: Number(view.getBigUint64(8)) }
}

function contentOf({ volume }: Served, path: string, offset = 0, length = SIZE): Uint8Array {
  const bytes = new Uint8Array(length)
  using file = volume.open(path, 'r')
  assert.equal(file.read(bytes, offset), length)
  return bytes
}

const refused = (code: string) => (error: HoldfastError) => {
  assert.equal(error.code, code, error.message)
  return true
}

plainTest(
  'a client reads and writes a pinned file, which is not cut under it',
  async (served, device) => {
    const { volume, service } = served
    const { peer, stag, length } = await reach(served, device)
    assert.equal(length, 5 * BLOCK)
    assert.deepEqual(await peer.read(stag, 0, SIZE), pattern(0))
    await peer.write(stag, BLOCK, pattern(9, 3000))
    await peer.placed()
    assert.deepEqual(contentOf(served, '/pinned', BLOCK, 3000), pattern(9, 3000))
    await peer.send(new Uint8Array(1))
    const told = decodeAdvert((await peer.receive())!.bytes)
    assert.deepEqual(told, { address: 0n, stag, length: 5 * BLOCK })

    const [hold] = volume.holds()
    assert.equal(hold?.kind, 'pin')
    assert.equal(hold.owner.name, 'plain endpoint: /pinned')
    assert.throws(
      () => volume.truncate('/pinned', 0),
      (error: HoldfastError) => {
        assert.equal(error.code, 'EBUSY')
        assert.deepEqual(
          error.holds?.map(({ id }) => id),
          [hold.id],
        )
        return true
      },
    )

    const [listed] = service.server.list()
    assert.equal(listed?.kind, 'plain')
    assert.equal(listed.holds, 1)
    await service.server.evict(listed.id)
    assert.equal(volume.holds().length, 0)
    volume.truncate('/pinned', 0)
    await assert.rejects(peer.read(stag, 0, 8), refused('ECONNRESET'))
    assert.equal(service.server.list().length, 0)
  },
)

plainTest(
  'they leave room for others',
  async (served, device) => {
    const [, second] = [await reach(served, device), await reach(served, device)]
    await assert.rejects(reach(served, device), refused('ECONNREFUSED'))
    await (await served.remote()).stat('/pinned')
    await second.peer.close()
    await until(() => served.service.server.list().length === 2, '2 connections')
    await reach(served, device)
  },
  8,
)

plainTest('a pin goes with its connection, and with nothing else', async (served, device) => {
  const { volume, service } = served
  const one = await reach(served, device)
  const other = await reach(served, device)
  assert.notEqual(one.stag, other.stag)
  assert.equal(volume.holds().length, 2)
  // The STag of a connection is none of another's.
  await assert.rejects(other.peer.read(one.stag, 0, 8), refused('EACCES'))
  await other.peer.closed
  await until(() => service.server.list().length === 1, '1 connections')
  assert.equal(volume.holds().length, 1)
  assert.deepEqual(await one.peer.read(one.stag, 0, SIZE), pattern(0))
  await one.peer.close()
  await until(() => service.server.list().length === 0, '0 connections')
  assert.equal(volume.holds().length, 0)
  assert.equal(service.server.connections, 0)
})

plainTest(
  'a file on demand goes on where it went, and ends where it ends',
  async (served, device) => {
    const { volume } = served
    const { peer, stag, length } = await reach(served, device, '/followed')
    assert.equal(length, SIZE)
    assert.deepEqual(await peer.read(stag, 0, SIZE), pattern(1))
    volume.reflink('/followed', '/clone')
    await peer.write(stag, 10, pattern(7, 20))
    await peer.placed()
    assert.deepEqual(contentOf(served, '/followed', 10, 20), pattern(7, 20))
    assert.deepEqual(contentOf(served, '/clone'), pattern(1))
    using file = volume.open('/followed', 'r+')
    volume.rename('/clone', '/followed')
    assert.deepEqual(await peer.read(stag, 10, 20), pattern(7, 20))
    file.truncate(BLOCK)
    assert.deepEqual(await peer.read(stag, BLOCK - 8, 8), pattern(1).subarray(BLOCK - 8, BLOCK))
    await assert.rejects(peer.read(stag, BLOCK - 8, 16), refused('EACCES'))
  },
)

plainTest('what may be read only is not written', async (served, device) => {
  const { peer, stag } = await reach(served, device, '/read')
  assert.deepEqual(await peer.read(stag, 0, SIZE), pattern(2))
  await peer.write(stag, 0, pattern(5, 8))
  await assert.rejects(peer.placed(), refused('ECONNRESET'))
  assert.deepEqual(contentOf(served, '/read'), pattern(2))
})

plainTest('only files that were named are reached', async (served, device) => {
  const { peer, stag } = await reach(served, device, '/other')
  assert.deepEqual(await peer.read(stag, 0, 16), pattern(0, 16), 'the first is there instead')
  await assert.rejects(reach(served, device, '/missing'))
  assert.equal(served.service.server.list().length, 1)
  assert.match(served.log.join(''), /connection refused.*ENOENT/)
})

plainTest("rping's texts go to the file, and come back from it", async (served, device) => {
  const { peer } = await reach(served, device)
  let last = new Uint8Array()
  const count = await pingClient(peer, {
    ...{ size: 300, count: 5, validate: true, signal: new AbortController().signal },
    ping: (text) => {
      last = text.slice()
      assert.deepEqual(contentOf(served, '/pinned', 0, 300), text)
      return Promise.resolve()
    },
  })
  assert.equal(count, 5)
  assert.match(Buffer.from(last).toString('latin1'), /^rdma-ping-4: /)
  assert.deepEqual(contentOf(served, '/pinned', 300, SIZE - 300), pattern(0).subarray(300))
})

void test('plain: what is exposed is a path from the root, its rights and how', () => {
  assert.deepEqual(parseExposure('/a'), { path: '/a', write: false, by: 'pin' })
  assert.deepEqual(parseExposure('/a:b:rw'), { path: '/a:b', write: true, by: 'pin' })
  assert.deepEqual(parseExposure('/a:fault'), { path: '/a', write: false, by: 'fault' })
  assert.deepEqual(parseExposure('/a:ro:fault'), { path: '/a', write: false, by: 'fault' })
  for (const wrong of ['', 'a', ':rw']) {
    assert.throws(() => parseExposure(wrong), refused('EINVAL'))
  }
})
