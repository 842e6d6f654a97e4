/** Clients that go while others are served: whoever goes, the server goes on, and keeps nothing. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import type { RemoteFile } from '../../src/client/remote_file.js'
import { O } from '../../src/base/open_flags.js'
import { until } from '../processes/program.js'
import { RawClient } from './raw_client.js'
import { servedTest, type Served } from './service.js'

const ROUNDS = 8
const options = { force: false }

async function client({ directory }: Served, name: string): Promise<RawClient> {
  const one = await RawClient.unix(join(directory, 'socket'))
  await one.hello(name)
  return one
}

const open = (one: RawClient, path: string) =>
  one.call('open', { path: Buffer.from(path), flags: O.RDWR | O.CREAT, mode: 0o600, options })

const emptied = (served: Served) =>
  until(() => served.service.server.sessions.size === 0, 'every session has ended')

const failures = ({ log }: Served) => log.filter((line) => line.includes('could not be'))

servedTest(
  'who watches holds and is gone when it is told of one ends like others',
  {},
  async (served) => {
    for (let round = 0; round < ROUNDS; round++) {
      const watcher = await client(served, 'watcher')
      const other = await client(served, 'other')
      await open(watcher, '/watched')
      await watcher.call('watch', { changes: false, holds: true })
      const { handle } = await open(other, '/watched')
      const wish = { handle, offset: 0, length: 4096, reason: 'told of', unshare: undefined }
      // Both are there in one turn of the server: it is told of the grant before its end is seen.
      const pinned = other.call('pin', { wish })
      watcher.abort()
      await pinned
      await until(() => served.service.server.sessions.size === 1, 'the watcher has ended')
      assert.equal(served.volume.holds().length, 1)
      other.abort()
      await emptied(served)
      assert.equal(served.volume.holds().length, 0)
    }
    assert.deepEqual(failures(served), [])
  },
)

servedTest(
  'who watches changes and is gone when it is told of one gives back what it had open',
  {},
  async (served) => {
    const { blocksAvailable } = served.volume.statfs()
    for (let round = 0; round < ROUNDS; round++) {
      const watcher = await client(served, 'watcher')
      const other = await client(served, 'other')
      const path = Buffer.from(`/unlinked${round}`)
      const { handle } = await open(watcher, path.toString())
      const data = new Uint8Array(65_536)
      await watcher.call('write', { handle, position: 0, data, options })
      await watcher.call('unlink', { path, options })
      await watcher.call('watch', { changes: true, holds: false })
      const made = other.call('mkdir', { path: Buffer.from(`/d${round}`), mode: 0o700 })
      watcher.abort()
      await made
      await other.call('rmdir', { path: Buffer.from(`/d${round}`) })
      other.abort()
      await emptied(served)
    }
    // Names and inodes keep some blocks of their own: those of the files are free again.
    assert.ok(blocksAvailable - served.volume.statfs().blocksAvailable < ROUNDS)
    assert.deepEqual(failures(served), [])
  },
)

servedTest(
  'a layout that is given back right behind its commit was committed',
  {},
  async (served) => {
    const client = await served.remote()
    const file = (await client.open('/f', 'w+')) as RemoteFile
    for (let round = 1; round < ROUNDS; round++) {
      const length = round * 4096
      const layout = await file.layout({ length, iomode: 'rw', reason: 'fills in' })
      await layout.write(0, new Uint8Array(length).fill(round))
      const committed = layout.commit(length)
      await layout.release()
      await committed
      assert.equal((await client.stat('/f')).size, length)
    }
    await file.close()
  },
)

servedTest('who was evicted and does not know it yet reads ECONNRESET', {}, async (served) => {
  const client = await served.remote()
  const file = (await client.open('/f', 'w+')) as RemoteFile
  await file.write(new Uint8Array(4096), 0)
  const layout = await file.layout({ length: 4096, iomode: 'read', reason: 'reads' })
  const { server } = served.service
  // No data connection yet: the one that it asks for comes after the end of its session.
  const read = layout.read(0, 4096)
  void server.left(server.find(client.hello.session), null)
  await assert.rejects(read, { code: 'ECONNRESET' })
})

servedTest(
  'who keeps pages and asks to watch something else is waited for as before',
  {},
  async (served) => {
    const [cache, other] = [await client(served, 'cache'), await client(served, 'other')]
    const watch = (holds: boolean, stores: boolean) =>
      cache.call('watch', { changes: false, holds, stores })
    const { handle } = await open(other, '/stored')
    const pin = () => {
      const wish = { handle, offset: 0, length: 4096, reason: 'stores', unshare: undefined }
      const pinned = { settled: false }
      const settle = () => (pinned.settled = true)
      other.call('pin', { wish }).then(settle, settle)
      return pinned
    }
    const asked = () => cache.notices.filter((notice) => notice.name === 'storing')
    await watch(false, true)
    const first = pin()
    await until(() => asked().length === 1, 'it is asked to drop its pages')
    await watch(true, true)
    await other.call('stat', { target: { handle } })
    assert.deepEqual([first.settled, served.volume.holds()], [false, []])
    await cache.call('dropped', { token: asked()[0]!.body.token })
    await until(() => first.settled, 'the hold is granted')
    // Who keeps none any more is waited for by nobody.
    const second = pin()
    await until(() => asked().length === 2, 'it is asked again')
    await watch(true, false)
    await until(() => second.settled, 'the second hold is granted')
    assert.equal(served.volume.holds().length, 2)
    const late = cache.call('dropped', { token: asked()[1]!.body.token })
    await assert.rejects(late, /EINVAL/)
  },
)
