/** What the cases share: the guest, peers of each kind, and pairs of them that are connected. */
import assert from 'node:assert/strict'
import type { Rtr } from '../../src/rdma/wire/mpa.js'
import type { Guest } from './guest.js'
import { KernelPeer } from './kernel_peer.js'
import { OurPeer } from './our_peer.js'
import type { Answer, Asked, Link, Peer, PeerKind, Requested } from './peer.js'

export interface Pairing {
  readonly initiator: PeerKind
  readonly responder: PeerKind
}

/** siw with itself first: when that fails, the case is wrong, or the guest. */
export const PAIRINGS: readonly Pairing[] = [
  { initiator: 'siw', responder: 'siw' },
  { initiator: 'ours', responder: 'siw' },
  { initiator: 'siw', responder: 'ours' },
]

/** Of a test that has one guest for all: a case that hangs leaves the others their time. */
export const CASE_MS = 300_000

const RTR_BITS: Readonly<Record<Rtr, number>> = { write: 0x8000, read: 0x4000, send: 0 }

/** Two ends that may be used once `connect` is done. */
export interface Pair {
  readonly initiator: { readonly peer: Peer; readonly link: Link }
  readonly responder: { readonly peer: Peer; readonly link: Link }
}

export interface PairOptions {
  readonly asked?: Asked
  /** What the responder says. */
  readonly answer?: Asked
  /** Domains of the queue pairs. */
  readonly domain?: number
  /** Before any of the two says a word: receives that must be there. */
  readonly prepare?: (pair: Pair) => Promise<void>
}

export class World {
  readonly guest: Guest

  constructor(guest: Guest) {
    this.guest = guest
  }

  async peer(kind: PeerKind): Promise<Peer> {
    return kind === 'siw' ? await KernelPeer.start(this.guest) : new OurPeer()
  }

  /** An initiator of siw asks by its settings. */
  async configure(kind: PeerKind, asked: Asked): Promise<void> {
    if (kind !== 'siw') return
    const { crc = false, peerToPeer = false, rtrs = ['write', 'read'] } = asked
    const rtr = rtrs.reduce((bits, name) => bits | RTR_BITS[name], 0)
    await this.guest.configure({ crc, peerToPeer, rtr })
  }

  /** Two peers, which are closed after their use. */
  async peers(pairing: Pairing, use: (initiator: Peer, responder: Peer) => Promise<void>) {
    const initiator = await this.peer(pairing.initiator)
    const responder = await this.peer(pairing.responder)
    try {
      await use(initiator, responder)
    } catch (error) {
      await Promise.all([initiator.kill(), responder.kill()])
      throw error
    }
    await initiator.close()
    await responder.close()
  }

  /** A connection between two peers. */
  async connect(from: Peer, to: Peer, options: PairOptions = {}): Promise<Pair> {
    const { asked = {}, answer = {}, domain = 0, prepare } = options
    await this.configure(from.kind, asked)
    const { initiator, requested, listener, answered } = await this.begin(from, to, asked, domain)
    const responder = await requested.take(domain)
    const pair = {
      initiator: { peer: from, link: initiator },
      responder: { peer: to, link: responder },
    }
    await prepare?.(pair)
    const [said] = await Promise.all([answered, responder.accept(answer)])
    assert.ok(said.accepted)
    await listener.close()
    return pair
  }

  /** As far as the request, which is to be answered. */
  async begin(from: Peer, to: Peer, asked: Asked, domain = 0) {
    const listener = await to.listen()
    const initiator = await from.open(listener.place(from.kind), domain)
    const answered: Promise<Answer> = initiator.connect(asked)
    answered.catch(() => {})
    const requested: Requested = await listener.request()
    return { initiator, requested, listener, answered }
  }
}

export const nameOf = ({ initiator, responder }: Pairing) => `${initiator} to ${responder}`

/** The end of a pair that goes on in order. */
export async function disconnect({ initiator, responder }: Pair): Promise<void> {
  await initiator.link.disconnect()
  await initiator.link.end()
  await responder.link.end()
  await initiator.link.close()
  await responder.link.close()
}
