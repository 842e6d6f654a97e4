/** A server in this process: what keeps it from beginning, and what it counts. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { test, type TestContext } from 'node:test'
import { systemCrypto } from '../../src/base/crypto.js'
import { systemTimers } from '../../src/base/timers.js'
import { connect } from '../../src/client/index.js'
import type { LocalFile } from '../../src/client/local_file.js'
import { Log } from '../../src/serve/log.js'
import { Service, type ServiceOptions } from '../../src/serve/service.js'
import { until } from '../processes/program.js'
import { placeOfVolume } from './daemon.js'

const place = (t: TestContext) => placeOfVolume((clean) => t.after(clean))

function options(region: string, more: Partial<ServiceOptions>): ServiceOptions {
  const log = new Log({ timers: systemTimers, write: () => {} })
  return { region, timers: systemTimers, log, crypto: systemCrypto, ...more }
}

const secret = () => randomBytes(32).toString('base64url')

test('what keeps a server from beginning leaves nothing behind', async (t) => {
  const { region, socket, keys, folder } = place(t)
  const line = `k ${secret()} uid=0 gid=0 rw\n`
  writeFileSync(keys, line, { mode: 0o600 })
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.after(() => taken.close())
  const { port } = taken.address() as AddressInfo
  const fails = (more: Partial<ServiceOptions>, error: object) =>
    assert.rejects(Service.start(options(region, { socket, ...more })), error)

  const busy = { host: '127.0.0.1', port }
  await fails({ listen: { ...busy, keys } }, { code: 'EADDRINUSE' })
  await fails({ http: busy }, { code: 'EADDRINUSE' })
  await fails({ socket: region }, { code: 'EEXIST' })
  await fails({ region: `${folder}/none` }, { code: 'ENOENT' })
  const listen = { host: '127.0.0.1', port: 0, keys }
  await fails({ listen: { ...listen, keys: `${folder}/none` } }, { code: 'ENOENT' })
  writeFileSync(keys, 'k short\n')
  await fails({ listen }, { code: 'EINVAL', message: /line 1 of the key file/ })
  writeFileSync(`${folder}/open`, line, { mode: 0o644 })
  await fails({ listen: { ...listen, keys: `${folder}/open` } }, { code: 'EACCES' })

  writeFileSync(keys, line)
  const service = await Service.start(options(region, { socket, listen }))
  await fails({ socket: `${socket}2` }, { code: 'EBUSY', message: /is open in process/ })
  const other = place(t)
  await fails({ region: other.region, socket }, { code: 'EADDRINUSE' })
  assert.equal(await service.stop(), true)
})

test('it counts clients, what they hold, and what they call', async (t) => {
  const { region, socket, keys } = place(t)
  writeFileSync(keys, `k ${secret()} uid=0 gid=0 rw\n`, { mode: 0o600 })
  const listen = { host: '127.0.0.1', port: 0, keys }
  const service = await Service.start(options(region, { socket, listen, maxSessions: 2 }))
  const local = await connect(socket)
  const remote = await connect(`hf://127.0.0.1:${service.address!.port}`, { key: keys })
  const number = async (name: string) => {
    const found = (await local.statistics()).split('\n').find((line) => line.startsWith(`${name} `))
    return found === undefined ? undefined : Number(found.slice(name.length + 1))
  }
  const deltaOf = async (name: string, run: () => Promise<unknown>) => {
    const before = (await number(name)) ?? 0
    await run()
    return (await number(name))! - before
  }

  const file = (await local.open('/f', 'w+')) as LocalFile
  await file.write(Buffer.alloc(1 << 16, 1), 0)
  assert.equal(await number('holdfast_sessions{kind="local"}'), 1)
  assert.equal(await number('holdfast_sessions{kind="remote"}'), 1)
  assert.equal(await number('holdfast_connections'), 2)
  assert.equal(await number('holdfast_holds{kind="pin"}'), 0)
  assert.equal(service.unready, 'as many clients as may be are there')
  await assert.rejects(connect(socket, { patience: 0 }), { code: 'ECONNRESET' })
  assert.equal(await number('holdfast_connections_refused_total'), 1)

  const pin = await file.pin({})
  assert.equal(await number('holdfast_holds{kind="pin"}'), 1)
  const refused = 'holdfast_hold_events_total{kind="refuse"}'
  const truncate = () => assert.rejects(remote.truncate('/f', 0), { code: 'EBUSY' })
  assert.equal(await deltaOf(refused, truncate), 1)
  const errors = 'holdfast_call_errors_total{verb="truncate",code="EBUSY"}'
  assert.equal(await number(errors), 1)
  const truncates = 'holdfast_call_seconds_count{verb="truncate"}'
  assert.equal(await number(truncates), 1)
  assert.equal(await number('holdfast_call_running_seconds_count{verb="truncate"}'), 1)
  await pin.release()
  assert.equal(await number('holdfast_holds{kind="pin"}'), 0)

  const far = await remote.open('/f', 'r+')
  const sent = 'holdfast_data_sent_bytes_total'
  // The first reads may come with answers, while what goes one-sided is made ready.
  const before = (await number(sent))!
  await until(async () => {
    await far.read(Buffer.alloc(1 << 16), 0)
    return (await number(sent))! > before + (1 << 16)
  }, 'a read one-sided')
  assert.equal(await number('holdfast_registrations'), 1)
  assert.ok((await number('holdfast_data_connections'))! > 0)
  const total = await number(sent)
  await far.close()
  await remote.close()
  while ((await number('holdfast_sessions{kind="remote"}')) !== 0);
  assert.equal(await number(sent), total, 'bytes of connections that have ended count')
  assert.equal(await number('holdfast_registrations'), 0)
  const free = 'holdfast_free_bytes'
  assert.ok((await deltaOf(free, () => local.unlink('/f').then(() => file.close()))) >= 1 << 16)
  assert.equal(service.unready, null)
  await local.close()
  assert.equal(await service.stop(), true)
  assert.equal(service.unready, 'the volume is closed')
})
