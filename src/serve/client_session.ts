/**
 * One client: its control connection, and what it has opened, holds and has registered.
 *
 * Invariants:
 * - handles, holds and registrations of it are reached by its own numbers alone, from its own
 *   connection;
 * - it ends once, whatever the cause: then its registrations are invalid, its data connections are
 *   closed, its handles are closed, and its holds end, or those of a client that maps when the
 *   kernel says that its mappings are gone.
 */
import { HoldfastError } from '../base/errors.js'
import type { Change, Credentials } from '../base/filesystem.js'
import { O, parseFlags } from '../base/open_flags.js'
import { unlessAborted } from '../base/unless_aborted.js'
import type { CallContext } from '../control/answerer.js'
import { EVENT_HOLDS_MAX, ITEMS_MAX } from '../control/limits.js'
import type { NoticeBody } from '../control/message.js'
import type { NoticeName } from '../control/notices.js'
import type { ChangeWish } from '../control/types.js'
import type { HoldEvent } from '../layout/events.js'
import type { Hold } from '../layout/hold.js'
import type { LayoutFile } from '../layout/file.js'
import type { Session } from '../layout/session.js'
import type { LayoutVolume } from '../layout/volume.js'
import type { SessionSecret } from '../control/session_secret.js'
import type { ProtectionDomain, QueuePair } from '../rdma/index.js'
import { credentialsOf, type Principal } from './principal.js'
import type { HeldByClient } from './held.js'
import type { Registration } from './registrations.js'
import type { Server } from './server.js'

/** Handles that one session may have open. */
const HANDLES_MAX = 16_384
/** Holds that one session may have. */
const HOLDS_MAX = 65_536
/** What is zeroed or allocated in one turn of the event loop. */
export const PART_BYTES = 8 << 20

/** What takes messages to a client. */
export interface Teller {
  tell<N extends NoticeName>(name: N, body: NoticeBody<N>): void
  tellEvent<N extends NoticeName>(name: N, body: NoticeBody<N>): void
  /** A descriptor goes along with the next message, and is closed here. */
  attach(fd: number): void
  /** A descriptor that came along with what it said, which is the caller's; null: none did. */
  received(): number | null
  /** All that clients say is taken from now on. */
  greeted(): void
  /** Resolves when what had come from the client was dealt with. */
  caughtUp(): Promise<void>
  close(): void
  abort(why: Error): void
}

export type SessionKind = 'local' | 'mapping' | 'remote' | 'plain'

export class ClientSession {
  readonly server: Server
  readonly remote: boolean
  /** It speaks verbs alone: one data connection, and nobody to tell anything. */
  readonly plain: boolean
  /** Whose registrations its data connections reach. */
  readonly domain: ProtectionDomain
  /** What its data connections are opened with; null: it is local. */
  secret: SessionSecret | null = null
  readonly dataConnections = new Set<QueuePair>()
  /** Called when its connection is gone. */
  onOver: () => void = () => {}
  #teller!: Teller
  #principal: Principal | null = null
  /** What it holds in the volume. Begins with its HELLO. */
  #layout: Session | null = null
  umask = 0
  name = ''
  readonly since: number
  /** When something last came from it (`Timers.now`). */
  heard: number
  /** Lock bytes of the region that say whether its mappings are there. */
  readonly slots = new Set<number>()
  readonly holds = new Map<number, HeldByClient>()
  readonly registrations = new Map<number, Registration>()
  /** What ends its subscriptions. */
  readonly watches: (() => void)[] = []
  /** Holds of the last server that it is still to take again, or gives up. */
  reclaiming = false
  /** Its connection is gone; what it holds may not be. */
  gone = false
  /** Its end, once that has begun. */
  leaving: Promise<void> | null = null
  readonly #handles = new Map<number, LayoutFile>()
  #handle = 0
  /** Ends its part among those who keep pages of files. */
  #keepsPages: (() => void) | null = null
  /** Files whose pages it is dropping, by the tokens that it was asked with. */
  readonly #dropping = new Map<number, () => void>()
  #token = 0
  /** Resolves when those that were asked for are over. */
  #snapshots = Promise.resolve()

