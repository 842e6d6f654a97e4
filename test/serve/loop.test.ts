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
/** A whole one of these takes several times as long: here, and as parts of itself anywhere. */
const BOUND_MS = 50
const BOUND_SHARE = 1 / 3
const SIZE = { extents: 0, bytes: 256 * MiB, names: 0 }
const WORKS = ['allocate', 'zero a range', 'pin', 'commit through a pin', 'copy', 'unlink']
/** Of so many times, as others use the processors, too. */
const TRIES = 10

processTest('no request keeps the others waiting for long', {}, async (programs, t) => {
  const { region, socket } = placeOfVolume((clean) => t.after(clean), 768 * MiB)
  const server = await Actor.start(programs, import.meta.url, './loop_server.js')
  await server.call('start', { region, socket })
  const client = await connect(socket)
  const least = new Map<string, { readonly ms: number; readonly of: number }>()
  const good = (name: string) => {
    const { ms, of } = least.get(name)!
    return ms < Math.max(BOUND_MS, of * BOUND_SHARE)
  }
  for (let i = 0; i < TRIES; i++) {
    await client.mkdir(`/${i}`)
    for (const work of longWorks(client, `/${i}`, SIZE)) {
      if (work.name === 'write pieces') break
      await work.prepare?.()
      await server.call('delays')
      const began = performance.now()
      await work.run()
      const took = performance.now() - began
      const { delay } = await server.call<{ delay: Quantiles }>('delays')
      if (delay.maxMs < (least.get(work.name)?.ms ?? Infinity)) {
        least.set(work.name, { ms: delay.maxMs, of: took })
      }
    }
    if (WORKS.every(good)) break
  }
  for (const [name, { ms, of }] of least) {
    t.diagnostic(`${name}: ${ms.toFixed(1)} ms of ${of.toFixed(0)}`)
  }
  for (const name of WORKS) {
    assert.ok(good(name), `${name} keeps others waiting: ${JSON.stringify(least.get(name))}`)
  }
  await client.close()
  assert.equal(await server.call('stop'), true)
})
