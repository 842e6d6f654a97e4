/**
 * A client of a server: its file system, and what it holds there.
 *
 * Invariants:
 * - a recall finds its hold, also one that comes before the reply which grants it;
 * - when the session is lost, holds that only code of ours stands on are gone at once; those that
 *   mappings stand on are taken up again in the next session, by layout id, or are gone then.
 */
import { HoldfastError } from '../base/errors.js'
import type { Change, Credentials, WatchOptions } from '../base/filesystem.js'
import type { HoldInfo } from '../base/layout.js'
import type { Timers } from '../base/timers.js'
import { systemTimers } from '../base/timers.js'
import type { Notice, NoticeBody } from '../control/message.js'
import type { Granted } from '../control/types.js'
import type { ResultOf } from '../control/verb.js'
import { VERBS } from '../control/verbs/index.js'
import type { FileFactory } from './file.js'
import { ServedFileSystem } from './files.js'
import type { ClientHold, HoldFacts } from './hold.js'
import { ClientHolds } from './holds.js'
import { Link, type Alive, type Follower, type Greeting, type Hello } from './link.js'

export type SessionInfo = ResultOf<typeof VERBS.sessions>['sessions'][number]
export type HoldNotice = NoticeBody<'holding'>

export interface ClientOptions {
  /** What it calls itself in lists and errors; the program's name unless given. */
  readonly name?: string
  /**
   * In whose name calls are made that do not say; the session's user unless given. 'root': root's,
   * where the session may ask in it, as in a volume of one's own.
   */
  readonly as?: Credentials | 'root'
  /**
   * Permission bits that new files do not get, of calls in the session's name: none unless given.
   */
  readonly umask?: number
  /**
   * Milliseconds that a lost server is looked for: 60 000 unless given; 0: not at all. One that
   * is silent is left after 10 seconds at most, also by who connects for the first time.
   */
  readonly patience?: number
  readonly signal?: AbortSignal
  readonly timers?: Timers
  /** By chance, from 0 to 1: not all look for a lost server at the same moments. */
  readonly random?: () => number
}

const ROOT: Credentials = { uid: 0, gid: 0 }
const PATIENCE = 60_000

/** What a kind of client does in its own way. */
export interface Ways {
  /** Makes handles of files. */
  readonly file: (client: Client) => FileFactory
  /** The session is lost. */
  lost?(): void
  /** Why an access on demand was refused. */
  unplaced?(stag: number, why: string): void
  /** Whether it has mappings, which stay when a session is lost. */
  maps?(): boolean
  /** Shows them to a new server. Returns their slots. */
  show?(alive: Alive): Promise<number[]>
  /** No session will come. Resolves when the last one has ended, and nothing is left of it. */
  closed?(): Promise<void> | void
  /** A file that a lease is held of has another size. */
  sized?(ino: number, size: number): void
}

export class Client extends ServedFileSystem implements Follower {
  readonly connection!: Link
  readonly #ways: Ways
  readonly #as: ClientOptions['as']
  readonly #holds = new ClientHolds()
  readonly #changes = new Set<(change: Change) => void>()
  /** Those of them that want to be told of our own, too. */
  readonly #toAll = new Set<(change: Change) => void>()
  readonly #holding = new Set<(event: HoldNotice) => void>()
  #release: ((ino: number) => Promise<void>) | null = null
  /** Nothing is left of the sessions. */
  #over: Promise<void> = Promise.resolve()
  /**
   * Called when the connection is lost, and when there is none to be had any more; not for who
   * closes it.
   */
  onLost: ((error: HoldfastError) => void) | null = null
  /** Called when a new session has begun, and calls are made in it. */
  onConnected: (() => void) | null = null
  /** Called when events were dropped, as this side was too slow for them. */
  onEventsLost: ((events: number) => void) | null = null

  /** Called once, when there is no session any more and none will come. */
  onClosed: (() => void) | null = null

