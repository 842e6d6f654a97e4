/** What a client asks for while a snapshot is made, or the server stops. */
import assert from 'node:assert/strict'
import type { LocalFile } from '../../src/client/local_file.js'
import { outcomeOf } from '../layout/timers.js'
import { servedTest, type Served } from './service.js'

/** Something is done alone, until it is given up or `end`. */
function alone({ volume }: Served) {
  const { alone } = volume.waiting
  const ends: string[] = []
  const end = (how: string) => () => {
    ends.push(how)
    alone.end()
  }
  alone.begin({ finish: end('finished'), giveUp: end('given up') })
  return { ends, end: end('done') }
}

servedTest('opening waits for no snapshot, unless it changes something', {}, async (served) => {
  const client = await served.local()
  await (await client.open('/f', 'w+')).close()
  const { end, ends } = alone(served)
  const made = outcomeOf(client.open('/new', 'w+'))
  const cut = outcomeOf(client.open('/f', 'w'))
  for (const flags of ['r', 'r+'] as const) await (await client.open('/f', flags)).close()
  await client.stat('/f')
  assert.deepEqual([made.settled, cut.settled, ends], [false, false, []])
  end()
  while (!made.settled || !cut.settled) await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([made.error, cut.error], [undefined, undefined])
})

servedTest('a session makes one snapshot at a time', {}, async (served) => {
  const [one, other] = [await served.local(), await served.local()]
  const { promises } = served.volume
  const ends: (() => void)[] = []
  promises.snapshotInTurns = () => new Promise((resolve) => ends.push(resolve))
  const asked = ['/a', '/b', '/c'].map((to) => one.snapshot('/', to))
  const gives = new AbortController()
  const given = other.snapshot('/', '/d')
  const late = other.snapshot('/', '/e', { signal: gives.signal })
  await Promise.all([one.statfs(), other.statfs()])
  assert.equal(ends.length, 2)
  gives.abort()
  await assert.rejects(late)
  while (ends.length > 0) {
    assert.ok(ends.length <= 2)
    for (const end of ends.splice(0)) end()
    await Promise.all([one.statfs(), other.statfs()])
  }
  await Promise.all([...asked, given])
})

servedTest('a stop takes no longer than it is given, whatever is under way', {}, async (served) => {
  const client = await served.local({ patience: 0 })
  const file = (await client.open('/f', 'w+')) as LocalFile
  await file.write(new Uint8Array(4096), 0)
  await file.lease({
    offset: 0,
    length: 4096,
    iomode: 'read',
    onRecall: () => new Promise(() => {}),
  })
  const { ends } = alone(served)
  const { server } = served.service
  // What it has sent is never dealt with: its recall does not end.
  for (const session of server.sessions.values()) session.caughtUp = () => new Promise(() => {})
  const refused = assert.rejects(client.snapshot('/', '/s'))
  const begin = performance.now()
  const stopped = served.service.stop(300)
  assert.deepEqual(ends, ['given up'])
  await stopped
  const took = performance.now() - begin
  assert.ok(took > 250 && took < 2000, `it took ${took.toFixed(0)} ms`)
  await refused
  await served.start()
})
