/**
 * A file of a remote client: bytes go one-sided, under layouts that are taken as they are needed
 * and given back on recall, or on demand (`{ fault: true }`).
 *
 * Invariants:
 * - nothing is read past the end of the file as the server last said it: at that end it is asked;
 * - what changes the layout is asked for when this client's own layouts are given back: they would
 *   be in its way;
 * - what was written is in the file when the promise resolves, and durable after `sync`.
 */
import type {
  AllocateOptions,
  ConflictOptions,
  FileHandle,
  ReflinkOptions,
} from '../base/filesystem.js'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { O } from '../base/open_flags.js'
import type { Stats } from '../base/stats.js'
import type { Client } from './client.js'
import type { DataConnections } from './data_connections.js'
import type { OpenOptions, Opened } from './file.js'
import type { ClientHold } from './hold.js'
import { HoldingFile } from './holding_file.js'
import { piecesInto, type FileLayout, type Piece, type PieceInto } from './layout.js'
import { OneSided, RemoteLayout } from './one_sided.js'
import { eachPiece } from './pieces.js'
import type { Sizes } from './sizes.js'
import { whenFree, type LayoutOptions } from './taking.js'

/** Layouts kept at a time; the one that was used longest ago goes for the next. */
const KEPT_MAX = 8
/** Shorter writes for which there is no layout go through the connection: one trip, not three. */
const LAYOUT_WRITE_BYTES = 64 << 10
/** What of a file is lent for writing at once. */
const WINDOW_BYTES = 16 << 20
/** Of a first read the server itself answers so much. */
const FIRST_BYTES = 64 << 10
/** The unit of `blocks` (stat(2)). */
const STAT_BLOCK = 512
/** Times that a read is made again because the file became shorter. */
const TRIES = 8
const SYNCED = O.DSYNC | O.SYNC

export class RemoteFile extends HoldingFile {
  readonly #data: DataConnections
  readonly #fault: boolean
  /** Those used last come last. */
  #kept: OneSided[] = []
  #taking: Promise<OneSided> | null = null
  readonly #sizes: Sizes
  /** The file had no holes when it was last looked at. */
  #dense = false
  /** Something was read through the server since the last write. */
  #read = false
  #closing: Promise<void> | null = null

  constructor(
    client: Client,
    data: DataConnections,
    sizes: Sizes,
    opened: Opened,
    flags: number,
    { fault = false }: OpenOptions,
  ) {
    super(client, opened, flags)
    this.#data = data
    this.#sizes = sizes
    this.#fault = fault
    sizes.open(this.ino)
  }

  // ---- layouts ---------------------------------------------------------------------------------

  /** Lends a range, and gives the way to its bytes. EAGAIN while it is under recall. */
  async layout(options: LayoutOptions = {}): Promise<FileLayout> {
    const { iomode = 'read' } = options
    const hold = await this.lease(options)
    try {
      return await this.register(hold, { write: iomode === 'rw' })
    } catch (error) {
      await hold.release().catch(() => {})
      throw error
    }
  }

  /** The way to the bytes under a hold of this file, a pin say. It ends with the hold. */
  async register(hold: ClientHold, { write = false } = {}): Promise<FileLayout> {
    return new RemoteLayout(hold, await this.#register(hold, write))
  }

  async #register(hold: ClientHold | null, write: boolean) {
    const { handle, session } = await this.opened()
    // Of another session, its number is another hold's there, or nobody's.
    if (hold !== null && hold.session !== session) {
      hold.demandHeld()
      throw new HoldfastError('ECONNRESET', 'the hold was lost with the connection')
    }
    return OneSided.register(session, this.#data, handle, hold, write)
  }

  #find(offset: number, length: number, write: boolean): OneSided | null {
    for (let i = this.#kept.length - 1; i >= 0; i--) {
      const one = this.#kept[i]!
      if (one.covers(offset, length, write)) return one
    }
    return null
  }

