/**
 * A mounted volume below its calls: the parts, the open handles, the frame that every call runs in,
 * durability, and the end.
 */
import { HoldfastError, withContext } from '../base/errors.js'
import { finishAll } from '../base/finish_all.js'
import type { Change, Credentials, Path } from '../base/filesystem.js'
import { HANDLES_MAX } from '../base/limits.js'
import type { Region } from '../region/region.js'
import { Attributes } from './attributes.js'
import { Copying } from './copying.js'
import { CopyOnWrite } from './copy_on_write.js'
import type { Core } from './core.js'
import { Files } from './files.js'
import { Locks } from './locks.js'
import { Mappings } from './mappings.js'
import { releaseMemory, unmountVolume, type MountOptions, type Mounted } from './mount.js'
import { Namespace } from './namespace.js'
import { OpenFile } from './open_file.js'
import type { OpenWish } from '../base/open_flags.js'
import type { OpenInode } from './open_inodes.js'
import { demandBase } from './opening.js'
import { PathName } from './paths.js'
import { Ranges } from './ranges.js'
import { Relocation } from './relocation.js'
import { addNewBlocks, shrink } from './resize.js'
import { Sharing } from './sharing.js'
import { Times } from './times.js'
import type { Volume } from './volume.js'
import { Work } from './work.js'
import { Writes } from './writes.js'

/** Steps of freeing what a crash left, done at mount; the rest goes on with later operations. */
const ORPHAN_STEPS_AT_MOUNT = 64

export class MountedVolume {
  readonly core: Core
  readonly work: Work
  readonly times: Times
  readonly copies: CopyOnWrite
  readonly files: Files
  readonly writes: Writes
  readonly ranges: Ranges
  readonly copying: Copying
  readonly sharing: Sharing
  readonly relocation: Relocation
  readonly attributes: Attributes
  readonly namespace: Namespace
  readonly mappings: Mappings
  readonly locks = new Locks()
  /** Raised durably at each mount: half of a layout id. */
  readonly epoch: number
  /** Log records that this mount replayed. */
  readonly replayed: number
  readonly readOnly: boolean

  protected readonly mounted: Mounted
  /** The paths of the running call; a rename has two. */
  protected readonly name = new PathName((handle) => demandBase(this.core, handle))
  protected readonly second = new PathName((handle) => demandBase(this.core, handle))
  readonly #ownsMemory: boolean
  readonly #handles: OpenFile[] = []
  #open = true
  /** Where to look for orphans of before the mount; -1: all done. */
  #orphanCursor = 1

