/** The RNIC of src/rdma as a peer, in this process, over TCP that is listened in on. */
import assert from 'node:assert/strict'
import type { ByteStream } from '../../src/base/byte_stream.js'
import { tcp } from '../../src/native/tcp.js'
import type { CompletionQueue } from '../../src/rdma/completion_queue.js'
import type { End } from '../../src/rdma/connection.js'
import { Device } from '../../src/rdma/device.js'
import { RejectedError } from '../../src/rdma/establish.js'
import type { ConnectionRequest } from '../../src/rdma/listener.js'
import type { MemoryRegion, ProtectionDomain } from '../../src/rdma/memory_region.js'
import type { QueuePair } from '../../src/rdma/queue_pair.js'
import type { Offer } from '../../src/rdma/setup.js'
import type { AccessName } from '../../src/rdma/source.js'
import type { ErrorCode } from '../../src/rdma/wire/terminate.js'
import type { Work as OurWork } from '../../src/rdma/work.js'
import { HERE, HOST } from './guest.js'
import { differenceFrom, patternOf } from './pattern.js'
import type {
  Answer,
  Asked,
  Completion,
  Link,
  Listener,
  Peer,
  PeerKind,
  Piece,
  Place,
  Region,
  Requested,
  Rights,
  Work,
} from './peer.js'
import { Tap, TappedTransport } from './tap.js'

/** Where regions begin: no page, and nothing below it may be reached. */
const ADDRESS = 0x10_0000_1004
const EVENT_MS = 120_000
const ACCESS: Readonly<Record<string, AccessName>> = {
  l: 'localWrite',
  r: 'remoteRead',
  w: 'remoteWrite',
  i: 'remoteInvalidate',
}

