/**
 * Remote clients of a served volume, on hosts of their own: what they read and write is what is in
 * the files, whatever the network does; and who is gone holds nothing any more.
 */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { Actor } from '../processes/actor.js'
import { patternOf } from '../interop/pattern.js'
import { until } from '../processes/program.js'
import { Relay } from './relayed.js'
import { digestOf, fieldTest, type Field, GONE_MILLISECONDS, LONG } from './served.js'

const BLOCK = 4096
const FILE_BYTES = (1 << 20) + 1000
/** What a machine with other work adds. */
const BUSY_MILLISECONDS = 30_000
/** Longer than a server waits for who is silent: it is that which ends what waits. */
const DEADLINE = 60_000
const MORE = LONG ? 20 : 1

/** Reads and writes, one-sided, under leases and on demand; the server has the same bytes. */
async function workOn(field: Field, client: Actor, operations = 60): Promise<void> {
  for (const [path, fault] of [
    ['/leased', false],
    ['/followed', true],
  ] as const) {
    await field.server.call('make', { path, length: FILE_BYTES })
    await client.call('open', { path, flags: 'r+', fault })
    const args = { path, length: FILE_BYTES, seed: field.seed, longest: 64 << 10 }
    const model = await client.call<Uint8Array>('work', { ...args, operations: operations * MORE })
    assert.equal(await field.digest(path, 2 * FILE_BYTES), digestOf(model), path)
    await client.call('close', { path })
  }
}

/** A layout for writing all of a file, with bytes in it; the id of its hold. */
async function lend(field: Field, client: Actor, path: string, length: number, answers = true) {
  await field.server.call('make', { path, length, seed: field.seed })
  await client.call('open', { path, flags: 'r+' })
  return client.call<number>('layout', { path, iomode: 'rw', answers })
}

