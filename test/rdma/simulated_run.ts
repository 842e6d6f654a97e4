/** A random program, run over a simulated wire, and judged. */
import assert from 'node:assert/strict'
import { Prng } from '../../src/base/prng.js'
import type { CompletionQueue } from '../../src/rdma/completion_queue.js'
import { Device } from '../../src/rdma/device.js'
import type { Listener } from '../../src/rdma/listener.js'
import type { ProtectionDomain } from '../../src/rdma/memory_region.js'
import { End } from './simulated_end.js'
import type { Program, Step } from './simulated_program.js'
import { SimulatedTime } from './simulated_time.js'
import { SimulatedNetwork } from './simulated_transport.js'

/** One connection: the initiator's end, and the responder's. */
class Link {
  readonly ends: readonly [End, End]
  /** How it ends is anybody's guess: an end gave it up, or the wire is to fail. */
  unclear: boolean
  connected = false
  settled = 0
  failure = ''

  constructor(ends: readonly [End, End], unclear: boolean) {
    this.ends = ends
    this.unclear = unclear
    ends[0].peer = ends[1]
    ends[1].peer = ends[0]
  }
}

const SETUP_MILLISECONDS = 30_000
const QUIET_MILLISECONDS = 900_000
/** So much is framed without asking for room, and a frame as long as frames get. */
const KEPT_BYTES_MAX = 100 << 10
const END_MILLISECONDS = 600_000

export class Run {
  readonly program: Program
  readonly time = new SimulatedTime()
  readonly network: SimulatedNetwork
  readonly devices: readonly [Device, Device]
  readonly links: Link[] = []
  readonly random: Prng
  /** Of who looks at memory: the connection takes it for its own. */
  #failure: Error | null = null
  readonly #queues: CompletionQueue[] = []
  readonly #domains: readonly (readonly ProtectionDomain[])[]
  #listener!: Listener

  constructor(program: Program) {
    this.program = program
    const { seed, setup } = program
    this.random = new Prng(seed)
    this.network = new SimulatedNetwork(this.time, seed)
    this.network.wire = setup.wire
    const { transport } = this.network
    const entropy = (words: Uint32Array) => words.forEach((_, i) => (words[i] = this.random.next()))
    // Payloads are copied, or named, at all lengths.
    const copyBelow = [1, 100, 1e9][program.seed % 3]!
    const make = () => new Device({ transport, timers: this.time, entropy, copyBelow })
    this.devices = [make(), make()]
    this.#domains = this.devices.map((one) => [one.protectionDomain(), one.protectionDomain()])
  }

  async go(): Promise<void> {
    const { setup, steps } = this.program
    const entry = await this.devices[1].listen({ port: 0 })
    this.#listener = entry
    void this.#serve(entry)
    for (let i = 0; i < setup.links; i++) this.#connect(i)
    await this.#until(() => this.links.every(({ settled }) => settled >= 2), SETUP_MILLISECONDS)
    for (const step of steps) await this.#step(step)
    await this.#quiet()
    await this.#end()
    this.#judge()
  }

  // ---- the connections -------------------------------------------------------------------------