/** Rejects when it takes too long. */
async function within<T>(what: string, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing after ${EVENT_MS} ms`)), EVENT_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

class OurRegion implements Region {
  readonly bytes: Uint8Array
  readonly region: MemoryRegion

  constructor(domain: ProtectionDomain, length: number, rights: Rights) {
    this.bytes = new Uint8Array(length)
    const access = [...rights].map((letter) => ACCESS[letter]!)
    this.region = domain.register(this.bytes, { access, address: ADDRESS })
  }

  get stag(): number {
    return this.region.stag
  }

  get address(): bigint {
    return BigInt(this.region.address)
  }

  get length(): number {
    return this.bytes.length
  }

  async fill(offset: number, length: number, seed: number): Promise<void> {
    await Promise.resolve(this.bytes.set(patternOf(seed, length), offset))
  }

  async difference(offset: number, length: number, seed: number): Promise<string | null> {
    return await Promise.resolve(differenceFrom(this.bytes.subarray(offset, offset + length), seed))
  }

  async show(offset: number, length: number): Promise<Uint8Array> {
    return await Promise.resolve(this.bytes.slice(offset, offset + length))
  }

  async deregister(): Promise<void> {
    await Promise.resolve(this.region.invalidate())
  }
}

const localOf = ({ region, offset, length }: Piece) => ({
  region: (region as OurRegion).region,
  offset,
  length,
})

/** Completions by the number of their request, as they are asked for. */
class Completions {
  readonly #queue: CompletionQueue
  readonly #come = new Map<number, Completion>()

  constructor(queue: CompletionQueue) {
    this.#queue = queue
  }

  async of(id: number): Promise<Completion> {
    for (;;) {
      for (let next = this.#queue.take(); next !== null; next = this.#queue.take()) {
        const { status, op, bytes, invalidated, solicited } = next
        const number = next.id as number
        assert.ok(!this.#come.has(number), `${number} completed before`)
        this.#come.set(number, {
          id: number,
          status,
          op,
          bytes,
          invalidated: invalidated === 0 ? null : invalidated,
          solicited,
        })
      }
      const found = this.#come.get(id)
      this.#come.delete(id)
      if (found !== undefined) return found
      await this.#queue.wait()
    }
  }
}

const offerOf = ({ ird = 16, ord = 16, crc = false, peerToPeer = false, rtrs, ...rest }: Asked) =>
  ({
    ...{ ird, ord, crc, peerToPeer },
    ...(rtrs === undefined ? {} : { rtrs }),
    ...(rest.revision === undefined ? {} : { revision: rest.revision }),
    ...(rest.markers === undefined ? {} : { markers: rest.markers }),
    ...(rest.privateData === undefined ? {} : { privateData: rest.privateData }),
  }) satisfies Offer & { privateData?: Uint8Array }

export class OurLink implements Link {
  readonly qp: QueuePair
  /** Of its stream, when it has one. */
  tap: Tap = new Tap()
  readonly #peer: OurPeer
  readonly #completions: Completions
  readonly #place: Place | null
  readonly #request: ConnectionRequest | null

  constructor(peer: OurPeer, domain: number, from: Place | ConnectionRequest) {
    this.#peer = peer
    const sendCq = peer.device.completionQueue()
    this.qp = peer.device.queuePair(peer.domain(domain), { sendCq })
    this.#completions = new Completions(sendCq)
    this.#place = 'setup' in from ? null : from
    this.#request = 'setup' in from ? from : null
  }

  async receive(id: number, into: Piece): Promise<void> {
    await Promise.resolve(this.qp.postReceive({ id, into: localOf(into) }))
  }

  async post({ local, ...work }: Work): Promise<void> {
    await Promise.resolve(this.qp.postSend({ ...work, local: localOf(local) } as OurWork))
  }

  async completion(id: number): Promise<Completion> {
    return await within(`completion ${id}`, this.#completions.of(id))
  }

  async connect(asked: Asked = {}): Promise<Answer> {
    const { host, port } = this.#place!
    try {
      await this.#peer.connect(this, { host, port, ...offerOf(asked) })
      return { accepted: true, privateData: this.qp.peerPrivateData }
    } catch (error) {
      if (!(error instanceof RejectedError)) throw error
      return { accepted: false, privateData: error.privateData }
    }
  }

  async accept(asked: Asked = {}): Promise<void> {
    const request = this.#request!
    this.tap = this.#peer.tapOf(request)
    request.accept(this.qp, offerOf(asked))
    // Else nobody says anything before the initiator's program does.
    if (request.setup.enhanced?.peerToPeer === true) {
      await within('the RTR', this.qp.established)
    }
  }

  async reject(privateData: Uint8Array): Promise<void> {
    await Promise.resolve(this.#request!.reject(Uint8Array.from(privateData)))
  }

  async disconnect(): Promise<void> {
    await Promise.resolve(void this.qp.disconnect())
  }

  async ended(): Promise<End> {
    return await within('the end of the connection', this.qp.closed)
  }

  async end(): Promise<void> {
    await this.ended()
  }

  async event(): Promise<string> {
    return (await this.ended()).cause
  }

  async terminate(from: PeerKind): Promise<ErrorCode | null> {
    const { error } = await this.ended()
    const said = this.tap.received.terminate
    if (said === null) {
      assert.equal(error, null)
      return null
    }
    const [high, low] = [said[0]! >>> 4, said[0]! & 0x0f]
    const meant: ErrorCode = [...(from === 'siw' ? [low, high] : [high, low]), said[1]!] as never
    assert.deepEqual(error, meant, 'what the queue pair tells is what came')
    return meant
  }

  async close(): Promise<void> {
    await Promise.resolve(this.qp.abort())
  }
}

export class OurPeer implements Peer {
  readonly kind = 'ours'
  readonly device: Device
  readonly #domains: ProtectionDomain[] = []
  /** Of streams that were accepted, by the other end. */
  readonly #taps = new Map<string, Tap>()
  #connecting: OurLink | null = null

  constructor() {
    const transport = new TappedTransport(tcp, (stream: ByteStream, tap: Tap) => {
      if (this.#connecting !== null) this.#connecting.tap = tap
      else this.#taps.set(stream.peer, tap)
    })
    this.device = new Device({ transport })
  }

  domain(index: number): ProtectionDomain {
    this.#domains[index] ??= this.device.protectionDomain()
    return this.#domains[index]
  }

  tapOf(request: ConnectionRequest): Tap {
    return this.#taps.get(request.peer)!
  }

  /** One at a time, so that a stream is known by when it comes. */
  async connect(link: OurLink, options: Parameters<Device['connect']>[1]): Promise<void> {
    assert.equal(this.#connecting, null)
    this.#connecting = link
    try {
      await this.device.connect(link.qp, options)
    } finally {
      this.#connecting = null
    }
  }

  async listen(): Promise<Listener> {
    const listener = await this.device.listen({ host: HERE })
    const { port } = listener
    return {
      place: (from) => ({ host: from === 'siw' ? HOST : HERE, port }),
      request: async () => {
        const request = await within('a request', listener.next())
        const { privateData, setup } = request!
        const requested: Requested = {
          privateData,
          depths: setup.enhanced,
          take: async (domain = 0) => await Promise.resolve(new OurLink(this, domain, request!)),
        }
        return requested
      },
      close: async () => {
        await Promise.resolve(listener.close())
      },
    }
  }

  async open(place: Place, domain = 0): Promise<Link> {
    return await Promise.resolve(new OurLink(this, domain, place))
  }

  async region(length: number, rights: Rights, domain = 0): Promise<Region> {
    return await Promise.resolve(new OurRegion(this.domain(domain), length, rights))
  }

  async kill(): Promise<void> {
    await Promise.resolve(this.device.close())
  }

  async close(): Promise<void> {
    assert.equal(this.device.connections, 0)
    await this.kill()
  }
}
