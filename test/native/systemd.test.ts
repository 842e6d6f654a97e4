import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { after, test } from 'node:test'
import { listenDescriptors, notifySystemd, watchdogMilliseconds } from '../../src/native/systemd.js'
import { native } from '../../src/native/native.js'
import { compilePeer, startPeer } from './peer.js'
import { fails } from './support.js'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-systemd-'))
const peer = compilePeer(folder)
after(() => rmSync(folder, { recursive: true }))

const nobody = { skip: peer === undefined ? 'no C compiler' : false }
test('a state goes to the socket of the service manager, in one piece', nobody, async () => {
  for (const socket of [join(folder, 'notify'), `@holdfast-test-${process.pid}`]) {
    const manager = startPeer(peer!, ['datagram', socket])
    assert.equal(await manager.line(), 'bound')
    assert.equal(notifySystemd('READY=1\nSTATUS=läuft', { NOTIFY_SOCKET: socket }), true)
    assert.equal(await manager.line(), 'READY=1')
    assert.equal(await manager.line(), 'STATUS=läuft')
    assert.equal(await manager.exit(), 0)
    const gone = () => notifySystemd('STOPPING=1', { NOTIFY_SOCKET: socket })
    assert.throws(gone, { code: 'ECONNREFUSED', syscall: 'sendto' })
  }
})

test('without a service manager nothing is said', () => {
  assert.equal(notifySystemd('READY=1', {}), false)
  assert.equal(notifySystemd('READY=1', { NOTIFY_SOCKET: '' }), false)
  for (const socket of ['vsock:2:1234', 'relative', '/a'.repeat(60), '/a\0b']) {
    assert.throws(
      () => notifySystemd('READY=1', { NOTIFY_SOCKET: socket }),
      (error: { code?: string }) => ['EINVAL', 'ENAMETOOLONG'].includes(error.code!),
    )
  }
  const missing = { NOTIFY_SOCKET: join(folder, 'missing') }
  assert.throws(() => notifySystemd('READY=1', missing), { code: 'ENOENT' })
  const bytes = new Uint8Array(4)
  fails('ERR_OUT_OF_RANGE', () => native.sendDatagram('/none', bytes, 2, 3))
})

test('sockets are passed to the process that is named, and to no child of it', () => {
  const pid = process.pid
  const passed = (environment: Record<string, string>) => listenDescriptors(environment, pid)
  assert.deepEqual(passed({}), [])
  assert.deepEqual(passed({ LISTEN_FDS: '2' }), [])
  assert.deepEqual(passed({ LISTEN_PID: `${pid + 1}`, LISTEN_FDS: '2' }), [])
  assert.deepEqual(passed({ LISTEN_PID: `${pid}` }), [])
  const two = { LISTEN_PID: `${pid}`, LISTEN_FDS: '2' }
  assert.deepEqual(passed(two), [
    { fd: 3, name: 'unknown' },
    { fd: 4, name: 'unknown' },
  ])
  assert.deepEqual(passed({ ...two, LISTEN_FDNAMES: 'control:rdma' }), [
    { fd: 3, name: 'control' },
    { fd: 4, name: 'rdma' },
  ])
  for (const bad of ['-1', 'x', '1e3', ' 1', '9007199254740993', '99999999']) {
    assert.throws(() => passed({ ...two, LISTEN_FDS: bad }), {
      code: 'EINVAL',
      message: /LISTEN_FDS/,
    })
  }
  assert.throws(() => passed({ LISTEN_PID: 'me' }), { code: 'EINVAL', message: /LISTEN_PID/ })
})

test('a watchdog is there for the process that is named, or for all', () => {
  const wanted = (environment: Record<string, string>) => watchdogMilliseconds(environment, 42)
  assert.equal(wanted({}), null)
  assert.equal(wanted({ WATCHDOG_USEC: '0' }), null)
  assert.equal(wanted({ WATCHDOG_USEC: '2500000' }), 2500)
  assert.equal(wanted({ WATCHDOG_USEC: '1500', WATCHDOG_PID: '42' }), 1.5)
  assert.equal(wanted({ WATCHDOG_USEC: '1500', WATCHDOG_PID: '43' }), null)
  assert.throws(() => wanted({ WATCHDOG_USEC: 'soon' }), {
    code: 'EINVAL',
    message: /WATCHDOG_USEC/,
  })
})
