/** Peers that are gone, or seem to be: each side learns it within the patience of TCP. */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { processTest, seedOf, stateOf } from '../processes/program.js'
import { noCompiler } from '../processes/compile.js'
import { connectedEnds, GONE_SECONDS, impatient, type Ended, type Ends } from './ends.js'
import { twoHosts } from './hosts.js'
import { noHosts } from '../../scripts/network_needs.js'

const skip = noHosts() || noCompiler()

function assertLost({ cause, detail }: Ended, why: RegExp): void {
  assert.equal(cause, 'lost', detail)
  assert.match(detail, why)
}

/** The promise's result, when it comes in time. */
async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  const began = performance.now()
  const result = await promise
  const seconds = (performance.now() - began) / 1000
  assert.ok(seconds < GONE_SECONDS, `${what} took ${seconds} s`)
  return result
}

const SILENT = /does not answer|ETIMEDOUT|EHOSTUNREACH|unreachable|No route/i

async function bothLost(ends: Ends, why = SILENT): Promise<void> {
  const gone = [ends.server.event<Ended>('ended'), ends.client.event<Ended>('ended')]
  for (const one of await within(Promise.all(gone), 'the end')) assertLost(one, why)
}

// They wait, each for itself, and may do so together.
describe('peers that are gone', { concurrency: true }, () => {
  processTest(
    'a cable that is cut ends both sides, and nothing lands later',
    { skip },
    async (p, t) => {
      const seed = seedOf(t)
      const hosts = await twoHosts(p)
      const ends = await connectedEnds(p, hosts, { seed, env: impatient() })
      const work = ends.client.call('workOn', { seed, longest: 64 << 10 })
      await ends.client.event('working')
      await hosts[0].unplug()
      await bothLost(ends)
      const before = await ends.server.call('hash')
      await hosts[0].plug()
      await work
      // The network carries again, whatever waited for it.
      await ends.connect()
      assert.equal(await ends.server.call('hash'), before)
      await ends.close()
    },
  )

  processTest(
    'a cable that is cut while nothing is said ends both sides',
    { skip },
    async (p, t) => {
      const hosts = await twoHosts(p)
      const ends = await connectedEnds(p, hosts, { seed: seedOf(t), env: impatient() })
      await hosts[1].unplug()
      await bothLost(ends)
    },
  )

  processTest('a host that does not hear any more loses both sides', { skip }, async (p, t) => {
    const seed = seedOf(t)
    const hosts = await twoHosts(p)
    const ends = await connectedEnds(p, hosts, { seed, env: impatient() })
    const work = ends.client.call('workOn', { seed, longest: 64 << 10 })
    await ends.client.event('working')
    await hosts[1].deafen()
    // Who is deaf and gives up first says so to who hears.
    await bothLost(ends, new RegExp(`${SILENT.source}|was reset by the peer`, 'i'))
    await work
    assert.ok((await hosts[1].lost()) > 0)
  })

  processTest('a host that vanishes is missed by who waits for it', { skip }, async (p, t) => {
    const hosts = await twoHosts(p)
    const ends = await connectedEnds(p, hosts, { seed: seedOf(t), env: impatient() })
    await hosts[0].vanish()
    assert.match(stateOf(ends.client.pid), /^Z?$/)
    assertLost(await within(ends.server.event<Ended>('ended'), 'the end'), SILENT)
  })

  processTest(
    'a host that starts again knows of no connection, and says so',
    { skip },
    async (p, t) => {
      const seed = seedOf(t)
      const hosts = await twoHosts(p)
      const ends = await connectedEnds(p, hosts, { seed })
      await hosts[1].vanish()
      await hosts[1].start()
      await assert.rejects(ends.client.call('placed'), { code: 'ECONNRESET' })
      assertLost(await ends.client.event('ended'), /was reset by the peer/)
    },
  )

  processTest('a peer that stands still is given up by who sends to it', { skip }, async (p, t) => {
    const seed = seedOf(t)
    const hosts = await twoHosts(p)
    const ends = await connectedEnds(p, hosts, { seed, env: impatient() })
    await ends.server.stop()
    const work = ends.client.call('flood', { seed })
    assertLost(await within(ends.client.event<Ended>('ended'), 'the end'), SILENT)
    await work
    ends.server.continue()
    assertLost(await ends.server.event('ended'), /./)
  })
})
