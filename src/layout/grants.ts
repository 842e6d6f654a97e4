/**
 * Taking a hold: everything that has to be true of its blocks is made true first.
 *
 * Invariants: all or nothing as far as content and other holds go; holes that were populated on the
 * way to a refusal may stay. When it is granted, flushing what is stored there is enough to make it
 * durable.
 */
import { checkChoice } from '../base/choice.js'
import { HoldfastError } from '../base/errors.js'
import type { HoldKind, Iomode, Recall, UnshareMode } from '../base/layout.js'
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { Want } from '../base/mode.js'
import { InodeFlag, UNCHANGING } from '../media/inode.js'
import { Incompat } from '../media/superblock.js'
import type { OpenInode } from '../volume/open_inodes.js'
import { blocksOf } from './arbiter.js'
import type { HoldUser } from './claim.js'
import type { Session } from './session.js'
import type { LayoutVolume } from './volume.js'

/** What is populated or copied at a time: 2 MiB. */
export const STEP_BLOCKS = 512

export interface HoldOptions {
  /** First byte in the file; 0 unless given. */
  readonly offset?: number | undefined
  /** Bytes; to the end of the file unless given. It may reach past it. */
  readonly length?: number | undefined
  /** Why, in words: it is shown to whoever is in the way. */
  readonly reason?: string | undefined
  /** Who moves where blocks are shared; 'self' unless given. */
  readonly unshare?: UnshareMode | undefined
  /** Whose hold it is; the handle's session unless given. */
  readonly session?: Session | undefined
}

export interface LeaseOptions extends HoldOptions {
  readonly iomode: Iomode
  /**
   * The lease is asked back: give it back, all or the part that is wanted, before the deadline.
   * Called again when more of it is wanted, with that part and its deadline. What it throws counts
   * as no answer.
   */
  readonly onRecall?: ((id: number, recall: Recall) => void) | undefined
  /**
   * Cuts all access through the lease off, at its fence: what it covers is within file bytes
   * [offset, offset + length). Returns or resolves when none is under way; then the lease has
   * ended. Without it, or when it fails, the blocks stay as they are until the session ends.
   */
  readonly revoke?: ((offset: number, length: number) => void | Promise<void>) | undefined
  /**
   * Resolves when all that had come from the holder was dealt with: its deadline waits for that.
   */
  readonly caughtUp?: (() => Promise<void>) | undefined
  /**
   * Whether its addresses are in use where nobody here can end that: then what its own session
   * asks for does not count as its return, and asks it back.
   */
  readonly apart?: (() => boolean) | undefined
}

export interface Wanted {
  readonly kind: HoldKind
  readonly iomode: Iomode | null
  readonly session: Session
  readonly options: HoldOptions
  readonly user: HoldUser | null
  /** Of a request that has waited; Infinity: of one that does not. */
  readonly ticket: number
}

/** Takes a hold inside a call of the volume. Returns its slot. */
export function take(volume: LayoutVolume, open: OpenInode, wanted: Wanted): number {
  const { kind, iomode, session, options, user, ticket } = wanted
  const { core, holding, waiting } = volume
  const [from, to] = rangeOf(volume, open, options)
  demandHolder(volume, open, session, kind, iomode)
  volume.work.settle(open.number)
  waiting.demandFree(open.number, from, to, ticket)
  core.limbo.prepare()
  if (iomode !== 'read') own(volume, open, from, to, wanted)
  const { log, transaction } = core
  if (log.durable !== log.head) transaction.flush()
  const reason = options.reason ?? ''
  return holding.grant({ session, kind, iomode, open, reason, user }, from, to)
}

/**
 * Of a large range of which nothing is held: makes true of the next part what has to be true of it,
 * from file block `from` on, so that other calls may come between. Returns where to go on; -1: the
 * rest is for `take`. What is refused is refused before the first part changes anything.
 */
export function takeStep(
  volume: LayoutVolume,
  open: OpenInode,
  wanted: Wanted,
  from: number,
): number {
  const { kind, iomode, session, options, ticket } = wanted
  const { core, files, copies, holding, waiting } = volume
  const { number } = open
  const [first, to] = rangeOf(volume, open, options)
  if (iomode === 'read' || to - first <= STEP_BLOCKS || core.guard.held(number, first, to))
    return -1
  demandHolder(volume, open, session, kind, iomode)
  volume.work.settle(number)
  waiting.demandFree(number, first, to, ticket)
  if (from < first) {
    const missing = files.missing(core.inodes.get(number), first, to - 1)
    const shared = copies.shared(number, first, to)
    if (missing + shared === 0) return -1
    if (kind !== 'lease') holding.demandLimit(session, number, first, to, missing)
    files.requireSpace(number, missing, shared)
    if (missing > 0) files.demandGrow(number, first, to - 1, false)
    if (shared > 0) demandUnshare(volume, number, first, to, options.unshare ?? 'self')
    from = first
  }
  // Whole groups, which large pages map.
  const end = Math.min(to, (Math.floor(from / STEP_BLOCKS) + 1) * STEP_BLOCKS)
  own(volume, open, from, end, wanted)
  return end < to ? end : -1
}

