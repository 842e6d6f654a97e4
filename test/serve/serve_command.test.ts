/** `holdfast serve` as a process: how it begins, what signals do, and how it ends. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { connect, type Client } from '../../src/client/index.js'
import type { LocalFile } from '../../src/client/local_file.js'
import { openVolume } from '../../src/layout/embedded.js'
import { compilePeer, startPeer } from '../native/peer.js'
import { processTest, until, type Programs } from '../processes/program.js'
import { Daemon, placeOfVolume, serveCommand } from './daemon.js'

const SECRETS = [randomBytes(32), randomBytes(32)].map((one) => one.toString('base64url'))
const keyLines = (...ids: readonly string[]) =>
  ids.map((id, i) => `${id} ${SECRETS[i]!} uid=0 gid=0 rw\n`).join('')

const place = (t: TestContext) => placeOfVolume((clean) => t.after(clean))

/** A client of a test: closed when that ends. */
async function client(t: TestContext, where: string, options = {}): Promise<Client> {
  const one = await connect(where, options)
  t.after(() => one.close())
  return one
}

/** A file of which this process maps 64 KiB, and its first bytes. */
async function mapped(t: TestContext, where: string) {
  const one = await client(t, where)
  const file = (await one.open('/mapped', 'w+')) as LocalFile
  await file.write(Buffer.alloc(1 << 16, 7), 0)
  const mapping = await file.map({ direct: true, write: true })
  return { one, mapping, bytes: new Uint8Array(mapping.buffer) }
}

processTest('it says when clients can come, and ends in order', {}, async (programs, t) => {
  const { region, socket, keys } = place(t)
  writeFileSync(keys, keyLines('stays', 'goes'), { mode: 0o600 })
  const daemon = await Daemon.start(programs, [
    ...['--listen', '127.0.0.1:0', '--keys', keys],
    ...['--socket', socket, '--http', ':0', region],
  ])
  const { ready } = daemon
  for (const name of ['socket', 'listen', 'http', 'volume', 'pid']) assert.ok(name in ready, name)
  assert.equal(ready.socket, socket)
  assert.equal(ready.pid, daemon.program.pid)
  // The log is another pipe than what it says when it is ready.
  const logged = () => daemon.logged('the server is ready')
  await until(() => logged() !== undefined, 'the line in the log')
  assert.equal(logged()!['socket'], socket)
  assert.equal(
    daemon.log.some(({ level }) => level === 'warn'),
    false,
  )
  const base = `http://127.0.0.1:${ready.http!.port}`
  assert.equal(await (await fetch(`${base}/readyz`)).text(), 'ok\n')

  const local = await client(t, socket)
  const [stays, goes] = await Promise.all(
    ['stays', 'goes'].map((id) => client(t, daemon.url, { key: `${keys}#${id}` })),
  )
  const metrics = await (await fetch(`${base}/metrics`)).text()
  assert.match(metrics, /^holdfast_sessions\{kind="remote"\} 2$/m)
  assert.match(metrics, /^holdfast_event_loop_delay_quantile_seconds\{quantile="0.999"\} /m)

  // SIGHUP: who has a key that is gone goes, and nobody else.
  const lost = new Promise<Error>((resolve) => (goes!.onLost = resolve))
  writeFileSync(keys, keyLines('stays'))
  process.kill(daemon.program.pid, 'SIGHUP')
  assert.match((await lost).message, /key goes is gone/)
  assert.equal((await stays!.stat('/')).type, 'directory')
  writeFileSync(keys, 'nonsense\n')
  process.kill(daemon.program.pid, 'SIGHUP')
  await until(
    () => daemon.logged('the keys could not be read: those before stay in force') !== undefined,
    'the error',
  )
  assert.equal((await stays!.stat('/')).type, 'directory')

  // SIGTERM: leases are asked back first.
  const file = (await local.open('/lent', 'w+')) as LocalFile
  await file.write(Buffer.alloc(8192), 0)
  const recalls: string[] = []
  const lease = await file.lease({ onRecall: (recall) => void recalls.push(recall.change) })
  await daemon.stop()
  assert.equal(recalls.length, 1)
  assert.equal(lease.held, false)
  assert.equal(existsSync(socket), false, 'the socket is gone with it')
  openVolume(region).close()
})

