/**
 * Memory that peers read and write one-sided, without a word of ours: a host's file, or memory of
 * this process.
 *
 * Each connection has a protection domain and an STag of its own, which it is told with the Reply
 * (address and length of 64 bits, STag of 32, big-endian), and in answer to each message (as rping
 * has it: address of 64 bits, STag and length of 32). A message is answered when all that was
 * placed before it is durable.
 */
import { HoldfastError } from '../base/errors.js'
import type { MemoryId } from '../native/native.js'
import type { MemoryRegion as RegionMemory } from '../region/memory_region.js'
import {
  acceptPeer,
  Fault,
  type ConnectionRequest,
  type Device,
  type End,
  type MemorySource,
  type Offer,
  type Peer,
  type Pieces,
} from '../rdma/index.js'
import { encodeAdvert } from './rping.js'

/** A region of the host as a source: what is stored there, and not yet durable, is one range. */
export class RegionSource implements MemorySource {
  readonly length: number
  readonly #region: RegionMemory
  readonly #memory: MemoryId
  #from = Infinity
  #to = 0

  constructor(region: RegionMemory) {
    this.#region = region
    this.#memory = region.memory
    this.length = region.byteLength
  }

  translate(offset: number, length: number, _store: boolean, pieces: Pieces): Fault {
    pieces.add(this.#memory, offset, length)
    return Fault.none
  }

  /** Where a file was cut short under the mapping, or its medium failed, there were zeros. */
  fetched(): Fault {
    try {
      this.#region.check()
    } catch {
      return Fault.failed
    }
    return Fault.none
  }

  stored(offset: number, length: number): void {
    this.#from = Math.min(this.#from, offset)
    this.#to = Math.max(this.#to, offset + length)
  }

  /** All that was stored is durable when it resolves. */
  async persist(): Promise<void> {
    const [from, to] = [this.#from, this.#to]
    if (from >= to) return
    this.#from = Infinity
    this.#to = 0
    if (this.#region.persistence === 'sync') {
      await this.#region.syncAsync(from, to - from)
    } else {
      this.#region.flush(from, to - from)
      this.#region.fence()
    }
    // What was stored into a file that had been cut short went nowhere.
    this.#region.check()
  }
}

export interface Served {
  readonly peer: Peer
  readonly stag: number
  /** Resolves when it has left. */
  readonly left: Promise<End>
}

const ADVERT_BYTES = 20

/** Takes a connection, and tells it what it may reach. */
export function serveMemory(
  device: Device,
  request: ConnectionRequest,
  source: MemorySource & { persist?(): Promise<void> },
  writable: boolean,
  offer: Offer,
): Served {
  const domain = device.protectionDomain()
  const access = writable
    ? (['localWrite', 'remoteRead', 'remoteWrite', 'remoteAtomic'] as const)
    : (['remoteRead'] as const)
  const region = domain.register(source, { access })
  const { address, stag, length } = region
  const advert = new DataView(new ArrayBuffer(ADVERT_BYTES))
  advert.setBigUint64(0, BigInt(address))
  advert.setBigUint64(8, BigInt(length))
  advert.setUint32(16, stag)
  const privateData = new Uint8Array(advert.buffer)
  let peer: Peer
  try {
    peer = acceptPeer(device, request, { domain, privateData, ...offer })
  } catch (error) {
    region.invalidate()
    throw error
  }
  const answers = answer(peer, { address, stag, length }, source)
  const left = Promise.all([peer.closed, answers]).then(([end]) => {
    region.invalidate()
    return end
  })
  return { peer, stag, left }
}

async function answer(
  peer: Peer,
  advert: Parameters<typeof encodeAdvert>[0],
  source: { persist?(): Promise<void> },
): Promise<void> {
  try {
    while ((await peer.receive()) !== null) {
      await source.persist?.()
      await peer.send(encodeAdvert(advert))
    }
    await source.persist?.()
  } catch (error) {
    // The peer is not told that something is durable which is not.
    peer.abort()
    if (!(error instanceof HoldfastError)) throw error
  }
}
