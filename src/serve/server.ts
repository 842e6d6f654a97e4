/**
 * A server: the sessions of one volume, local and remote, and what ends them.
 *
 * Invariants:
 * - a session is in `sessions` from its HELLO until nothing of it is in use any more;
 * - when a remote client has given no sign of life for three keepalives it has ended: its
 *   registrations first, then its holds, then what waited for them goes on.
 */
import { systemCrypto, type Crypto } from '../base/crypto.js'
import { HoldfastError } from '../base/errors.js'
import type { Timers } from '../base/timers.js'
import type { CallContext } from '../control/answerer.js'
import { LISTED_MAX } from '../control/limits.js'
import type { VerbName } from '../control/verbs/index.js'
import type { HoldEvent } from '../layout/events.js'
import type { VolumeFileSystem } from '../layout/filesystem.js'
import type { Device } from '../rdma/index.js'
import type { ClientSession } from './client_session.js'
import { GracePeriod } from './grace.js'
import { HandleKeys } from './handle_keys.js'
import type { Log } from './log.js'
import { Mapping } from './mapping.js'
import type { Principal } from './principal.js'
import { Registry } from './metrics.js'
import { Sizes } from './sizes.js'
import type { ServerMount } from './mounts.js'
import { ServerMetrics } from './server_metrics.js'

/** Keepalives that may be missed. */
const KEEPALIVES = 3
const KEEPALIVE_MILLISECONDS = 5000
const LOOK_MILLISECONDS = 1000

export interface ServerOptions {
  readonly timers: Timers
  readonly log: Log
  readonly device: Device
  readonly crypto?: Crypto
  /** Who is trusted with the region itself, besides root and who owns the server. */
  readonly mapGroup?: { readonly gid: number; readonly readOnly: boolean } | null
  /** Sessions at a time. */
  readonly maxSessions?: number
  /** Milliseconds between two signs of life of a remote session. */
  readonly keepalive?: number
}

/** Sessions at a time, unless it is told. */
export const SESSIONS_MAX = 4096
/** Milliseconds that the mappings of an evicted client are waited for. */
const EVICT_MILLISECONDS = 5000
const RECALL_MILLISECONDS_MAX = 60_000
/** To take a session down that maps nothing takes no longer. */
const LEAVE_MILLISECONDS = 100
/** Extents that are freed at once, and how long others wait for the freeing of more. */
const EXTENTS_AT_ONCE = 128
const SLICE_MILLISECONDS = 2

export class Server {
  readonly files: VolumeFileSystem
  readonly timers: Timers
  readonly log: Log
  readonly device: Device
  readonly mapping: Mapping
  readonly grace: GracePeriod
  readonly sizes: Sizes
  readonly handleKeys: HandleKeys
  readonly registry = new Registry()
  readonly metrics: ServerMetrics
  /** Where it shows the volume itself; null: nowhere. */
  mount: ServerMount | null = null
  /** Those that have said HELLO, by id. */
  readonly sessions = new Map<number, ClientSession>()
  /** Those that have not said it yet, in the order in which they came. */
  readonly unknown = new Set<ClientSession>()
  /** Connections that are open, with those that have not said it. */
  connections = 0
  readonly maxSessions: number
  /** Milliseconds between two signs of life of a remote session. */
  readonly keepalive: number
  readonly #ends: (() => void)[] = []
  #stopping = false
  #freeing: Promise<void> | null = null
  #closed = false