  private constructor(ways: Ways, as: ClientOptions['as']) {
    super()
    this.#as = as
    this.#ways = ways
    this.files = ways.file(this)
  }

  static async connect(
    where: string,
    connect: (signal: AbortSignal) => Promise<Greeting>,
    ways: Ways,
    options: ClientOptions = {},
  ): Promise<Client> {
    const { name = programName(), patience = PATIENCE, timers = systemTimers, signal } = options
    const { umask = 0, random = Math.random } = options
    const client = new Client(ways, options.as)
    const link = { where, connect, name, umask, patience, timers, random }
    ;(client as { connection: Link }).connection = await Link.connect(link, client, signal)
    return client
  }

  /** What the server said of itself and the volume. ECONNRESET while there is none. */
  get hello(): Hello {
    const { alive } = this.connection
    if (alive !== null) return alive.hello
    throw new HoldfastError('ECONNRESET', `${this.connection.options.where}: no connection now`)
  }

  /** Where the server is: the path of its socket, or hf://HOST:PORT. */
  get where(): string {
    return this.connection.options.where
  }

  protected get asker(): Credentials | undefined {
    if (this.#as !== 'root') return this.#as
    return this.connection.alive?.hello.privileged === true ? ROOT : undefined
  }

  /**
   * Gives up the calls that are under way, for so many milliseconds at least: they end with EINTR,
   * or as they do. Without a connection they fail.
   */
  interrupt(milliseconds = 0): void {
    const { alive } = this.connection
    if (alive === null) this.connection.close()
    else alive.caller.giveUp(milliseconds)
  }

  // ---- holds -----------------------------------------------------------------------------------

  /** Asks for a hold, which is looked after from then on. */
  take(alive: Alive, facts: HoldFacts, ask: () => Promise<Granted>): Promise<ClientHold> {
    return this.#holds.take(alive, facts, ask)
  }

  /** Holds of this client. */
  get own(): readonly ClientHold[] {
    return this.#holds.all
  }

  /** Holds of everybody. */
  async holds(): Promise<HoldInfo[]> {
    const all: HoldInfo[] = []
    for (let from = 0; ;) {
      const { holds, more } = await this.connection.call(VERBS.holds, { from }, {}, true)
      all.push(...holds)
      if (!more) return all
      from = all.at(-1)!.id + 1
    }
  }

  async sessions(): Promise<SessionInfo[]> {
    const all: SessionInfo[] = []
    for (let from = 0; ;) {
      const { sessions, more } = await this.connection.call(VERBS.sessions, { from }, {}, true)
      all.push(...sessions)
      if (!more) return all
      from = all.at(-1)!.id + 1
    }
  }

  /** Ends a session and all that it holds. Root may, and the owner of the server. */
  async evict(session: number): Promise<void> {
    await this.connection.call(VERBS.evict, { session })
  }

  /** Asks a lease back, and says how that ended. */
  async recall(
    id: number,
    options: { readonly deadline?: number; readonly signal?: AbortSignal } = {},
  ): Promise<'returned' | 'fenced'> {
    const { deadline = 5000, signal } = options
    const { outcome } = await this.connection.call(VERBS.recall, { id, deadline }, { signal })
    return outcome
  }

  /** What the volume is, as `holdfast info` has it. */
  async summary(): Promise<unknown> {
    const { json } = await this.connection.call(VERBS.summary, {}, {}, true)
    return JSON.parse(json)
  }

  /** Counters of the server, as its metrics have them. */
  async statistics(): Promise<string> {
    return (await this.connection.call(VERBS.statistics, {}, {}, true)).text
  }

  // ---- events ----------------------------------------------------------------------------------

  /**
   * Calls `listener` for every change, from soon on; `watching` resolves when it is. `others`: also
   * of its own where somebody else here listens to all.
   */
  watch(listener: (change: Change) => void, { others = false }: WatchOptions = {}): () => void {
    const one = (change: Change) => listener(change)
    if (!others) this.#toAll.add(one)
    const end = this.#listen(this.#changes, one, !others)
    return () => {
      this.#toAll.delete(one)
      end()
    }
  }

  /** Calls `listener` for every grant, refusal, recall, fence and release. */
  watchHolds(listener: (event: HoldNotice) => void): () => void {
    return this.#listen(this.#holding, (event) => listener(event))
  }

  /** Resolves when the server tells what was asked for until now. */
  watching: Promise<void> = Promise.resolve()

  #listen<T>(listeners: Set<T>, one: T, again = false): () => void {
    const before = listeners.size
    listeners.add(one)
    if (before === 0 || again) this.#subscribeNext()
    return () => {
      if (listeners.delete(one) && listeners.size === 0) this.#subscribeNext()
    }
  }