// Each for itself: most of the time they wait.
describe('remote clients', { concurrency: 4 }, () => {
  fieldTest('lost segments and a slow link cost time, and no bytes', {}, async (field) => {
    const client = await field.client()
    await field.hosts[0]!.lose(0.01)
    await field.host.slow(200_000_000)
    await workOn(field, client)
    const id = await lend(field, client, '/lent', 3 * BLOCK - 900)
    await client.call('layoutWrite', { path: '/lent', offset: 100, length: 5000, seed: 5 })
    await client.call('layoutCommit', { path: '/lent', size: 3 * BLOCK })
    const wanted = new Uint8Array(3 * BLOCK)
    wanted.set(patternOf(field.seed, 3 * BLOCK - 900))
    wanted.set(patternOf(5, 5000), 100)
    assert.equal(await field.digest('/lent', 8 * BLOCK), digestOf(wanted))
    assert.deepEqual(
      (await field.holds()).map((hold) => hold.id),
      [id],
    )
  })

  fieldTest('delay and jitter cost time, and no bytes', {}, async (field) => {
    const relay = await Relay.start(field.programs, field.seed, {
      place: field.hosts[0]!,
      host: field.hosts[0]!.ipv4,
    })
    const client = await field.client(field.hosts[0], await relay.to(field.place))
    await relay.set({ delay: 2, jitter: 4, piece: 20_000 })
    await workOn(field, client, 20)
  })

  fieldTest('who vanishes behind a cut cable holds nothing any more', {}, async (field) => {
    const { server } = field
    const [host] = field.hosts
    const client = await field.client()
    await lend(field, client, '/lent', 16 * BLOCK, false)
    await server.call('make', { path: '/pinned', length: BLOCK, seed: 3 })
    await client.call('open', { path: '/pinned', flags: 'r+' })
    await client.call('pin', { path: '/pinned' })
    const flood = client.call('flood', { path: '/lent', length: 16 * BLOCK, seed: 77 })
    await client.event('flooding')
    const began = performance.now()
    await host!.unplug()
    const waited = await Promise.all([
      server.call<number>('truncate', { path: '/lent', size: BLOCK, deadline: DEADLINE }),
      server.call<number>('truncate', { path: '/pinned', size: 0, deadline: DEADLINE }),
    ])
    const took = performance.now() - began
    assert.ok(took < GONE_MILLISECONDS + BUSY_MILLISECONDS, `it took ${took} ms`)
    assert.ok(Math.min(...waited) > GONE_MILLISECONDS / 4, `they went on after ${waited} ms`)
    assert.deepEqual(await field.holds(), [])
    assert.deepEqual(await field.sessions(), [])
    // All that is free goes to another file: where the client still writes, it is not seen.
    const full = await server.call<number>('fill', { path: '/other', byte: 0x55 })
    await host!.plug()
    assert.match(String(await flood), /^(ECONNRESET|ESTALE)$/)
    await client.event('connected')
    assert.equal(await field.digest('/other', full), digestOf(new Uint8Array(full).fill(0x55)))
    await server.call('truncate', { path: '/other', size: 0, deadline: DEADLINE })
    const kept = await client.call<Uint8Array>('read', { path: '/lent', length: 8 * BLOCK })
    assert.equal(kept.length, BLOCK)
    assert.equal(digestOf(kept), await field.digest('/lent', 8 * BLOCK))
    await assert.rejects(client.call('layoutRead', { path: '/lent', length: 8 }), {
      code: 'ESTALE',
    })
    await client.call('write', { path: '/lent', length: 100, seed: 8 })
    assert.equal(await field.digest('/lent', 100), digestOf(patternOf(8, 100)))
  })

  fieldTest(
    'a plain client that vanishes without a word pins nothing any more',
    { plain: '/plain:rw' },
    async (field) => {
      const { server } = field
      const [host] = field.hosts
      await server.call('make', { path: '/plain', length: BLOCK, seed: 5 })
      const at = { place: host!, name: 'plain client', seconds: 240 }
      const client = await Actor.start(field.programs, import.meta.url, './served_client.js', at)
      const there = { host: field.host.ipv4, port: field.plainPort }
      assert.equal(await client.call('reach', there), BLOCK)
      assert.equal((await field.holds()).length, 1)
      await host!.unplug()
      await until(async () => (await field.holds()).length === 0, 'its pin is gone')
      assert.deepEqual(await field.sessions(), [])
    },
  )

  fieldTest('who stands still is left, and goes on in a new session', {}, async (field) => {
    const { server } = field
    const client = await field.client()
    await lend(field, client, '/lent', 4 * BLOCK)
    await client.stop()
    await server.call('truncate', { path: '/lent', size: 0, deadline: DEADLINE })
    assert.deepEqual(await field.holds(), [])
    client.continue()
    await client.event('lost')
    await client.event('connected')
    await assert.rejects(client.call('layoutRead', { path: '/lent', length: 8 }), {
      code: 'ESTALE',
    })
    await client.call('write', { path: '/lent', length: 9, seed: 1 })
    assert.equal(await client.call('size', { path: '/lent' }), 9)
  })

  fieldTest('a client whose host starts again begins anew', {}, async (field) => {
    const { server } = field
    const [host] = field.hosts
    const client = await field.client()
    await lend(field, client, '/lent', 4 * BLOCK)
    await host!.vanish()
    await host!.start()
    const again = await field.client()
    await server.call('truncate', { path: '/lent', size: 100, deadline: DEADLINE })
    assert.equal((await field.sessions()).length, 1)
    await again.call('open', { path: '/lent', flags: 'r' })
    const got = await again.call<Uint8Array>('read', { path: '/lent', length: 200 })
    assert.equal(digestOf(got), digestOf(patternOf(field.seed, 100)))
  })

  fieldTest(
    'who hears nothing any more, or is not heard, is left',
    { clients: 2 },
    async (field) => {
      const { server } = field
      const deaf = await field.client(field.hosts[0])
      await lend(field, deaf, '/deaf', 4 * BLOCK)
      await field.hosts[0]!.deafen()
      await server.call('truncate', { path: '/deaf', size: 0, deadline: DEADLINE })
      const mute = await field.client(field.hosts[1])
      await lend(field, mute, '/mute', 4 * BLOCK)
      await field.host.deafen()
      await server.call('truncate', { path: '/mute', size: 0, deadline: DEADLINE })
      assert.deepEqual(await field.holds(), [])
      await Promise.all([field.host.heal(), field.hosts[0]!.heal()])
      for (const [client, path] of [
        [deaf, '/deaf'],
        [mute, '/mute'],
      ] as const) {
        await client.event('connected')
        await client.call('write', { path, length: 5000, seed: 4 })
        assert.equal(await field.digest(path, 9000), digestOf(patternOf(4, 5000)))
      }
    },
  )

  fieldTest(
    'a server that comes back has no remote holds, and the same files',
    {},
    async (field) => {
      const client = await field.client()
      await lend(field, client, '/lent', 4 * BLOCK)
      await client.call('write', { path: '/lent', length: 100, seed: 1 })
      await client.call('sync', { path: '/lent' })
      await field.server.call('make', { path: '/gone', length: 100, seed: 2 })
      await client.call('open', { path: '/gone', flags: 'r' })
      await field.host.vanish()
      await field.host.start()
      await field.serve()
      assert.deepEqual(await field.holds(), [])
      await field.server.call('make', { path: '/new', length: 100, seed: 3 })
      await field.server.call('rename', { from: '/new', to: '/gone' })
      await field.server.call('rename', { from: '/lent', to: '/moved' })
      await client.event('connected')
      assert.equal(await client.event('over'), 'gone')
      await assert.rejects(client.call('layoutRead', { path: '/lent', length: 8 }), {
        code: 'ESTALE',
      })
      await assert.rejects(client.call('read', { path: '/gone', length: 8 }), { code: 'ESTALE' })
      const got = await client.call<Uint8Array>('read', { path: '/lent', length: 100 })
      assert.equal(digestOf(got), digestOf(patternOf(1, 100)))
      await client.call('write', { path: '/lent', length: 100, seed: 6 })
      assert.equal(await field.digest('/moved', 100), digestOf(patternOf(6, 100)))
    },
  )

  fieldTest('a holder that does not answer is fenced, and lives on', {}, async (field) => {
    const { server } = field
    const client = await field.client()
    await lend(field, client, '/other', 4 * BLOCK)
    const [other] = await field.holds()
    await lend(field, client, '/lent', 4 * BLOCK, false)
    const flood = client.call('flood', { path: '/lent', length: 4 * BLOCK, seed: 77 })
    await client.event('flooding')
    await server.call('truncate', { path: '/lent', size: BLOCK, deadline: 200 })
    assert.equal(await client.event('recall'), '/lent')
    assert.equal(await flood, 'ESTALE')
    assert.equal(await client.event('over'), 'fenced')
    const full = await server.call<number>('fill', { path: '/full', byte: 0x55 })
    assert.deepEqual(
      (await field.holds()).map(({ id }) => id),
      [other!.id],
    )
    await assert.rejects(client.call('layoutWrite', { path: '/lent', length: 8, seed: 1 }), {
      code: 'ESTALE',
      message: /not given back in time/,
    })
    assert.equal((await field.sessions()).length, 1)
    assert.equal(await field.digest('/full', full), digestOf(new Uint8Array(full).fill(0x55)))
    await server.call('make', { path: '/full', length: 0 })
    await client.call('layout', { path: '/lent', iomode: 'rw', answers: true })
    await client.call('layoutWrite', { path: '/lent', length: 50, seed: 2 })
    assert.equal(await field.digest('/lent', 50), digestOf(patternOf(2, 50)))
    await until(async () => (await field.holds()).length === 2, 'the new hold')
  })
})