  #connect(index: number): void {
    const { setup } = this.program
    const shared = this.devices.map((device) => this.#queue(device))
    const ends = ([0, 1] as const).map((side) => {
      const device = this.devices[side]
      const first = this.links[0]?.ends[side].o
      const own = () => (setup.sharedQueue ? shared[side]! : this.#queue(device))
      const [sendCq, receiveCq] =
        first !== undefined && setup.sharedQueue ? [first.sendCq, first.receiveCq] : [own(), own()]
      const domains = this.#domains[side]!
      const [domain, foreign] = [domains[index % 2]!, domains[1 - (index % 2)]!]
      const failed = (error: Error) => (this.#failure ??= error)
      const rest = { setup, side, random: this.random, failed, drain: () => this.#drain() }
      return new End({ device, domain, foreign, sendCq, receiveCq, ...rest })
    })
    const link = new Link([ends[0]!, ends[1]!], setup.wire.loss !== null)
    this.links.push(link)
    for (const end of link.ends) {
      for (let i = this.random.below(6); i > 0; i--) end.receive(this.random)
    }
    if (this.#sendsRtr) this.#expectRtr(link)
    const port = this.#listener.port
    const offer = { host: 'simulated', port, privateData: new Uint8Array([index]) }
    this.devices[0].connect(link.ends[0].qp, { ...offer, ...setup.initiator }).then(
      () => {
        link.settled++
        link.connected = true
      },
      (error: Error) => {
        link.failure = error.message
        link.settled = 2
        link.unclear = true
        for (const { qp } of link.ends) if (qp.state === 'idle') qp.abort()
      },
    )
  }

  /** A Send that is an RTR takes a receive, which must be there. */
  get #sendsRtr(): boolean {
    const { initiator, responder } = this.program.setup
    const offered = initiator.rtrs ?? []
    const chosen = responder.rtrs?.find((rtr) => offered.includes(rtr))
    return initiator.peerToPeer === true && chosen === 'send'
  }

  #expectRtr({ ends }: Link): void {
    ends[0].flow.extra = 1
    if (ends[1].receives.length === 0) ends[1].postReceive(this.random, 0, 0)
  }

  async #serve(listener: Listener): Promise<void> {
    for await (const request of listener) {
      const link = this.links[request.privateData[0]!]!
      link.settled++
      try {
        request.accept(link.ends[1].qp, this.program.setup.responder)
      } catch {
        link.unclear = true
        if (link.ends[1].qp.state === 'idle') link.ends[1].qp.abort()
      }
    }
  }

  #queue(device: Device): CompletionQueue {
    const queue = device.completionQueue()
    if (this.program.setup.listens) queue.listener = () => this.#watch(() => this.#drainOne(queue))
    this.#queues.push(queue)
    return queue
  }

