/** Two queue pairs of ours that talk over TCP, with each message that there is, written down. */
import assert from 'node:assert/strict'
import type { StreamListener } from '../../src/base/byte_stream.js'
import { tcp } from '../../src/native/tcp.js'
import type { Completion, CompletionQueue } from '../../src/rdma/completion_queue.js'
import { Device, type ConnectOptions } from '../../src/rdma/device.js'
import type { AcceptOptions } from '../../src/rdma/listener.js'
import type { MemoryRegion, ProtectionDomain } from '../../src/rdma/memory_region.js'
import type { QueuePair } from '../../src/rdma/queue_pair.js'
import { encodeMpa, MpaFrame, PRIVATE_DATA_MAX, type MpaSetup } from '../../src/rdma/wire/mpa.js'
import type { Work } from '../../src/rdma/work.js'
import { pattern } from '../rdma/frames.js'
import { meantBy } from './meant.js'
import type { Side } from './pcap_writer.js'
import { recorded, Recording } from './recording.js'

export const MEMORY_BYTES = 256 << 10
const CONTENT = pattern(MEMORY_BYTES, 1)
/** Past 2^32, so that the high half of an offset is not zero. */
const ADDRESS = 0x12_3456_7000
const RECEIVES = 32

interface Meant {
  readonly content: string[]
  readonly sizes: string[]
}

/** One of the two. */
export class End {
  readonly device: Device
  readonly domain: ProtectionDomain
  readonly memory: Uint8Array
  readonly region: MemoryRegion
  readonly qp: QueuePair
  /** What it was to send: messages with their bytes, and with how many they are. */
  readonly meant: Meant = { content: [], sizes: [] }
  readonly #sendCq: CompletionQueue

  constructor(recording: Recording, segmentBytes: number | null, from: Side) {
    this.device = new Device({ transport: recorded(tcp, recording, segmentBytes) })
    this.domain = this.device.protectionDomain()
    this.memory = from === 'initiator' ? CONTENT.slice() : CONTENT.toReversed()
    const access = ['localWrite', 'remoteRead', 'remoteWrite', 'remoteAtomic'] as const
    this.region = this.domain.register(this.memory, { access, address: ADDRESS })
    const sendCq = this.device.completionQueue()
    const receiveCq = this.device.completionQueue()
    this.qp = this.device.queuePair(this.domain, { sendCq, receiveCq })
    this.#sendCq = sendCq
  }

  /** Receives, as many as `everything` needs. */
  receive(bytes: number): void {
    for (let i = 0; i < RECEIVES; i++) this.qp.postReceive({ into: new Uint8Array(bytes) })
  }

  /** Somewhere in its memory, for the other. */
  at(offset: number) {
    return { stag: this.region.stag, address: ADDRESS + offset }
  }

  /** A region that the other may end. */
  loan(): MemoryRegion {
    return this.domain.register(new Uint8Array(64), { access: ['remoteInvalidate'] })
  }

  /** Does a piece of work, and tells how it ended. */
  async try(work: Work): Promise<Completion> {
    this.meant.content.push(...meantBy(work, true))
    this.meant.sizes.push(...meantBy(work, false))
    this.qp.postSend(work)
    for (;;) {
      const completion = this.#sendCq.take()
      if (completion !== null) return completion
      await this.#sendCq.wait()
    }
  }

  async do(work: Work): Promise<void> {
    const { status, detail } = await this.try(work)
    assert.equal(status, 'SUCCESS', `${work.op}: ${detail}`)
  }
}

export interface Scenario {
  readonly name: string
  readonly initiator: Omit<ConnectOptions, 'host' | 'port'>
  readonly responder: AcceptOptions
  /** What both take for the size of a TCP segment; null: they do not know. */
  readonly segmentBytes: number | null
  /** Of the capture: TCP segments as they would be seen. */
  readonly seenBytes: number
  /** The responder rejects it with this. */
  readonly reject?: Uint8Array<ArrayBuffer>
  /** They cannot agree, which is a rejection, too. */
  readonly disagree?: boolean
  /** Not a responder of ours answers, but this. */
  readonly answer?: MpaSetup
  /** A byte of what the initiator sends that is damaged on the way: see Recording. */
  readonly damaged?: number
  /** Before they connect. */
  readonly prepare?: (initiator: End, responder: End) => void
  /** What they say once connected. The connection is ended afterwards, if it is there. */
  readonly say: (initiator: End, responder: End) => Promise<void>
}

