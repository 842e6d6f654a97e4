/**
 * The volume that programs open: every call of the mechanism, with the arbiter asked before each
 * change of a layout, and holds.
 *
 * Synchronous calls never wait: what would need a recall or a wait is EBUSY, with the holds, and
 * nothing has changed. `promises` has the forms that recall and wait.
 */
import { HoldfastError, withPaths } from '../base/errors.js'
import { finishAll } from '../base/finish_all.js'
import type { Change, Credentials, OpenFlags, Path } from '../base/filesystem.js'
import type {
  ChangeOptions,
  Defragmented,
  Evacuated,
  HoldInfo,
  InodeHandle,
  LayoutId,
  LayoutPolicy,
  ShareOptions,
} from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { MapOptions } from '../base/mapping.js'
import { summarize, type VolumeSummary } from '../volume/inspect.js'
import { mountVolume, type MountOptions, type Mounted } from '../volume/mount.js'
import type { OpenFile } from '../volume/open_file.js'
import type { OpenInode } from '../volume/open_inodes.js'
import type { OpenWish } from '../base/open_flags.js'
import type { DeviceSync, Region } from '../region/region.js'
import { blocksToShrinkTo } from '../volume/resize.js'
import { Volume } from '../volume/volume.js'
import { Arbiter } from './arbiter.js'
import type { HoldEvent } from './events.js'
import { LayoutFile } from './file.js'
import { Fixing } from './fixing.js'
import { take, type HoldOptions } from './grants.js'
import { Forgotten, type Batch } from './forgotten.js'
import { Hold } from './hold.js'
import { Holds } from './holds.js'
import { keptInLimbo } from './limbo.js'
import { PinLimits, type PinLimitOptions } from './limits.js'
import { PageCaches } from './page_caches.js'
import { LayoutPromises } from './promises.js'
import type { ReclaimOptions } from './reclaim.js'
import { Session, type SessionOptions } from './session.js'
import { snapshot } from './snapshot.js'
import { systemTimers, type Timers } from '../base/timers.js'
import type { Transfer } from './transfers.js'
import { Waiting } from './waiting.js'

export interface LayoutOptions extends MountOptions {
  /** How much may be pinned, in blocks. */
  readonly limits?: PinLimitOptions
  readonly timers?: Timers
}

export class LayoutVolume extends Volume {
  readonly holding: Holds
  readonly arbiter: Arbiter
  readonly waiting: Waiting
  readonly pageCaches: PageCaches
  readonly fixing: Fixing
  readonly promises: LayoutPromises
  /** Those that have not ended. */
  readonly transfers = new Set<Transfer>()
  /** The session of this program itself: whose holds are nobody else's. */
  readonly self: Session
  #sessions = 0
  /** Tells of holds whose object was garbage collected: their addresses may be in use. */
  readonly #forgotten: Forgotten

  /** Mounts the volume in `region`, which the caller keeps and closes after the volume. */
  static override mount(region: Region, options: LayoutOptions = {}): LayoutVolume {
    return new LayoutVolume(mountVolume(region, options), options)
  }

  protected constructor(mounted: Mounted, options: LayoutOptions) {
    super(mounted, options)
    const timers = options.timers ?? systemTimers
    const { geometry } = this.core
    this.holding = new Holds(this, new PinLimits(geometry.blockCount, options.limits), timers)
    this.self = this.session({ name: 'this program' })
    this.arbiter = new Arbiter(this, this.holding, this.self)
    this.waiting = new Waiting(this.arbiter, timers)
    this.pageCaches = new PageCaches(timers)
    this.fixing = new Fixing(this)
    this.core.ownership.guard = this.arbiter
    this.core.transaction.kept = () => keptInLimbo(this.core, this.holding)
    this.promises = new LayoutPromises(this)
    this.#forgotten = new Forgotten(this, (id) => this.#report(id))
  }

  protected override makeHandle(
    inode: OpenInode,
    wish: OpenWish,
    as: Credentials,
    index: number,
  ): OpenFile {
    return new LayoutFile(this, inode, wish, as, index)
  }

  override open(
    path: Path,
    flags: OpenFlags | number = 'r',
    mode = 0o666,
    as?: Credentials,
  ): LayoutFile {
    return super.open(path, flags, mode, as) as LayoutFile
  }

  // ---- sessions and holds ----------------------------------------------------------------------

