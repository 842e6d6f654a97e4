/** What monitors ask over HTTP, and what those get who ask for something else. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { test, type TestContext } from 'node:test'
import { serveMonitor, type Monitor, type MonitorOptions } from '../../src/serve/http.js'

const OPTIONS: MonitorOptions = {
  port: 0,
  metrics: () => 'holds 1\n',
  unhealthy: () => null,
  unready: () => null,
  failed: (error) => {
    throw error
  },
}

async function monitor(t: TestContext, options: Partial<MonitorOptions> = {}) {
  const served = await serveMonitor({ ...OPTIONS, ...options })
  t.after(() => served.close())
  return served
}

const urlOf = ({ host, port }: Monitor, path: string) => `http://${host}:${port}${path}`

test('/metrics is what the server counts, on this machine alone unless it is told', async (t) => {
  const served = await monitor(t)
  assert.equal(served.host, '127.0.0.1')
  const response = await fetch(urlOf(served, '/metrics?x=1'))
  assert.equal(response.status, 200)
  assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8')
  assert.equal(response.headers.get('cache-control'), 'no-store')
  assert.equal(await response.text(), 'holds 1\n')
})

test('/healthz and /readyz say ok, or what is wrong', async (t) => {
  let [unhealthy, unready]: (string | null)[] = [null, null]
  const served = await monitor(t, { unhealthy: () => unhealthy!, unready: () => unready! })
  const ask = async (path: string) => {
    const response = await fetch(urlOf(served, path))
    return [response.status, await response.text()]
  }
  assert.deepEqual(await ask('/healthz'), [200, 'ok\n'])
  assert.deepEqual(await ask('/readyz'), [200, 'ok\n'])
  unready = 'grace period: 12 s left'
  assert.deepEqual(await ask('/healthz'), [200, 'ok\n'])
  assert.deepEqual(await ask('/readyz'), [503, 'grace period: 12 s left\n'])
  unhealthy = 'the volume is read-only: EIO'
  assert.deepEqual(await ask('/healthz'), [503, 'the volume is read-only: EIO\n'])
})

test('HEAD has the same headers and no body', async (t) => {
  const served = await monitor(t)
  const response = await fetch(urlOf(served, '/metrics'), { method: 'HEAD' })
  assert.equal(response.headers.get('content-length'), '8')
  assert.equal(await response.text(), '')
})

test('other paths, other methods and bodies are refused', async (t) => {
  const served = await monitor(t)
  assert.equal((await fetch(urlOf(served, '/'))).status, 404)
  assert.equal((await fetch(urlOf(served, '/metrics/../x'))).status, 404)
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const response = await fetch(urlOf(served, '/metrics'), { method })
    assert.deepEqual([response.status, response.headers.get('allow')], [405, 'GET, HEAD'], method)
    await response.text()
  }
  const body = 'GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello'
  assert.match(await told(served, body), /^HTTP\/1\.1 400 [^]*\r\nConnection: close\r\n/)
  const chunked = 'GET /metrics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n'
  assert.match(await told(served, chunked), /^HTTP\/1\.1 400 /)
})

test('a bug in an answer is told to the server, and nothing of it to the asker', async (t) => {
  const failures: unknown[] = []
  const served = await monitor(t, {
    metrics: () => {
      throw new Error('secret')
    },
    failed: (error) => void failures.push(error),
  })
  const response = await fetch(urlOf(served, '/metrics'))
  assert.equal(response.status, 500)
  assert.ok(!(await response.text()).includes('secret'))
  assert.match(String(failures[0]), /secret/)
  assert.equal((await fetch(urlOf(served, '/healthz'))).status, 200)
})

test('headers without an end, or with nonsense, end the connection', async (t) => {
  const served = await monitor(t)
  const long = `GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(9000)}\r\n\r\n`
  assert.match(await told(served, long), /^HTTP\/1\.1 431 /)
  assert.match(await told(served, '\0\0\0\0'), /^HTTP\/1\.1 400 /)
  assert.equal(await told(served, 'CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\n'), '')
  assert.equal((await fetch(urlOf(served, '/healthz'))).status, 200)
})

test('connections beyond the limit are closed, and those that were there are served', async (t) => {
  const served = await monitor(t)
  const sockets: Socket[] = []
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  let closed = 0
  for (let i = 0; i < 80; i++) {
    const socket = connect(served.port, served.host)
    socket.on('error', () => {})
    socket.on('close', () => closed++)
    await once(socket, 'connect')
    sockets.push(socket)
  }
  while (closed < 80 - 64) await new Promise(setImmediate)
  const first = sockets[0]!
  first.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n')
  const [data] = (await once(first, 'data')) as [Buffer]
  assert.match(data.toString(), /^HTTP\/1\.1 200 /)
  assert.equal(closed, 80 - 64)
})

test('an address in use is an error that says which', async (t) => {
  const { port } = await monitor(t)
  await assert.rejects(serveMonitor({ ...OPTIONS, port }), {
    code: 'EADDRINUSE',
    message: new RegExp(`'127\\.0\\.0\\.1:${port}'`),
  })
})

test('closing ends connections that are open', async () => {
  const served = await serveMonitor(OPTIONS)
  const socket = connect(served.port, served.host)
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics')
  await once(socket, 'data')
  const over = once(socket, 'close')
  await served.close()
  await over
})

/** All that comes back until the connection ends. */
async function told({ host, port }: Monitor, request: string): Promise<string> {
  const socket = connect(port, host)
  socket.on('error', () => {})
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString()))
  socket.write(request)
  await once(socket, 'close')
  return text
}
