/**
 * What a well-behaved connection has while others are hostile, over real TCP: measured in turns,
 * with them and without.
 *
 * With HOLDFAST_LONG=2 it keeps nine tenths of the work that it gets done for the time of this
 * process, and most of what it gets done in a second, for which other processes compete. The short
 * run shares its machine with other tests, and asks for less.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { Device } from '../../src/rdma/device.js'
import type { Listener } from '../../src/rdma/listener.js'
import type { MemoryRegion } from '../../src/rdma/memory_region.js'
import { acceptPeer, connectPeer, type Peer } from '../../src/rdma/peer.js'
import { until } from './pair.js'
import { LONG } from './random.js'

const ROUNDS = LONG > 1 ? 15 : 5
const MILLISECONDS = LONG > 1 ? 400 : 120
const LEAST = LONG > 1 ? 0.9 : 0.6
const LEAST_TIME = LONG > 1 ? 0.7 : 0.4
const REGION_BYTES = 64 << 10
const GOOD = 1
/** The short run decides on the best of so many series: what it costs, it costs in each of them. */
const SERIES = LONG > 1 ? 1 : 4
/** At least so many are there until they end: others, who say nothing, are ended in time. */
const ENDURING = 130
const DEPTH = 16

interface Work {
  readonly aSecond: number
  /** For each second of this process's processors. */
  readonly aProcessorSecond: number
}

/** Reads and Writes of 4 KiB, so many at a time, for so long: how many. */
async function workFor(peer: Peer, stag: number, milliseconds: number): Promise<Work> {
  const start = performance.now()
  const processor = process.cpuUsage()
  const end = start + milliseconds
  let done = 0
  const worker = async (which: number) => {
    const bytes = new Uint8Array(4096).fill(which + 1)
    const into = new Uint8Array(4096)
    for (; performance.now() < end; done++) {
      await peer.write(stag, which * 4096, bytes)
      await peer.read(stag, which * 4096, into)
      assert.equal(Buffer.compare(into, bytes), 0)
    }
  }
  await Promise.all(Array.from({ length: DEPTH }, (_, i) => worker(i)))
  const { user, system } = process.cpuUsage(processor)
  return {
    aSecond: (done * 1000) / (performance.now() - start),
    aProcessorSecond: (done * 1_000_000) / (user + system),
  }
}

/** Them, in a process of their own; what ends them. */
async function hostile(port: number, region: MemoryRegion): Promise<() => void> {
  const args = [join(import.meta.dirname, 'hostile_swarm.js'), String(port), String(region.stag)]
  const swarm = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  await once(swarm.stdout, 'data')
  return () => void swarm.kill()
}

async function serve(device: Device, listener: Listener, region: MemoryRegion): Promise<void> {
  for await (const request of listener) {
    if (request.privateData[0] === GOOD) {
      acceptPeer(device, request, { domain: region.domain })
      continue
    }
    const qp = device.queuePair(region.domain, { sendCq: device.completionQueue() })
    try {
      request.accept(qp, { ird: 4 })
    } catch {
      // It has gone already.
    }
  }
}

const median = (works: readonly Work[], which: keyof Work) =>
  works.map((work) => work[which]).sort((a, b) => a - b)[works.length >>> 1]!

test('a well-behaved peer keeps what it has while others are hostile', async (t) => {
  using device = new Device()
  using client = new Device()
  const access = ['localWrite', 'remoteWrite', 'remoteRead'] as const
  const region = device.protectionDomain().register(new Uint8Array(REGION_BYTES), { access })
  const listener = await device.listen({ backlog: 512 })
  const { port } = listener
  void serve(device, listener, region)
  const privateData = new Uint8Array([GOOD])
  const peer = await connectPeer(client, { host: '127.0.0.1', port, privateData })
  await workFor(peer, region.stag, 200)
  let most = 0
  const before = process.memoryUsage().arrayBuffers
  const series = async () => {
    const alone: Work[] = []
    const beside: Work[] = []
    for (let round = 0; round < ROUNDS; round++) {
      alone.push(await workFor(peer, region.stag, MILLISECONDS))
      const end = await hostile(port, region)
      beside.push(await workFor(peer, region.stag, MILLISECONDS))
      most = Math.max(most, process.memoryUsage().arrayBuffers - before)
      assert.ok(device.connections > ENDURING)
      end()
      await until(() => device.connections <= 1, 'they are gone when they have gone')
    }
    const share = (which: keyof Work) => {
      const both = [median(beside, which), median(alone, which)] as const
      t.diagnostic(`${which}: ${both.map(Math.round).join(' beside, ')} alone`)
      return both[0] / both[1]
    }
    return share('aProcessorSecond') >= LEAST && share('aSecond') >= LEAST_TIME
  }
  let kept = false
  for (let i = 0; i < SERIES && !kept; i++) kept = await series()
  t.diagnostic(`${(most / 2 ** 20).toFixed(1)} MiB at most`)
  assert.ok(kept, `less than ${LEAST} of the work, or ${LEAST_TIME} of that in a second`)
  assert.ok(most < 64 << 20)
})
