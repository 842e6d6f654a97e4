/** How clients leave, and what they leave behind: nothing. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Passed } from '../../src/client/passed.js'
import type { Client } from '../../src/client/client.js'
import type { RemoteFile } from '../../src/client/remote_file.js'
import { patternOf } from '../interop/pattern.js'
import { servedTest, type Served } from './service.js'

const endsOf = ({ log }: Served) => log.filter((line) => line.includes('session ends'))

/** Resolves when the server has no session any more. */
async function left({ service: { server } }: Served): Promise<void> {
  while (server.list().length > 0) await new Promise((resolve) => setTimeout(resolve, 1))
}

for (const kind of ['local', 'remote'] as const) {
  servedTest(
    `a ${kind} client that closes has its last call carried out, and ends in order`,
    {},
    async (served) => {
      const client = await served[kind]()
      const file = await client.open('/f', 'w+')
      await file.write(patternOf(1, 200_000), 0)
      assert.equal(await file.read(new Uint8Array(200_000), 0), 200_000)
      if (kind === 'remote') await (file as RemoteFile).readMany([{ offset: 5, length: 9 }])
      const told: unknown[] = []
      client.onLost = (error) => told.push(error)
      const called = client.mkdir('/last').catch(() => {})
      await client.close()
      await called
      await left(served)
      assert.equal(served.volume.stat('/last').type, 'directory')
      const [line = ''] = endsOf(served)
      assert.match(line, /it has closed/)
      const noise = served.log.filter((text) => /reset|ECONN|lost/.test(text))
      assert.deepEqual(noise, [])
      assert.deepEqual(told, [])
      await assert.rejects(client.stat('/f'), { code: 'ECONNRESET', message: /was closed/ })
    },
  )
}

servedTest('what a server loses says no word to it of connecting', {}, async (served) => {
  const client = await served.remote({ patience: 0 })
  const lost = new Promise((resolve) => (client.onLost = resolve))
  client.connection.alive!.caller.abort()
  await lost
  await left(served)
  assert.doesNotMatch(endsOf(served).join(), /connect again/)
})

servedTest('a file that is closed as it is opened again stays closed', {}, async (served) => {
  const client = await served.local()
  const file = await client.open('/f', 'w+')
  const connected = new Promise<void>((resolve) => (client.onConnected = resolve))
  await served.service.stop(100)
  await served.start()
  await connected
  const asked = assert.rejects(file.stat(), { code: 'EBADF' })
  await file.close()
  await asked
  await client.statfs()
  const [session] = served.service.server.list()
  assert.equal(session?.handles, 0)
})

void test('a session that fails late does not forget the descriptor of the next', async () => {
  const asked: ((error: Error) => void)[] = []
  const caller = {
    channel: { stream: {} },
    call: () => new Promise((_, reject) => asked.push(reject)),
  }
  const session = () => Promise.resolve({ caller, hello: {} })
  const client = { connection: { session } } as unknown as Client
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const passed = new Passed()
  const first = assert.rejects(passed.use(client), /first/)
  await turn()
  passed.lost()
  const second = assert.rejects(passed.use(client), /second/)
  await turn()
  assert.equal(asked.length, 2)
  asked[0]!(new Error('first'))
  await first
  const third = assert.rejects(passed.use(client), /second/)
  await turn()
  assert.equal(asked.length, 2, 'asked once a session')
  asked[1]!(new Error('second'))
  await Promise.all([second, third])
})
