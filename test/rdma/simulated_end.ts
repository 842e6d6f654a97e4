/** One end of a connection of a random program: what it posts, and what it is told. */
import assert from 'node:assert/strict'
import { Prng } from '../../src/base/prng.js'
import type { Completion, CompletionQueue } from '../../src/rdma/completion_queue.js'
import type { End as Ending } from '../../src/rdma/connection.js'
import type { Device } from '../../src/rdma/device.js'
import type { ProtectionDomain } from '../../src/rdma/memory_region.js'
import type { QueuePair } from '../../src/rdma/queue_pair.js'
import { DdpError, RdmapError } from '../../src/rdma/wire/terminate.js'
import type { Work } from '../../src/rdma/work.js'
import { Flow, messages, type Op } from './simulated_flow.js'
import { LocalMemory, Offered, type Watcher } from './simulated_memory.js'
import type { Setup, Step } from './simulated_program.js'

interface Receive {
  readonly index: number
  readonly memory: LocalMemory
  done: boolean
}

/** Bytes of a region, and of the longest message. */
function sizesOf({ wire, initiator, responder }: Setup): number {
  const least = Math.min(wire.window, wire.room, wire.piece)
  if (least < 9) return wire.delay > 1 ? 40 : 200
  if (least < 600) return wire.delay > 1 ? 400 : 3000
  const large = (initiator.large ?? true) && (responder.large ?? true)
  return large && least > 2000 ? 200_000 : 20_000
}

export interface EndOptions {
  readonly device: Device
  readonly domain: ProtectionDomain
  /** Of another queue pair's. */
  readonly foreign: ProtectionDomain
  readonly sendCq: CompletionQueue
  readonly receiveCq: CompletionQueue
  readonly setup: Setup
  readonly side: 0 | 1
  readonly random: Prng
  readonly drain: () => void
  readonly failed: (error: Error) => void
}

/** What a step posts. */
interface Posting extends Partial<Op> {
  /** Of the work, as it is posted. */
  readonly extra?: object
  /** A region of its local memory ends with it. */
  readonly endsLocal?: boolean
}

const ALL_ONES = (1n << 64n) - 1n

export class End implements Watcher {
  readonly qp: QueuePair
  readonly o: EndOptions
  /** What it asks of the other end, and the other of it. */
  readonly flow = new Flow()
  peer!: End
  readonly offered: Offered[] = []
  readonly receives: Receive[] = []
  /** Of receives: those that have ended. */
  taken = 0
  ending: Ending | null = null
  /** Set when it disconnects: work that was posted before succeeds, unless the other is faster. */
  closedAt = -1
  readonly #size: number
  #foreign: Offered | null = null

  constructor(options: EndOptions) {
    this.o = options
    const { device, domain, sendCq, receiveCq, setup, side } = options
    const { maxSend } = setup
    const depth = { maxSend, maxReceive: 24, receivePatience: setup.patience[side] }
    this.qp = device.queuePair(domain, { sendCq, receiveCq, ...depth })
    this.flow.drain = options.drain
    this.#size = sizesOf(setup)
    void this.qp.closed.then((end) => (this.ending = end))
    this.qp.onInvalidate = (region) => {
      assert.equal(region.valid, false)
    }
    for (let i = 0; i < 3; i++) this.offer(i)
  }

  // ---- what the other may do ------------------------------------------------------------------

