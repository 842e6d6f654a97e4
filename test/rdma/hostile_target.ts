/** A device that hostile peers connect to, and a well-behaved peer of it, who is not to suffer. */
import assert from 'node:assert/strict'
import { Prng } from '../../src/base/prng.js'
import type { End } from '../../src/rdma/connection.js'
import { Device } from '../../src/rdma/device.js'
import type { Listener } from '../../src/rdma/listener.js'
import type { AccessName } from '../../src/rdma/source.js'
import type { MemoryRegion, ProtectionDomain } from '../../src/rdma/memory_region.js'
import { acceptPeer, connectPeer, type Peer } from '../../src/rdma/peer.js'
import type { QueuePair } from '../../src/rdma/queue_pair.js'
import { RawPeer } from './raw_peer.js'
import { SimulatedTime } from './simulated_time.js'
import { FAST, SimulatedNetwork, type Wire } from './simulated_transport.js'

const GOOD = 0x60
export const REGION_BYTES = 4096
export const RECEIVE_BYTES = 64
export const ADDRESS = 0x1_0000

export interface TargetOptions {
  readonly patience?: number
  /** Receives that each connection has. */
  readonly receives?: number
  readonly ird?: number
  readonly markers?: boolean
  readonly maxConnections?: number
  readonly backlog?: number
}

export class Target {
  readonly time = new SimulatedTime()
  readonly network = new SimulatedNetwork(this.time, 1)
  readonly device: Device
  readonly client: Device
  readonly domain: ProtectionDomain
  readonly regions: Record<'open' | 'readable' | 'writable' | 'words' | 'foreign', MemoryRegion>
  readonly qps: QueuePair[] = []
  readonly ends: End[] = []
  listener!: Listener
  good!: Peer
  readonly #options: TargetOptions
  readonly #memories: Uint8Array[] = []
  #goodRegion!: MemoryRegion
  #written = 0

  constructor(options: TargetOptions) {
    this.#options = options
    const { transport } = this.network
    const random = new Prng(7)
    const entropy = (words: Uint32Array) => words.forEach((_, i) => (words[i] = random.next()))
    const { maxConnections } = options
    const device = { transport, timers: this.time, entropy }
    this.device = new Device(maxConnections === undefined ? device : { ...device, maxConnections })
    this.client = new Device(device)
    this.domain = this.device.protectionDomain()
    const foreign = this.device.protectionDomain()
    const register = (domain: ProtectionDomain, ...access: AccessName[]) => {
      // Between others, which are nobody's: who writes beyond it is seen.
      const around = new Uint8Array(3 * REGION_BYTES).fill(0x11)
      this.#memories.push(around)
      const memory = around.subarray(REGION_BYTES, 2 * REGION_BYTES)
      return domain.register(memory, { access, address: ADDRESS })
    }
    this.regions = {
      open: register(this.domain, 'localWrite', 'remoteWrite', 'remoteRead', 'remoteInvalidate'),
      readable: register(this.domain, 'remoteRead'),
      writable: register(this.domain, 'localWrite', 'remoteWrite'),
      words: register(this.domain, 'localWrite', 'remoteAtomic', 'remoteRead'),
      foreign: register(foreign, 'localWrite', 'remoteWrite', 'remoteRead', 'remoteInvalidate'),
    }
  }

  static async with(
    options: TargetOptions,
    run: (target: Target) => Promise<void>,
    wire: Wire = FAST,
  ): Promise<void> {
    const target = new Target(options)
    const { backlog } = options
    target.listener = await target.device.listen(backlog === undefined ? {} : { backlog })
    void target.#serve()
    const data = new Uint8Array([GOOD])
    const there = { host: '127.0.0.1', port: target.listener.port, privateData: data }
    target.good = await target.sim(connectPeer(target.client, there))
    target.network.wire = wire
    await run(target)
    await target.goodWorks()
    target.client.close()
    target.device.close()
    await target.time.until(() => target.time.timers === 0, 60_000)
    for (const device of [target.device, target.client]) {
      assert.deepEqual([device.connections, device.sendBuffer.kept], [0, 0])
    }
    assert.equal(target.time.timers, 0)
  }

  async #serve(): Promise<void> {
    const { ird = 4, patience = 0, markers = false, receives = 2 } = this.#options
    for await (const request of this.listener) {
      if (request.privateData[0] === GOOD) {
        const peer = acceptPeer(this.device, request)
        const access = ['localWrite', 'remoteWrite', 'remoteRead'] as const
        this.#goodRegion = peer.domain.register(new Uint8Array(REGION_BYTES), { access })
        continue
      }
      const cq = this.device.completionQueue()
      const options = { sendCq: cq, receivePatience: patience }
      const qp = this.device.queuePair(this.domain, options)
      for (let i = 0; i < receives; i++) qp.postReceive({ into: new Uint8Array(RECEIVE_BYTES) })
      this.qps.push(qp)
      void qp.closed.then((end) => this.ends.push(end))
      request.accept(qp, { ird, markers, rtrs: ['write', 'read', 'send'] })
    }
  }

  /** Lets time pass until a promise has settled. */
  async sim<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const over = () => (settled = true)
    promise.then(over, over)
    assert.ok(await this.time.until(() => settled, 3_600_000), 'it settles')
    return promise
  }

  async raw(
    ...rest: Parameters<typeof RawPeer.connect> extends [unknown, unknown, ...infer R] ? R : never
  ) {
    const connecting = RawPeer.connect(this.network.transport, this.listener.port, ...rest)
    const peer = await this.sim(connecting)
    await this.sim(Promise.race([peer.until(() => peer.reply !== null), this.time.turn()]))
    await this.time.pass(10)
    return peer
  }

  /** The well-behaved peer writes and reads as if nothing was. */
  async goodWorks(): Promise<void> {
    const bytes = new Uint8Array(REGION_BYTES)
    new Prng(++this.#written).fill(bytes)
    const { stag } = this.#goodRegion
    const back = await this.sim(
      this.good.write(stag, 0, bytes).then(() => this.good.read(stag, 0, bytes.length)),
    )
    assert.equal(Buffer.compare(back, bytes), 0)
  }

  /** Copies of all memory, what is between regions too. */
  get memory(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#memories))
  }
}
