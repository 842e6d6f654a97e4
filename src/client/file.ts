/**
 * A file that a server has open for this client: every call is one of the protocol's, and bytes go
 * through the connection.
 *
 * Invariants:
 * - calls at the handle's own position are made one after another;
 * - in a new session the file is opened again, by inode and generation: it is the same one, or the
 *   call is ESTALE. Locks do not come back: then every call is ESTALE, so that nobody goes on
 *   without what they rely on;
 * - a write that was interrupted is made again there: it is under way until it is answered. What
 *   another has written there meanwhile may give way to it, unless locks keep others out.
 */
import type {
  AllocateOptions,
  Credentials,
  DirectoryEntry,
  FileHandle,
  HeldLock,
  Layout,
  LockWait,
  Path,
  RangeLock,
  Readable,
  ReflinkOptions,
  ConflictOptions,
  StreamOptions,
  Time,
  Writable,
} from '../base/filesystem.js'
import { checkBytes } from '../base/bytes.js'
import { HoldfastError } from '../base/errors.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import { O } from '../base/open_flags.js'
import type { Stats } from '../base/stats.js'
import { readStreamOf, writeStreamOf } from '../base/streams.js'
import type { CallOptions } from '../control/caller.js'
import { DATA_BYTES_MAX } from '../control/limits.js'
import type { ResultOf, Verb } from '../control/verb.js'
import { VERBS } from '../control/verbs/index.js'
import { interruptible } from './interruptible.js'
import type { Alive, Link } from './link.js'
import { numberOf, ownerNumbered } from './lock_owners.js'
import { allExtents, listDirectory } from './paging.js'
import { eachPiece, PIECES_UNDER_WAY } from './pieces.js'
import { Unsynced } from './unsynced.js'
import { bytesOf, longOf, ownerOf, sizeOf, timeOf, u32Of, wishOf } from './wire.js'

export interface OpenOptions {
  /** Of a remote file: bytes are reached on demand, without a lease. */
  readonly fault?: boolean
}

export type Opened = ResultOf<typeof VERBS.open>
export type FileFactory = (opened: Opened, flags: number, options: OpenOptions) => ServedFile

/** The number of a file in a session. */
export interface OpenedIn {
  readonly handle: number
  readonly session: Alive
}

/** What opening again does not do. */
const ONCE = O.CREAT | O.EXCL | O.TRUNC | (O.TMPFILE & ~O.DIRECTORY)

export class ServedFile implements FileHandle {
  readonly ino: number
  readonly generation: number
  protected readonly connection: Link
  protected readonly flags: number
  protected readonly unsynced = new Unsynced()
  readonly #key: Uint8Array
  #handle: number
  /** The session that has it open. */
  #session: Alive | null
  #reopening: Promise<void> | null = null
  #position = 0
  #turn: Promise<unknown> = Promise.resolve()
  #locked = false
  #closed = false
  readonly #owners = new Map<unknown, number>()

  constructor(connection: Link, { handle, ino, generation, key }: Opened, flags: number) {
    this.connection = connection
    this.ino = ino
    this.generation = generation
    this.#key = key.slice()
    this.flags = flags
    this.#handle = handle
    this.#session = connection.alive
  }

  get append(): boolean {
    return (this.flags & O.APPEND) !== 0
  }

  get closed(): boolean {
    return this.#closed
  }

  /** EBADF for a handle that does not write. */
  protected demandWritable(): void {
    if ((this.flags & (O.WRONLY | O.RDWR)) !== 0) return
    throw new HoldfastError('EBADF', 'the handle does not write')
  }

  // ---- calls -----------------------------------------------------------------------------------

