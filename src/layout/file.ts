/** A handle with the layout contract: what can be held of its file, and changes with options. */
import { HoldfastError } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'
import type { ChangeOptions, HoldKind, ShareOptions, UnshareMode } from '../base/layout.js'
import type { FileMapping, MapOptions } from '../base/mapping.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { Want } from '../base/mode.js'
import type { Mapping } from '../mapping/mapping.js'
import { OpenFile } from '../volume/open_file.js'
import type { OpenInode } from '../volume/open_inodes.js'
import { checkRange } from '../volume/ranges.js'
import type { OpenWish } from '../base/open_flags.js'
import { blocksOf, type Request } from './arbiter.js'
import {
  demandUnshare,
  STEP_BLOCKS,
  take,
  takeStep,
  type HoldOptions,
  type LeaseOptions,
  type Wanted,
} from './grants.js'
import type { Hold } from './hold.js'
import { checkReason, type HoldUser } from './claim.js'
import { reclaim, type ReclaimOptions } from './reclaim.js'
import type { Session } from './session.js'
import { Transfer } from './transfers.js'
import type { LayoutVolume } from './volume.js'

/** Why nothing can be had of a mapping whose session has ended. */
const HOLD_ENDED = 'the session that mapped it has ended'

export class LayoutFile extends OpenFile {
  readonly #volume: LayoutVolume

  constructor(
    volume: LayoutVolume,
    inode: OpenInode,
    wish: OpenWish,
    as: Credentials,
    index: number,
  ) {
    super(volume, inode, wish, as, index)
    this.#volume = volume
  }

  /** Whose holds it takes, and who asks for its changes. */
  get session(): Session {
    return (this.asker as Request | null)?.session ?? this.#volume.self
  }

  // ---- holds -----------------------------------------------------------------------------------

  /**
   * Pins a range: its blocks do not move, do not leave the file and gain no other owner, until it
   * is released. Never waits: what would have to be recalled first is EBUSY, with the holds.
   */
  pin(options: HoldOptions = {}): Hold {
    return this.#take('pin', options, Infinity)
  }

  /** Lends a range, to be given back when it is asked for. */
  lease(options: LeaseOptions): Hold {
    return this.#take('lease', options, Infinity)
  }

  /**
   * A hold that was granted before this mount, in the grace period, with the session's own word for
   * what it covers: all of it is there, or ESTALE.
   */
  reclaim(session: Session, options: ReclaimOptions): Hold {
    return this.reclaimPart(session, options).hold
  }

  /** The same, and how many of the blocks are in the file still. */
  reclaimPart(session: Session, options: ReclaimOptions): { hold: Hold; filed: number } {
    return this.enter('reclaim', () => {
      this.demandBytes()
      if (!this.wish.read) throw new HoldfastError('EBADF', 'a hold takes a handle that reads')
      this.#volume.core.guard.ask({ session })
      const { slot, filed } = reclaim(this.#volume, this.inode, session, options)
      return { hold: options.into ?? this.#volume.newHold(slot), filed }
    })
  }

  /** The same in the promise form: `volume.promises` calls it. */
  takeHold(kind: HoldKind, options: HoldOptions | LeaseOptions, ticket: number): Hold {
    return this.#take(kind, options, ticket)
  }

  /** Whether that is done in parts. */
  isLargeHold({ offset = 0, length }: HoldOptions): boolean {
    return (length ?? this.stat().size - offset) > STEP_BLOCKS * BLOCK_BYTES
  }

  /** A part of what it takes to hold a large range (takeStep). */
  takeHoldStep(
    kind: HoldKind,
    options: HoldOptions | LeaseOptions,
    ticket: number,
    from: number,
  ): number {
    return this.#wanting(kind, options, ticket, null, (wanted) =>
      takeStep(this.#volume, this.inode, wanted, from),
    )
  }

  #take(
    kind: HoldKind,
    options: HoldOptions,
    ticket: number,
    holder: HoldUser | null = null,
  ): Hold {
    return this.#wanting(kind, options, ticket, holder, (wanted) =>
      this.#volume.newHold(take(this.#volume, this.inode, wanted)),
    )
  }

