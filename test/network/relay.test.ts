/** What a relay does to connections, and one-sided reads and writes through it. */
import assert from 'node:assert/strict'
import { describe } from 'node:test'
import { processTest, seedOf, until, type Programs } from '../processes/program.js'
import { connectedEnds, type Ended } from './ends.js'
import { Relay } from './relayed.js'

async function relayedEnds(programs: Programs, seed: number, bytes = 1 << 20) {
  const relay = await Relay.start(programs, seed)
  const through = (server: { host: string; port: number }) => relay.to(server)
  const ends = await connectedEnds(programs, null, { seed, bytes, through })
  return { relay, ends }
}

describe('connections through a relay', { concurrency: 2 }, () => {
  processTest('bytes come later, each way by its own delay', {}, async (programs, t) => {
    const seed = seedOf(t)
    const { relay, ends } = await relayedEnds(programs, seed)
    await relay.set({ delay: 20 }, 'there')
    await relay.set({ delay: 10, jitter: 10 }, 'back')
    const began = performance.now()
    await ends.client.call('placed')
    assert.ok(performance.now() - began > 29, 'a round trip takes both delays')
    await ends.work(seed, 12, 64 << 10)
    await ends.same()
    await ends.close()
  })

  processTest('bytes come in crumbs', {}, async (programs, t) => {
    const seed = seedOf(t)
    const { relay, ends } = await relayedEnds(programs, seed, 16 << 10)
    await relay.set({ piece: 3 })
    const { bytes } = await ends.work(seed, 40, 1000)
    const { there, back } = await relay.counts()
    assert.ok(there + back > bytes, `${there} and ${back} bytes went through the relay`)
    await ends.same()
    await ends.close()
  })

  processTest('bytes come slowly', {}, async (programs, t) => {
    const seed = seedOf(t)
    const { relay, ends } = await relayedEnds(programs, seed)
    await relay.set({ bytesPerSecond: 1e6, piece: 2000 }, 'there')
    const before = await relay.counts()
    const began = performance.now()
    await ends.work(seed, 20, 32 << 10)
    const seconds = (performance.now() - began) / 1000
    const { there } = await relay.counts()
    assert.ok(seconds >= (there - before.there) / 1e6 - 0.05, `${there} bytes in ${seconds} s`)
    await ends.same()
    await ends.close()
  })

  for (const way of ['there', 'back'] as const) {
    processTest(
      `nothing comes while what goes ${way} is stalled, and then all`,
      {},
      async (p, t) => {
        const seed = seedOf(t)
        const { relay, ends } = await relayedEnds(p, seed)
        await relay.set({ stalled: true }, way)
        const before = await relay.counts()
        let done = false
        const work = ends.work(seed, 50, 64 << 10).finally(() => (done = true))
        const came = async () => (await relay.counts()).taken[way] > before.taken[way]
        await until(came, 'bytes that wait')
        assert.equal((await relay.counts())[way], before[way], 'bytes that were handed on')
        assert.equal(done, false)
        await relay.set({ stalled: false }, way)
        await work
        await ends.same()
        await ends.close()
      },
    )
  }

  processTest('a way that is silent takes all, and gives nothing', {}, async (programs, t) => {
    const seed = seedOf(t)
    const { relay, ends } = await relayedEnds(programs, seed)
    await relay.set({ silent: true }, 'back')
    const failed = assert.rejects(ends.client.call('placed'), { code: 'ECONNRESET' })
    await until(async () => (await relay.counts()).silenced > 0, 'an answer that is thrown away')
    await relay.cut()
    await failed
  })

  processTest(
    'a connection that is cut ends at both sides, and another can be had',
    {},
    async (p, t) => {
      const seed = seedOf(t)
      const { relay, ends } = await relayedEnds(p, seed)
      const work = ends.client.call('workOn', { seed, longest: 64 << 10 })
      await ends.client.event('working')
      await relay.cut()
      for (const side of [ends.client, ends.server]) {
        const { cause, detail } = await side.event<Ended>('ended')
        assert.equal(cause, 'lost', detail)
        assert.match(detail, /reset by the peer/)
      }
      await work
      await ends.connect()
      await ends.close()
      await relay.refuse()
      await assert.rejects(ends.connect(), { code: 'ECONNREFUSED' })
    },
  )
})