  offer(kind: number): void {
    const { domain, random } = this.o
    const rights = [
      ['localWrite', 'remoteWrite', 'remoteRead', 'remoteInvalidate'],
      ['localWrite', 'remoteWrite'],
      ['localWrite', 'remoteAtomic', 'remoteRead'],
      ['remoteRead', 'remoteInvalidate'],
    ] as const
    const access = rights[kind % rights.length]!
    const length = 16 + random.below(this.#size)
    this.offered.push(new Offered(domain, this, random, { length, access }))
  }

  failed(error: Error): void {
    this.o.failed(error)
  }

  fetched(region: Offered, offset: number, bytes: Uint8Array): void {
    this.peer.flow.fetched(region, offset, bytes)
  }

  stored(region: Offered, offset: number, bytes: Uint8Array): void {
    this.peer.flow.stored(region, offset, bytes)
  }

  touch(random: Prng): void {
    const region = random.pick(this.offered)
    const bytes = new Uint8Array(1 + random.below(Math.min(64, region.length)))
    random.fill(bytes)
    region.touch(random.below(region.length - bytes.length + 1), bytes)
  }

  /** It goes, whatever the other is about to do with it. */
  revoke(random: Prng): void {
    const alive = this.offered.filter(({ dead }) => !dead)
    if (alive.length === 0) return
    const offered = random.pick(alive)
    offered.dead = true
    offered.region.invalidate()
    const touched = this.peer.flow.ops.some((op) => op.region === offered && !this.#served(op))
    if (touched) this.peer.flow.allow(DdpError.invalidStag, RdmapError.invalidStag)
  }

  #served({ op, content, length, done }: Op): boolean {
    return done === (op.startsWith('write') ? content.length : length)
  }

  // ---- receives -------------------------------------------------------------------------------

  /** Receives that no message is known to come for. */
  get credits(): number {
    return this.receives.length - this.peer.flow.messages.length - this.peer.flow.extra
  }

  receive(random: Prng): void {
    if (this.qp.receiveRoom === 0) return
    const { extra, messages: coming } = this.peer.flow
    const message = coming[this.receives.length - extra]
    const length = random.below(this.#size)
    const needed = message?.op === 'send' ? message.content.length : 0
    // Mostly it is long enough for what it is for.
    const enough = random.chance(30, 31) ? Math.max(length, needed) : length
    this.postReceive(random, enough, needed)
  }

  postReceive(random: Prng, length: number, needed: number): void {
    const memory = new LocalMemory(this.o.domain, random, length, 3)
    const receive: Receive = { index: this.receives.length, memory, done: false }
    this.receives.push(receive)
    if (needed > length) this.peer.flow.allow(DdpError.tooLong)
    this.qp.postReceive({ id: receive, into: memory.local })
  }

  // ---- work -----------------------------------------------------------------------------------

  #length(random: Prng): number {
    const kinds = [0, 1, 8, random.below(64), random.below(this.#size), random.below(this.#size)]
    return random.pick(kinds)
  }

  #regionFor(random: Prng, rights: number): Offered | null {
    const all = this.peer.offered.filter(
      ({ region, dead }) => !dead && (region.access & rights) === rights,
    )
    return all.length === 0 ? null : random.pick(all)
  }

  post(step: Step): void {
    const random = new Prng(step.chance)
    const { qp } = this
    if (qp.state === 'idle' || qp.state === 'connecting') {
      assert.throws(() => qp.postSend({ op: 'send' }), { code: 'ENOTCONN' })
      return
    }
    if (qp.sendRoom === 0) {
      assert.throws(() => qp.postSend({ op: 'send' }), { code: 'ENOMEM' })
      return
    }
    const { agreed } = qp
    switch (step.kind) {
      case 'send':
        return this.#send(step, random, 0, false)
      case 'sendInvalidate':
        return this.#sendInvalidate(step, random)
      case 'immediate':
        if (!this.#mayMessage(0)) return
        return this.#put(step, { immediate: [random.next(), random.next()] })
      case 'write':
      case 'writeImmediate':
        return this.#write(step, random)
      case 'read':
        if (agreed !== null && agreed.ord > 0) this.#read(step, random)
        return
      case 'fetchAdd':
      case 'compareSwap':
        if (agreed !== null && agreed.ord > 0) this.#atomic(step, random)
        return
      case 'localInvalidate':
        return this.#localInvalidate(step, random)
      case 'bad':
        return this.#bad(step, random)
      default:
    }
  }

  /** A Write of nothing, so that the other end has heard of this one. */
  speak(): boolean {
    if (this.qp.state === 'closed') return true
    if (this.qp.sendRoom === 0) return false
    const flags = { fence: false, unsignaled: false, solicited: false, pause: false }
    const step: Step = { kind: 'write', side: 0, link: 0, chance: 0, ...flags }
    this.#put(step, { region: this.peer.offered[0]! }, this.o.random)
    return true
  }

  /** Whether a message of so many bytes may be sent, and what may come of it. */
  #mayMessage(length: number): boolean {
    const { peer } = this
    const patience = peer.o.setup.patience[peer.o.side]
    const { credits } = peer
    if (credits <= 0) {
      if (patience === 0) return false
      if (patience < 1e6) this.flow.allow(DdpError.noBuffer)
      return true
    }
    const receive = peer.receives[this.flow.messages.length + this.flow.extra]!
    if (receive.memory.length < length) this.flow.allow(DdpError.tooLong)
    return true
  }

  #send(step: Step, random: Prng, invalidates: number, bad: boolean): void {
    let length = this.#length(random)
    const receive = this.peer.receives[this.flow.messages.length + this.flow.extra]
    if (receive !== undefined && !random.chance(1, 40)) {
      length = Math.min(length, receive.memory.length)
    }
    if (!this.#mayMessage(length)) return
    const content = new Uint8Array(length)
    random.fill(content)
    this.#put(step, { content, invalidates, bad }, random)
  }

  #sendInvalidate(step: Step, random: Prng): void {
    const region = random.pick(this.peer.offered)
    const mayBe = (region.region.access & 16) !== 0
    const bad = region.dead || !mayBe
    if (this.peer.credits <= 0) return
    this.flow.allow(...(bad ? [cannot(region.dead)] : []))
    if (!bad) {
      // What asks for it, and was posted before, may come too late.
      const asked = this.flow.ops.some((op) => op.region === region && op.status === null)
      if (asked && !step.fence) this.flow.allow(RdmapError.invalidStag)
    }
    const before = this.flow.ops.length
    this.#send({ ...step, kind: 'send' }, random, region.region.stag, bad)
    if (this.flow.ops.length > before) region.dead = true
  }

  #write(step: Step, random: Prng): void {
    if (step.kind === 'writeImmediate' && !this.#mayMessage(0)) return
    const region = this.#regionFor(random, 2)
    if (region === null) return
    const length = Math.min(this.#length(random), region.length)
    const aligned = random.chance(1, 2) ? 8 : 1
    const offset = random.below(region.length - length + 1)
    const content = new Uint8Array(length)
    random.fill(content)
    const immediate = [random.next(), random.next()] as const
    const at = { region, offset: offset - (offset % aligned), content }
    this.#put(step, step.kind === 'write' ? at : { ...at, immediate }, random)
  }

  #read(step: Step, random: Prng): void {
    const region = this.#regionFor(random, 4)
    if (region === null) return
    const length = Math.min(this.#length(random), region.length)
    const offset = random.below(region.length - length + 1)
    this.#put(step, { region, offset, length, endsLocal: random.chance(1, 4) }, random)
  }

  #atomic(step: Step, random: Prng): void {
    const region = this.#regionFor(random, 8)
    if (region === null) return
    const offset = 8 * random.below(region.length >>> 3)
    // A small number of words and of values, so that some compare equal.
    const few = offset % 32
    const word = new DataView(region.shadow.buffer, region.shadow.byteOffset).getBigUint64(
      few,
      true,
    )
    const wide = () => (BigInt(random.next()) << 32n) | BigInt(random.next())
    if (step.kind === 'fetchAdd') {
      const add = random.chance(1, 2) ? wide() : random.below(100)
      const change = (before: bigint) => BigInt.asUintN(64, before + BigInt(add))
      return this.#put(step, { region, offset: few, length: 8, change, extra: { add } }, random)
    }
    const masks = random.chance(1, 2) ? {} : { compareMask: wide(), swapMask: wide() }
    const { compareMask = ALL_ONES, swapMask = ALL_ONES } = masks as Record<string, bigint>
    const [compare, swap] = [random.chance(1, 2) ? word : wide(), wide()]
    const change = (before: bigint) =>
      (before & compareMask) === (compare & compareMask)
        ? (before & ~swapMask & ALL_ONES) | (swap & swapMask)
        : before
    const extra = { compare, swap, ...masks }
    this.#put(step, { region, offset: few, length: 8, change, extra }, random)
  }

  #localInvalidate(step: Step, random: Prng): void {
    const last = this.flow.ops.at(-1)
    const old = last?.local?.regions[0]
    const fresh = () => this.o.domain.register(new Uint8Array(8))
    const region = old?.valid === true && random.chance(1, 2) ? old : fresh()
    if (region === old && last!.length > 0 && !step.fence) {
      this.flow.allow(RdmapError.catastrophic)
      this.flow.mayLose = true
    }
    this.#put(step, { ends: region, extra: { region } })
  }