export interface Talk {
  readonly recording: Recording
  readonly meant: Readonly<Record<Side, Meant>>
}

/** Answers every Request with the same Reply. */
function answering(recording: Recording, reply: MpaSetup): Promise<StreamListener> {
  const bytes = encodeMpa(reply)
  const request = new Uint8Array(MpaFrame.size + PRIVATE_DATA_MAX)
  return recorded(tcp, recording, null).listen('127.0.0.1', 0, (stream) => {
    stream.attach({
      readable() {
        const count = stream.receive(request, 0, request.length)
        if (count < 0) stream.close()
        else if (recording.sentBy('responder').length === 0) stream.send(bytes, 0, bytes.length)
      },
      writable() {},
    })
  })
}

/** An initiator that does not like the Reply. */
async function hear(scenario: Scenario, reply: MpaSetup): Promise<Talk> {
  const recording = new Recording()
  const initiator = new End(recording, scenario.segmentBytes, 'initiator')
  const streams = await answering(recording, reply)
  const { host, port } = streams
  try {
    const connecting = initiator.device.connect(initiator.qp, { host, port, ...scenario.initiator })
    await assert.rejects(connecting, { code: 'EPROTO' })
  } finally {
    streams.close()
    initiator.device.close()
  }
  return { recording, meant: { initiator: initiator.meant, responder: { content: [], sizes: [] } } }
}

/** Has two talk; returns what they sent. */
export async function talk(scenario: Scenario): Promise<Talk> {
  if (scenario.answer !== undefined) return hear(scenario, scenario.answer)
  const recording = new Recording(scenario.damaged)
  const initiator = new End(recording, scenario.segmentBytes, 'initiator')
  const responder = new End(recording, scenario.segmentBytes, 'responder')
  try {
    scenario.prepare?.(initiator, responder)
    const listener = await responder.device.listen()
    const { host, port } = listener
    const connecting = initiator.device.connect(initiator.qp, { host, port, ...scenario.initiator })
    const connected = connecting.then(
      () => true,
      () => false,
    )
    const request = (await listener.next())!
    if (scenario.reject !== undefined) request.reject(scenario.reject)
    else if (scenario.disagree !== true) request.accept(responder.qp, scenario.responder)
    else assert.throws(() => request.accept(responder.qp, scenario.responder), { code: 'EPROTO' })
    if (await connected) {
      // Else the initiator speaks first.
      if (initiator.qp.agreed!.rtr !== null) await responder.qp.established
      await scenario.say(initiator, responder)
      await Promise.all([initiator.qp.disconnect(), responder.qp.closed])
    }
  } finally {
    initiator.device.close()
    responder.device.close()
  }
  return { recording, meant: { initiator: initiator.meant, responder: responder.meant } }
}

const SIZES = [0, 1, 2, 3, 5, 1000, 5000]
/** More than one segment of a network with jumbo frames has. */
const LONGEST = 9001

/** Everything that one can do to the other, one after the other. */
export async function everything(one: End, two: End, longest = LONGEST): Promise<void> {
  two.receive(longest)
  for (const [i, size] of [...SIZES, longest].entries()) {
    const local = one.memory.subarray(100 * i, 100 * i + size)
    const id = size
    await one.do({ id, op: 'write', local, remote: two.at(10_000 * i + i) })
    await one.do({ id, op: 'send', local, solicited: i % 2 === 1 })
    await one.do({ id, op: 'read', local: new Uint8Array(size), remote: two.at(30_000 + 77 * i) })
  }
  const local = pattern(33, 5)
  await one.do({ op: 'send', local, invalidate: two.loan().stag })
  await one.do({ op: 'send', local, solicited: true, invalidate: two.loan().stag })
  await one.do({ op: 'immediate', immediate: 0x11223344, immediateLow: 0x55667788 })
  await one.do({ op: 'immediate', immediate: 0xfedcba98, solicited: true })
  await one.do({ op: 'writeImmediate', local, remote: two.at(8), immediate: 7 })
  const before = { local: new Uint8Array(8), remote: two.at(4096) }
  await one.do({ op: 'fetchAdd', ...before, add: 0x1_0000_0005n })
  await one.do({ op: 'compareSwap', ...before, compare: 17n, swap: 0xffff_ffff_ffff_fff0n })
  const masks = { compareMask: 0xff00n, swapMask: 0x00ffn }
  await one.do({ op: 'compareSwap', ...before, compare: 1n, swap: 2n, ...masks })
}
