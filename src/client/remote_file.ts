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
import { BLOCK_BYTES } from '../base/limits.js'
import { O } from '../base/open_flags.js'
import type { Stats } from '../base/stats.js'
import type { Client } from './client.js'
import type { DataConnections } from './data_connections.js'
import type { OpenOptions, Opened } from './file.js'
import { HoldingFile } from './holding_file.js'
import type { FileLayout, Piece } from './layout.js'
import { OneSided, RemoteLayout } from './one_sided.js'
import { whenFree, type LayoutOptions } from './taking.js'
import { sizeOf } from './wire.js'

/** Layouts kept at a time; the one that was used longest ago goes for the next. */
const KEPT_MAX = 8
/** Shorter writes for which there is no layout go through the connection: one trip, not three. */
const LAYOUT_WRITE_BYTES = 64 << 10
/** What of a file is lent for writing at once. */
const WINDOW_BYTES = 16 << 20
/** Times that a read is made again because the file became shorter. */
const TRIES = 8
const SYNCED = O.DSYNC | O.SYNC

export class RemoteFile extends HoldingFile {
  readonly #data: DataConnections
  readonly #fault: boolean
  /** Those used last come last. */
  #kept: OneSided[] = []
  #taking: Promise<OneSided> | null = null
  /** Bytes, as the server last said. */
  #size = -1

  constructor(
    client: Client,
    data: DataConnections,
    opened: Opened,
    flags: number,
    { fault = false }: OpenOptions,
  ) {
    super(client, opened, flags)
    this.#data = data
    this.#fault = fault
  }

  // ---- layouts ---------------------------------------------------------------------------------

  /** Lends a range, and gives the way to its bytes. EAGAIN while it is under recall. */
  async layout(options: LayoutOptions = {}): Promise<FileLayout> {
    const { iomode = 'read' } = options
    const hold = await this.lease(options)
    try {
      const one = await this.#register(hold, iomode === 'rw')
      return new RemoteLayout(hold, one)
    } catch (error) {
      await hold.release().catch(() => {})
      throw error
    }
  }

  async #register(hold: Awaited<ReturnType<HoldingFile['pin']>> | null, write: boolean) {
    const handle = await this.handle()
    const session = await this.connection.session()
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

  /** For reading all of the file; for writing a window, as blocks are made for all of it. */
  async #lend(offset: number, length: number, write: boolean): Promise<OneSided> {
    const range = write ? this.#window(offset, length) : { offset: 0, length: this.#blocksEnd() }
    const iomode = write ? ('rw' as const) : ('read' as const)
    const reason = write ? 'writes one-sided' : 'reads one-sided'
    let one: OneSided | null = null
    const onRecall = () => one?.close()
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
    const from = Math.floor(offset / WINDOW_BYTES) * WINDOW_BYTES
    const whole = Math.min(Math.ceil(end / WINDOW_BYTES) * WINDOW_BYTES, this.#blocksEnd())
    const to = Math.max(whole, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES)
    return { offset: from, length: to - from }
  }

  /** Gives all layouts back. */
  async #forget(): Promise<void> {
    await this.#taking?.catch(() => {})
    await Promise.all(this.#kept.splice(0).map((one) => this.#letGo(one)))
    this.#size = -1
  }

  async #letGo(one: OneSided): Promise<void> {
    await one.close()
    const { hold } = one
    // What was written is the file's already; its times and durability are the commit's.
    if (one.dirty && one.session === this.connection.alive && (hold === null || hold.held)) {
      await one.commit().catch(() => {})
    }
    await one.release().catch(() => {})
  }

  // ---- bytes -----------------------------------------------------------------------------------

  protected override async readAt(buffer: Uint8Array, position: number): Promise<number> {
    if (buffer.length === 0) return 0
    for (let tries = 1; ; tries++) {
      const length = await this.#within(position, buffer.length)
      if (length === 0) return 0
      const one = this.#find(position, length, false) ?? (await this.#way(position, length, false))
      try {
        await one.read(position, length === buffer.length ? buffer : buffer.subarray(0, length))
        return length
      } catch (error) {
        await this.#lost(one, error, tries)
      }
    }
  }

  /** Bytes of the file among so many: what the server said, asked anew at its end. */
  async #within(position: number, length: number): Promise<number> {
    if (position + length <= this.#size) return length
    await this.stat()
    return Math.max(0, Math.min(length, this.#size - position))
  }

  override async stat(): Promise<Stats> {
    const stats = await super.stat()
    this.#size = stats.size
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
    this.#size = -1
  }

  /** Many pieces of the file at once, in the order of the list. EINVAL past its end. */
  async readMany(pieces: readonly Piece[]): Promise<Uint8Array[]> {
    const all = pieces.map(({ offset, length = 0, into = new Uint8Array(length) }) => ({
      offset: sizeOf(offset, 'offset'),
      into,
    }))
    const end = all.reduce((most, { offset, into }) => Math.max(most, offset + into.length), 0)
    for (let tries = 1; all.length > 0; tries++) {
      if ((await this.#within(0, end)) < end) {
        throw new HoldfastError('EINVAL', `a piece ends at byte ${end}, the file at ${this.#size}`)
      }
      const one = await this.#way(0, end, false)
      try {
        await one.readMany(all)
        break
      } catch (error) {
        await this.#lost(one, error, tries)
      }
    }
    return all.map(({ into }) => into)
  }

  protected override async writeAt(
    buffer: Uint8Array,
    position: number,
    options: ConflictOptions,
  ): Promise<number> {
    const mediated = this.append || (this.flags & SYNCED) !== 0 || buffer.length === 0
    const end = position + buffer.length
    if (mediated) return this.#throughServer(buffer, position, options)
    this.demandWritable()
    if (end > this.#size) await this.stat()
    if (end > this.#size && (this.#fault || buffer.length < LAYOUT_WRITE_BYTES)) {
      return this.#throughServer(buffer, position, options)
    }
    const there = this.#find(position, buffer.length, true)
    if (there === null && !this.#fault && buffer.length < LAYOUT_WRITE_BYTES) {
      return this.#throughServer(buffer, position, options)
    }
    for (let tries = 1; ; tries++) {
      const one = await this.#way(position, buffer.length, true)
      try {
        await one.write(position, buffer)
        if (end > this.#size) {
          await one.commit(end)
          this.#size = Math.max(this.#size, end)
        }
        return end
      } catch (error) {
        await this.#lost(one, error, tries)
        await this.stat()
        if (end > this.#size && this.#fault) return this.#throughServer(buffer, position, options)
      }
    }
  }

  async #throughServer(
    buffer: Uint8Array,
    position: number,
    options: ConflictOptions,
  ): Promise<number> {
    const end = await super.writeAt(buffer, position, options)
    this.#size = Math.max(this.#size, end)
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

  override async close(): Promise<void> {
    await this.#forget()
    return super.close()
  }
}