processTest('the next server takes over from one that was killed', {}, async (programs, t) => {
  const { region, socket } = place(t)
  const args = ['--stop-timeout', '50', '--socket', socket, region]
  const first = await Daemon.start(programs, args)
  const { one, mapping, bytes } = await mapped(t, socket)
  let back = new Promise<void>((resolve) => (one.onConnected = resolve))
  await first.program.kill()
  assert.equal(existsSync(socket), true, 'its socket is left')
  bytes[3] = 9

  const second = await Daemon.start(programs, args)
  await back
  const over = 'grace period is over'
  await until(() => second.logged(over) !== undefined, 'the end of the grace period')
  assert.equal((await one.holds()).length, 1)
  await assert.rejects(one.truncate('/mapped', 0), { code: 'ETXTBSY' })

  // A second signal does not wait for who maps.
  back = new Promise<void>((resolve) => (one.onConnected = resolve))
  process.kill(second.program.pid, 'SIGINT')
  await until(() => second.logged('the server stops') !== undefined, 'the stop')
  assert.deepEqual(await second.program.kill('SIGTERM'), { status: 143, signal: null })
  assert.equal(existsSync(socket), false)

  const third = await Daemon.start(programs, args)
  await back
  assert.deepEqual([bytes[2], bytes[3]], [7, 9])
  await until(() => third.logged(over) !== undefined, 'the end of the grace period')
  mapping.unmap()
  await until(async () => (await one.holds()).length === 0, 'the end of the hold')
  await one.truncate('/mapped', 0)
  await one.close()
  await third.stop()
})

processTest('who maps when it stops is waited for by the next one', {}, async (programs, t) => {
  const { folder, region, socket } = place(t)
  const first = await Daemon.start(programs, ['--stop-timeout', '0.1', '--socket', socket, region])
  const { one, mapping, bytes } = await mapped(t, socket)
  const end = await first.program.kill('SIGTERM')
  assert.deepEqual(end, { status: 1, signal: null })
  assert.match(
    first.program.errors,
    /holdfast: serve: EBUSY: processes still map .*v\.hf: what is in/,
  )
  assert.throws(() => openVolume(region), { code: 'EBUSY' })
  bytes[0] = 1

  // At another place: the client does not find it.
  const other = join(folder, 'other')
  const second = await Daemon.start(programs, ['--socket', other, region])
  const watcher = await client(t, other)
  assert.equal(watcher.hello.grace, true)
  const file = await watcher.open('/mapped', 'r')
  const read = Buffer.alloc(2)
  await file.read(read, 0)
  assert.deepEqual([...read], [1, 7])
  await file.close()
  await one.close()
  mapping.unmap()
  await until(
    () => second.logged('grace period is over') !== undefined,
    'the end of the grace period',
  )
  await second.stop()
  openVolume(region).close()
})

processTest('it lives with a manager of services', {}, async (programs, t) => {
  const { folder, region, socket } = place(t)
  const peer = compilePeer(folder)
  if (peer === undefined) return t.skip('no C compiler')
  const notify = join(folder, 'notify')
  const manager = startPeer(peer, ['datagrams', notify])
  t.after(() => manager.kill())
  assert.equal(await manager.line(), 'bound')
  const daemon = await activated(programs, peer, socket, notify, region)
  assert.equal(daemon.socket, socket)
  const one = await client(t, socket)
  await one.mkdir('/made')
  const told = async (line: string) => {
    while ((await manager.line()) !== line);
  }
  await told('READY=1')
  await told(`STATUS=serving ${region}`)
  await told('WATCHDOG=1')
  await told('WATCHDOG=1')
  process.kill(daemon.pid, 'SIGHUP')
  await told('RELOADING=1')
  assert.match(await manager.line(), /^MONOTONIC_USEC=\d+$/)
  await told('READY=1')
  const end = daemon.program.kill('SIGTERM')
  await told('STOPPING=1')
  assert.deepEqual(await end, { status: 0, signal: null })
  assert.equal(existsSync(socket), true, 'it did not make it')
  rmSync(socket)

  const twice = programs.start('serve', [
    peer,
    'activate',
    socket,
    ...serveCommand('--socket', socket, region),
  ])
  assert.deepEqual(await twice.ended(), { status: 1, signal: null })
  assert.match(
    twice.errors,
    /serve: EINVAL: a socket was passed \(LISTEN_FDS\): leave --socket out/,
  )
})

async function activated(
  programs: Programs,
  peer: string,
  socket: string,
  notify: string,
  region: string,
) {
  const env = { NOTIFY_SOCKET: notify, WATCHDOG_USEC: '30000' }
  const program = programs.start('serve', [peer, 'activate', socket, ...serveCommand(region)], {
    env,
  })
  const ready = JSON.parse(await program.line()) as { socket: string; pid: number }
  assert.equal(ready.pid, program.pid)
  return { program, ...ready }
}
