/** Peers that are gone, or seem to be: each side learns it within the patience of TCP. */
import assert from 'node:assert/strict'
import { processTest, seedOf } from '../processes/program.js'
import { noCompiler } from '../processes/compile.js'
import { connectedEnds, GONE_SECONDS, impatient, type Ended } from './ends.js'
import { twoHosts } from './hosts.js'
import { noHosts } from './needs.js'

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
    const gone = [ends.server.event<Ended>('ended'), ends.client.event<Ended>('ended')]
    for (const one of await within(Promise.all(gone), 'the end')) assertLost(one, SILENT)
    const before = await ends.server.call('hash')
    await hosts[0].plug()
    await work
    // The network carries again, whatever waited for it.
    await ends.connect()
    assert.equal(await ends.server.call('hash'), before)
    await ends.close()
  },
)

processTest('a cable that is cut while nothing is said ends both sides', { skip }, async (p, t) => {
  const hosts = await twoHosts(p)
  const ends = await connectedEnds(p, hosts, { seed: seedOf(t), env: impatient() })
  await hosts[1].unplug()
  const gone = [ends.server.event<Ended>('ended'), ends.client.event<Ended>('ended')]
  for (const one of await within(Promise.all(gone), 'the end')) assertLost(one, SILENT)
})