  constructor(server: Server, remote: boolean, plain = false) {
    this.server = server
    this.remote = remote
    this.plain = plain
    this.domain = server.device.protectionDomain()
    this.since = server.timers.wall()
    this.heard = server.timers.now()
  }

  /** What takes messages to it. Once. */
  attach(teller: Teller): void {
    this.#teller = teller
  }

  /** Who it is; EPROTO before that is known. */
  get principal(): Principal {
    if (this.#principal === null) throw new HoldfastError('EPROTO', 'who is there?')
    return this.#principal
  }

  /** Once, before its first call. */
  identify(principal: Principal): void {
    this.#principal = principal
  }

  get identified(): boolean {
    return this.#principal !== null
  }

  get volume(): LayoutVolume {
    return this.server.files.volume
  }

  get greeted(): boolean {
    return this.#layout !== null
  }

  /** EPROTO before HELLO. */
  get layout(): Session {
    if (this.#layout === null) throw new HoldfastError('EPROTO', 'HELLO is the first call')
    return this.#layout
  }

  get id(): number {
    return this.#layout?.id ?? 0
  }

  get kind(): SessionKind {
    if (this.plain) return 'plain'
    if (this.remote) return 'remote'
    return this.slots.size > 0 ? 'mapping' : 'local'
  }

  get handleCount(): number {
    return this.#handles.size
  }

  begin(name: string, umask: number): void {
    this.name = name
    this.umask = umask & 0o777
    const { uid, gid, groups } = this.principal
    this.#layout = this.volume.session({ name, as: { uid, gid, groups } })
    this.#teller.greeted()
  }

  // ---- who asks, and how -----------------------------------------------------------------------

  credentials(call: CallContext): Credentials {
    void this.layout
    return credentialsOf(this.principal, call.as, this.umask)
  }

  /** EROFS for a session that may only read. */
  demandWritable(): void {
    if (!this.principal.readOnly) return
    throw new HoldfastError('EROFS', `${this.principal.peer} may only read`)
  }

  /** EPERM but for root, and the owner of the server. */
  demandPrivileged(what: string): void {
    void this.layout
    if (this.principal.privileged) return
    throw new HoldfastError('EPERM', `only root and the owner of the server ${what}`)
  }

  /** EROFS for flags that a session which only reads may not have. */
  demandFlags(flags: number): void {
    if (changes(flags)) this.demandWritable()
  }

  /** A change, in the name of the session: it recalls and waits, as the call says. */
  settle<T>(call: CallContext, options: ChangeWish | null, run: () => T): Promise<T> {
    this.demandWritable()
    return this.request(call, options, run)
  }

  /**
   * A call that may have to wait; what it changes, if anything, was allowed. `looks`: it changes
   * nothing, and a snapshot is not in its way.
   */
  async request<T>(
    call: CallContext,
    options: ChangeWish | null,
    run: () => T,
    looks = false,
  ): Promise<T> {
    const { layout: session, volume } = this
    const { policy, share, timeout, deadline, force = false } = options ?? {}
    const { work } = volume
    let leaves = false
    const change = () => {
      const { left } = work
      const value = volume.arbiter.during({ session, policy, share }, run)
      leaves = work.left > left
      return value
    }
    const { signal } = call
    const how = { policy, force, timeout, deadline, signal }
    const value = await volume.promises[looks ? 'look' : 'settle'](change, how)
    // What it frees is free when it is answered; others do not wait for that.
    if (leaves) await this.server.freed()
    return value
  }

  /** One snapshot at a time: who asks for many keeps no other session from its own. */
  async snapshot(call: CallContext, run: () => Promise<void>): Promise<void> {
    const before = this.#snapshots
    let over = () => {}
    const mine = new Promise<void>((resolve) => (over = resolve))
    this.#snapshots = before.then(() => mine)
    try {
      await unlessAborted(before, call.signal)
      await run()
    } finally {
      over()
    }
  }

  /**
   * A change of a range that may be long, part by part: others have their turns in between. What
   * stops it leaves the parts before it changed.
   */
  async inParts(
    call: CallContext,
    { offset, length, options }: { offset: number; length: number; options: ChangeWish },
    run: (offset: number, length: number) => void,
  ): Promise<void> {
    const end = offset + length
    for (let at = offset, next; at < end; at = next) {
      if (at > offset) await this.server.timers.turn()
      next = Math.min(end, at - (at % PART_BYTES) + PART_BYTES)
      await this.settle(call, options, () => run(at, next! - at))
    }
  }

  // ---- handles ---------------------------------------------------------------------------------

  /** EMFILE when it has too many. */
  demandHandleRoom(): void {
    if (this.#handles.size < HANDLES_MAX) return
    throw new HoldfastError('EMFILE', `the session has ${HANDLES_MAX} files open; close some`)
  }

  /** The number that a file has from now on. */
  addHandle(file: LayoutFile): number {
    file.asker = { session: this.layout }
    do this.#handle = this.#handle === 0xffff_ffff ? 1 : this.#handle + 1
    while (this.#handles.has(this.#handle))
    this.#handles.set(this.#handle, file)
    return this.#handle
  }

  file(handle: number): LayoutFile {
    const file = this.#handles.get(handle)
    if (file !== undefined) return file
    throw new HoldfastError('EBADF', `handle ${handle}, which the session does not have`)
  }

  async closeHandle(handle: number): Promise<void> {
    const file = this.file(handle)
    const { work } = this.volume
    const { left } = work
    this.#handles.delete(handle)
    file.close()
    if (work.left > left) await this.server.freed()
  }

  // ---- holds -----------------------------------------------------------------------------------

  demandHoldRoom(): void {
    if (this.holds.size < HOLDS_MAX) return
    throw new HoldfastError('ENOMEM', `the session has ${HOLDS_MAX} holds; release some`)
  }

  held(id: number): HeldByClient {
    const held = this.holds.get(id)
    if (held !== undefined) return held
    throw new HoldfastError('ESTALE', `hold ${id}: the session does not have it, or it has ended`)
  }

  registration(stag: number): Registration {
    const registration = this.registrations.get(stag)
    if (registration !== undefined) return registration
    throw new HoldfastError('ESTALE', `STag ${stag}: it is none of the session, or has ended`)
  }

  /**
   * A lease was not given back in time: what it gave access to is cut off, at once. EBUSY where a
   * client may map it: that nobody takes away.
   */
  revoke(hold: Hold | null): void {
    if (this.maps) throw new HoldfastError('EBUSY', 'who maps the region cannot be cut off from it')
    const held = hold === null ? undefined : this.holds.get(hold.id)
    if (held === undefined) return
    const stags = held.cutOff()
    const { id } = held.hold
    for (let at = 0; at === 0 || at < stags.length; at += ITEMS_MAX) {
      this.tell('fence', { id, stags: stags.slice(at, at + ITEMS_MAX) })
    }
    held.forget()
  }

  /** Resolves when what it had sent was dealt with: a return that had come in time is in time. */
  caughtUp(): Promise<void> {
    return this.#teller.caughtUp()
  }

  /** Whether it has, or may have, mappings that nobody can take from it. */
  get maps(): boolean {
    return this.slots.size > 0
  }

  get mayMap(): boolean {
    return this.server.mapping.mayMap(this)
  }

  /** EPERM for who is not trusted with the region itself. */
  demandMapping(): void {
    void this.layout
    this.server.mapping.demand(this)
  }

  giveDescriptor() {
    const { fd, slot, readOnly } = this.server.mapping.give(this)
    this.slots.add(slot)
    this.#teller.attach(fd)
    return { slot, readOnly }
  }

  /** A descriptor that it has passed, to be closed by the caller; null: none. */
  takeDescriptor(): number | null {
    return this.#teller.received()
  }

  /** What stands in a page cache, or is to be durable later, is durable when it returns. */
  async durable(): Promise<void> {
    const { core, region } = this.volume
    const later = core.transaction.syncMode === 'group' || region.persistence === 'sync'
    if (later) await this.server.files.sync()
  }

  /** A hold has ended. Whoever did not give it back is told. */
  ended(id: number): void {
    const held = this.holds.get(id)
    if (held === undefined) return
    held.forget()
    this.tell('released', { id })
  }

  // ---- what it is told -------------------------------------------------------------------------

  tell<N extends NoticeName>(name: N, body: NoticeBody<N>): void {
    if (!this.gone) this.#teller.tell(name, body)
  }

  /** Of a long call: dropped where it takes too long to be taken. */
  progress(call: number, moved: number): void {
    if (!this.gone) this.#teller.tellEvent('progress', { call, moved })
  }

  /** An access on demand was refused. */
  unplaced(stag: number, { message: why }: HoldfastError): void {
    this.tell('unplaced', { stag, why })
  }

  /** EPERM for changes of the volume, which tell names, unless it may see everything. */
  watch(changes: boolean, others: boolean, holds: boolean, stores: boolean): void {
    void this.layout
    if (stores) this.demandPrivileged('is asked before others store to files')
    if (changes) this.demandPrivileged('watches changes, whose names not everybody may see')
    for (const end of this.watches.splice(0)) end()
    const { volume } = this
    if (changes) {
      const tell = (change: Change) => this.#teller.tellEvent('changed', change)
      this.watches.push(volume.watchFor(others ? this.layout : null, tell))
    }
    this.#keepPages(stores)
    if (!holds) return
    const tell = (event: HoldEvent) =>
      this.#teller.tellEvent('holding', { ...event, holds: event.holds.slice(0, EVENT_HOLDS_MAX) })
    this.watches.push(volume.watchHolds(tell))
  }

  /** Asked for again it goes on: nobody who waits for it is to go on sooner. */
  #keepPages(keeps: boolean): void {
    if (keeps) {
      this.#keepsPages ??= this.volume.pageCaches.add(this.layout, this.#storing)
    } else {
      this.#keepsPages?.()
      this.#keepsPages = null
    }
  }

  /** Resolves when it keeps no page of a file any more. */
  readonly #storing = (ino: number, over: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      this.#token = this.#token === 0xffff_ffff ? 1 : this.#token + 1
      const token = this.#token
      this.#dropping.set(token, resolve)
      over.addEventListener('abort', () => this.#dropping.delete(token))
      this.tell('storing', { ino, token })
    })

  /** It has dropped its pages of a file. EINVAL when it was not asked to. */
  dropped(token: number): void {
    const resolve = this.#dropping.get(token)
    if (resolve === undefined) throw new HoldfastError('EINVAL', `${token}: no page was asked for`)
    this.#dropping.delete(token)
    resolve()
  }

  /** Tells it that it ends, and ends its connection. */
  dismiss(why: string, stops: boolean): void {
    this.tell('ended', { why, stops })
    this.#teller.close()
  }

  /** Ends its connection at once. */
  abort(why: Error): void {
    this.#teller.abort(why)
  }

  // ---- its end ---------------------------------------------------------------------------------

  /** The connection is gone: all that is reached by it ends now. */
  disconnected(): void {
    if (this.gone) return
    this.gone = true
    this.onOver()
    for (const end of this.watches.splice(0)) end()
    this.#keepPages(false)
    for (const registration of [...this.registrations.values()]) registration.end()
    for (const connection of [...this.dataConnections]) connection.abort()
    if (this.volume.closed) return
    for (const file of this.#handles.values()) this.#closeLeft(file)
    this.#handles.clear()
  }

  /** One that cannot be closed, as the medium has failed, keeps no other from it. */
  #closeLeft(file: LayoutFile): void {
    try {
      file.close()
    } catch (error) {
      this.server.log.error('a file could not be closed', {
        session: this.id,
        error: error as Error,
      })
    }
  }

  /** Its holds end. Resolves when nothing of it is in use any more. */
  async over(): Promise<void> {
    this.disconnected()
    if (this.#layout === null || this.volume.closed) return
    this.#layout.end()
    await this.#layout.over
    for (const held of [...this.holds.values()]) held.forget()
  }
}

/** Whether opening with such flags changes anything, or is for changing something. */
function changes(flags: number): boolean {
  const { write, create, truncate, append, unnamed } = parseFlags(flags & ~O.CLOEXEC)
  return write || create || truncate || append || unnamed
}
