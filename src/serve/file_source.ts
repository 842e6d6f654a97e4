/**
 * A file as memory that peers reach without a hold (on-demand paging): each access finds the blocks
 * anew, wherever they are by then. Offsets are those of the file.
 *
 *                | in a block          | in a hole        | past the end of the file
 *     read       | what is there       | zeros            | out of bounds
 *     store      | the file's alone,   | a block of zeros | out of bounds
 *                | shared ones copied  | before           |
 *
 * Invariants:
 * - the file is kept open until `close`: its number is nobody else's, whoever closes the handle;
 * - an extent is remembered with the generation of the layout that it is of, and is good for no
 *   other. Blocks gain an owner without a change of that layout: a store looks whether any has, and
 *   whether the file may still be written;
 * - nothing waits: where a hold is in the way of a block that a store needs, where there is no room
 *   for it, or the medium failed, the access fails and `refused` is told why;
 * - what is said holds for the turn: blocks that a step here frees are not handed out before its
 *   record is durable, and no step here moves blocks that an earlier one led to.
 *
 * As of a mapping, reads leave atime alone, and mtime is that of the next `persist` or `close`.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { LayoutFile } from '../layout/file.js'
import type { LayoutVolume } from '../layout/volume.js'
import { Inode, InodeFlag, UNCHANGING } from '../media/inode.js'
import type { MemoryId } from '../native/native.js'
import type { Pieces } from '../rdma/pieces.js'
import { Fault, type MemorySource } from '../rdma/source.js'
import type { OpenInode } from '../volume/open_inodes.js'
import { memoryOf } from './region_memory.js'
import { addZeros } from './zeros.js'
import { WriteBack } from './write_back.js'

const word = Inode.word
/** Extents that are looked up before pages of their tree may go. */
const WALK_EXTENTS = 64
/** Errors of who may not, as opposed to what cannot be done. */
const RIGHTS: ReadonlySet<string> = new Set(['EPERM', 'EACCES', 'EBADF', 'EROFS'])

export interface FileSourceOptions {
  /** Where the region ends: the file may grow so far. FILE_BYTES_MAX, or less. */
  readonly length: number
  /** Why an access failed, which the peer is told by a number alone. */
  readonly refused?: (error: HoldfastError) => void
}

export class FileSource implements MemorySource {
  readonly file: LayoutFile
  readonly length: number
  readonly #volume: LayoutVolume
  readonly #memory: MemoryId
  readonly #inode: OpenInode
  readonly #o: FileSourceOptions
  readonly #dirty: WriteBack
  /** The extent that was found last, in blocks, and the generation that it is of. */
  #first = 0
  #after = 0
  #place = 0
  #generationLow = 0
  #generationHigh = 0
  /** Flags and mode that the file had when it was last found to be writable. */
  #flags = -1
  #mode = -1
  #closed = false
  #failed = false

