/**
 * Remote clients of a server, in one process: what happens between a recall, a fence and what is
 * under way, and what a client is told.
 */
import assert from 'node:assert/strict'
import { HoldfastError } from '../../src/base/errors.js'
import type { RemoteFile } from '../../src/client/remote_file.js'
import { patternOf } from '../interop/pattern.js'
import { servedTest, type Served } from './service.js'

const BLOCK = 4096

function make({ volume }: Served, path: string, length: number, seed = 1): void {
  using file = volume.open(path, 'w')
  file.write(patternOf(seed, length), 0)
}

function contentOf({ volume }: Served, path: string): Uint8Array {
  const bytes = new Uint8Array(volume.stat(path).size)
  using file = volume.open(path, 'r')
  file.read(bytes, 0)
  return bytes
}

const refused =
  (code: string, message = /./) =>
  (error: HoldfastError) => {
    assert.equal(error.code, code, error.message)
    assert.match(error.message, message)
    return true
  }

const turn = () => new Promise((resolve) => setImmediate(resolve))

servedTest('remote: an access on demand that is refused says why', {}, async (served) => {
  make(served, '/f', 4 * BLOCK)
  const client = await served.remote()
  const file = await client.open('/f', 'r+', 0, undefined, { fault: true })
  served.volume.reflink('/f', '/clone')
  using clone = served.volume.open('/clone', 'r+')
  // The store would give this file blocks of its own, which a full volume has not got.
  using full = served.volume.open('/full', 'w')
  for (let at = 0, step = 1 << 20; step >= BLOCK;) {
    try {
      at += full.write(new Uint8Array(step), at)
    } catch {
      step /= 2
    }
  }
  await assert.rejects(file.write(patternOf(2, 100), 50), refused('ENOSPC'))
  assert.equal(clone.stat().size, 4 * BLOCK)
  full.truncate(0)
  await file.write(patternOf(2, 100), 50)
  assert.deepEqual(contentOf(served, '/f').subarray(50, 150), patternOf(2, 100))
})

servedTest(
  'remote: what is under way has ended before a lease is given back',
  {},
  async (served) => {
    make(served, '/f', 64 * BLOCK)
    const client = await served.remote()
    const file = (await client.open('/f', 'r+')) as RemoteFile
    let recalled = 0
    const layout = await file.layout({ iomode: 'rw', onRecall: () => void recalled++ })
    await layout.write(0, patternOf(3, 10))
    // Others on the same connection are not to notice.
    make(served, '/other', 64 * BLOCK)
    const other = await ((await client.open('/other', 'r')) as RemoteFile).layout()
    const bytes = patternOf(4, 64 * BLOCK)
    const writes: Promise<void>[] = []
    for (let i = 0; i < 20; i++) writes.push(layout.write(0, bytes))
    const reads = Array.from({ length: 20 }, () => other.read(0, 64 * BLOCK))
    const truncated = served.volume.promises.settle(() =>
      served.volume.arbiter.during({}, () => served.volume.truncate('/f', BLOCK)),
    )
    await truncated
    assert.equal(recalled, 1)
    for (const got of await Promise.all(reads)) assert.deepEqual(got, patternOf(1, 64 * BLOCK))
    const ends = await Promise.allSettled(writes)
    const failed = ends.filter(({ status }) => status === 'rejected')
    assert.deepEqual(failed, [], 'writes that were begun before the recall are carried out')
    assert.equal(layout.hold.end, 'released')
    assert.equal(lostConnections(served), 0)
    assert.deepEqual(contentOf(served, '/f'), bytes.subarray(0, BLOCK))
    await assert.rejects(layout.write(0, bytes), refused('ESTALE', /it was released/))
  },
)

const lostConnections = ({ log }: Served) =>
  log.filter((line) => line.includes('data connection lost')).length

servedTest('remote: a fence takes one STag, and leaves the rest', {}, async (served) => {
  make(served, '/f', 4 * BLOCK)
  make(served, '/other', 4 * BLOCK)
  const client = await served.remote()
  const file = (await client.open('/f', 'r+')) as RemoteFile
  const layout = await file.layout({ iomode: 'rw', onRecall: () => new Promise<void>(() => {}) })
  const other = await ((await client.open('/other', 'r+')) as RemoteFile).layout({ iomode: 'rw' })
  await layout.write(0, patternOf(3, 10))
  const { volume } = served
  await volume.promises.settle(() => volume.arbiter.during({}, () => volume.truncate('/f', 0)), {
    deadline: 50,
  })
  await assert.rejects(
    layout.write(0, patternOf(4, 10)),
    refused('ESTALE', /not given back in time/),
  )
  assert.equal(layout.hold.end, 'fenced')
  await assert.rejects(layout.commit(100), refused('ESTALE'))
  assert.equal(volume.stat('/f').size, 0)
  await other.write(8, patternOf(5, 10))
  assert.deepEqual(contentOf(served, '/other').subarray(8, 18), patternOf(5, 10))
  const again = await file.layout({ iomode: 'rw', length: BLOCK })
  await again.write(0, patternOf(6, 10))
  await again.commit(10)
  assert.deepEqual(contentOf(served, '/f'), patternOf(6, 10))
})

servedTest('remote: a recall during the registration leaves nothing behind', {}, async (served) => {
  make(served, '/f', 4 * BLOCK)
  const client = await served.remote()
  const file = (await client.open('/f', 'r+')) as RemoteFile
  const { volume, service } = served
  for (let i = 0; i < 30; i++) {
    const asked = file.layout({ iomode: 'rw' }).then(
      (layout) => layout.write(0, patternOf(i, 8)).catch(() => {}),
      () => {},
    )
    for (let turns = 0; turns < i % 7; turns++) await turn()
    const size = (3 + (i % 2)) * BLOCK - 10
    await volume.promises.settle(() => volume.arbiter.during({}, () => volume.truncate('/f', size)))
    await asked
  }
  await file.close()
  for (const { id } of volume.holds()) await volume.promises.recall(id, { deadline: 1000 })
  assert.deepEqual(volume.holds(), [])
  const [session] = service.server.list()
  assert.equal(session?.registrations, 0)
  assert.equal(session.holds, 0)
})

