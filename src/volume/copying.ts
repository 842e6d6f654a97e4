/**
 * Copying within the volume (copy_file_range(2)): whole blocks are shared where they may be, holes
 * stay holes, and the rest is copied.
 *
 * Invariants:
 * - a copy never fails for the sake of a hold, or because there can be no sharing;
 * - like write it says how far it came: it fails only when that is nowhere.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { InodeFlag } from '../media/inode.js'
import type { Core } from './core.js'
import type { Files } from './files.js'
import type { OpenInode } from './open_inodes.js'
import { checkRange, type Ranges } from './ranges.js'
import type { Sharing } from './sharing.js'
import type { Work } from './work.js'
import type { Writes } from './writes.js'

/** Bytes copied in one go. */
const COPY_BYTES = 1 << 20
/** Less is sooner copied than shared. */
const SHARE_FROM_BYTES = 64 * 1024
/** What says that these blocks cannot be shared now, and no more. */
const NO_SHARING: ReadonlySet<string> = new Set([
  'EBUSY',
  'ETXTBSY',
  'EPERM',
  'EAGAIN',
  'EINVAL',
  'ENOSPC',
  'EOPNOTSUPP',
])

export class Copying {
  readonly #core: Core
  readonly #files: Files
  readonly #writes: Writes
  readonly #ranges: Ranges
  readonly #work: Work
  readonly #sharing: Sharing
  /** Whether the copy under way can share what comes next. */
  #shares = false

  constructor(
    core: Core,
    files: Files,
    writes: Writes,
    ranges: Ranges,
    work: Work,
    sharing: Sharing,
  ) {
    this.#core = core
    this.#files = files
    this.#writes = writes
    this.#ranges = ranges
    this.#work = work
    this.#sharing = sharing
  }

  /**
   * Copies bytes between files, or within one; returns how many: fewer where something is in the
   * way of the rest, which the next call then says. Holes of the source stay holes.
   */
  copy(from: number, offset: number, to: OpenInode, toOffset: number, length: number): number {
    const { inodes, pages, grace } = this.#core
    checkRange(offset, length, 0)
    checkRange(toOffset, length, 0)
    // Also when there is nothing to copy, which else changes nothing.
    if (inodes.has(inodes.get(to.number), InodeFlag.immutable)) {
      throw new HoldfastError('EPERM', 'it is immutable')
    }
    this.#work.settle(from)
    const size = inodes.size(inodes.get(from))
    const count = Math.max(0, Math.min(length, size - offset))
    if (from === to.number && Math.abs(offset - toOffset) < count) {
      throw new HoldfastError('EINVAL', 'source and destination overlap')
    }
    if (toOffset + count > FILE_BYTES_MAX) {
      throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
    }
    if (count > 0) grace.demandOver()
    if (count > 0) this.#files.writable(to.number)
    const buffer = new Uint8Array(Math.min(count, COPY_BYTES))
    this.#shares = offset % BLOCK_BYTES === toOffset % BLOCK_BYTES
    let done = 0
    try {
      while (done < count) {
        pages.tick()
        const left = count - done
        done += this.#part(from, offset + done, size, to, toOffset + done, left, buffer)
      }
    } catch (error) {
      if (done === 0 || !(error instanceof HoldfastError)) throw error
    }
    return done
  }

  /** Shares, copies or punches the next part; returns its bytes. */
  #part(
    from: number,
    offset: number,
    size: number,
    to: OpenInode,
    toOffset: number,
    left: number,
    buffer: Uint8Array,
  ): number {
    const inBlock = offset % BLOCK_BYTES
    if (this.#shares && inBlock === 0) {
      const whole = this.#share(from, offset, to, toOffset, left, size)
      this.#shares = whole > 0
      if (whole > 0) return whole
    }
    const run = Math.min(left, this.#copyRun(from, offset, size))
    if (run === 0) return this.#copyHole(from, offset, size, to, toOffset, left)
    const n = Math.min(run, this.#shares ? BLOCK_BYTES - inBlock : COPY_BYTES)
    this.#files.read(from, buffer, 0, n, offset)
    this.#writes.write(to, buffer, 0, n, toOffset)
    return n
  }

  /**
   * Shares whole blocks instead of copying them; returns the bytes that are done. A copy never
   * fails for the sake of a hold, or because there can be no sharing: then it is 0.
   */
  #share(
    from: number,
    offset: number,
    to: OpenInode,
    toOffset: number,
    length: number,
    size: number,
  ): number {
    const { inodes } = this.#core
    const toEnd =
      offset + length === size && toOffset + length >= inodes.size(inodes.get(to.number))
    const whole = toEnd ? length : length - (length % BLOCK_BYTES)
    if (whole < SHARE_FROM_BYTES) return 0
    try {
      this.#sharing.reflink(from, offset, to, toOffset, whole)
      return whole
    } catch (error) {
      if (error instanceof HoldfastError && NO_SHARING.has(error.code)) return 0
      throw error
    }
  }

  /** Bytes of data at an offset before the next hole; 0 in a hole. */
  #copyRun(number: number, offset: number, size: number): number {
    const { inodes, extents } = this.#core
    if (!extents.find(inodes.get(number), Math.floor(offset / BLOCK_BYTES))) return 0
    return Math.min(size, (extents.fileBlock + extents.count) * BLOCK_BYTES) - offset
  }

  /**
   * A hole of the source becomes one of the destination, as far as whole blocks of it go; what was
   * allocated past its end goes as well, as it does where blocks are shared.
   */
  #copyHole(
    number: number,
    offset: number,
    size: number,
    to: OpenInode,
    toOffset: number,
    most: number,
  ): number {
    const { inodes, extents, pages } = this.#core
    extents.find(inodes.get(number), Math.floor(offset / BLOCK_BYTES))
    const next = extents.count === 0 ? size : Math.min(size, extents.fileBlock * BLOCK_BYTES)
    const n = Math.min(most, next - offset)
    pages.tick()
    const old = inodes.size(inodes.get(to.number))
    const inside = Math.max(0, Math.min(n, old - toOffset))
    const end = toOffset + n
    // What stands in the last block past the end of the file is nobody's.
    const reach = end < old ? end : Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES
    try {
      if (inside > 0 || this.#mapped(to.number, toOffset, reach)) {
        this.#ranges.punch(to, toOffset, reach - toOffset)
      }
    } catch (error) {
      // A copy never fails for the sake of a hold: zeros where blocks are to stay.
      if (!(error instanceof HoldfastError && NO_SHARING.has(error.code))) throw error
      if (inside > 0) this.#ranges.zero(to, toOffset, inside, true)
    }
    pages.tick()
    if (end > old) this.#files.truncate(to.number, end)
    return n
  }

  /** Whether a file has a block in a range of its bytes. */
  #mapped(number: number, from: number, end: number): boolean {
    const { inodes, extents } = this.#core
    if (extents.find(inodes.get(number), Math.floor(from / BLOCK_BYTES))) return true
    return extents.count > 0 && extents.fileBlock * BLOCK_BYTES < end
  }
}