  constructor(files: VolumeFileSystem, options: ServerOptions) {
    this.files = files
    this.timers = options.timers
    this.log = options.log
    this.device = options.device
    this.maxSessions = options.maxSessions ?? SESSIONS_MAX
    this.keepalive = options.keepalive ?? KEEPALIVE_MILLISECONDS
    this.mapping = new Mapping(this, options.mapGroup ?? null)
    this.grace = new GracePeriod(this)
    this.sizes = new Sizes(files.volume)
    this.metrics = new ServerMetrics(this)
    this.handleKeys = new HandleKeys(files.volume, options.crypto ?? systemCrypto)
    files.volume.leaveFreeing(EXTENTS_AT_ONCE)
    this.#ends.push(files.volume.watchHolds((event) => this.#holding(event)))
    files.volume.pageCaches.late = ({ id, name }, ino) => {
      this.log.warn('a mount keeps pages of a file that another session stores to', {
        session: id,
        name,
        inode: ino,
      })
    }
    this.#look()
  }

  /** Nobody is looked after any more. */
  get closed(): boolean {
    return this.#closed
  }

  get stopping(): boolean {
    return this.#stopping
  }

  /** What every client is told of the volume. */
  get facts() {
    const { volume } = this.files
    const { region, uuid, epoch, label } = volume
    return {
      volume: Uint8Array.from(uuid),
      epoch,
      label,
      region: {
        kind: region.kind,
        path: region.path,
        bytes: region.byteLength,
        grain: region.grain,
        persistence: region.persistence,
        coherent: region.coherent,
        mappable: region.unmappable === null,
      },
    }
  }

  summary() {
    return this.files.volume.summary()
  }

  /** In Prometheus' text format. */
  statistics(): string {
    return this.registry.text()
  }

  /** EAGAIN when there are as many clients as there may be, or the server stops. */
  demandRoom(): void {
    if (this.#stopping) throw new HoldfastError('EAGAIN', 'the server stops')
    // Who has not said HELLO makes room for who comes: silence keeps nobody away.
    const [silent] = this.unknown
    if (this.connections >= this.maxSessions && silent !== undefined) {
      silent.abort(new HoldfastError('EAGAIN', 'it has said nothing, and others come'))
    }
    if (this.connections < this.maxSessions) return
    throw new HoldfastError('EAGAIN', `${this.connections} clients are connected: no more may`)
  }

  // ---- sessions --------------------------------------------------------------------------------

  /** Milliseconds after which who gives no sign of life is gone. */
  get silence(): number {
    return KEEPALIVES * this.keepalive
  }

  /** EAGAIN for a user who has half of all sessions already, unless it may see everything. */
  demandSession({ uid, privileged }: Principal): void {
    if (privileged) return
    const own = this.#count(({ principal, plain }) => !plain && principal.uid === uid)
    if (2 * (own + 1) <= this.maxSessions) return
    throw new HoldfastError('EAGAIN', `user ${uid} has ${own} sessions: no more may`)
  }

  /** EAGAIN when plain clients, whom nobody knows, have a quarter of all sessions. */
  demandPlain(): void {
    const own = this.#count(({ plain }) => plain)
    if (4 * (own + 1) <= this.maxSessions) return
    throw new HoldfastError('EAGAIN', `plain clients have ${own} sessions: no more may`)
  }

  /** EAGAIN for a user who has a quarter of all data connections, unless it may see everything. */
  demandConnection({ uid, privileged }: Principal): void {
    if (privileged) return
    let own = 0
    for (const { principal, dataConnections } of this.sessions.values()) {
      if (principal.uid === uid) own += dataConnections.size
    }
    if (4 * (own + 1) <= this.device.maxConnections) return
    throw new HoldfastError('EAGAIN', `user ${uid} has ${own} data connections: no more may`)
  }

  #count(which: (session: ClientSession) => boolean): number {
    let count = 0
    for (const session of this.sessions.values()) if (which(session)) count++
    return count
  }

  /** A session has said HELLO. */
  greeted(session: ClientSession): void {
    this.unknown.delete(session)
    this.sessions.set(session.id, session)
    const { kind, name, principal } = session
    this.log.info('session begins', { session: session.id, kind, name, peer: principal.peer })
  }