  /** Its number, and the session that it is of: the one that there is. EBADF once it is closed. */
  protected async opened(signal?: AbortSignal): Promise<OpenedIn> {
    for (;;) {
      if (this.#closed) throw new HoldfastError('EBADF', 'the file was closed')
      const now = this.#openedNow()
      if (now !== null) return now
      const alive = await this.connection.session(signal)
      if (this.#closed || this.#session === alive) continue
      await interruptible((this.#reopening ??= this.#reopen(alive)), signal)
    }
  }

  /** The same where nothing is to be waited for, not even a promise; else null. */
  #openedNow(): OpenedIn | null {
    const session = this.#session
    if (this.#closed || session === null || session !== this.connection.alive) return null
    return { handle: this.#handle, session }
  }

  async #reopen(alive: Alive): Promise<void> {
    try {
      if (this.#locked) {
        throw new HoldfastError('ESTALE', 'its locks were lost with the connection; open it again')
      }
      const { ino, generation } = this
      const args = { ino, generation, key: this.#key, flags: this.flags & ~ONCE }
      const again = await alive.caller.call(VERBS.openHandle, args)
      // It was closed meanwhile: nobody else would close this one.
      if (this.#closed) return void (await closeIn(alive, again.handle))
      this.#handle = again.handle
      this.#session = alive
    } finally {
      this.#reopening = null
    }
  }

  /** A call about this file; `safe`: it may be made again. */
  protected async call<A, R>(
    verb: Verb<A, R>,
    argsOf: (handle: number, session: Alive) => A,
    options: CallOptions = {},
    safe = false,
  ): Promise<R> {
    for (;;) {
      const { handle, session } = this.#openedNow() ?? (await this.opened(options.signal))
      try {
        return await session.caller.call(verb, argsOf(handle, session), options)
      } catch (error) {
        const lost = session.caller.ended && (error as HoldfastError).code === 'ECONNRESET'
        if (!lost || !safe) throw error
      }
    }
  }

  /** What may be asked twice. */
  protected look<A, R>(
    verb: Verb<A, R>,
    argsOf: (handle: number, session: Alive) => A,
  ): Promise<R> {
    return this.call(verb, argsOf, {}, true)
  }

  /** Calls at the own position are made in their order. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(run)
    this.#turn = result.catch(() => {})
    return result
  }

  // ---- bytes -----------------------------------------------------------------------------------

  async read(buffer: Uint8Array, position: number | null = null): Promise<number> {
    checkBytes(buffer)
    if (position !== null) return this.readAt(buffer, sizeOf(position, 'position'))
    return this.#inTurn(async () => {
      const got = await this.readAt(buffer, this.#position)
      this.#position += got
      return got
    })
  }

  async write(
    buffer: Uint8Array,
    position: number | null = null,
    options: ConflictOptions = {},
  ): Promise<number> {
    checkBytes(buffer)
    const own = position === null
    const at = own ? 0 : sizeOf(position, 'position')
    if (!own && !this.append) {
      await this.writeAt(buffer, at, options)
      return buffer.length
    }
    return this.#inTurn(async () => {
      const end = await this.writeAt(buffer, own ? this.#position : at, options)
      if (own) this.#position = end
      return buffer.length
    })
  }

  /** Bytes from `position` on; fewer at the end of the file. */
  protected async readAt(buffer: Uint8Array, position: number): Promise<number> {
    const pieces = Math.max(1, Math.ceil(buffer.length / DATA_BYTES_MAX))
    let got = 0
    let short = false
    await eachPiece(pieces, async (piece) => {
      const from = piece * DATA_BYTES_MAX
      const length = Math.min(DATA_BYTES_MAX, buffer.length - from)
      if (short) return
      const args = { position: position + from, length }
      const { data } = await this.look(VERBS.read, (handle) => ({ handle, ...args }))
      buffer.set(data, from)
      // Pieces end in their order: what is behind a short one does not count.
      if (!short) got = from + data.length
      short ||= data.length < length
    })
    return got
  }

  /** Returns the first byte after what was written. */
  protected async writeAt(
    buffer: Uint8Array,
    position: number,
    options: ConflictOptions,
  ): Promise<number> {
    const pieces = Math.max(1, Math.ceil(buffer.length / DATA_BYTES_MAX))
    const wish = wishOf(options)
    if (pieces > 1 && !this.append) await this.#makeRoom(buffer.length, position, options)
    let last = position
    const atOnce = this.append ? 1 : PIECES_UNDER_WAY
    await eachPiece(
      pieces,
      async (piece) => {
        const from = piece * DATA_BYTES_MAX
        const data = buffer.subarray(from, Math.min(buffer.length, from + DATA_BYTES_MAX))
        const argsOf = (handle: number, session: Alive) => {
          this.unsynced.wrote(session)
          return { handle, position: position + from, data, options: wish }
        }
        // As long as nobody has its answer it is under way: made again, it is another's neighbour
        // as before. Unless it is appended: twice is not once.
        const { signal } = options
        const { end } = await this.call(VERBS.write, argsOf, { signal }, !this.append)
        last = Math.max(last, end)
      },
      atOnce,
    )
    return last
  }

  /** Blocks for all pieces of a write, or ENOSPC before any of it is written. */
  async #makeRoom(length: number, offset: number, options: ConflictOptions): Promise<void> {
    const args = { offset, length, keepSize: true, contiguous: false, options: wishOf(options) }
    await this.call(VERBS.allocate, (handle) => ({ handle, ...args }), options)
  }

  createReadStream(options?: StreamOptions): Readable {
    return readStreamOf(this, options)
  }

  createWriteStream(options?: StreamOptions): Writable {
    return writeStreamOf(this, options)
  }

  // ---- what is known of it ---------------------------------------------------------------------

  async stat(): Promise<Stats> {
    const stats = await this.look(VERBS.stat, (handle) => ({ target: { handle } }))
    stats.key = this.#key
    return stats
  }

  async truncate(size: number, options: ConflictOptions = {}): Promise<void> {
    const wish = { size: sizeOf(size, 'size'), options: wishOf(options) }
    const { signal } = options
    await this.call(VERBS.truncate, (handle) => ({ target: { handle }, ...wish }), { signal })
  }

  async sync(): Promise<void> {
    const last: { session: Alive | null } = { session: null }
    await this.look(VERBS.sync, (handle, session) => {
      last.session = session
      return { handle }
    })
    if (last.session !== null) this.unsynced.synced(last.session)
  }

  extents(): Promise<Layout> {
    const look = (from: number) =>
      this.look(VERBS.extents, (handle) => ({ target: { handle }, from }))
    return allExtents(look)
  }

  async chmod(mode: number): Promise<void> {
    const args = { mode: u32Of(mode, 'mode') }
    await this.call(VERBS.chmod, (handle) => ({ target: { handle }, ...args }))
  }

  async chown(uid: number, gid: number): Promise<void> {
    const args = { uid: ownerOf(uid), gid: ownerOf(gid) }
    await this.call(VERBS.chown, (handle) => ({ target: { handle }, ...args }))
  }

  async utimes(atime: Time, mtime: Time): Promise<void> {
    const args = { atime: timeOf(atime), mtime: timeOf(mtime) }
    await this.call(VERBS.utimes, (handle) => ({ target: { handle }, ...args }))
  }

  async getXattr(name: string): Promise<Uint8Array> {
    const { value } = await this.look(VERBS.getXattr, (handle) => ({ target: { handle }, name }))
    return value
  }

  async setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): Promise<void> {
    await this.call(VERBS.setXattr, (handle) => ({ target: { handle }, name, value, mode }))
  }

  async removeXattr(name: string): Promise<void> {
    await this.call(VERBS.removeXattr, (handle) => ({ target: { handle }, name }))
  }

  async listXattrs(): Promise<string[]> {
    const { names } = await this.look(VERBS.listXattrs, (handle) => ({ target: { handle } }))
    return [...names]
  }

  readdir(cookie = 0, limit = Infinity): Promise<DirectoryEntry[]> {
    const list = (from: number, most: number) =>
      this.look(VERBS.readdir, (handle) => ({ target: { handle }, cookie: from, limit: most }))
    return listDirectory(list, cookie, limit)
  }

  // ---- blocks ----------------------------------------------------------------------------------

  async allocate(offset: number, length: number, options: AllocateOptions = {}): Promise<void> {
    const { keepSize = false, contiguous = false } = options
    const args = { ...rangeOf(offset, length), keepSize, contiguous, options: wishOf(options) }
    await this.call(VERBS.allocate, (handle) => ({ handle, ...args }), options)
  }

  async punch(offset: number, length: number, options: ConflictOptions = {}): Promise<void> {
    const args = { ...rangeOf(offset, length), options: wishOf(options) }
    await this.call(VERBS.punch, (handle) => ({ handle, ...args }), options)
  }

  async zeroRange(
    offset: number,
    length: number,
    options: { readonly keepSize?: boolean } & ConflictOptions = {},
  ): Promise<void> {
    const { keepSize = false } = options
    const args = { ...rangeOf(offset, length), keepSize, options: wishOf(options) }
    await this.call(VERBS.zeroRange, (handle) => ({ handle, ...args }), options)
  }

  async collapse(offset: number, length: number, options: ConflictOptions = {}): Promise<void> {
    const args = { ...rangeOf(offset, length), options: wishOf(options) }
    await this.call(VERBS.collapse, (handle) => ({ handle, ...args }), options)
  }

  async insert(offset: number, length: number, options: ConflictOptions = {}): Promise<void> {
    const args = { ...rangeOf(offset, length), options: wishOf(options) }
    await this.call(VERBS.insert, (handle) => ({ handle, ...args }), options)
  }

  async seek(offset: number, what: 'data' | 'hole'): Promise<number> {
    const args = { offset: longOf(offset, 'offset'), what }
    return (await this.look(VERBS.seek, (handle) => ({ handle, ...args }))).offset
  }

  async copyRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
  ): Promise<number> {
    const into = await this.#sibling(to)
    const args = { ...rangeOf(offset, length), toOffset: sizeOf(toOffset, 'offset') }
    const argsOf = (handle: number, session: Alive) => ({
      ...{ handle, to: numberIn(into, session) },
      ...{ ...args, options: wishOf() },
    })
    return (await this.call(VERBS.copyRange, argsOf)).count
  }

  async reflinkRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
    options: ReflinkOptions = {},
  ): Promise<void> {
    const into = await this.#sibling(to)
    const args = { ...rangeOf(offset, length), toOffset: sizeOf(toOffset, 'offset') }
    const wish = wishOf(options)
    const argsOf = (handle: number, session: Alive) => ({
      ...{ handle, to: numberIn(into, session) },
      ...{ ...args, options: wish },
    })
    await this.call(VERBS.reflinkRange, argsOf, { signal: options.signal })
  }

  /** The number of another file of the same session. EXDEV when it is of another server. */
  #sibling(to: FileHandle): Promise<OpenedIn> {
    if (!(to instanceof ServedFile) || to.connection !== this.connection)
      throw new HoldfastError('EXDEV')
    return to.opened()
  }

  // ---- locks -----------------------------------------------------------------------------------

  /** Lock owners are any values here, and numbers there. */
  #ownerOf(owner: unknown): number | undefined {
    if (owner === undefined) return undefined
    let number = this.#owners.get(owner)
    if (number === undefined) this.#owners.set(owner, (number = numberOf(owner)))
    return number
  }

