/**
 * No request keeps the others waiting: what takes long is done part by part. What each costs is
 * measured by `npm run bench -- loop`; here it is enough that none is done as a whole.
 */
import assert from 'node:assert/strict'
import { connect } from '../../src/client/index.js'
import type { Quantiles } from '../../src/serve/loop_delay.js'
import { Actor } from '../processes/actor.js'
import { processTest } from '../processes/program.js'
import { placeOfVolume } from './daemon.js'
import { longWorks } from './loop_load.js'

const MiB = 1 << 20
/** A whole one of these takes several times as long. */
const BOUND_MS = 50
const SIZE = { extents: 0, bytes: 256 * MiB, names: 0 }
const WORKS = ['allocate', 'zero a range', 'pin', 'commit through a pin', 'copy', 'unlink']
/** Of so many times, as others use the processors, too. */
const TRIES = 3

processTest('no request keeps the others waiting for long', {}, async (programs, t) => {
  const { region, socket } = placeOfVolume((clean) => t.after(clean), 768 * MiB)
  const server = await Actor.start(programs, import.meta.url, './loop_server.js')
  await server.call('start', { region, socket })
  const client = await connect(socket)
  const least = new Map<string, number>()
  for (let i = 0; i < TRIES; i++) {
    await client.mkdir(`/${i}`)
    for (const work of longWorks(client, `/${i}`, SIZE)) {
      if (work.name === 'write pieces') break
      await work.prepare?.()
      await server.call('delays')
      await work.run()
      const { delay } = await server.call<{ delay: Quantiles }>('delays')
      least.set(work.name, Math.min(least.get(work.name) ?? Infinity, delay.maxMs))
    }
    if (WORKS.every((name) => least.get(name)! < BOUND_MS)) break
  }
  for (const [name, ms] of least) t.diagnostic(`${name}: ${ms.toFixed(1)} ms`)
  for (const name of WORKS) {
    const ms = least.get(name)
    assert.ok(ms !== undefined && ms < BOUND_MS, `${name} keeps others waiting for ${ms} ms`)
  }
  await client.close()
  assert.equal(await server.call('stop'), true)
})