servedTest(
  'remote: bytes that were written are on the medium when a lease is back',
  {},
  async (served) => {
    make(served, '/f', 8 * BLOCK)
    const client = await served.remote()
    const file = (await client.open('/f', 'r+')) as RemoteFile
    const flushed: [number, number][] = []
    const { region } = served.volume
    const { flush } = region
    Object.defineProperty(region, 'persistence', { value: 'flush' })
    region.flush = (at, count) => {
      flushed.push([at, at + count])
      flush.call(region, at, count)
    }
    const layout = await file.layout({ iomode: 'rw' })
    const [{ regionBlock } = { regionBlock: 0 }] = layout.hold.extents
    await layout.write(BLOCK + 10, patternOf(4, 100))
    await layout.release()
    const at = (regionBlock + 1) * BLOCK + 10
    assert.ok(
      flushed.some(([from, to]) => from <= at && to >= at + 100),
      'the bytes were written back',
    )
  },
)

servedTest('remote: files of more than 4 GiB are reached at every offset', {}, async (served) => {
  const GIB = 2 ** 30
  make(served, '/f', 10)
  served.volume.truncate('/f', 9 * GIB)
  const client = await served.remote()
  for (const fault of [false, true]) {
    const file = (await client.open('/f', 'r+', 0, undefined, { fault })) as RemoteFile
    for (const [i, at] of [4 * GIB - 100, 5 * GIB + 3, 9 * GIB - 300].entries()) {
      const bytes = patternOf(20 + i, 200)
      await file.write(bytes, at)
      await file.write(patternOf(i, 70_000), at - 2 * GIB)
      const got = new Uint8Array(400)
      assert.equal(await file.read(got, at - 100), 400)
      const wanted = new Uint8Array(400)
      wanted.set(bytes, 100)
      assert.deepEqual(got, wanted)
      const far = new Uint8Array(70_000)
      assert.equal(await file.read(far, at - 2 * GIB), 70_000)
      assert.deepEqual(far, patternOf(i, 70_000))
    }
    const pieces = [4 * GIB - 100, 9 * GIB - 300].map((offset) => ({ offset, length: 200 }))
    assert.deepEqual(await file.readMany(pieces), [patternOf(20, 200), patternOf(22, 200)])
    await file.close()
  }
  assert.equal(served.volume.stat('/f').size, 9 * GIB)
})

servedTest(
  'remote: who syncs is told when the server began anew in between',
  {},
  async (served) => {
    make(served, '/f', 64 * BLOCK)
    const client = await served.remote()
    const leased = await client.open('/f', 'r+')
    const followed = await client.open('/f', 'r+', 0, undefined, { fault: true })
    const { port } = served.service.address!
    const again = async () => {
      const connected = new Promise<void>((resolve) => (client.onConnected = resolve))
      await served.service.stop(100)
      await served.start({ listen: { host: '127.0.0.1', port, keys: served.keys } })
      await connected
    }
    await leased.write(patternOf(1, 32 * BLOCK), 0)
    await leased.sync()
    await again()
    await leased.sync()
    await leased.write(patternOf(2, 32 * BLOCK), 0)
    await followed.write(patternOf(3, 10), 40 * BLOCK)
    await again()
    for (const file of [leased, followed]) {
      await assert.rejects(file.sync(), refused('ESTALE', /what was not synced may be lost/))
      await file.write(patternOf(4, 10), 0)
      await file.sync()
    }
  },
)

servedTest(
  'remote: pieces of a file that was cut meanwhile are past its end',
  {},
  async (served) => {
    make(served, '/f', 8 * BLOCK)
    const client = await served.remote()
    const file = (await client.open('/f', 'r')) as RemoteFile
    assert.equal((await file.stat()).size, 8 * BLOCK)
    served.volume.truncate('/f', BLOCK + 1)
    const far = { offset: 7 * BLOCK, length: 10 }
    await assert.rejects(file.readMany([{ offset: 0, length: 10 }, far]), refused('EINVAL', /4097/))
    const [got] = await file.readMany([{ offset: BLOCK, length: 1 }])
    assert.deepEqual(got, patternOf(1, 8 * BLOCK).subarray(BLOCK, BLOCK + 1))
    const layout = await file.layout()
    const said = refused('EINVAL', /neither its length nor into what/)
    for (const many of [file, layout]) await assert.rejects(many.readMany([{ offset: 0 }]), said)
  },
)

servedTest(
  'remote: pieces are read through the server where nothing is lent',
  {},
  async (served) => {
    make(served, '/f', 8 * BLOCK)
    const client = await served.remote()
    const file = (await client.open('/f', 'r')) as RemoteFile
    const { promises } = served.volume
    promises.lease = () => Promise.reject(new HoldfastError('ENOMEM', 'no room for holds'))
    const pieces = [5, BLOCK + 7, 6 * BLOCK].map((offset) => ({ offset, length: 100 }))
    const bytes = patternOf(1, 8 * BLOCK)
    const wanted = pieces.map(({ offset }) => bytes.subarray(offset, offset + 100))
    assert.deepEqual(await file.readMany(pieces), wanted)
    const far = { offset: 8 * BLOCK - 10, length: 11 }
    await assert.rejects(file.readMany([far, ...pieces]), refused('EINVAL'))
  },
)