/** File blocks that are asked for. */
function rangeOf(volume: LayoutVolume, open: OpenInode, options: HoldOptions): [number, number] {
  const { inodes } = volume.core
  const w = inodes.get(open.number)
  // What else has blocks, or a tree in the same place, has none that a hold could cover.
  if (inodes.isDirectory(w)) throw new HoldfastError('EISDIR', 'only files are held')
  if (!inodes.isFile(w)) throw new HoldfastError('EINVAL', 'only files are held')
  const size = inodes.size(w)
  const { offset = 0 } = options
  const { length = size - offset } = options
  const good = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
  if (options.unshare !== undefined) checkChoice('unshare', options.unshare, ['self', 'others'])
  if (!good || offset < 0 || length <= 0) {
    throw new HoldfastError('EINVAL', `a hold of ${length} bytes at ${offset}: it covers some`)
  }
  if (offset + length > FILE_BYTES_MAX) {
    throw new HoldfastError('EFBIG', `a file has at most ${FILE_BYTES_MAX} bytes`)
  }
  return blocksOf(offset, length)
}

/** Who asks may have such a hold of a file. */
function demandHolder(
  volume: LayoutVolume,
  open: OpenInode,
  session: Session,
  kind: HoldKind,
  iomode: Iomode | null,
): void {
  demandKind(volume, session, kind, iomode)
  demandPermission(volume, open, iomode)
}

/** There is such a kind of hold, and a session of this volume to have it. */
export function demandKind(
  volume: LayoutVolume,
  session: Session,
  kind: HoldKind,
  iomode: Iomode | null,
): void {
  session.demandAlive()
  if (volume.holding.sessions.get(session.id) !== session) {
    throw new HoldfastError('EINVAL', `session ${session.id} is of another volume`)
  }
  if (kind === 'lease' && iomode !== 'read' && iomode !== 'rw') {
    throw new HoldfastError('EINVAL', `iomode ${String(iomode)}: a lease is 'read' or 'rw'`)
  }
}

/** Write permission or ownership; of who may only read, leases for reading. */
function demandPermission(volume: LayoutVolume, open: OpenInode, iomode: Iomode | null): void {
  const { inodes, access } = volume.core
  const w = inodes.get(open.number)
  if (iomode === 'read') return access.demand(w, Want.read)
  volume.checkWritable()
  if (!access.owns(w)) access.demand(w, Want.write)
  if (iomode === 'rw' && inodes.has(w, UNCHANGING)) {
    const why = inodes.has(w, InodeFlag.writeSealed) ? 'write-sealed' : 'append-only or immutable'
    throw new HoldfastError('EPERM', `it is ${why}: take a lease for reading, or pin it`)
  }
}

/** Every block of the range is there, and the file's alone. */
function own(
  volume: LayoutVolume,
  open: OpenInode,
  from: number,
  to: number,
  { kind, session, options }: Wanted,
): void {
  const { core, ranges, copies, relocation, files } = volume
  const { number } = open
  const { unshare = 'self' } = options
  const missing = files.missing(core.inodes.get(number), from, to - 1)
  const shared = copies.shared(number, from, to)
  if (missing + shared > 0) {
    // All that may be refused comes before anything changes, and what no recall would help first.
    if (kind !== 'lease') volume.holding.demandLimit(session, number, from, to, missing)
    files.requireSpace(number, missing, shared)
    // What the asker has lent is not to end for a hold that is then without room to keep back.
    const more = core.guard.held(number, from, to) ? volume.holding.reserveMore(1) : 0
    if (more > 0) core.transaction.require(missing + shared + more)
    if (missing > 0) files.demandGrow(number, from, to - 1, false)
    if (shared > 0) demandUnshare(volume, number, from, to, unshare)
    core.guard.proceed()
  }
  if (missing > 0) ranges.populate(open, from * BLOCK_BYTES, (to - from) * BLOCK_BYTES)
  if (shared > 0) {
    core.features.require(Incompat.layout)
    if (unshare === 'others') relocation.unshareOthers(number, from, to)
    copies.unshare(number, from, to)
  }
  files.zeroLastBlock(number, from, to)
}

/** What is in the way of getting all blocks of a range for the file alone, before any moves. */
export function demandUnshare(
  volume: LayoutVolume,
  number: number,
  from: number,
  to: number,
  mode: UnshareMode,
): void {
  const { core, copies, relocation } = volume
  if (mode === 'others') return relocation.demandOthers(number, from, to)
  if (core.inodes.has(core.inodes.get(number), InodeFlag.fixed)) {
    throw new HoldfastError(
      'EPERM',
      "it is fixed, and blocks of it have other owners: with unshare 'others' those move",
    )
  }
  copies.demand(number, from, to)
}
