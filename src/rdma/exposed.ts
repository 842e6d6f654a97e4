/**
 * Memory that peers read and write one-sided, without a word of ours: whatever speaks verbs is good
 * enough.
 *
 * Each connection has an STag of its own, which it is told with the Reply (address and length of 64
 * bits, STag of 32, big-endian), and in answer to each message (as rping has it: address of 64
 * bits, STag and length of 32). A message is answered when all that was placed before it is
 * durable.
 *
 * A message that says where a buffer of the peer is, as rping's do, is taken as rping's server
 * takes it: the first buffer is read into the memory, the second is written from there, and so on
 * by turns. What may only be read is not stored to: then the first is left alone.
 */
import { HoldfastError } from '../base/errors.js'
import { ADVERT_BYTES, decodeAdvert, encodeAdvert } from './advert.js'
import type { End } from './connection.js'
import type { Device } from './device.js'
import type { ConnectionRequest } from './listener.js'
import type { MemoryRegion } from './memory_region.js'
import { acceptPeer, type Message, type Peer } from './peer.js'
import type { Offer } from './setup.js'
import { Access, type MemorySource } from './source.js'

export interface Exposed {
  /** What the peer may reach, of a domain for this connection alone. */
  readonly region: MemoryRegion
  /** The memory behind it. */
  readonly source: MemorySource & { persist?(): Promise<void> }
  /** Bytes of it that there are; all that is registered unless given. */
  readonly length?: () => number
  readonly offer?: Offer
}

export interface Served {
  readonly peer: Peer
  /** Resolves when it has left, and nobody reaches the region any more. */
  readonly left: Promise<End>
}

const REPLY_BYTES = 20

/** Takes a connection, and tells it what it may reach. The region ends with it. */
export function serveMemory(
  device: Device,
  request: ConnectionRequest,
  { region, source, length = () => region.length, offer = {} }: Exposed,
): Served {
  const reply = new DataView(new ArrayBuffer(REPLY_BYTES))
  reply.setBigUint64(0, BigInt(region.address))
  reply.setBigUint64(8, BigInt(length()))
  reply.setUint32(16, region.stag)
  const privateData = new Uint8Array(reply.buffer)
  const peer = acceptPeer(device, request, { domain: region.domain, privateData, ...offer })
  const answers = new Answers(peer, region, source, length).run()
  const left = Promise.all([peer.closed, answers]).then(([end]) => {
    region.invalidate()
    return end
  })
  return { peer, left }
}

class Answers {
  readonly #peer: Peer
  readonly #region: MemoryRegion
  readonly #source: Exposed['source']
  readonly #length: () => number
  /** The next buffer of the peer is one to write to. */
  #back = false

  constructor(
    peer: Peer,
    region: MemoryRegion,
    source: Exposed['source'],
    length: NonNullable<Exposed['length']>,
  ) {
    this.#peer = peer
    this.#region = region
    this.#source = source
    this.#length = length
  }

  /** Until the peer has left. */
  async run(): Promise<void> {
    const peer = this.#peer
    try {
      for (let one = await peer.receive(); one !== null; one = await peer.receive()) {
        await this.#exchange(one)
        await this.#source.persist?.()
        const { address, stag } = this.#region
        await peer.send(encodeAdvert({ address, stag, length: this.#length() }))
      }
      await this.#source.persist?.()
    } catch (error) {
      // The peer is not told that something is durable which is not.
      peer.abort()
      if (!(error instanceof HoldfastError)) throw error
    }
  }

  async #exchange({ bytes }: Message): Promise<void> {
    const buffer = bytes.length === ADVERT_BYTES ? decodeAdvert(bytes) : null
    if (buffer === null || buffer.stag === 0) return
    const region = this.#region
    const length = Math.min(buffer.length, this.#length())
    const part = { region, offset: 0, length }
    const back = this.#back
    this.#back = !back
    if (back) await this.#peer.write(buffer.stag, buffer.address, part)
    else if ((region.access & Access.localWrite) !== 0) {
      await this.#peer.read(buffer.stag, buffer.address, part)
    }
  }
}