  protected constructor(mounted: Mounted, options: MountOptions) {
    this.mounted = mounted
    this.#ownsMemory = options.memory === undefined
    this.readOnly = mounted.readOnly
    this.core = mounted.core
    this.core.access.readOnlyBecause = this.readOnly ? mounted.readOnlyBecause : null
    this.work = new Work(mounted.core)
    this.times = new Times(mounted.core, this.readOnly ? 'never' : (options.atime ?? 'relatime'))
    this.copies = new CopyOnWrite(mounted.core)
    this.files = new Files(mounted.core, this.work, this.copies)
    this.writes = new Writes(mounted.core, this.files, this.work, this.times, this.copies)
    this.sharing = new Sharing(mounted.core, this.files, this.work)
    this.ranges = new Ranges(mounted.core, this.files, this.work, this.copies)
    this.copying = new Copying(
      mounted.core,
      this.files,
      this.writes,
      this.ranges,
      this.work,
      this.sharing,
    )
    this.relocation = new Relocation(mounted.core, this.work)
    this.attributes = new Attributes(mounted.core, this.times)
    this.namespace = new Namespace(mounted.core, this.work)
    this.mappings = new Mappings(mounted.core, this.work, this.ranges, this.times, (inode) =>
      this.releaseInode(inode),
    )
    this.epoch = mounted.epoch
    this.replayed = mounted.replayed
    this.core.badBlocks.load()
    if (options.survivors === true && !this.readOnly) {
      this.core.grace.begin()
      this.core.limbo.takeOver()
    } else addNewBlocks(this.core)
    if (this.readOnly) this.#orphanCursor = -1
    for (let i = 0; i < ORPHAN_STEPS_AT_MOUNT && this.#leftToDo; i++) this.#leftStep()
  }

  /** Whether the volume is in its grace period (grace.ts). */
  get inGrace(): boolean {
    return this.core.grace.active
  }

  /**
   * Whoever mapped the region for the last owner has reclaimed what it holds, or is gone: what
   * nobody has reclaimed is freed, in steps, and all calls are allowed again.
   */
  endGrace(): void {
    this.call('endGrace', undefined, undefined, () => {
      const { grace, limbo, frames, badBlocks } = this.core
      if (!grace.active) return
      grace.end()
      try {
        // From here on what is held may leave its file.
        if (frames.distinct > 0) limbo.prepare(true)
        addNewBlocks(this.core)
      } catch (error) {
        grace.begin()
        throw error
      }
      limbo.beginSweep()
      badBlocks.addSuspects()
      for (let i = 0; i < ORPHAN_STEPS_AT_MOUNT && this.#leftToDo; i++) this.#leftStep()
    })
  }

  get closed(): boolean {
    return !this.#open
  }

  get region(): Region {
    return this.mounted.region
  }

  /** Label of the volume. */
  get label(): string {
    return this.mounted.superblock.text('label')
  }

  /** Calls `listener` for every change from now on; returns what ends it. */
  watch(listener: (change: Change) => void): () => void {
    return this.core.changes.watch(listener)
  }

  /** Blocks that are kept out of use for good. */
  badBlocks(): number[] {
    return this.call('badBlocks', undefined, undefined, () => this.core.badBlocks.list())
  }

  /**
   * Keeps a block out of use for good: at once when it is free, else from when it is given back.
   */
  markBad(block: number): void {
    this.call('markBad', undefined, undefined, () => {
      this.checkWritable()
      this.core.badBlocks.add(block)
    })
  }

  /** Steps that let the volume end after `blocks` blocks (resize.ts). */
  shrinkTo(blocks: number): Generator<number, void> {
    return shrink(this.core, this.relocation, this.mounted.superblock, blocks)
  }

  // ---- handles ---------------------------------------------------------------------------------

  protected checkHandles(): void {
    if (this.#handles.length >= HANDLES_MAX) throw new HoldfastError('EMFILE')
  }

  protected addHandle(number: number, wish: OpenWish, as: Credentials): OpenFile {
    const inode = this.core.opens.open(number)
    const file = this.makeHandle(inode, wish, as, this.#handles.length)
    this.#handles.push(file)
    return file
  }

  /** A handle; what is built over the volume has handles of its own. */
  protected makeHandle(inode: OpenInode, wish: OpenWish, as: Credentials, index: number): OpenFile {
    // The one class there is: what is below its calls does not know them.
    return new OpenFile(this as unknown as Volume, inode, wish, as, index)
  }

  /** A handle is done with its inode. */
  release(file: OpenFile, inode: OpenInode): void {
    const last = this.#handles.pop()!
    if (last !== file) {
      last.index = file.index
      this.#handles[file.index] = last
    }
    this.releaseInode(inode)
  }

  /** Whoever kept an inode open is done with it. */
  releaseInode(inode: OpenInode): void {
    const { opens, pages, transaction, grace } = this.core
    pages.tick()
    try {
      if (inode.opens === 1 && !inode.unlinked && !this.readOnly) {
        this.times.write(inode)
        this.files.trimAhead(inode)
      }
    } finally {
      const last = opens.close(inode) && inode.unlinked && transaction.usable
      // In the grace period it is an orphan, and goes after it.
      if (last && !grace.active) this.work.freeRest(inode.number)
    }
  }

  // ---- durability ------------------------------------------------------------------------------

  /** Everything is durable when it returns. */
  sync(): void {
    this.call('sync', undefined, undefined, () => {
      if (this.readOnly) return
      for (const inode of this.core.opens.values()) this.times.write(inode)
      this.core.transaction.flush()
    })
  }

  /** The same on a thread: operations go on meanwhile, and are not part of it. */
  async syncAsync(): Promise<void> {
    this.call('sync', undefined, undefined, () => {
      for (const inode of this.core.opens.values()) this.times.write(inode)
    })
    if (!this.readOnly) await this.core.transaction.flushAsync()
  }

  /** Data and metadata of one inode. */
  syncInode(inode: OpenInode): void {
    if (this.readOnly) return
    const { transaction, region } = this.core
    transaction.checkUsable()
    this.times.write(inode)
    if (transaction.syncMode === 'always' && region.persistence !== 'sync') {
      region.fence() // what was written in place was streamed; metadata is durable already
      region.check()
    } else transaction.flush()
  }

  /** Everything to its place; the volume is done. Open handles are closed. */
  close(): void {
    if (!this.#open) return
    const { pages, transaction, limbo, grace } = this.core
    const usable = () => {
      pages.tick()
      return transaction.usable && !this.readOnly
    }
    try {
      finishAll([
        () => this.mappings.end(),
        () => limbo.end(this.work),
        ...[...this.#handles].map((file) => () => file.close()),
        () => {
          while (usable() && this.work.left > 0 && !grace.active) this.work.leftStep()
        },
        () => {
          if (usable()) unmountVolume(this.mounted)
        },
      ])
    } finally {
      this.#open = false
      if (this.#ownsMemory) releaseMemory(this.mounted.memory)
    }
  }

  [Symbol.dispose](): void {
    this.close()
  }

  // ---- every call ------------------------------------------------------------------------------

  /** Runs one call that changes nothing; an error gets the call's name and paths. */
  call<T>(
    syscall: string,
    path: Path | undefined,
    as: Credentials | undefined,
    run: () => T,
    destination?: Path,
  ): T {
    try {
      if (!this.#open) throw new HoldfastError('EBADF', 'the volume is closed')
      const { transaction, pages, access } = this.core
      transaction.checkReadable()
      access.become(as)
      this.core.guard.ask(null)
      pages.tick()
      if (this.#leftToDo && transaction.usable) {
        this.#leftStep()
        pages.tick()
      }
      return run()
    } catch (error) {
      if (this.#open && error instanceof HoldfastError && error.code === 'EIO') {
        this.core.listPoison()
      }
      throw withContext(error, {
        syscall,
        ...(path === undefined ? {} : { path }),
        ...(destination === undefined ? {} : { destination }),
      })
    }
  }

  /** EROFS when nothing may be changed. */
  checkWritable(): void {
    this.core.access.demandWritable()
  }

  /**
   * From here on calls free so many extents themselves, and leave the rest to `freeLeft`. What is
   * left is seen by nobody, and is freed after a crash.
   */
  leaveFreeing(extents: number): void {
    this.work.extentsAtOnce = extents
  }

  /** Frees some of what calls have left. False: nothing is left, or may be freed now. */
  freeLeft(): boolean {
    const { work, core } = this
    if (work.left === 0 || core.grace.active || !core.transaction.usable) return false
    this.call('free', undefined, undefined, () => work.leftStep())
    return work.left > 0
  }

  /** What finds no room now waits for whoever looks at the inode, or the next mount. */
  #stepOrLeave(number: number): boolean {
    try {
      return this.work.step(number)
    } catch (error) {
      if (!(error instanceof HoldfastError) || error.code !== 'ENOSPC') throw error
      this.#orphanCursor = number + 1
      return false
    }
  }

  /** Whether work is left from the last crash, and may be done. */
  get #leftToDo(): boolean {
    const { grace, limbo } = this.core
    return (this.#orphanCursor >= 0 || limbo.sweeping) && !grace.active
  }

  /** One step of it. */
  #leftStep(): void {
    if (this.core.limbo.sweeping) this.core.limbo.sweepStep(this.work)
    else this.#freeOrphan()
  }

  #freeOrphan(): void {
    const { orphans, opens, pages } = this.core
    pages.tick()
    const number = orphans.from(this.#orphanCursor)
    if (number === 0) {
      this.#orphanCursor = -1
      return
    }
    const done = opens.get(number)?.unlinked === true || this.#stepOrLeave(number)
    if (done && orphans.work(number) === 0) this.#orphanCursor = number + 1
  }
}