  /**
   * Asks at once, so that a change made by the next call is told; the server answers in the order
   * asked, and each asks for all that is wanted by then. Who waits is told what was refused last.
   */
  #subscribeNext(): void {
    const before = this.watching.catch(() => {})
    const asked = this.#subscribe()
    this.watching = before.then(() => asked)
    this.watching.catch(() => {})
    asked.catch(() => {})
  }

  /**
   * From now on `release` is called before others store to a file past all calls; they wait until
   * it resolves, for some seconds at most.
   */
  keepsPages(release: (ino: number) => Promise<void>): void {
    this.#release = release
    this.#subscribeNext()
  }

  async #storing({ ino, token }: NoticeBody<'storing'>): Promise<void> {
    const { alive } = this.connection
    // What fails here has nobody wait; and of a session that has ended nobody does.
    await this.#release?.(ino).catch(() => {})
    await alive?.caller.call(VERBS.dropped, { token }).catch(() => {})
  }

  async #subscribe(alive = this.connection.alive): Promise<void> {
    const others = this.#toAll.size === 0
    const [changes, holds] = [this.#changes.size > 0, this.#holding.size > 0]
    const wanted = { changes, others, holds, stores: this.#release !== null }
    await alive?.caller.call(VERBS.watch, wanted).catch((error: unknown) => {
      if (!alive.caller.ended) throw error
    })
  }

  // ---- what the connection tells ---------------------------------------------------------------

  notice(notice: Notice): void {
    switch (notice.name) {
      case 'recall':
      case 'fence':
      case 'released':
        return this.#holds.notice(notice)
      case 'unplaced':
        return this.#ways.unplaced?.(notice.body.stag, notice.body.why)
      case 'changed': {
        for (const listener of [...this.#changes]) listener(notice.body as Change)
        return
      }
      case 'holding': {
        for (const listener of [...this.#holding]) listener(notice.body)
        return
      }
      case 'storing':
        return void this.#storing(notice.body)
      case 'sized':
        return this.#ways.sized?.(notice.body.ino, notice.body.size)
      case 'lost':
        return this.onEventsLost?.(notice.body.events)
      default:
    }
  }

  lost(error: HoldfastError): void {
    this.#ways.lost?.()
    this.#holds.lost(this.#ways.maps?.() === true, error.detail)
    this.onLost?.(error)
  }

  async again(alive: Alive): Promise<void> {
    await this.#holds.again(alive, async () => (await this.#ways.show?.(alive)) ?? [])
    const watches = this.#changes.size + this.#holding.size > 0 || this.#release !== null
    if (watches) await this.#subscribe(alive)
  }

  begun(): void {
    this.onConnected?.()
  }

  closed(error: HoldfastError, own: boolean): void {
    this.#holds.closed(error.detail)
    this.#over = this.#ways.closed?.() ?? this.#over
    this.onClosed?.()
    if (!own) this.onLost?.(error)
  }

  /** Ends the session, with all that it holds. What was asked before is carried out. */
  close(): Promise<void> {
    this.connection.close()
    return this.#over
  }
}

function programName(): string {
  const path = process.argv[1] ?? process.title
  return `${path.slice(path.lastIndexOf('/') + 1)} (process ${process.pid})`
}
