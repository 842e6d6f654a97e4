/**
 * Remote clients: control connections, which show a key, and the data connections under them, which
 * show a token of their session.
 *
 * Invariant: a data connection belongs to the protection domain of its session from its first byte,
 * and ends with it.
 */
import type { Crypto } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
import { decodePurpose } from '../control/greeting.js'
import { Acceptor } from '../control/handshake.js'
import { sessionOfToken } from '../control/session_secret.js'
import type { ConnectionRequest, Listener } from '../rdma/index.js'
import { SendStream } from '../rdma/send_stream.js'
import type { ClientSession } from './client_session.js'
import { serveConnection, type Gate } from './connection.js'
import type { KeyFile } from './key_file.js'
import type { Principal } from './principal.js'
import type { Server } from './server.js'

/** Data connections of one session at a time. */
const CONNECTIONS_MAX = 64
/** Work that a data connection of a server posts: none of its own. */
const DATA_SENDS = 1
const DECOY_BYTES = 32

export class RemoteEndpoint {
  readonly #server: Server
  readonly #keys: KeyFile
  readonly #crypto: Crypto
  readonly #decoy = new Uint8Array(DECOY_BYTES)
  /** By the id of their secret. */
  readonly #sessions = new Map<string, ClientSession>()
  readonly #byKey = new Map<string, Set<ClientSession>>()

  constructor(server: Server, keys: KeyFile, crypto: Crypto) {
    this.#server = server
    this.#keys = keys
    this.#crypto = crypto
    crypto.entropy.fill(this.#decoy)
  }

  /** Takes connections until the listener is closed. */
  async serve(listener: Listener): Promise<void> {
    const { log } = this.#server
    listener.onFailure = (peer, error) => log.debug('connection failed', { peer, error })
    for await (const request of listener) {
      try {
        this.#take(request)
      } catch (error) {
        request.reject()
        this.#server.metrics.refused()
        log.info('connection refused', { peer: request.peer, error: error as Error })
      }
    }
  }

  #take(request: ConnectionRequest): void {
    const purpose = decodePurpose(request.privateData)
    if (purpose.kind === 'data') return this.#data(request, purpose.token)
    this.#server.demandRoom()
    const { device } = this.#server
    const stream = new SendStream(device, request.peer)
    request.accept(stream.qp)
    serveConnection(this.#server, { stream, gate: this.#gate() })
  }

  #gate(): Gate {
    return {
      acceptor: () =>
        new Acceptor({
          serverId: this.#server.facts.volume,
          secretOf: (id) => this.#keys.lookup(id)?.secret,
          decoy: this.#decoy,
          hello: () => new Uint8Array(0),
          crypto: this.#crypto,
        }),
      established: (session, { keyId, secret }, peer) => {
        const key = this.#keys.lookup(keyId)
        if (key === undefined) return null
        this.#sessions.set(secret.id, session)
        const same = this.#byKey.get(keyId) ?? new Set()
        this.#byKey.set(keyId, same.add(session))
        session.secret = secret
        session.onOver = () => {
          this.#sessions.delete(secret.id)
          if (same.delete(session) && same.size === 0) this.#byKey.delete(keyId)
        }
        return principalOf(key.identity, `${peer} (key ${keyId})`)
      },
    }
  }

  #data(request: ConnectionRequest, token: Uint8Array): void {
    const session = this.#sessions.get(sessionOfToken(token))
    if (session === undefined || session.gone) {
      throw new HoldfastError('EACCES', 'a data connection of no session')
    }
    session.secret!.takeToken(token)
    if (session.dataConnections.size >= CONNECTIONS_MAX) {
      throw new HoldfastError('ENFILE', `the session has ${CONNECTIONS_MAX} data connections`)
    }
    this.#server.demandConnection(session.principal)
    const { device } = this.#server
    const sendCq = device.completionQueue()
    const depth = { maxSend: DATA_SENDS, maxReceive: DATA_SENDS }
    const qp = device.queuePair(session.domain, { sendCq, ...depth })
    session.dataConnections.add(qp)
    void qp.closed.then(({ cause, detail }) => {
      session.dataConnections.delete(qp)
      this.#server.metrics.left(qp)
      if (cause === 'disconnected' || session.gone) return
      this.#server.log.info('data connection lost', { session: session.id, why: detail })
    })
    try {
      request.accept(qp)
    } catch (error) {
      qp.abort()
      throw error
    }
  }

  /** Reads the keys again, and ends sessions whose key is gone, or another. */
  reload(): void {
    const { log } = this.#server
    try {
      const { added, removed, changed } = this.#keys.reload()
      log.info('keys were read again', { added, removed, changed })
      for (const id of [...removed, ...changed]) {
        for (const session of [...(this.#byKey.get(id) ?? [])]) {
          const why = `key ${id} is gone, or another now`
          session.dismiss(why, false)
          // However long it takes to hear of it: it reaches nothing from now on.
          void this.#server.left(session, new HoldfastError('EACCES', why))
        }
      }
    } catch (error) {
      log.error('the keys could not be read: those before stay in force', { error: error as Error })
    }
  }
}

function principalOf(
  identity: { uid: number; gid: number; groups: readonly number[]; readOnly: boolean },
  peer: string,
): Principal {
  return { ...identity, privileged: identity.uid === 0, peer }
}