  /** A session: who holds. What it opens is opened with its credentials. */
  session(options: SessionOptions = {}): Session {
    const session = new Session(++this.#sessions, options, (ended) =>
      this.closed ? Promise.resolve() : this.enterHolds(() => this.holding.endSession(ended)),
    )
    this.holding.sessions.set(session.id, session)
    return session
  }

  /** Opens a file for a session: its holds and changes are the session's. */
  openAs(session: Session, path: Path, flags: OpenFlags | number = 'r', mode = 0o666): LayoutFile {
    session.demandAlive()
    const open = () => this.open(path, flags, mode, session.as)
    const file = this.arbiter.during({ session }, open)
    file.asker = { session }
    return file
  }

  /** What it is, as its superblock has it. */
  summary(): VolumeSummary {
    return summarize(this.region, this.mounted.superblock)
  }

  /** 16 bytes: this volume and no other. */
  get uuid(): Uint8Array {
    return this.mounted.superblock.uuid
  }

  /** The same by handle: ESTALE when that file is no more. What has lost its names may be there. */
  openHandle(session: Session, handle: InodeHandle, flags: OpenFlags | number = 'r'): LayoutFile {
    session.demandAlive()
    const open = () => this.openInode(handle, flags, session.as) as LayoutFile
    const file = this.arbiter.during({ session }, open)
    file.asker = { session }
    return file
  }

  /** What says whether the layout of a file is what it was. */
  layoutId(file: LayoutFile): LayoutId {
    return { epoch: this.epoch, generation: file.layoutGeneration }
  }

  /** A hold that was granted before this mount (LayoutFile.reclaim). */
  reclaim(session: Session, file: LayoutFile, options: ReclaimOptions): Hold {
    return file.reclaim(session, options)
  }

  /** All who mapped the region for the last owner have reclaimed what they hold, or are gone. */
  override endGrace(): void {
    super.endGrace()
    this.waiting.wake()
  }

  /** Whose a hold is, by its session; null: there is none. */
  holderOf(id: number): number | null {
    const { table } = this.holding
    const slot = table.find(id)
    return slot < 0 ? null : table.ownerOf(slot)
  }

  /** Holds from an id on, in the order of their ids, so many at most. */
  holdsFrom(id: number, most: number): HoldInfo[] {
    return this.call('holds', undefined, undefined, () => this.holding.listFrom(id, most))
  }

  /** Every hold there is. */
  holds(): HoldInfo[] {
    return this.call('holds', undefined, undefined, () => this.holding.list())
  }

  /** Calls `listener` for every grant, refusal, recall, fence and release; returns what ends it. */
  watchHolds(listener: (event: HoldEvent) => void): () => void {
    return this.holding.events.watch(listener)
  }

  /**
   * Pins what an array leads to, which is a window of a mapping of this volume (mpin, as proposed
   * by Peter Zijlstra in 2014).
   */
  mpin(view: ArrayBufferView, options: Omit<HoldOptions, 'offset' | 'length'> = {}): Hold {
    return this.call('mpin', undefined, (options.session ?? this.self).as, () => {
      const place = this.mappings.find(view)
      if (place === null) {
        throw new HoldfastError('EINVAL', 'the array is no part of a mapping of this volume')
      }
      const { open, offset, length } = place
      const session = options.session ?? this.self
      this.core.guard.ask({ session })
      const slot = take(this, open, {
        kind: 'pin',
        iomode: null,
        session,
        options: { ...options, offset, length },
        user: null,
        ticket: Infinity,
      })
      return this.newHold(slot)
    })
  }

  /** The object of a hold that was granted just now. */
  newHold(slot: number): Hold {
    const { table } = this.holding
    const id = table.idOf(slot)
    const batch = this.#forgotten.batch(table.classOf(slot))
    const hold = new Hold(batch, id)
    this.#forgotten.watch(hold, id, batch)
    return hold
  }

  /** The object of a hold is not needed any more: it has ended. */
  forgetHold(batch: Batch): void {
    this.#forgotten.released(batch)
  }