  #watch(look: () => void): void {
    try {
      look()
    } catch (error) {
      this.#failure ??= error as Error
    }
  }

  #drain(): void {
    for (const queue of this.#queues) this.#drainOne(queue)
  }

  #drainOne(queue: CompletionQueue): void {
    for (let one = queue.take(); one !== null; one = queue.take()) {
      for (const { ends } of this.links) {
        for (const end of ends) if (end.qp === one.qp) end.take(one)
      }
    }
  }

  async #until(done: () => boolean, milliseconds: number): Promise<boolean> {
    const over = () => {
      this.#watch(() => this.#demandBounded())
      return this.#failure !== null || done()
    }
    const held = await this.time.until(over, milliseconds)
    if (this.#failure !== null) throw this.#failure
    return held
  }

  /** What connections keep is no more than a few frames of each, and what was parked with one. */
  #demandBounded(): void {
    for (const { sendBuffer, connections, parkedBytes, staging } of this.devices) {
      assert.ok(sendBuffer.kept <= connections * KEPT_BYTES_MAX, `${sendBuffer.kept} bytes kept`)
      assert.ok(parkedBytes <= connections * (staging.length + KEPT_BYTES_MAX))
    }
  }

  async #pass(milliseconds: number): Promise<void> {
    await this.#until(() => false, milliseconds)
  }

  // ---- the program -----------------------------------------------------------------------------

  async #step(step: Step): Promise<void> {
    const random = new Prng(step.chance)
    const link = this.links[step.link % this.links.length]!
    const end = link.ends[step.side]
    switch (step.kind) {
      case 'wait':
        await this.#pass(random.pick([0, 1, 10, 100]))
        break
      case 'receive':
        end.receive(random)
        break
      case 'touch':
        end.touch(random)
        break
      case 'offer':
        end.offer(random.below(4))
        break
      case 'revoke':
        end.revoke(random)
        break
      case 'abort':
        link.unclear = true
        for (const one of link.ends) one.closedAt = -1
        end.qp.abort()
        break
      case 'disconnect':
        if (end.qp.state !== 'connected') break
        // A responder that has not heard of the initiator cannot do what it was to.
        if (step.side === 1) end.peer.closedAt = -1
        else if (!link.unclear) end.closedAt = end.flow.ops.length
        link.unclear = true
        void end.qp.disconnect()
        break
      default:
        end.post(step)
    }
    if (step.pause) await this.#pass(random.below(5))
    if (random.chance(1, 3)) this.#drain()
  }

  /** What was posted comes to its end, where nothing prevents it. */
  async #quiet(): Promise<void> {
    const clear = this.links.filter(({ unclear, connected }) => connected && !unclear)
    const silent = new Set(clear.flatMap(({ ends }) => ends))
    const over = await this.#until(() => {
      this.#drain()
      for (const { ends } of this.links) for (const end of ends) this.#serveReceives(end)
      // All before it has ended when it has; and a responder has heard of the initiator.
      for (const end of silent) if (end.speak()) silent.delete(end)
      if (silent.size > 0) return false
      return clear.every(({ ends }) => ends.every((end) => this.#still(end)))
    }, QUIET_MILLISECONDS)
    assert.ok(over, `${this.#stuck()} has not come to an end`)
  }

  #stuck(): string {
    const stuck = this.links.flatMap(({ ends }) => ends.flatMap(({ flow }) => flow.ops))
    const first = stuck.find(({ status, signaled }) => status === null && signaled)
    return first === undefined ? 'a message' : `${first.op} ${first.index}`
  }

  #serveReceives(end: End): void {
    while (end.credits < 0 && end.qp.receiveRoom > 0 && end.ending === null) {
      end.receive(this.random)
    }
  }

  #still(end: End): boolean {
    if (!end.flow.over) return false
    if (end.ending !== null) return true
    const { extra, messages } = end.flow
    return end.peer.taken >= messages.length + extra || end.peer.ending !== null
  }

  async #end(): Promise<void> {
    for (const { ends } of this.links) {
      // What one that closes has begun is not to be cut short by the other.
      if (ends[0].closedAt >= 0) continue
      const first = this.random.below(2) as 0 | 1
      void ends[first].qp.disconnect()
      const silent = this.program.setup.wire.loss?.how === 'silence'
      if (silent || this.random.chance(1, 2)) void ends[first === 0 ? 1 : 0].qp.disconnect()
    }
    const all = this.links.flatMap(({ ends }) => ends)
    const gone = () => {
      this.#drain()
      for (const end of all) this.#serveReceives(end)
      return all.every(({ ending }) => ending !== null)
    }
    assert.ok(await this.#until(gone, END_MILLISECONDS), 'every connection ends')
    this.#listener.close()
    // Who was lost while it was set up is waited for, for some seconds; nobody else is.
    const late = this.links.some(({ connected }) => !connected)
    await this.#until(() => this.time.timers === 0, late ? SETUP_MILLISECONDS : 0)
    this.#drain()
  }

  // ---- the judgement ---------------------------------------------------------------------------

  #judge(): void {
    for (const device of this.devices) {
      assert.equal(device.connections, 0, 'no connection is left')
      assert.equal(device.sendBuffer.kept, 0, 'nothing is kept')
      assert.equal(device.parkedBytes, 0, 'nothing is parked')
    }
    assert.equal(this.time.timers, 0, 'no timer is left')
    for (const link of this.links) this.#judgeLink(link)
  }

  #judgeLink({ ends, unclear, connected }: Link): void {
    for (const end of ends) {
      this.#judgeEnd(end)
      if (end.closedAt < 0) continue
      if (ends.some(({ flow }) => flow.allowed.length > 0)) continue
      for (const { status, signaled, op, index } of end.flow.ops.slice(0, end.closedAt)) {
        const fine = status === 'SUCCESS' || (status === null && !signaled)
        assert.ok(fine, `${op} ${index}, posted before its end closed: ${status}`)
      }
    }
    if (unclear || !connected) return
    const allowed = ends.flatMap(({ flow }) => flow.allowed.map(String))
    if (allowed.length > 0) return this.#judgeErrors(ends, allowed)
    for (const { ending, flow, receives, taken } of ends) {
      assert.deepEqual(ending, { cause: 'disconnected', detail: '', error: null })
      for (const { status, op, index } of flow.ops) {
        assert.ok(status === 'SUCCESS' || status === null, `${op} ${index}: ${status}`)
      }
      assert.equal(taken, receives.length)
    }
  }

  #judgeErrors(ends: Link['ends'], allowed: readonly string[]): void {
    const refused = ends.filter(({ ending }) => ending?.cause === 'refused')
    const certain = ends.some(({ flow }) => flow.certain)
    assert.ok(!certain || refused.length > 0, 'somebody has found what was wrong')
    for (const { ending } of ends) {
      const { error, detail } = ending!
      if (error !== null) assert.ok(allowed.includes(String(error)), `${detail}; ${allowed}`)
    }
  }

  #judgeEnd(end: End): void {
    const { flow, receives, offered } = end
    let failed = false
    for (const { status, signaled, op, index } of flow.ops) {
      assert.ok(status !== null || (!signaled && !failed), `${op} ${index} has completed`)
      failed ||= status !== null && status !== 'SUCCESS'
    }
    for (const { done, index } of receives) assert.ok(done, `receive ${index} has completed`)
    for (const region of offered) region.demandIntact()
    assert.equal(end.qp.sendRoom, this.program.setup.maxSend)
  }
}
