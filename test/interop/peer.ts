/**
 * One end of connections, as the cases see it: verbs with one queue pair a connection. siw is one
 * kind (kernel_peer.ts), the RNIC under test another (our_peer.ts), so that a case is written once
 * and run with each kind at each end; with siw at both it shows that the case is right.
 */
import type { Rtr } from '../../src/rdma/wire/mpa.js'
import type { ErrorCode } from '../../src/rdma/wire/terminate.js'

export interface Place {
  readonly host: string
  readonly port: number
}

/** What is asked of a connection. siw takes CRC and what follows from its settings. */
export interface Asked {
  readonly privateData?: Uint8Array
  readonly ird?: number
  readonly ord?: number
  readonly crc?: boolean
  readonly peerToPeer?: boolean
  readonly rtrs?: readonly Rtr[]
  /** What siw never asks for. */
  readonly revision?: 1 | 2
  readonly markers?: boolean
}

export interface Completion {
  readonly id: number
  /** The name that verbs have for it, as SUCCESS. */
  readonly status: string
  /** Of those with SUCCESS: what was asked for, 'receive' among it. */
  readonly op: string
  readonly bytes: number
  readonly invalidated: number | null
  /** Of a receive: its sender wanted an event; null: this kind of peer does not say. */
  readonly solicited: boolean | null
}

export interface Region {
  readonly stag: number
  readonly address: bigint
  readonly length: number
  fill(offset: number, length: number, seed: number): Promise<void>
  /** Where it is not the pattern of a seed; null: nowhere. */
  difference(offset: number, length: number, seed: number): Promise<string | null>
  show(offset: number, length: number): Promise<Uint8Array>
  /** Nobody may use it any more, and its memory is let go. */
  deregister(): Promise<void>
}

export interface Piece {
  readonly region: Region
  readonly offset: number
  readonly length: number
}

export interface Work {
  readonly id: number
  readonly op: 'send' | 'write' | 'read'
  readonly local: Piece
  readonly remote?: { readonly stag: number; readonly address: bigint }
  /** Of a send. */
  readonly invalidate?: number
  readonly solicited?: boolean
  readonly fence?: boolean
}

export interface Answer {
  readonly accepted: boolean
  readonly privateData: Uint8Array
}

export interface Link {
  receive(id: number, into: Piece): Promise<void>
  post(work: Work): Promise<void>
  /** The next of one request; in which order others come is not asked. */
  completion(id: number): Promise<Completion>
  /** Of an initiator. */
  connect(asked?: Asked): Promise<Answer>
  /** Of a responder. */
  accept(asked?: Asked): Promise<void>
  reject(privateData: Uint8Array): Promise<void>
  /** Ends the connection in order. */
  disconnect(): Promise<void>
  /** When the connection is over. */
  end(): Promise<void>
  /** The next async event of the queue pair (siw), or the cause of its end (ours). */
  event(): Promise<string>
  /** The Terminate that came from this kind of peer, as it was meant; null: none did. */
  terminate(from: PeerKind): Promise<ErrorCode | null>
  /** Lets go of everything. */
  close(): Promise<void>
}

export interface Requested {
  readonly privateData: Uint8Array
  /** Reads that the other can serve, and that it wants outstanding; null: it did not say. */
  readonly depths: { readonly ird: number; readonly ord: number } | null
  /** A queue pair for it, which is to accept or reject. */
  take(domain?: number): Promise<Link>
}

export interface Listener {
  /** Where a kind of peer finds it. */
  place(from: PeerKind): Place
  request(): Promise<Requested>
  close(): Promise<void>
}

export type PeerKind = 'siw' | 'ours'
/** l: local write, r: remote read, w: remote write, i: invalidation, which siw always allows. */
export type Rights = 'l' | 'lr' | 'lw' | 'lrw' | 'lrwi'

export interface Peer {
  readonly kind: PeerKind
  listen(): Promise<Listener>
  /** A queue pair that is to connect there. */
  open(place: Place, domain?: number): Promise<Link>
  region(length: number, rights: Rights, domain?: number): Promise<Region>
  /** Ends as a process does that is killed. */
  kill(): Promise<void>
  close(): Promise<void>
}
