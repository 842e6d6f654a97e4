/** One-sided reads and writes between two hosts keep their content, whatever the network does. */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { processTest, seedOf } from '../processes/program.js'
import { connectedEnds } from './ends.js'
import { twoHosts } from './hosts.js'
import { noHosts } from '../../scripts/network_needs.js'

const skip = noHosts()

describe('one-sided work between hosts', { concurrency: 2 }, () => {
  for (const [family, ipv6] of [
    ['IPv4', false],
    ['IPv6', true],
  ] as const) {
    processTest(`over a sound cable, ${family}`, { skip }, async (programs, t) => {
      const seed = seedOf(t)
      const hosts = await twoHosts(programs)
      const ends = await connectedEnds(programs, hosts, { seed, ipv6 })
      await ends.work(seed, 300, 64 << 10)
      await ends.same()
      await ends.close()
    })

    processTest(`when segments are lost either way, ${family}`, { skip }, async (programs, t) => {
      const seed = seedOf(t)
      const hosts = await twoHosts(programs)
      const ends = await connectedEnds(programs, hosts, { seed, ipv6 })
      await Promise.all(hosts.map((host) => host.lose(0.02)))
      const { bytes } = await ends.work(seed, 60, 64 << 10)
      const lost = await Promise.all(hosts.map((host) => host.lost()))
      await Promise.all(hosts.map((host) => host.heal()))
      await ends.same()
      await ends.close()
      t.diagnostic(`${bytes} bytes, ${lost[0]} and ${lost[1]} segments lost`)
      assert.ok(lost[0]! > 0 && lost[1]! > 0, `the loss was none: ${lost.join(' and ')}`)
    })
  }

  processTest('over a cable that is slow', { skip }, async (programs, t) => {
    const seed = seedOf(t)
    const hosts = await twoHosts(programs)
    const ends = await connectedEnds(programs, hosts, { seed })
    const bits = 10e6
    await hosts[0].slow(bits)
    const began = performance.now()
    const { written } = await ends.work(seed, 40, 64 << 10)
    const seconds = (performance.now() - began) / 1000
    // What the queue lets through at once is not counted.
    const least = (written - (64 << 10)) / (bits / 8)
    await hosts[0].heal()
    await ends.same()
    await ends.close()
    t.diagnostic(`${written} bytes in ${seconds.toFixed(2)} s`)
    assert.ok(seconds > least, `${written} bytes in ${seconds} s: it was not slow`)
  })

  processTest('when a cable is pulled, and comes back', { skip }, async (programs, t) => {
    const seed = seedOf(t)
    const hosts = await twoHosts(programs)
    const ends = await connectedEnds(programs, hosts, { seed })
    await hosts[1].unplug()
    let done = false
    const work = ends.work(seed, 100, 64 << 10).finally(() => (done = true))
    // A question of another program, over another way, and back: the work does not end meanwhile.
    await ends.server.call('hash')
    assert.equal(done, false)
    await hosts[1].plug()
    await work
    await ends.same()
    await ends.close()
  })
})
