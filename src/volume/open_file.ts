/** An open file of a volume: a position, what it may do, and the inode that it keeps alive. */
import { HoldfastError } from '../base/errors.js'
import type { Layout, OpenFlags, Stats } from '../base/filesystem.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import type { OpenInode } from './open_inodes.js'
import { checkSize, type Volume } from './volume.js'

export interface OpenWish {
  readonly read: boolean
  readonly write: boolean
  readonly append: boolean
  readonly create: boolean
  readonly exclusive: boolean
  readonly truncate: boolean
}

const FLAGS = /^(r|w|a)(x?)(\+?)$/
const parsed = new Map<OpenFlags, OpenWish>()

/** The flags of node:fs, taken apart. */
export function parseFlags(flags: OpenFlags): OpenWish {
  let wish = parsed.get(flags)
  if (wish === undefined) {
    const parts = FLAGS.exec(flags)
    if (parts === null || (parts[1] === 'r' && parts[2] === 'x')) {
      throw new HoldfastError('EINVAL', `flags '${flags}': one of r r+ w w+ wx wx+ a a+ ax ax+`)
    }
    wish = {
      read: parts[1] === 'r' || parts[3] === '+',
      write: parts[1] !== 'r' || parts[3] === '+',
      append: parts[1] === 'a',
      create: parts[1] !== 'r',
      exclusive: parts[2] === 'x',
      truncate: parts[1] === 'w',
    }
    parsed.set(flags, wish)
  }
  return wish
}

export class OpenFile {
  readonly #volume: Volume
  readonly #inode: OpenInode
  readonly #wish: OpenWish
  #position = 0
  #closed = false

  /** Place in the volume's list of handles. */
  index: number

  constructor(volume: Volume, inode: OpenInode, wish: OpenWish, index: number) {
    this.index = index
    this.#volume = volume
    this.#inode = inode
    this.#wish = wish
  }

  /** Inode number. */
  get ino(): number {
    return this.#inode.number
  }

  /** Reads into `buffer`; returns bytes, fewer at the end of the file. `position` null: its own. */
  read(buffer: Uint8Array, position: number | null = null): number {
    this.#enter(this.#wish.read, 'read', position)
    const n = this.#volume.files.read(
      this.#inode.number,
      buffer,
      0,
      buffer.length,
      position ?? this.#position,
    )
    if (position === null) this.#position += n
    return n
  }

  /** Writes all of `buffer`; on an append handle always at the end. Returns bytes. */
  write(buffer: Uint8Array, position: number | null = null): number {
    this.#enter(this.#wish.write, 'write', position)
    const { core, files } = this.#volume
    let offset = position ?? this.#position
    if (this.#wish.append) offset = core.inodes.size(core.inodes.get(this.#inode.number))
    files.write(this.#inode, buffer, 0, buffer.length, offset)
    if (position === null) this.#position = offset + buffer.length
    return buffer.length
  }

  truncate(size: number): void {
    checkSize(size)
    this.#enter(this.#wish.write, 'ftruncate', 0)
    this.#volume.files.truncate(this.#inode.number, size)
  }

  stat(): Stats {
    this.#enter(true, 'fstat', 0)
    return this.#volume.statInode(this.#inode.number)
  }

  /** Data and metadata of this file are durable when it returns. */
  sync(): void {
    this.#enter(true, 'fsync', 0)
    this.#volume.syncInode(this.#inode)
  }

  /** The layout: where the blocks are, and its id. */
  extents(): Layout {
    this.#enter(true, 'extents', 0)
    return this.#volume.layoutOf(this.#inode.number)
  }

  /**
   * The file as memory: one run of addresses over all its extents. It stays when this handle is
   * closed. EOPNOTSUPP where the region cannot be mapped, or not in pieces as small as the file's.
   */
  map(options: MapOptions = {}): FileMapping {
    this.#enter(true, 'mmap', null)
    const { read, write } = this.#wish
    if (!read || (options.write === true && !write)) {
      throw new HoldfastError('EACCES', 'mapping takes a handle that reads, and writes to write', {
        syscall: 'mmap',
      })
    }
    return this.#volume.map(this.#inode, options)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#volume.release(this, this.#inode)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #enter(allowed: boolean, syscall: string, position: number | null): void {
    if (this.#closed) throw new HoldfastError('EBADF', 'the handle is closed', { syscall })
    if (!allowed)
      throw new HoldfastError('EBADF', `the handle is not open for ${syscall}`, { syscall })
    if (position !== null && (!Number.isSafeInteger(position) || position < 0)) {
      throw new HoldfastError('EINVAL', `position ${position}`, { syscall })
    }
    this.#volume.core.transaction.checkReadable()
    this.#volume.core.pages.tick()
  }
}
