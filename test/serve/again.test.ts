/** A client whose server goes and comes again. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { connect, RemoteFile } from '../../src/client/index.js'
import { formatSecret } from '../../src/control/keys.js'
import { createVolume } from '../../src/layout/embedded.js'
import { Log } from '../../src/serve/log.js'
import { Service } from '../../src/serve/service.js'

const KEY = { id: 'again', secret: new Uint8Array(32).map((_, i) => 5 * i + 2) }

function ground(after: (run: () => void) => void) {
  const directory = mkdtempSync('/dev/shm/holdfast-again-')
  after(() => rmSync(directory, { recursive: true }))
  const region = join(directory, 'volume.hf')
  const keys = join(directory, 'keys')
  createVolume(region, 8 << 20)
  writeFileSync(keys, `${formatSecret(KEY)} uid=0 gid=0 rw\n`, { mode: 0o600 })
  return (port = 0) =>
    Service.start({
      region,
      socket: join(directory, 'socket'),
      listen: { host: '127.0.0.1', port, keys },
      timers: systemTimers,
      log: new Log({ timers: systemTimers, level: 'error', write: (line) => console.error(line) }),
      crypto: systemCrypto,
    })
}

test('who is told that it is connected again can ask at once', async (t) => {
  const start = ground((run) => t.after(run))
  const first = await start()
  const client = await connect(first.local.path)
  const { epoch } = client.hello
  const again = new Promise<number>((resolve, reject) => {
    client.onConnected = () => {
      // Both the facts of the new session, and calls in it.
      const { hello } = client
      client.statfs().then(() => resolve(hello.epoch), reject)
    }
  })
  await first.stop()
  const second = await start()
  assert.equal(await again, epoch + 1)
  await client.close()
  await second.stop()
})

test('a remote client reaches what it has pinned, also when that has left its file', async (t) => {
  const start = ground((run) => t.after(run))
  const service = await start()
  const client = await connect(`hf://127.0.0.1:${service.address!.port}`, { key: KEY })
  const file = await client.open('/a', 'w+')
  assert.ok(file instanceof RemoteFile)
  await file.write(Buffer.alloc(8192, 1), 0)
  const pin = await file.pin({ reason: 'test' })
  const bytes = await file.register(pin, { write: true })
  await assert.rejects(client.truncate('/a', 0), { code: 'EBUSY' })
  await client.truncate('/a', 0, undefined, { policy: 'defer' })
  await bytes.write(4096, Buffer.alloc(4096, 2))
  assert.deepEqual(await bytes.read(4095, 2), new Uint8Array([1, 2]))
  assert.equal((await client.stat('/a')).size, 0)
  await pin.release()
  await assert.rejects(bytes.read(0, 1), { code: 'ESTALE' })
  const read = await (await file.register(await file.lease({ length: 4096 }))).read(0, 1)
  assert.deepEqual(read, new Uint8Array([0]))
  await client.close()
  await service.stop()
})

test('nothing is written again by who had a lock: it was lost with the connection', async (t) => {
  const start = ground((run) => t.after(run))
  const first = await start()
  const client = await connect(first.local.path)
  const [locked, free] = [await client.open('/a', 'w+'), await client.open('/a', 'r+')]
  await locked.lock({ type: 'write', start: 0, length: 10 })
  const again = new Promise<void>((resolve) => (client.onConnected = resolve))
  await first.stop()
  const asked = assert.rejects(locked.write(Buffer.alloc(10, 1), 0), { code: 'ESTALE' })
  const written = free.write(Buffer.alloc(10, 2), 10)
  const second = await start()
  await Promise.all([asked, written, again])
  const bytes = Buffer.alloc(20)
  assert.equal(await free.read(bytes, 0), 20)
  assert.deepEqual([...bytes], [...Buffer.alloc(10), ...Buffer.alloc(10, 2)])
  await assert.rejects(locked.stat(), { code: 'ESTALE', message: /its locks were lost/ })
  await client.close()
  await second.stop()
})
