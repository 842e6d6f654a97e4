/**
 * The data connection of a remote client: one-sided reads and writes, under its session.
 *
 * Invariant: one is opened when it is needed, and again when it was lost; each with a token of its
 * own.
 */
import { HoldfastError } from '../base/errors.js'
import { encodePurpose } from '../control/greeting.js'
import { connectPeer, type Device, type Peer } from '../rdma/index.js'
import type { Alive } from './link.js'

/** Reasons that nobody has asked for yet. */
const REASONS_MAX = 256

export class DataConnections {
  readonly #device: Device
  readonly #host: string
  readonly #port: number
  #session: Alive | null = null
  #peer: Peer | null = null
  #opening: Promise<Peer> | null = null
  #counter = 0
  /** Why the last access through an STag was refused, as the server has told it. */
  readonly #reasons = new Map<number, string>()

  constructor(device: Device, host: string, port: number) {
    this.#device = device
    this.#host = host
    this.#port = port
  }

  /** The connection of a session when there is one: nothing is waited for. */
  now(session: Alive): Peer | null {
    return session === this.#session ? this.#peer : null
  }

  async get(session: Alive): Promise<Peer> {
    if (session !== this.#session) this.#begin(session)
    if (this.#peer !== null) return this.#peer
    if (this.#opening !== null) return this.#opening
    const opening = this.#open(session).finally(() => {
      if (this.#opening === opening) this.#opening = null
    })
    this.#opening = opening
    return opening
  }

  /** An access was refused. */
  refused(stag: number, why: string): void {
    if (this.#reasons.size === REASONS_MAX) this.#reasons.clear()
    this.#reasons.set(stag, why)
  }

  /** Why an access through an STag was refused, once; null: nobody has said. */
  reason(stag: number): string | null {
    const why = this.#reasons.get(stag) ?? null
    this.#reasons.delete(stag)
    return why
  }

  #begin(session: Alive): void {
    this.close()
    this.#session = session
    this.#counter = 0
  }

  async #open(session: Alive): Promise<Peer> {
    const { secret } = session
    if (secret === null) throw new HoldfastError('EOPNOTSUPP', 'only remote clients read one-sided')
    const token = secret.dataToken(this.#counter++)
    const privateData = encodePurpose({ kind: 'data', token })
    const where = { host: this.#host, port: this.#port }
    const options = { ...where, privateData, messages: 0 }
    const peer = await connectPeer(this.#device, options).catch((error: unknown) => {
      throw asLost(error)
    })
    if (session !== this.#session) {
      peer.abort()
      throw new HoldfastError('ECONNRESET', 'the session is over')
    }
    this.#peer = peer
    void peer.closed.then(() => {
      if (this.#peer === peer) this.#peer = null
    })
    return peer
  }

  close(): void {
    this.#peer?.abort()
    this.#peer = null
    this.#session = null
    this.#opening = null
    this.#reasons.clear()
  }
}

/** Nobody is there, or nobody who knows the session: it is over, and will be heard to be so. */
function asLost(error: unknown): unknown {
  if (!(error instanceof HoldfastError) || error.code !== 'ECONNREFUSED') return error
  return new HoldfastError('ECONNRESET', `no data connection: ${error.detail}`, { cause: error })
}