  /** The way to bytes of the file. */
  async #way(offset: number, length: number, write: boolean): Promise<OneSided> {
    for (;;) {
      const found = this.#find(offset, length, write)
      if (found !== null) return found
      // One at a time: whoever waits looks again.
      if (this.#taking !== null) await this.#taking.catch(() => {})
      else return this.#take(offset, length, write)
    }
  }

  async #take(offset: number, length: number, write: boolean): Promise<OneSided> {
    const taking = this.#fault
      ? this.#register(null, (this.flags & (O.WRONLY | O.RDWR)) !== 0)
      : this.#lend(offset, length, write)
    this.#taking = taking
    try {
      const one = await taking
      this.#kept = this.#kept.filter((kept) => kept.open)
      this.#kept.push(one)
      if (this.#kept.length > KEPT_MAX) void this.#letGo(this.#kept.shift()!)
      return one
    } finally {
      this.#taking = null
    }
  }

  /**
   * For reading all of the file; for writing a window, or of a file with holes no more than is
   * written: blocks are made for all that is lent.
   */
  async #lend(offset: number, length: number, write: boolean): Promise<OneSided> {
    const range = write ? this.#window(offset, length) : { offset: 0, length: this.#blocksEnd() }
    const iomode = write ? ('rw' as const) : ('read' as const)
    const reason = write ? 'writes one-sided' : 'reads one-sided'
    let one: OneSided | null = null
    // What was written is the commit's affair: it comes before the lease goes back.
    const onRecall = () => (one === null ? undefined : this.#settle(one))
    const { timers } = this.connection.options
    const hold = await whenFree(
      (milliseconds, run) => void timers.after(milliseconds, run),
      () => this.take('lease', { ...range, iomode, reason, onRecall }),
    )
    try {
      one = await this.#register(hold, write)
      hold.demandHeld()
      return one
    } catch (error) {
      await hold.release().catch(() => {})
      throw error
    }
  }

  #blocksEnd(): number {
    return Math.ceil(Math.max(1, this.#size) / BLOCK_BYTES) * BLOCK_BYTES
  }

  #window(offset: number, length: number) {
    const end = offset + length
    if (!this.#dense) {
      const first = Math.floor(offset / BLOCK_BYTES) * BLOCK_BYTES
      return { offset: first, length: Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES - first }
    }
    const from = Math.floor(offset / WINDOW_BYTES) * WINDOW_BYTES
    const whole = Math.min(Math.ceil(end / WINDOW_BYTES) * WINDOW_BYTES, this.#blocksEnd())
    const to = Math.max(whole, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES)
    return { offset: from, length: to - from }
  }

  /** Gives all layouts back. */
  async #forget(): Promise<void> {
    await this.#taking?.catch(() => {})
    await Promise.all(this.#kept.splice(0).map((one) => this.#letGo(one)))
    this.#sizes.set(this.ino, -1)
  }

  async #letGo(one: OneSided): Promise<void> {
    await this.#settle(one)
    await one.release().catch(() => {})
  }

