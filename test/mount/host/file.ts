/** An open file of a directory of the host. */
import { HoldfastError } from '../../../src/base/errors.js'
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
  Stats,
  StreamOptions,
  Time,
  Writable,
} from '../../../src/base/filesystem.js'
import { O } from '../../../src/base/open_flags.js'
import { typeOfBits } from '../../../src/base/stats.js'
import { readStreamOf, writeStreamOf } from '../../../src/base/streams.js'
import { SHARED_BYTES } from '../../suite/linux/caller.js'
import {
  bytesOf,
  CLOSED,
  numbersOf,
  statsOf,
  textBytes,
  timeWords,
  unsaid,
  whole,
  type Calls,
} from './calls.js'

const BLOCK = 4096
/** falloc.h */
const KEEP_SIZE = 1
const PUNCH_HOLE = 2
const COLLAPSE = 8
const ZERO_RANGE = 16
const INSERT = 32
/** fcntl.h, sys/file.h */
const LOCK_TYPES = { read: 0, write: 1, unlock: 2 } as const
const FLOCK = { shared: 1, exclusive: 2, unlock: 8 } as const
const XATTR_MODES = { any: 0, create: 1, replace: 2 } as const
const EVERY_TIME = O.CREAT | O.EXCL | O.TRUNC

export class HostFile implements FileHandle {
  readonly #calls: Calls
  readonly #path: Buffer
  readonly #flags: number
  #slot: number
  /** Owners of locks, who have the file open too: each in a process of its own. */
  readonly #owners = new Set<unknown>()

  private constructor(calls: Calls, path: Buffer, flags: number, slot: number) {
    this.#calls = calls
    this.#path = path
    this.#flags = flags
    this.#slot = slot
  }

  static async open(
    calls: Calls,
    path: Path,
    flags: number,
    mode: number,
    as?: Credentials,
  ): Promise<HostFile> {
    const bytes = bytesOf(path)
    const slot = calls.slot()
    try {
      await calls.make('open', [slot, bytes, flags, mode], as)
      return new HostFile(calls, bytes, flags, slot)
    } catch (error) {
      calls.giveBack(slot)
      throw error
    }
  }

  async read(buffer: Uint8Array, position: number | null = null): Promise<number> {
    const [name, at] = position === null ? ['take', []] : ['takeat', [whole(position)]]
    const length = Math.min(buffer.length, SHARED_BYTES)
    return this.#calls.read(name as string, [this.#slot, length, ...(at as number[])], buffer)
  }