  /** Its connection is gone. Resolves when nothing of it is in use any more. */
  left(session: ClientSession, error: Error | null): Promise<void> {
    return (session.leaving ??= this.#end(session, error))
  }

  /** Never rejects: nobody waits for most of them. */
  async #end(session: ClientSession, error: Error | null): Promise<void> {
    if (session.greeted) {
      // Who does not wait for an answer has closed, too.
      const closed = error === null || (error as HoldfastError).code === 'EPIPE'
      const why = closed ? 'it has closed' : error.message
      this.log.info('session ends', { session: session.id, name: session.name, why })
    }
    try {
      session.disconnected()
      if (!session.greeted) return
      if (!(await this.mapping.released(session))) return
      await session.over()
      await this.freed()
    } catch (failure) {
      this.log.error('a session could not be ended', {
        session: session.id,
        error: String(failure),
      })
    }
    this.sessions.delete(session.id)
  }

  /** What calls have left to be freed goes in turns of its own. Resolves when nothing is left. */
  freed(): Promise<void> {
    return (this.#freeing ??= this.#free())
  }

  async #free(): Promise<void> {
    const { volume } = this.files
    try {
      for (let more = true; more;) {
        await this.timers.turn()
        const end = this.timers.now() + SLICE_MILLISECONDS
        do more = !volume.closed && volume.freeLeft()
        while (more && this.timers.now() < end)
      }
    } catch (error) {
      this.log.warn('blocks are left to be freed by the next owner', { error: error as Error })
    } finally {
      // Before anybody else runs: what is left from now on is for another round.
      this.#freeing = null
    }
  }

  find(id: number): ClientSession {
    const session = this.sessions.get(id)
    if (session !== undefined) return session
    throw new HoldfastError('ESTALE', `session ${id}: there is none`)
  }

  /** Sessions from an id on: those of one reply, and one more where there are more. */
  list(from = 0) {
    const now = this.timers.now()
    const ids = [...this.sessions.keys()].filter((id) => id >= from).sort((a, b) => a - b)
    const some = ids.slice(0, LISTED_MAX + 1).map((id) => this.sessions.get(id)!)
    return some.map((session) => ({
      id: session.id,
      name: session.name,
      uid: session.principal.uid,
      kind: session.kind,
      peer: session.principal.peer,
      since: session.since,
      idle: Math.max(0, Math.round(now - session.heard)),
      holds: session.holds.size,
      handles: session.handleCount,
      registrations: session.registrations.size,
      connections: session.dataConnections.size,
      state: session.gone
        ? ('gone' as const)
        : session.reclaiming
          ? ('reclaiming' as const)
          : ('alive' as const),
    }))
  }

  /** Ends a session, and waits until it has. */
  async evict(id: number): Promise<void> {
    const session = this.find(id)
    this.log.warn('session is evicted', { session: id, name: session.name })
    session.dismiss('it was evicted', false)
    const left = this.left(session, new HoldfastError('ECONNRESET', 'it was evicted'))
    let late = () => {}
    const patience = new Promise<boolean>((resolve) => {
      late = this.timers.after(EVICT_MILLISECONDS, () => resolve(true))
    })
    const stays = await Promise.race([left, patience])
    late()
    if (stays !== true) return
    throw new HoldfastError(
      'EBUSY',
      `session ${id} is cut off, but ${session.principal.peer} still maps the region: what it ` +
        'holds ends when that process unmaps it, or is ended',
    )
  }

  /** Asks a lease back: of its own, or as root. */
  async recall(session: ClientSession, id: number, deadline: number, call: CallContext) {
    const { volume } = this.files
    void session.layout
    const owner = volume.holderOf(id)
    if (owner === null) throw new HoldfastError('ESTALE', `hold ${id}: there is none`)
    if (owner !== session.id) {
      session.demandPrivileged('recalls holds of others')
      session.demandWritable()
    }
    const outcome = await volume.promises.recall(id, { deadline, signal: call.signal })
    return { outcome }
  }

