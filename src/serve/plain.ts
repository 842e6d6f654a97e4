/**
 * The plain endpoint: files for clients that speak verbs and nothing of ours (rping, perftest,
 * any). Nobody is asked who they are: it is off unless asked for, and has the files that are named
 * for it.
 *
 * A client says which file with its Request: private data that is the path, as it was named here;
 * any other, or none, is the first. What it may reach it is told as `rdma/exposed.ts` has it.
 *
 * Invariants:
 * - a connection is a session of its own, which is listed and can be evicted: a protection domain
 *   and an STag, over a pin of the file that lasts as long as it does, or on demand;
 * - it has the rights that were named for the file, and no others.
 */
import { HoldfastError } from '../base/errors.js'
import { O } from '../base/open_flags.js'
import type { LayoutFile } from '../layout/file.js'
import { serveMemory } from '../rdma/exposed.js'
import type { ConnectionRequest, Listener } from '../rdma/index.js'
import { ClientSession, type Teller } from './client_session.js'
import { HeldByClient } from './held.js'
import { Registration } from './registrations.js'
import type { Server } from './server.js'

/** A file for the plain endpoint. */
export interface Exposure {
  readonly path: string
  readonly write: boolean
  /** How its blocks are found: they are pinned for each connection, or looked up at each access. */
  readonly by: 'pin' | 'fault'
}

const NOTHING: Teller = {
  caughtUp: () => Promise.resolve(),
  tell: () => {},
  tellEvent: () => {},
  attach: () => {},
  received: () => null,
  greeted: () => {},
  close: () => {},
  abort: () => {},
}

/** `PATH[:ro|rw][:pin|fault]`: read-only and pinned unless it says otherwise. EINVAL for others. */
export function parseExposure(text: string): Exposure {
  const parts = /^(\/.*?)(?::(ro|rw))?(?::(pin|fault))?$/s.exec(text)
  if (parts === null) {
    throw new HoldfastError('EINVAL', `"${text}": say PATH[:ro|rw][:pin|fault], from the root on`)
  }
  const [, path = '', rights, by] = parts
  return { path, write: rights === 'rw', by: by === 'fault' ? 'fault' : 'pin' }
}

export class PlainEndpoint {
  readonly #server: Server
  readonly #exposures: readonly Exposure[]

  constructor(server: Server, exposures: readonly Exposure[]) {
    if (exposures.length === 0) {
      throw new HoldfastError('EINVAL', 'the plain endpoint has no file: name some')
    }
    this.#server = server
    this.#exposures = exposures
  }

  /** Takes connections until the listener is closed. */
  async serve(listener: Listener): Promise<void> {
    const { log } = this.#server
    listener.onFailure = (peer, error) => log.debug('connection failed', { peer, error })
    for await (const request of listener) {
      void this.#take(request).catch((error: unknown) => {
        request.reject()
        log.info('connection refused', { peer: request.peer, error: error as Error })
      })
    }
  }

  async #take(request: ConnectionRequest): Promise<void> {
    const server = this.#server
    server.demandRoom()
    server.demandPlain()
    const exposure = this.#chosen(request.privateData)
    const session = new ClientSession(server, true, true)
    server.connections++
    try {
      await this.#begin(session, request, exposure)
    } catch (error) {
      await this.#end(session, null)
      throw error
    }
  }

  /** What a client wants by what it said; the first unless it is a path that was named. */
  #chosen(said: Uint8Array): Exposure {
    const text = Buffer.from(said).toString('utf8').replace(/\0+$/, '')
    return this.#exposures.find(({ path }) => path === text) ?? this.#exposures[0]!
  }

  async #begin(
    session: ClientSession,
    request: ConnectionRequest,
    { path, write, by }: Exposure,
  ): Promise<void> {
    const server = this.#server
    const { volume } = session
    const file = volume.open(path, write ? O.RDWR : 0)
    session.attach(this.#teller(session, path))
    session.identify({
      ...{ uid: process.getuid!(), gid: process.getgid!(), groups: [] },
      ...{ privileged: false, readOnly: !write, peer: request.peer },
    })
    session.begin(`plain endpoint: ${path}`, 0)
    session.addHandle(file)
    server.greeted(session)
    const { region, source } =
      by === 'fault'
        ? Registration.onDemand(session, file, write)
        : Registration.ofHold(session, await this.#pin(session, file, request), write)
    const size = () => file.stat().size
    const length = by === 'fault' ? { length: size } : {}
    const { peer, left } = serveMemory(server.device, request, { region, source, ...length })
    session.attach({ ...this.#teller(session, path), close: () => peer.abort() })
    session.dataConnections.add(peer.qp)
    void left.then(({ cause, detail }) =>
      this.#end(
        session,
        cause === 'disconnected' || session.gone
          ? null
          : new HoldfastError('ECONNRESET', `${cause}: ${detail}`),
      ),
    )
  }

  /** All blocks that the file has now. */
  async #pin(
    session: ClientSession,
    file: LayoutFile,
    request: ConnectionRequest,
  ): Promise<HeldByClient> {
    const reason = `a plain client, ${request.peer}, reaches it`
    const hold = await session.volume.promises.pin(file, { session: session.layout, reason })
    const held = new HeldByClient(session, hold)
    if (session.gone || !request.pending) {
      held.release()
      throw new HoldfastError('ETIMEDOUT', 'the client did not wait until the file was pinned')
    }
    return held
  }

  /** Nobody is told: what the operator is to know is in the log. */
  #teller(session: ClientSession, path: string): Teller {
    const { log } = this.#server
    return {
      ...NOTHING,
      tell: (name, body) => {
        if (name !== 'unplaced' || !('why' in body)) return
        log.warn('an access was refused', { session: session.id, path, why: body.why })
      },
    }
  }

  async #end(session: ClientSession, error: HoldfastError | null): Promise<void> {
    const server = this.#server
    session.heard = server.timers.now()
    server.connections--
    await server.left(session, error)
  }
}
