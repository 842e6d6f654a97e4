/** How long a client waits for a server that is silent, and how it leaves one. */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { systemTimers, type Timers } from '../../src/base/timers.js'
import { connect } from '../../src/client/index.js'
import { Link, type Alive } from '../../src/client/link.js'
import { connectUnix } from '../../src/native/unix.js'
import { servedTest, type Served } from './service.js'

/** Time goes by fifty times as fast. */
const hurried: Timers = {
  ...systemTimers,
  after: (milliseconds, run) => systemTimers.after(milliseconds / 50, run),
  now: () => systemTimers.now() * 50,
}

/** Takes connections at a path, and says nothing. */
class Silent {
  readonly #server: Server
  readonly #sockets: Socket[] = []

  private constructor() {
    this.#server = createServer((socket) => {
      socket.on('error', () => {})
      this.#sockets.push(socket)
    })
  }

  static async at(where: string | number): Promise<Silent> {
    const silent = new Silent()
    await new Promise<void>((resolve) => {
      if (typeof where === 'string') silent.#server.listen(where, resolve)
      else silent.#server.listen(where, '127.0.0.1', resolve)
    })
    return silent
  }

  get taken(): number {
    return this.#sockets.length
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

const within = async (milliseconds: number, run: () => Promise<unknown>) => {
  const begin = performance.now()
  await run()
  const took = performance.now() - begin
  assert.ok(took < milliseconds, `it took ${took.toFixed(0)} ms`)
}

void test('who connects to a server that is silent is told so', async () => {
  const path = `/dev/shm/holdfast-silent-${process.pid}`
  const silent = await Silent.at(path)
  try {
    await within(5000, () =>
      assert.rejects(connect(path, { timers: hurried }), {
        code: 'ETIMEDOUT',
        message: /does not answer/,
      }),
    )
    assert.equal(silent.taken, 1)
  } finally {
    silent.close()
  }
})

void test('who connects to a silent server over a network is told so', async () => {
  const silent = await Silent.at(0)
  const key = { id: 'k', secret: new Uint8Array(32) }
  try {
    await within(5000, () =>
      assert.rejects(connect(`hf://127.0.0.1:${silent.port}`, { key, timers: hurried }), {
        code: 'ETIMEDOUT',
      }),
    )
  } finally {
    silent.close()
  }
})

/** The server ends, and what comes in its place is silent. */
async function silenced(served: Served): Promise<Silent> {
  const path = join(served.directory, 'socket')
  await served.service.stop(100)
  rmSync(path, { force: true })
  return Silent.at(path)
}

servedTest('a server that comes again and is silent is left in time', {}, async (served) => {
  const client = await served.local({ patience: 500 })
  const file = await client.open('/f', 'w+')
  const closed = new Promise<void>((resolve) => (client.onClosed = resolve))
  const silent = await silenced(served)
  try {
    await within(4000, async () => {
      const asked = [client.stat('/f'), file.read(new Uint8Array(1), 0)]
      for (const one of asked) await assert.rejects(one, { code: 'ECONNRESET' })
      await closed
    })
    assert.ok(silent.taken > 0)
    await assert.rejects(client.stat('/f'), { code: 'ECONNRESET', message: /is gone/ })
  } finally {
    silent.close()
    await served.start()
  }
})

servedTest('who gives up does not wait for a server to come again', {}, async (served) => {
  const client = await served.local({ patience: 60_000 })
  const file = await client.open('/f', 'w+')
  const lost = new Promise((resolve) => (client.onLost = resolve))
  const silent = await silenced(served)
  try {
    await lost
    const stop = new AbortController()
    const asked = [
      client.recall(1, { signal: stop.signal }),
      file.truncate(1, { signal: stop.signal }),
      file.write(new Uint8Array(10), 0, { signal: stop.signal }),
    ]
    const ends = Promise.all(asked.map((one) => assert.rejects(one, { code: 'EINTR' })))
    stop.abort()
    await within(2000, () => ends)
    await within(2000, () => client.close())
  } finally {
    silent.close()
    await served.start()
  }
})

servedTest('a server that falls silent as holds are taken up is left', {}, async (served) => {
  const tries: Alive[] = []
  let closed = () => {}
  const over = new Promise<void>((resolve) => (closed = resolve))
  const link = await Link.connect(
    {
      timers: systemTimers,
      where: 'there',
      connect: async (signal) => {
        return { stream: await connectUnix(join(served.directory, 'socket'), signal) }
      },
      name: 'test',
      umask: 0,
      patience: 400,
      random: Math.random,
    },
    {
      lost: () => {},
      again: (alive) => {
        tries.push(alive)
        return new Promise<void>((resolve) => (alive.caller.onEnd = resolve))
      },
      begun: () => assert.fail('it was not taken up'),
      notice: () => {},
      closed,
    },
  )
  link.alive!.caller.abort()
  await within(4000, () => over)
  assert.ok(tries.length > 0)
  assert.ok(tries.every(({ caller }) => caller.ended))
  await assert.rejects(link.session(), { code: 'ECONNRESET', message: /does not answer/ })
})