  async lock(lock: RangeLock, { wait = false, signal }: LockWait = {}): Promise<void> {
    const { type, start = 0, length = 0 } = lock
    const wanted = { type, start, length, owner: this.#ownerOf(lock.owner) }
    await this.call(VERBS.lock, (handle) => ({ handle, lock: wanted, wait }), { signal })
    this.#locked = true
  }

  async unlock({ start = 0, length = 0, owner }: Omit<RangeLock, 'type'>): Promise<void> {
    const range = { start, length, owner: this.#ownerOf(owner) }
    await this.call(VERBS.unlock, (handle) => ({ handle, ...range }))
  }

  async testLock(lock: RangeLock): Promise<HeldLock | null> {
    const { type, start = 0, length = 0 } = lock
    const wanted = { type, start, length, owner: this.#ownerOf(lock.owner) }
    const { held } = await this.look(VERBS.testLock, (handle) => ({ handle, lock: wanted }))
    if (held === undefined) return null
    return { ...held, owner: held.owner === undefined ? undefined : ownerNumbered(held.owner) }
  }

  async flock(
    type: 'shared' | 'exclusive' | 'unlock',
    { wait = false, signal }: LockWait = {},
  ): Promise<void> {
    await this.call(VERBS.flock, (handle) => ({ handle, type, wait }), { signal })
    this.#locked ||= type !== 'unlock'
  }

  // ---- the rest --------------------------------------------------------------------------------

  async link(path: Path, as?: Credentials): Promise<void> {
    const to = bytesOf(path)
    await this.call(VERBS.link, (handle) => ({ target: { handle }, path: to }), { as })
  }

  map(_options?: MapOptions): Promise<FileMapping> {
    const detail = 'what is reached through a network is not mapped: read() and write() serve it'
    return Promise.reject(new HoldfastError('EPERM', detail))
  }

  /** Once is enough. */
  async close(): Promise<void> {
    if (this.#closed) return
    const handle = this.#handle
    const { alive } = this.connection
    this.#closed = true
    // In another session than it was opened in it is closed already.
    if (alive === null || alive !== this.#session) return
    await closeIn(alive, handle)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Closes what a session has open; it is so, too, when that has ended. */
async function closeIn({ caller }: Alive, handle: number): Promise<void> {
  await caller.call(VERBS.close, { handle }).catch((error: unknown) => {
    if (!caller.ended) throw error
  })
}

/** ECONNRESET when it is of another session: numbers mean nothing there. */
function numberIn({ handle, session }: OpenedIn, wanted: Alive): number {
  if (session === wanted) return handle
  throw new HoldfastError('ECONNRESET', 'the connection was lost meanwhile')
}

const rangeOf = (offset: number, length: number) => ({
  offset: sizeOf(offset, 'offset'),
  length: sizeOf(length, 'length'),
})