  // ---- what happens ----------------------------------------------------------------------------

  /** A holder that maps is told when it has missed its deadline; nothing can be taken from it. */
  #holding({ kind, holds }: HoldEvent): void {
    this.metrics.holding(kind)
    if (kind !== 'fence' && kind !== 'release') return
    for (const { id, owner } of holds) {
      const session = this.sessions.get(owner.session)
      if (session === undefined) continue
      if (kind === 'fence') {
        this.log.warn('hold is fenced', { hold: id, session: session.id, name: session.name })
        if (session.maps) session.tell('fence', { id, stags: [] })
      } else session.ended(id)
    }
  }

  /** A call was answered. */
  answered(verb: VerbName, running: number, total: number, error: HoldfastError | null): void {
    this.metrics.answered(verb, running, total, error === null ? null : error.code)
  }

  /** A handler has failed in a way that it must not: the log says how. */
  bug(verb: VerbName, error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.log.error('a bug of holdfast, please report it', { verb, error: text })
  }

  /** Looks now and then whether remote clients are there. */
  #look(): void {
    const { timers, keepalive } = this
    const pause = Math.min(LOOK_MILLISECONDS, keepalive)
    let due = timers.now() + pause
    const again = () => {
      // What came while this process stood still has not been read yet: that time does not count.
      const late = Math.max(0, timers.now() - due)
      this.#dismissSilent(late)
      due = timers.now() + pause
      this.#ends[1] = timers.after(pause, again)
    }
    this.#ends[1] = timers.after(pause, again)
  }

  #dismissSilent(late: number): void {
    const least = this.timers.now() - this.silence - late
    for (const session of this.sessions.values()) {
      if (session.kind !== 'remote' || session.gone || session.heard >= least) continue
      session.abort(new HoldfastError('ETIMEDOUT', `nothing came for ${KEEPALIVES} keepalives`))
    }
  }

  /**
   * The server stops: leases are asked back, then everybody is told. Resolves when they have left,
   * and at the latest after so long, but for what a fence takes and the last word: what maps the
   * region may be there still. Snapshots are given up first, as all would wait for them.
   */
  async dismissAll(milliseconds: number): Promise<void> {
    const { promises, waiting } = this.files.volume
    const end = this.timers.now() + milliseconds
    waiting.alone.refuse(new HoldfastError('EAGAIN', 'the server stops: no snapshot is made'))
    const leases = [...this.sessions.values()]
      .flatMap((session) => [...session.holds.values()])
      .filter(({ hold }) => hold.kind === 'lease')
    const deadline = Math.min(milliseconds, RECALL_MILLISECONDS_MAX)
    const over = new AbortController()
    const { signal } = over
    const asked = leases.map(({ hold }) => promises.recall(hold.id, { deadline, signal }))
    await this.#within(milliseconds + LEAVE_MILLISECONDS, Promise.allSettled(asked))
    over.abort() // nobody waits for them any more
    const sessions = [...this.sessions.values()]
    for (const session of sessions) session.dismiss('the server stops', true)
    const all = Promise.allSettled(sessions.map((session) => this.left(session, null)))
    await this.#within(Math.max(LEAVE_MILLISECONDS, end - this.timers.now()), all)
  }

  /** Resolves with what is waited for, and at the latest after so long. */
  async #within(milliseconds: number, all: Promise<unknown>): Promise<void> {
    let cancel = () => {}
    const late = new Promise<void>((resolve) => {
      cancel = this.timers.after(milliseconds, resolve)
    })
    await Promise.race([all, late])
    cancel()
  }

  /** Nobody is looked after any more. Sessions are to have ended. */
  close(): void {
    this.#stopping = true
    this.#closed = true
    for (const end of this.#ends) end()
    this.grace.close()
    this.sizes.close()
  }

  /** No session begins any more. */
  stop(): void {
    this.#stopping = true
  }
}