  #wanting<T>(
    kind: 'pin' | 'seal' | 'lease',
    options: HoldOptions,
    ticket: number,
    holder: HoldUser | null,
    run: (wanted: Wanted) => T,
  ): T {
    return this.enter(kind, () => {
      this.demandBytes()
      checkReason(options.reason)
      if (!this.wish.read) throw new HoldfastError('EBADF', 'a hold takes a handle that reads')
      const session = options.session ?? this.session
      const lease = kind === 'lease' ? (options as LeaseOptions) : null
      const iomode = lease?.iomode ?? null
      const user = lease === null ? holder : userOf(lease)
      this.#volume.core.guard.ask({ session })
      return run({ kind, iomode, session, options, user, ticket })
    })
  }

  /** All blocks of the file are its own from here on; with 'others', the other owners move. */
  unshare(mode: UnshareMode = 'self'): void {
    this.enter(
      'unshare',
      () => {
        const { relocation, copies, core } = this.#volume
        const w = core.inodes.get(this.ino)
        if (!core.access.owns(w)) core.access.demand(w, Want.write)
        const end = Math.ceil(core.inodes.size(core.inodes.get(this.ino)) / BLOCK_BYTES)
        if (copies.shared(this.ino, 0, end) === 0) return
        demandUnshare(this.#volume, this.ino, 0, end, mode)
        if (mode === 'others') relocation.unshareOthers(this.ino, 0, end)
        copies.unshare(this.ino, 0, end)
      },
      true,
    )
  }

  /**
   * Every block of a range within the file is there, and the file's alone, as a write would leave
   * it; the bytes stay as they are. For who writes past the calls, and holds nothing: what comes in
   * the way later is not asked of them.
   */
  own(offset: number, length: number): void {
    this.enter(
      'own',
      () => {
        if (!this.wish.write) throw new HoldfastError('EBADF', 'the handle does not write')
        checkRange(offset, length)
        const { core, files, ranges } = this.#volume
        core.transaction.checkUsable()
        const size = core.inodes.size(files.writable(this.ino))
        if (offset + length > size) {
          throw new HoldfastError('EINVAL', `${length} bytes at ${offset}: the file has ${size}`)
        }
        ranges.own(this.inode, offset, length)
      },
      true,
    )
  }

  /** What `allocate` does for one run, in steps (Ranges.takeRun): the volume releases the inode. */
  takeRun(offset: number, length: number, keepSize: boolean): OpenInode | null {
    return this.#fallocate(() => this.#volume.ranges.takeRun(this.inode, offset, length, keepSize))
  }

  /** Zeroes some of it from a file block on; returns where to go on, Infinity at its end. */
  zeroRun(run: OpenInode, from: number, blocks: number): number {
    return this.#fallocate(() => this.#volume.ranges.run.zero(run, from, blocks))
  }

  giveRun(offset: number, length: number, keepSize: boolean, run: OpenInode): void {
    this.#fallocate(() => this.#volume.ranges.giveRun(this.inode, offset, length, keepSize, run))
  }

  #fallocate<T>(run: () => T): T {
    if (!this.wish.write) throw new HoldfastError('EBADF', 'the handle does not write')
    this.demandBytes()
    return this.enter('fallocate', run, true)
  }

  /**
   * Whether there is room for the blocks that a range lacks, and, `alone`, for those of its own in
   * place of shared ones.
   */
  hasRoom(offset: number, length: number, alone: boolean): boolean {
    return this.enter('fallocate', () => {
      this.demandBytes()
      const { core, files, copies, work } = this.#volume
      const [from, to] = blocksOf(offset, length)
      work.settle(this.ino)
      const missing = files.missing(core.inodes.get(this.ino), from, to - 1)
      const shared = alone ? copies.shared(this.ino, from, to) : 0
      try {
        files.requireSpace(this.ino, missing, shared)
        return true
      } catch (error) {
        if (error instanceof HoldfastError) return false // who asks for all of it is told why
        throw error
      }
    })
  }

  override map(options: MapOptions = {}): FileMapping {
    const volume = this.#volume
    if (options.direct !== true && options.sync !== true) return this.#mapFollowing(options)
    volume.demandDirect(options)
    if (options.direct !== true) return this.#mapFollowing(options)
    const { offset, length, reason = 'a direct mapping' } = options
    let mapping: Mapping | null = null
    const ends = () => mapping?.end(HOLD_ENDED)
    const seal = this.#take('seal', { offset, length, reason }, Infinity, { ends })
    try {
      return this.enter('mmap', () => {
        this.demandMappable(options)
        return (mapping = volume.mappings.map(this.inode, options, () => seal.release()))
      })
    } catch (error) {
      seal.release()
      throw error
    }
  }

  /** A mapping that follows its file: listed as a lease, and in the way of nothing. */
  #mapFollowing(options: MapOptions): FileMapping {
    const volume = this.#volume
    return this.enter('mmap', () => {
      this.session.demandAlive()
      checkReason(options.reason)
      this.demandMappable(options)
      let release = () => {}
      const mapping = volume.mappings.map(this.inode, options, () => release())
      const from = Math.floor(mapping.offset / BLOCK_BYTES)
      const to = Math.ceil((mapping.offset + mapping.byteLength) / BLOCK_BYTES)
      const { table } = volume.holding
      const iomode = mapping.writable ? 'rw' : 'read'
      const user = { follows: true, ends: () => mapping.end(HOLD_ENDED) }
      const why = options.reason ?? 'a mapping'
      try {
        const { session, inode: open } = this
        const claim = { session, kind: 'lease', iomode, open, reason: why, user } as const
        const slot = volume.holding.grant(claim, from, to)
        const id = table.idOf(slot)
        release = () => {
          const now = table.find(id)
          if (now >= 0) volume.holding.end(now)
        }
      } catch (error) {
        mapping.unmap()
        throw error
      }
      return mapping
    })
  }

  /**
   * Bytes [offset, offset + length) as they lie in the region, to be handed to somebody who reads
   * them later: they stay there until the transfer ends, whatever becomes of the file.
   */
  transfer(offset: number, length: number): Transfer {
    return this.enter('transfer', () => {
      if (!this.wish.read) throw new HoldfastError('EBADF', 'the handle does not read')
      const good = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
      if (!good || offset < 0 || length < 0) {
        throw new HoldfastError('EINVAL', `a transfer of ${length} bytes at ${offset}`)
      }
      return new Transfer(this.#volume, this.inode, offset, length)
    })
  }

  // ---- changes with options --------------------------------------------------------------------

  override truncate(size: number, options: ChangeOptions = {}): void {
    this.#volume.arbiter.during(options, () => super.truncate(size))
  }

  override punch(offset: number, length: number, options: ChangeOptions = {}): void {
    this.#volume.arbiter.during(options, () => super.punch(offset, length))
  }

  /** Shares what may be shared and copies the rest: it never fails for the sake of a hold. */
  override copyRange(offset: number, to: OpenFile, toOffset: number, length: number): number {
    return this.#volume.arbiter.during({ share: 'copy' }, () =>
      super.copyRange(offset, to, toOffset, length),
    )
  }

  override reflinkRange(
    offset: number,
    to: OpenFile,
    toOffset: number,
    length: number,
    options: ShareOptions & ChangeOptions = {},
  ): void {
    const { policy, share } = options
    this.#volume.arbiter.during({ policy, share }, () =>
      super.reflinkRange(offset, to, toOffset, length, options),
    )
  }
}

function userOf({ onRecall, revoke, caughtUp, apart }: LeaseOptions): HoldUser | null {
  if (onRecall === undefined && revoke === undefined) return null
  return {
    ...(onRecall === undefined ? {} : { onRecall }),
    ...(caughtUp === undefined ? {} : { caughtUp }),
    ...(apart === undefined ? {} : { apart }),
    ...(revoke === undefined
      ? {}
      : {
          revoke: (from: number, to: number) =>
            revoke(from * BLOCK_BYTES, (to - from) * BLOCK_BYTES),
        }),
  }
}