  #report(id: number): void {
    const slot = this.holding.table.find(id)
    if (slot >= 0) this.holding.tell('lost', [slot])
  }

  /** Runs what ends holds; once the volume is closed all of them have ended. */
  enterHolds<T>(run: () => T): T {
    this.arbiter.demandOutside()
    this.core.pages.tick()
    return run()
  }

  commitHold(id: number, size: number | undefined, stored = false): void {
    this.call('commit', undefined, undefined, () => {
      const { table } = this.holding
      this.checkWritable()
      const slot = table.slotOf(id)
      if (table.stateOf(slot) !== 'held' && table.stateOf(slot) !== 'recalled') {
        throw new HoldfastError('ESTALE', `hold ${id}: its blocks have left the file`)
      }
      if (table.iomodeOf(slot) === 'read') {
        throw new HoldfastError('EACCES', `hold ${id} is a lease for reading`)
      }
      const inode = this.core.opens.get(table.inodeOf(slot))!
      this.files.writable(inode.number)
      const covered = table.info(slot, this.self.owner, 0).ranges
      if (size !== undefined) {
        const end = covered.reduce((most, r) => Math.max(most, r.offset + r.length), 0)
        if (!Number.isSafeInteger(size) || size < 0 || size > end) {
          throw new HoldfastError('EINVAL', `size ${size}: the hold reaches to byte ${end}`)
        }
      }
      // What was stored there went past the volume, and may be in a cache yet.
      for (const [file, block, count] of stored ? [] : this.holding.pieces(slot)) {
        if (file >= 0) this.region.flush(block * BLOCK_BYTES, count * BLOCK_BYTES)
      }
      this.files.commit(inode, size ?? 0)
      if (!stored) this.syncInode(inode)
    })
  }

  /** Calls `listener` for every change that this session does not make; null: for all. */
  watchFor(session: Session | null, listener: (change: Change) => void): () => void {
    if (session === null) return this.watch(listener)
    return this.watch((change) => {
      if (this.arbiter.asking.session !== session) listener(change)
    })
  }

  // ---- direct mappings and coherence -----------------------------------------------------------

  /** EOPNOTSUPP where a mapping would not be of the medium itself, or devices would not see it. */
  demandDirect({ coherence, direct }: MapOptions): void {
    const { region } = this
    if (region.persistence === 'sync') {
      throw new HoldfastError(
        'EOPNOTSUPP',
        `${region.path} is mapped through the page cache; a region on tmpfs, hugetlbfs, a DAX ` +
          'filesystem or device-DAX has direct mappings',
        { syscall: 'mmap' },
      )
    }
    if (direct !== true || region.coherent || coherence === 'manual') return
    throw new HoldfastError(
      'EOPNOTSUPP',
      `${region.path} is not coherent with what devices write; with { coherence: 'manual' } the ` +
        'caller flushes and invalidates where it must be',
      { syscall: 'mmap' },
    )
  }

  /** Writes back, or drops, what this side has cached of a hold; nothing where it is coherent. */
  syncDevice(
    id: number,
    what: DeviceSync,
    offset = 0,
    length: number = Number.MAX_SAFE_INTEGER,
  ): void {
    this.call(what, undefined, undefined, () => {
      const { region, holding } = this
      const end = offset + length
      for (const [file, block, count] of holding.pieces(holding.table.slotOf(id))) {
        // What has left the file is no range of it any more: all of that.
        const start = file < 0 ? 0 : file * BLOCK_BYTES
        const first = file < 0 ? 0 : Math.max(offset, start)
        const last = file < 0 ? count * BLOCK_BYTES : Math.min(end, start + count * BLOCK_BYTES)
        if (first >= last) continue
        const at = block * BLOCK_BYTES + (first - start)
        region.syncDevice(what, at, last - first)
      }
    })
  }

  // ---- changes with options --------------------------------------------------------------------

  override truncate(path: Path, size: number, as?: Credentials, options: ChangeOptions = {}): void {
    this.arbiter.during(options, () => super.truncate(path, size, as))
  }

  override reflink(
    from: Path,
    to: Path,
    options: ShareOptions & ChangeOptions = {},
    as?: Credentials,
  ): void {
    const { policy, share } = options
    try {
      this.arbiter.during({ policy, share }, () => super.reflink(from, to, options, as))
    } catch (error) {
      throw withPaths(error, from, to)
    }
  }

  /** Copies a directory tree: its files are clones, at one point in time. `to` is not there yet. */
  snapshot(from: Path, to: Path, options: ShareOptions = {}, as?: Credentials): void {
    const steps = snapshot(this, from, to, options, as)
    while (steps.next().done !== true);
  }

  /**
   * Steps that move a file into one run of blocks, each yields how many it moved; between two of
   * them the volume may be used. Its owner may, and root.
   */
  *defragment(path: Path, as?: Credentials): Generator<number, Defragmented> {
    // Open all the time: its number stays its own between the steps.
    const open = this.onFile('defrag', path, as, (number) => {
      this.checkWritable()
      const w = this.core.inodes.get(number)
      this.core.access.demandOwner(w, 'move its blocks')
      this.core.grace.demandOver()
      if (!this.core.inodes.isFile(w)) throw new HoldfastError('EINVAL', 'only a file has a layout')
      return this.core.opens.open(number)
    })
    try {
      const steps = this.relocation.defragment(open.number)
      return yield* this.#stepwise('defrag', path, steps)
    } finally {
      if (!this.closed) this.enterHolds(() => this.releaseInode(open))
    }
  }

  /**
   * Steps that move what files have of bytes [from, to) of the region elsewhere, each yields how
   * many blocks it moved. Root may.
   */
  *evacuate(from: number, to: number, as?: Credentials): Generator<number, Evacuated> {
    const steps = this.call('evacuate', undefined, as, () => {
      this.checkWritable()
      const { access, geometry } = this.core
      if (!access.privileged) throw new HoldfastError('EPERM', 'only root moves all files')
      this.core.grace.demandOver()
      const { dataStart, blockCount } = geometry
      const [first, end] = [Math.floor(from / BLOCK_BYTES), Math.ceil(to / BLOCK_BYTES)]
      if (!(first >= dataStart && end <= blockCount && first < end)) {
        const [least, most] = [dataStart * BLOCK_BYTES, blockCount * BLOCK_BYTES]
        throw new HoldfastError(
          'EINVAL',
          `bytes ${from} to ${to}: files are in ${least} to ${most}`,
        )
      }
      return this.relocation.evacuate(first, end)
    })
    return yield* this.#stepwise('evacuate', undefined, steps)
  }

  /**
   * Steps that let the volume end after `size` bytes, each yields how many blocks it moved. Its
   * region stays as long as it is. Given up between two steps (`return` of the generator), or
   * refused, the volume is as large as it was. Root may.
   */
  *shrink(size: number, as?: Credentials): Generator<number, void> {
    const steps = this.call('resize', undefined, as, () => {
      this.checkWritable()
      const { access, geometry } = this.core
      if (!access.privileged) throw new HoldfastError('EPERM', 'only root resizes a volume')
      this.core.grace.demandOver()
      return this.shrinkTo(blocksToShrinkTo(geometry, this.region, size))
    })
    try {
      yield* this.#stepwise('resize', undefined, steps)
    } finally {
      if (!this.closed) this.enterHolds(() => steps.return())
    }
  }

  /** Each step as a call of its own. */
  *#stepwise<T>(syscall: string, path: Path | undefined, steps: Generator<number, T>) {
    for (;;) {
      const step = this.call(syscall, path, undefined, () => steps.next())
      if (step.done === true) return step.value
      yield step.value
    }
  }

  /** Fixes a file: its layout and size do not change any more; data is written in place. */
  fix(path: Path, as?: Credentials): void {
    const steps = this.fixing.fix(path, as)
    while (steps.next().done !== true);
  }

  unfix(path: Path, as?: Credentials): void {
    this.fixing.unfix(path, as)
  }

  /** Seals a fixed file's data: nothing of it changes any more. `off`: takes the seal away. */
  sealWrites(path: Path, options: { readonly off?: boolean } = {}, as?: Credentials): void {
    this.fixing.sealWrites(path, options.off === true, as)
  }

  /** What a shrink or punch does to pinned blocks of a file; null: as the volume has it. */
  setPolicy(path: Path, policy: LayoutPolicy | null, as?: Credentials): void {
    this.fixing.setPolicy(path, policy, as)
  }

  override close(): void {
    if (this.closed) return
    this.arbiter.demandOutside()
    finishAll(this.#endings())
  }

  *#endings(): Generator<() => void, void> {
    for (const transfer of [...this.transfers]) yield () => transfer.end()
    yield () => this.mappings.end()
    const { table } = this.holding
    const held: number[] = []
    table.each((slot) => held.push(table.idOf(slot)))
    for (const id of held) {
      const slot = table.find(id)
      if (slot >= 0) yield () => this.holding.end(slot)
    }
    yield () => this.#forgotten.end()
    yield () => super.close()
  }
}