  /** What cannot succeed. */
  #bad(step: Step, random: Prng): void {
    if (random.chance(1, 4)) return this.#unfit(step, random)
    const [name, region, offset] = this.#badPlace(random)
    if (region === null) return
    const read = random.chance(1, 2)
    if (read && (this.qp.agreed?.ord ?? 0) === 0) return
    const length = 1 + random.below(Math.min(100, region.length))
    const content = new Uint8Array(length)
    const right = read ? 4 : 2
    if (name === 'rights' && (region.region.access & right) !== 0) return
    const at = { region, offset: name === 'bounds' ? region.length - length + offset : 0 }
    const error = (read ? RdmapError : DdpError)[name === 'rights' ? 'bounds' : name]
    this.flow.allow(name === 'rights' ? RdmapError.accessRights : error)
    const what = read ? { length } : { content }
    this.#put({ ...step, kind: read ? 'read' : 'write' }, { ...at, ...what, bad: true }, random)
  }

  /** Local memory that has gone, or that nothing may be placed in. */
  #unfit(step: Step, random: Prng): void {
    const read = random.chance(1, 2)
    const region = this.#regionFor(random, read ? 4 : 2)
    if (region === null || (read && this.qp.agreed?.ord === 0)) return
    this.flow.allow(RdmapError.catastrophic)
    const length = 1 + random.below(Math.min(16, region.length))
    const own = this.o.domain.register(new Uint8Array(length))
    if (!read || random.chance(1, 4)) own.invalidate()
    const local = { region: own, offset: 0, length }
    const kind = read ? ('read' as const) : ('write' as const)
    const what = read ? { length } : { content: new Uint8Array(length) }
    this.#put({ ...step, kind }, { ...what, region, bad: true, unfit: true, extra: { local } })
  }

  #badPlace(
    random: Prng,
  ): ['bounds' | 'rights' | 'stagNotOfStream' | 'invalidStag', Offered | null, number] {
    const { peer } = this
    const dead = peer.offered.filter((one) => one.dead)
    const alive = peer.offered.filter((one) => !one.dead)
    const first = alive.length === 0 ? null : random.pick(alive)
    switch (random.below(4)) {
      case 0: {
        const both = this.#regionFor(random, 6)
        return ['bounds', both, random.chance(1, 2) ? 1 : 1 + random.below(200)]
      }
      case 1:
        return ['rights', first, 0]
      case 2: {
        const { foreign, random: chance } = peer.o
        const access = ['localWrite', 'remoteWrite', 'remoteRead'] as const
        peer.#foreign ??= new Offered(foreign, peer, chance, { length: 200, access })
        return ['stagNotOfStream', peer.#foreign, 0]
      }
      default:
        return ['invalidStag', dead.length === 0 ? null : random.pick(dead), 0]
    }
  }

  #put(step: Step, what: Posting, random?: Prng): void {
    const { flow } = this
    const { content = new Uint8Array(0), length = 0, region = null, offset = 0 } = what
    const { invalidates = 0, immediate = null, bad = false, change = null, extra = {} } = what
    const { unfit = false, endsLocal = false } = what
    const has = random !== undefined
    const bytes = Math.max(content.length, length)
    const local = has ? new LocalMemory(this.o.domain, random, bytes, length === 8 ? 1 : 4) : null
    local?.fill(content)
    const ends = endsLocal ? (local!.regions[0] ?? null) : (what.ends ?? null)
    const { fence, solicited } = step
    const op: Op = {
      index: flow.ops.length,
      op: step.kind as Work['op'],
      fence,
      signaled: !step.unsignaled,
      solicited,
      local,
      content,
      region,
      offset,
      length,
      change,
      immediate,
      invalidates,
      bad,
      unfit,
      ends,
      done: 0,
      served: new Uint8Array(length),
      status: null,
    }
    const work = {
      id: op,
      op: op.op,
      fence,
      solicited,
      signaled: op.signaled,
      ...(local === null ? {} : { local: local.local }),
      ...(region === null ? {} : { remote: remoteOf(region, offset) }),
      ...(invalidates === 0 ? {} : { invalidate: invalidates }),
      ...(ends === null ? {} : { invalidate: ends }),
      ...(immediate === null ? {} : { immediate: immediate[0], immediateLow: immediate[1] }),
      ...extra,
    } as Work
    flow.add(op)
    this.qp.postSend(work)
  }

  // ---- completions ----------------------------------------------------------------------------

  take(completion: Completion): void {
    const { status, op, id } = completion
    if (op === 'receive') return this.#takeReceive(completion, id as Receive)
    const done = id as Op
    assert.equal(op, done.op === 'writeImmediate' ? 'write' : done.op)
    this.flow.completed(done, status)
    if (status === 'SUCCESS') assert.equal(completion.bytes, done.length)
    done.local?.release()
  }

  #takeReceive(completion: Completion, receive: Receive): void {
    const { status, bytes, immediate, immediateLow, invalidated, solicited } = completion
    assert.equal(receive.index, this.taken++, 'receives complete in order, and once')
    receive.done = true
    const { flow } = this.peer
    if (status === 'SUCCESS') {
      assert.equal(this.#failed, false, 'nothing is received behind what has failed')
      const index = receive.index - flow.extra
      const op = flow.messages[index]
      if (index < 0) assert.equal(bytes, 0)
      else {
        assert.ok(op !== undefined && messages(op) && !op.bad, 'what is received was sent')
        const content = op.op === 'send' ? op.content : new Uint8Array(0)
        assert.equal(bytes, content.length)
        const got = receive.memory.content().subarray(0, bytes)
        assert.equal(Buffer.compare(got, content), 0, `message ${index} is what was sent`)
        assert.equal(solicited, op.solicited)
        const told = op.immediate ?? [null, 0]
        assert.deepEqual([immediate, immediateLow], told)
        assert.equal(invalidated, op.invalidates)
        if (invalidated !== 0) assert.equal(this.o.device.stags.get(invalidated), undefined)
        flow.demandPlaced(op)
      }
    } else this.#failed = true
    receive.memory.release()
  }
  #failed = false
}

const cannot = (dead: boolean) =>
  dead ? RdmapError.cannotInvalidate : RdmapError.protectionCannotInvalidate

function remoteOf({ region }: Offered, offset: number) {
  const address = region.address + offset
  return { stag: region.stag, address: offset % 2 === 0 ? address : BigInt(address) }
}