  constructor(volume: LayoutVolume, file: LayoutFile, options: FileSourceOptions) {
    this.file = file
    this.length = options.length
    this.#volume = volume
    this.#memory = memoryOf(volume.region)
    this.#o = options
    const { inodes, opens } = volume.core
    if (!inodes.isFile(inodes.get(file.ino))) {
      throw new HoldfastError('EISDIR', 'only files are registered')
    }
    this.#inode = opens.open(file.ino)
    const write = (at: number, count: number) => volume.region.flush(at, count)
    this.#dirty = new WriteBack(volume, (from, to) => {
      // What was closed meanwhile was written back then.
      if (opens.get(file.ino) === this.#inode) this.#eachPlace(from, to, write)
    })
  }

  /** The file is let go of. The memory regions over it were invalidated before. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#volume.closed) return
    if (this.#dirty.dirty) {
      this.#volume.times.wrote(this.#inode)
      if (this.#volume.region.persistence === 'flush') this.#dirty.now(0, this.length)
    }
    this.#volume.releaseInode(this.#inode)
  }

  [Symbol.dispose](): void {
    this.close()
  }

  translate(offset: number, length: number, store: boolean, pieces: Pieces): Fault {
    try {
      return this.#translate(offset, length, store, pieces)
    } catch (error) {
      return this.#refuse(error)
    }
  }

  #refuse(error: unknown): Fault {
    if (!(error instanceof HoldfastError)) throw error
    this.#o.refused?.(error)
    return RIGHTS.has(error.code) ? Fault.rights : Fault.failed
  }

  #translate(offset: number, length: number, store: boolean, pieces: Pieces): Fault {
    const { core, closed } = this.#volume
    if (closed || this.#closed || this.#failed) return Fault.failed
    const { wish } = this.file
    if (!(store ? wish.write && !wish.append : wish.read)) return Fault.rights
    // A listener of the volume is in the middle of a call, whose pages are not to go.
    core.guard.demandOutside()
    core.transaction.checkReadable()
    core.pages.tick()
    let w = this.#settled()
    const end = offset + length
    if (end > core.inodes.size(w)) return Fault.bounds
    if (store && core.inodes.has(w, UNCHANGING)) return Fault.rights
    // A snapshot is of the moment before; the file may share its blocks with it afterwards.
    if (store && this.#volume.waiting.alone.finish()) {
      core.pages.tick()
      w = this.#settled()
    }
    const { u32 } = core.pages
    const whole =
      offset >= this.#first * BLOCK_BYTES &&
      end <= this.#after * BLOCK_BYTES &&
      u32[w + word.layoutGeneration] === this.#generationLow &&
      u32[w + word.layoutGeneration + 1] === this.#generationHigh
    if (whole && (!store || this.#isWritable(w))) {
      this.#add(
        pieces,
        this.#place * BLOCK_BYTES + (offset - this.#first * BLOCK_BYTES),
        length,
        store,
      )
      return Fault.none
    }
    if (store) this.#own(offset, length)
    this.#look(offset, end, store, pieces)
    return Fault.none
  }

  /** Word index of the inode, with what a crash left of it done. */
  #settled(): number {
    const { core, work } = this.#volume
    const { number } = this.#inode
    const w = core.inodes.get(number)
    if (!core.inodes.has(w, InodeFlag.unfinished)) return w
    work.settle(number)
    return core.inodes.get(number)
  }

  /** Whether it is as it was when it was last found to be writable, and has no shared blocks. */
  #isWritable(w: number): boolean {
    const { u32 } = this.#volume.core.pages
    if (u32[w + word.flags] !== this.#flags || u32[w + word.mode] !== this.#mode) return false
    if (this.#volume.readOnly || !this.#volume.core.transaction.usable) return false
    return (this.#flags & InodeFlag.shares) === 0
  }

  #own(offset: number, length: number): void {
    const { core } = this.#volume
    this.file.own(offset, length)
    core.pages.tick()
    const w = core.inodes.get(this.#inode.number)
    this.#flags = core.pages.u32[w + word.flags]!
    this.#mode = core.pages.u32[w + word.mode]!
  }

  #look(offset: number, end: number, store: boolean, pieces: Pieces): void {
    const { inodes, extents, pages } = this.#volume.core
    const { number } = this.#inode
    let w = inodes.get(number)
    for (let at = offset, steps = 1; at < end; steps++) {
      if (steps % WALK_EXTENTS === 0) {
        pages.tick()
        w = inodes.get(number)
      }
      if (!extents.find(w, Math.floor(at / BLOCK_BYTES))) {
        if (store) throw new HoldfastError('EIO', `no block at ${at} of a file that was given one`)
        const next = extents.count === 0 ? end : Math.min(end, extents.fileBlock * BLOCK_BYTES)
        addZeros(pieces, next - at)
        at = next
        continue
      }
      const { fileBlock, regionBlock, count } = extents
      const to = Math.min(end, (fileBlock + count) * BLOCK_BYTES)
      this.#add(pieces, regionBlock * BLOCK_BYTES + (at - fileBlock * BLOCK_BYTES), to - at, store)
      this.#first = fileBlock
      this.#after = fileBlock + count
      this.#place = regionBlock
      // Of this extent alone: of holes nothing is remembered.
      this.#generationLow = pages.u32[w + word.layoutGeneration]!
      this.#generationHigh = pages.u32[w + word.layoutGeneration + 1]!
      at = to
    }
  }

  #add(pieces: Pieces, at: number, count: number, store: boolean): void {
    const { core } = this.#volume
    pieces.add(this.#memory, at, count)
    if (core.region.coherent) return
    if (store) core.beforeStore(at, count)
    else core.beforeRead(at, count)
  }

  fetched(): Fault {
    try {
      this.#volume.core.checkRegion()
      return Fault.none
    } catch (error) {
      return this.#refuse(error)
    }
  }

  stored(offset: number, length: number): void {
    this.#dirty.add(offset, length)
    const { core } = this.#volume
    try {
      core.checkRegion()
      if (!core.region.coherent) this.#eachPlace(offset, offset + length, this.#afterStore)
    } catch (error) {
      this.#failed = true
      this.#refuse(error)
    }
  }

  readonly #afterStore = (at: number, count: number) => this.#volume.core.afterStore(at, count)

  // ---- durability ------------------------------------------------------------------------------

  /** Whether anything was stored that may not be durable. */
  get dirty(): boolean {
    return this.#dirty.dirty
  }

  /**
   * What was stored before is durable when it resolves, with the blocks that it got and the time of
   * it; on a thread where a page cache is between. EIO once the medium has failed.
   */
  async persist(): Promise<void> {
    const { region } = this.#volume
    if (this.#failed) throw new HoldfastError('EIO', `${region.path}: stores were lost`)
    if (!this.dirty || this.#closed) return
    try {
      await this.#persist()
    } catch (error) {
      this.#failed = true
      throw error
    }
  }

  async #persist(): Promise<void> {
    const { core, times, region } = this.#volume
    const { transaction, changes } = core
    transaction.checkUsable()
    core.pages.tick()
    times.wrote(this.#inode)
    times.write(this.#inode)
    if (changes.watched) changes.tell({ kind: 'content', ino: this.#inode.number })
    await this.#dirty.all()
    if (transaction.syncMode !== 'always' || region.persistence === 'sync') {
      await transaction.flushAsync()
    }
    core.checkRegion()
  }

  #eachPlace(from: number, to: number, visit: (at: number, count: number) => void): void {
    const [first, after] = [Math.floor(from / BLOCK_BYTES), Math.ceil(to / BLOCK_BYTES)]
    this.#volume.holding.eachRun(this.#inode.number, first, after, (block, count, fileBlock) => {
      const start = Math.max(from, fileBlock * BLOCK_BYTES)
      const end = Math.min(to, (fileBlock + count) * BLOCK_BYTES)
      visit(block * BLOCK_BYTES + (start - fileBlock * BLOCK_BYTES), end - start)
    })
  }
}