  /** As often as it takes: write(2) may write less than it is asked to. */
  async write(buffer: Uint8Array, position: number | null = null): Promise<number> {
    let done = 0
    do {
      const rest = buffer.subarray(done, done + SHARED_BYTES)
      const args = [this.#slot, rest.length]
      if (position !== null) args.push(whole(position) + done)
      const n = await this.#calls.write(position === null ? 'put' : 'putat', args, rest)
      if (n === 0 && rest.length > 0) throw new HoldfastError('EIO', 'a write of nothing')
      done += n
    } while (done < buffer.length)
    return done
  }

  async truncate(size: number): Promise<void> {
    await this.#calls.make('ftruncate', [this.#slot, whole(size)])
  }

  async stat(): Promise<Stats> {
    return statsOf(await this.#calls.make('fstatx', [this.#slot]))
  }

  async sync(): Promise<void> {
    await this.#calls.make('fsync', [this.#slot])
  }

  async extents(): Promise<Layout> {
    const extents = []
    for (let from = 0; ;) {
      const answer = await this.#calls.make('extents', [this.#slot, from])
      const [epoch = 0, generation = 0, more, ...words] = numbersOf(answer)
      for (let i = 0; i < words.length; i += 3) {
        const [file, region, length] = words.slice(i, i + 3).map((bytes) => bytes / BLOCK)
        extents.push({ fileBlock: file!, regionBlock: region!, count: length! })
        from = (file! + length!) * BLOCK
      }
      if (more === 0) return { epoch, generation, extents }
    }
  }

  async chmod(mode: number): Promise<void> {
    await this.#calls.make('fchmod', [this.#slot, mode])
  }

  async chown(uid: number, gid: number): Promise<void> {
    await this.#calls.make('fchown', [this.#slot, uid, gid])
  }

  async utimes(atime: Time, mtime: Time): Promise<void> {
    await this.#calls.make('futimes', [this.#slot, ...timeWords(atime), ...timeWords(mtime)])
  }

  async getXattr(name: string): Promise<Uint8Array> {
    return textBytes(await this.#calls.make('fgetxattr', [this.#slot, Buffer.from(name)]))
  }

  async setXattr(name: string, value: Uint8Array, mode?: 'create' | 'replace'): Promise<void> {
    const args = [this.#slot, Buffer.from(name), Buffer.from(value), XATTR_MODES[mode ?? 'any']]
    await this.#calls.make('fsetxattr', args)
  }

  async removeXattr(name: string): Promise<void> {
    await this.#calls.make('fremovexattr', [this.#slot, Buffer.from(name)])
  }

  async listXattrs(): Promise<string[]> {
    return xattrNames(await this.#calls.make('flistxattr', [this.#slot]))
  }

  async readdir(cookie = 0, limit = Infinity): Promise<DirectoryEntry[]> {
    const entries: DirectoryEntry[] = []
    for (let after = cookie; entries.length < limit;) {
      const answer = await this.#calls.make('getdents', [this.#slot, after])
      const words = answer.split(' ').filter(Boolean)
      if (words.length === 0) break
      for (let i = 0; i < words.length; i += 4) {
        const [ino, type, next] = words.slice(i + 1, i + 4).map(Number)
        after = next!
        const name = textBytes(words[i]!)
        entries.push({ name, ino: ino!, type: typeOfBits(type!), cookie: after })
      }
    }
    return entries.slice(0, limit)
  }

  async allocate(offset: number, length: number, options: AllocateOptions = {}): Promise<void> {
    if (options.contiguous === true) return unsaid('that a range is one run')
    return this.#fallocate(options.keepSize === true ? KEEP_SIZE : 0, offset, length)
  }

  punch(offset: number, length: number): Promise<void> {
    return this.#fallocate(PUNCH_HOLE | KEEP_SIZE, offset, length)
  }

  zeroRange(offset: number, length: number, options: AllocateOptions = {}): Promise<void> {
    const keep = options.keepSize === true ? KEEP_SIZE : 0
    return this.#fallocate(ZERO_RANGE | keep, offset, length)
  }

  collapse(offset: number, length: number): Promise<void> {
    return this.#fallocate(COLLAPSE, offset, length)
  }

  insert(offset: number, length: number): Promise<void> {
    return this.#fallocate(INSERT, offset, length)
  }

  async #fallocate(mode: number, offset: number, length: number): Promise<void> {
    await this.#calls.make('fallocate', [this.#slot, mode, whole(offset), whole(length)])
  }

  async seek(offset: number, what: 'data' | 'hole'): Promise<number> {
    const args = [this.#slot, whole(offset), what === 'data' ? 0 : 1]
    return Number(await this.#calls.make('seek', args))
  }

  async copyRange(offset: number, to: FileHandle, toOffset: number, length: number) {
    const target = slotOf(to)
    const args = [this.#slot, whole(offset), target, whole(toOffset), whole(length)]
    return Number(await this.#calls.make('copy', args))
  }

  async reflinkRange(offset: number, to: FileHandle, toOffset: number, length: number) {
    const target = slotOf(to)
    const args = [this.#slot, whole(offset), target, whole(toOffset), whole(length)]
    await this.#calls.make('clonerange', args)
  }

  map(): Promise<never> {
    return unsaid('that a mapping is the region itself')
  }

  async lock(lock: RangeLock, { wait = false, signal }: LockWait = {}): Promise<void> {
    if (signal !== undefined) return unsaid('when a wait ends')
    await this.#setLock(lock.type, lock, wait)
  }

  unlock(range: Omit<RangeLock, 'type'>): Promise<void> {
    return this.#setLock('unlock', range, false)
  }

  async #setLock(
    type: keyof typeof LOCK_TYPES,
    { start = 0, length = 0, owner }: Omit<RangeLock, 'type'>,
    wait: boolean,
  ): Promise<void> {
    const args = [this.#slot, LOCK_TYPES[type], start, length, wait ? 1 : 0]
    if (owner === undefined) return this.#calls.makeWaiting('ofdlock', args)
    if (!this.#owners.has(owner)) {
      await this.#calls.makeAs(owner, 'open', [
        this.#slot,
        this.#path,
        this.#flags & ~EVERY_TIME,
        0,
      ])
      this.#owners.add(owner)
    }
    await this.#calls.makeAs(owner, 'ownlock', args)
  }

  async testLock({ type, start = 0, length = 0, owner }: RangeLock): Promise<HeldLock | null> {
    if (owner !== undefined) return unsaid('who the owner of a lock is, but for its process')
    const args = [this.#slot, LOCK_TYPES[type], start, length]
    const [found, at, bytes] = numbersOf(await this.#calls.make('ofdtest', args))
    if (found === LOCK_TYPES.unlock) return null
    const held = found === LOCK_TYPES.read ? 'read' : 'write'
    return { type: held, start: at!, length: bytes!, owner: undefined }
  }

  async flock(type: keyof typeof FLOCK, { wait = false }: LockWait = {}): Promise<void> {
    await this.#calls.makeWaiting('flock', [this.#slot, FLOCK[type], wait ? 1 : 0])
  }

  async link(path: Path, as?: Credentials): Promise<void> {
    await this.#calls.make('linkfd', [this.#slot, bytesOf(path)], as)
  }

  createReadStream(options?: StreamOptions): Readable {
    return readStreamOf(this, options)
  }

  createWriteStream(options?: StreamOptions): Writable {
    return writeStreamOf(this, options)
  }

  async close(): Promise<void> {
    const slot = this.#slot
    if (slot === CLOSED) return
    this.#slot = CLOSED
    for (const owner of this.#owners) await this.#calls.makeAs(owner, 'close', [slot])
    await this.#calls.make('close', [slot])
    this.#calls.giveBack(slot)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  static slotOf(file: HostFile): number {
    return file.#slot
  }
}

function slotOf(file: FileHandle): number {
  if (!(file instanceof HostFile)) throw new HoldfastError('EXDEV')
  return HostFile.slotOf(file)
}

/** As listxattr(2) has them: each with a NUL behind it. */
export function xattrNames(value: string): string[] {
  return textBytes(value).toString().split('\0').filter(Boolean).sort()
}