  /** Nobody uses it any more. What was written is the file's already, and its times follow. */
  async #settle(one: OneSided): Promise<void> {
    await one.close()
    const { hold } = one
    if (one.dirty && one.session === this.connection.alive && (hold === null || hold.held)) {
      await one.commit().catch(() => {})
    }
  }

  // ---- bytes -----------------------------------------------------------------------------------

  protected override async readAt(buffer: Uint8Array, position: number): Promise<number> {
    if (this.#read && buffer.length > 0) return this.#readOneSided(buffer, position)
    return this.#firstRead(buffer, position)
  }

  /**
   * The first read of a handle, and the one after a write, go through the server: it says what the
   * file is, moves its access time, and answers sooner than a layout is lent.
   */
  async #firstRead(buffer: Uint8Array, position: number): Promise<number> {
    const piece = buffer.subarray(0, FIRST_BYTES)
    const got = await super.readAt(piece, position)
    this.#read = true
    if (got < piece.length || got === buffer.length) return got
    return got + (await this.#readOneSided(buffer.subarray(got), position + got))
  }

  async #readOneSided(buffer: Uint8Array, position: number): Promise<number> {
    for (let tries = 1; ; tries++) {
      let { length } = buffer
      // Not even a promise is waited for where the bytes are known to be there.
      if (position + length > this.#size) length = await this.#within(position, length)
      let one = this.#find(position, length, false)
      if (one === null && length > 0) {
        one = await this.#wayIfAny(position, length, false)
        if (one === null) return super.readAt(buffer, position)
        // What the size was before the layout was lent may be another by now.
        await this.stat()
        length = await this.#within(position, length)
      }
      if (length === 0) return 0
      if (one?.covers(position, length, false) !== true) continue
      try {
        await one.read(position, length === buffer.length ? buffer : buffer.subarray(0, length))
        return length
      } catch (error) {
        await this.#lost(one, error, tries)
      }
    }
  }

  /** As `#way`; null: there is none to be had, and the server is to be asked for the bytes. */
  async #wayIfAny(offset: number, length: number, write: boolean): Promise<OneSided | null> {
    try {
      return await this.#way(offset, length, write)
    } catch (error) {
      const lost = !(error instanceof HoldfastError) || error.code === 'ECONNRESET'
      if (lost || error.code === 'EBADF') throw error
      return null
    }
  }

  /** Bytes of the file among so many: what the server said, asked anew at its end. */
  async #within(position: number, length: number): Promise<number> {
    if (position + length <= this.#size) return length
    const { size } = await this.stat()
    return Math.max(0, Math.min(length, size - position))
  }

  /** Bytes, as the server last said; -1: not known. */
  get #size(): number {
    return this.#sizes.of(this.ino)
  }

  override async stat(): Promise<Stats> {
    const stats = await super.stat()
    this.#sizes.set(this.ino, stats.size)
    this.#dense = stats.blocks * STAT_BLOCK >= stats.size
    return stats
  }

  /** Throws, unless another try may do better. */
  async #lost(one: OneSided, error: unknown, tries: number): Promise<void> {
    this.#kept = this.#kept.filter((kept) => kept !== one)
    const { hold } = one
    if (hold?.end === 'fenced') throw error
    void one.release().catch(() => {})
    const { code } = error as Partial<HoldfastError>
    const again = code === 'EACCES' || code === 'ECONNRESET' || code === 'ESTALE'
    if (!again || tries >= TRIES) throw error
    this.#sizes.set(this.ino, -1)
  }

  /** Many pieces of the file at once, in the order of the list. EINVAL past its end. */
  async readMany(pieces: readonly Piece[]): Promise<Uint8Array[]> {
    const all = piecesInto(pieces)
    const end = all.reduce((most, { offset, into }) => Math.max(most, offset + into.length), 0)
    for (let tries = 1; end > 0; tries++) {
      await this.#demandBytes(end)
      let one = this.#find(0, end, false)
      if (one === null) {
        one = await this.#wayIfAny(0, end, false)
        if (one === null) return this.#manyThroughServer(all)
        // As in a single read: it may have become shorter before the layout was lent.
        await this.stat()
        await this.#demandBytes(end)
        if (!one.covers(0, end, false)) continue
      }
      try {
        await one.readMany(all)
        break
      } catch (error) {
        await this.#lost(one, error, tries)
      }
    }
    return all.map(({ into }) => into)
  }

  async #manyThroughServer(all: readonly PieceInto[]): Promise<Uint8Array[]> {
    await eachPiece(all.length, async (piece) => {
      const { offset, into } = all[piece]!
      const got = await super.readAt(into, offset)
      if (got < into.length) await this.#demandBytes(offset + into.length)
    })
    return all.map(({ into }) => into)
  }

  /** EINVAL for a file of fewer bytes. */
  async #demandBytes(end: number): Promise<void> {
    if ((await this.#within(0, end)) === end) return
    throw new HoldfastError('EINVAL', `a piece ends at byte ${end}, the file at ${this.#size}`)
  }

  protected override async writeAt(
    buffer: Uint8Array,
    position: number,
    options: ConflictOptions,
  ): Promise<number> {
    this.#read = false
    const end = position + buffer.length
    const one = await this.#wayToWrite(buffer.length, position)
    if (one === null) return this.#throughServer(buffer, position, options)
    for (let tries = 1, way = one; ; tries++) {
      try {
        this.unsynced.wrote(way.session)
        await way.write(position, buffer)
        if (end > this.#size) await way.commit(end)
        this.#sizes.reach(this.ino, end)
        return end
      } catch (error) {
        await this.#lost(way, error, tries)
        const next = await this.#wayToWrite(buffer.length, position)
        if (next === null) return this.#throughServer(buffer, position, options)
        way = next
      }
    }
  }

  /** Where bytes are written one-sided; null: the server is to write them. */
  async #wayToWrite(length: number, position: number): Promise<OneSided | null> {
    const both = (this.flags & (O.WRONLY | O.RDWR)) === O.RDWR
    if (!both || this.append || (this.flags & SYNCED) !== 0 || length === 0) return null
    const end = position + length
    if (end > FILE_BYTES_MAX) return null
    if (end > this.#size) await this.stat()
    const there = this.#find(position, length, true)
    const grows = end > this.#size
    if (grows && (this.#fault || length < LAYOUT_WRITE_BYTES)) return null
    if (there !== null || (length < LAYOUT_WRITE_BYTES && !this.#fault)) return there
    const way = await this.#wayIfAny(position, length, true)
    if (!grows) await this.stat()
    return !grows && end > this.#size ? null : way
  }

  async #throughServer(
    buffer: Uint8Array,
    position: number,
    options: ConflictOptions,
  ): Promise<number> {
    const end = await super.writeAt(buffer, position, options)
    this.#sizes.reach(this.ino, end)
    return end
  }

  override async sync(): Promise<void> {
    for (const one of this.#kept) if (one.dirty && one.open) await one.commit()
    await super.sync()
  }

  // ---- what changes the layout -----------------------------------------------------------------

  override async truncate(size: number, options?: ConflictOptions): Promise<void> {
    await this.#forget()
    return super.truncate(size, options)
  }

  override async punch(offset: number, length: number, options?: ConflictOptions): Promise<void> {
    await this.#forget()
    return super.punch(offset, length, options)
  }

  override async zeroRange(
    offset: number,
    length: number,
    options?: { readonly keepSize?: boolean } & ConflictOptions,
  ): Promise<void> {
    await this.#forget()
    return super.zeroRange(offset, length, options)
  }

  override async allocate(
    offset: number,
    length: number,
    options?: AllocateOptions,
  ): Promise<void> {
    await this.#forget()
    return super.allocate(offset, length, options)
  }

  override async collapse(
    offset: number,
    length: number,
    options?: ConflictOptions,
  ): Promise<void> {
    await this.#forget()
    return super.collapse(offset, length, options)
  }

  override async insert(offset: number, length: number, options?: ConflictOptions): Promise<void> {
    await this.#forget()
    return super.insert(offset, length, options)
  }

  override async copyRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
  ): Promise<number> {
    if (to instanceof RemoteFile) await to.#forget()
    await this.#forget()
    return super.copyRange(offset, to, toOffset, length)
  }

  override async reflinkRange(
    offset: number,
    to: FileHandle,
    toOffset: number,
    length: number,
    options?: ReflinkOptions,
  ): Promise<void> {
    if (to instanceof RemoteFile) await to.#forget()
    await this.#forget()
    return super.reflinkRange(offset, to, toOffset, length, options)
  }

  /** Once is enough, also while it is being closed. */
  override close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }

  async #close(): Promise<void> {
    this.#sizes.close(this.ino)
    await this.#forget()
    return super.close()
  }
}
