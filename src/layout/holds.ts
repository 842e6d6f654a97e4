/**
 * The holds of a volume: granting, giving back, ending; what they count in the frame table, and
 * against whose limit.
 *
 * Invariants:
 * - the blocks under a piece of a hold are counted once for it, from its grant to its end: a piece
 *   of a file covers the same blocks all that time, since whatever would change them is refused,
 *   waits, or takes the piece to limbo with its blocks;
 * - a pin, a seal and a lease for writing cover only blocks that are there, that are the file's
 *   alone, and whose place in the file is durable;
 * - a hold keeps its file open; metadata for sending all that is held to limbo is kept back.
 */
import { finishAll } from '../base/finish_all.js'
import type { ByteRange, HoldInfo } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { LIMBO_RUNS } from '../volume/ownership.js'
import type { Volume } from '../volume/volume.js'
import { BySlot } from './by_slot.js'
import type { Claim, HoldUser } from './claim.js'
import { HoldEvents, type HoldEvent } from './events.js'
import { Ghosts } from './ghosts.js'
import { grown, newWords } from './growth.js'
import { NO_PIECE } from './hold_index.js'
import { HoldTable } from './hold_table.js'
import type { PinLimits } from './limits.js'
import type { Session } from './session.js'
import { endSession } from './session_end.js'
import { holdClassOf } from './table.js'
import type { Timers } from '../base/timers.js'

/** A hold that is being cut off. */
interface Drain {
  /** Its holder has given it up meanwhile: then it ends also when that fails. */
  givenUp: boolean
  /** What its holder has given back meanwhile, which counts when that fails: from, to, from, ... */
  readonly returned: number[]
  /** Whether it has ended. */
  done: Promise<boolean>
}

/** Runs for each of which a record of limbo may be needed, and what one block of them holds. */
const RUNS_A_BLOCK = 64
/**
 * What a transaction asks for on top where it may send to limbo, at most (Limbo.takeBlocks): for
 * each of two trees of five levels, a split a level and of some leaves; and a leaf of the reverse
 * map a run.
 */
const RESERVE_LEAST = 2 * 9 + LIMBO_RUNS

type VisitRun = (regionBlock: number, count: number, fileBlock: number) => void

export class Holds {
  readonly table = new HoldTable()
  readonly events = new HoldEvents()
  readonly users = new BySlot<HoldUser>()
  readonly sessions = new Map<number, Session>()
  /**
   * Holds that are being cut off, by id: transfers through them may be under way, and nothing ends
   * them before those have.
   */
  readonly draining = new Map<number, Drain>()
  /** Called when a hold has ended, or a part of one: then with its id. */
  changed: (partOf?: number) => void = () => {}

  /** Runs that holds which were fenced, and cannot be cut off, may still use. */
  readonly ghosts = new Ghosts()

  readonly #volume: Volume
  readonly #limits: PinLimits
  readonly #timers: Timers
  #runs = 0
  /** Runs that were collected last: first block, count, … */
  #collected = newWords(0)
  #count = 0

  constructor(volume: Volume, limits: PinLimits, timers: Timers) {
    this.#volume = volume
    this.#limits = limits
    this.#timers = timers
  }

  // ---- what there is ---------------------------------------------------------------------------

  info(slot: number): HoldInfo {
    const { owner } = this.sessions.get(this.table.ownerOf(slot))!
    const info = this.table.info(slot, owner, this.#timers.now())
    let { bytes } = info
    this.ghosts.each(slot, (_block, count) => (bytes += count * BLOCK_BYTES))
    const deleted = this.#volume.core.opens.get(info.ino)?.unlinked === true || undefined
    return deleted === undefined && bytes === info.bytes ? info : { ...info, bytes, deleted }
  }

  list(): HoldInfo[] {
    const all: HoldInfo[] = []
    this.table.each((slot) => all.push(this.info(slot)))
    return all
  }

  listFrom(id: number, most: number): HoldInfo[] {
    const ids: number[] = []
    this.table.each((slot) => {
      const one = this.table.idOf(slot)
      if (one >= id) ids.push(one)
    })
    const some = Float64Array.from(ids).sort().subarray(0, most)
    return [...some].map((one) => this.info(this.table.slotOf(one)))
  }

  tell(kind: HoldEvent['kind'], slots: readonly number[]): void {
    if (this.events.watched) this.events.tell({ kind, holds: slots.map((slot) => this.info(slot)) })
  }

  /**
   * ENOMEM when the limits do not allow a hold of a range, `fresh` blocks of which are still holes.
   */
  demandLimit(session: Session, inode: number, from: number, to: number, fresh: number): void {
    const runs = this.#collect(inode, from, to)
    this.#limits.check(session.as.uid, this.#collected, fresh, runs)
  }

  /** Room for limbo is kept back for so many runs more, or fewer. ENOSPC when there is none. */
  reserve(runs: number): void {
    const more = this.reserveMore(runs)
    if (more > 0) this.#volume.core.transaction.require(more)
    this.#countRuns(runs)
  }

  /** Blocks that so many runs more would have kept back. */
  reserveMore(runs: number): number {
    return this.#reserveOf(this.#runs + runs) - this.#reserveOf(this.#runs)
  }

  // ---- granting --------------------------------------------------------------------------------

  /**
   * A hold of file blocks [from, to), whose blocks are as they have to be. Throws ENOMEM past the
   * limit, and then nothing has changed. Returns its slot.
   */
  grant(claim: Claim, from: number, to: number): number {
    const { session, kind, open, user } = claim
    const runs = user?.follows === true ? 0 : this.#collect(open.number, from, to)
    if (runs > 0) {
      const more = this.reserveMore(runs)
      if (more > 0) this.#volume.core.transaction.require(more)
      if (kind !== 'lease') this.#limits.check(session.as.uid, this.#collected, 0, runs)
    }
    return this.#add(claim, [open.number, from, to], runs)
  }

  /**
   * A hold that was granted before this mount, whose blocks are where they were then: pieces of its
   * file and of limbo, as inode, from, to, inode, from, to, ... It counts as it did, and no limit
   * refuses it. `into`: the slot that has its first parts. Returns its slot.
   */
  reclaim(claim: Claim, pieces: readonly number[], into = -1): number {
    this.#count = 0
    for (let i = 0; i < pieces.length; i += 3) {
      this.eachRun(pieces[i]!, pieces[i + 1]!, pieces[i + 2]!, this.#keep)
    }
    if (into < 0) return this.#add(claim, pieces, this.#count)
    this.#cover(into, pieces, this.#count)
    const back = this.table.stateOf(into) === 'deferred' && this.table.coversFile(into)
    if (back) this.table.setState(into, 'held')
    return into
  }

  /** A hold of these pieces, whose runs were collected. */
  #add(claim: Claim, pieces: readonly number[], runs: number): number {
    const { session, kind, iomode, open, reason, user } = claim
    const held = holdClassOf(kind, iomode)
    const slot = this.table.add(held, open.number, session.id, this.#timers.wall(), reason)
    this.#cover(slot, pieces, runs)
    this.#volume.core.opens.open(open.number)
    if (user !== null) this.users.set(slot, user)
    if (!this.table.coversFile(slot)) this.table.setState(slot, 'deferred')
    if (this.events.watched) this.tell('grant', [slot])
    return slot
  }

  /** A hold covers these pieces from now on, whose runs were collected. */
  #cover(slot: number, pieces: readonly number[], runs: number): void {
    const { table } = this
    const { core } = this.#volume
    const list = this.#collected
    if (table.kindOf(slot) !== 'lease') {
      this.#limits.charge(this.sessions.get(table.ownerOf(slot))!.as.uid, list, runs)
    }
    for (let i = 0; i < pieces.length; i += 3) {
      table.pieces.add(slot, pieces[i]!, pieces[i + 1]!, pieces[i + 2]!)
    }
    table.setRuns(slot, table.runsOf(slot) + runs)
    this.#countRuns(runs)
    for (let i = 0; i < 2 * runs; i += 2) {
      core.frames.add(list[i]!, list[i + 1]!)
      // What devices read from here on is what the file holds.
      core.afterStore(list[i]! * BLOCK_BYTES, list[i + 1]! * BLOCK_BYTES)
    }
  }

  #countRuns(delta: number): void {
    this.#runs += delta
    this.#volume.core.transaction.heldReserve = this.#reserveOf(this.#runs)
  }

  #reserveOf(runs: number): number {
    return runs === 0 ? 0 : RESERVE_LEAST + Math.ceil(runs / RUNS_A_BLOCK)
  }

  /**
   * Collects the runs of blocks that stand behind file blocks [from, to); returns how many. They
   * are good until others are collected.
   */
  #collect(inode: number, from: number, to: number): number {
    this.#count = 0
    this.eachRun(inode, from, to, this.#keep)
    return this.#count
  }

  /** Made once: collecting allocates nothing. */
  readonly #keep: VisitRun = (block, count) => {
    const at = 2 * this.#count++
    this.#collected = grown(this.#collected, at + 2, newWords)
    this.#collected[at] = block
    this.#collected[at + 1] = count
  }

  /** Runs of blocks that stand behind file blocks [from, to), so many at most. */
  eachRun(inode: number, from: number, to: number, visit: VisitRun, most = Infinity): void {
    const { inodes, extents, pages, limbo } = this.#volume.core
    if (inode === limbo.number) return visit(from, to - from, from)
    for (let block = from, runs = 0; block < to && runs < most; runs++) {
      pages.tick()
      const found = extents.find(inodes.get(inode), block)
      if (!found && extents.count === 0) return
      const first = Math.max(block, extents.fileBlock)
      const end = Math.min(to, extents.fileBlock + extents.count)
      if (first >= to) return
      visit(extents.regionBlock + (first - extents.fileBlock), end - first, first)
      block = end
    }
  }

  /** The least range of file blocks that has all that a hold covers of its file. */
  span(slot: number): [from: number, to: number] {
    const { pieces } = this.table
    const inode = this.table.inodeOf(slot)
    let [from, to] = [Infinity, 0]
    for (let piece = pieces.first(slot); piece !== NO_PIECE; piece = pieces.next(piece)) {
      if (pieces.inodeOf(piece) !== inode) continue
      from = Math.min(from, pieces.startOf(piece))
      to = Math.max(to, pieces.endOf(piece))
    }
    return [from, to]
  }

  /** Of file blocks [from, to) what lies within the range of a hold, in bytes. */
  wanted(slot: number, from: number, to: number): ByteRange {
    const [first, end] = this.span(slot)
    const start = Math.max(first, from)
    return { offset: start * BLOCK_BYTES, length: (Math.min(end, to) - start) * BLOCK_BYTES }
  }

  /**
   * Where the blocks of a hold are: file block (-1: in limbo), region block, count; so many at most
   * of what ends after file block `least` (-1: in limbo, too).
   */
  pieces(
    slot: number,
    least = -1,
    most = Infinity,
  ): [fileBlock: number, regionBlock: number, count: number][] {
    const { pieces } = this.table
    const limbo = this.#volume.core.limbo.number
    const covered: [place: number, from: number, to: number][] = []
    for (let piece = pieces.first(slot); piece !== NO_PIECE; piece = pieces.next(piece)) {
      const [start, to] = [pieces.startOf(piece), pieces.endOf(piece)]
      const [left, from] = [pieces.inodeOf(piece) === limbo, Math.max(least, start)]
      if (left && least < 0) covered.push([-1, start, to])
      else if (!left && from < to) covered.push([from, from, to])
    }
    const found: [number, number, number][] = []
    for (const [place, from, to] of covered.sort((a, b) => a[0] - b[0])) {
      if (found.length >= most) break
      const inode = place < 0 ? limbo : this.table.inodeOf(slot)
      const keep: VisitRun = (region, count, at) => found.push([place < 0 ? -1 : at, region, count])
      this.eachRun(inode, from, to, keep, most - found.length)
    }
    return found
  }

  // ---- giving back -----------------------------------------------------------------------------

  /**
   * What a hold covers of file blocks [from, to) ends. With nothing left, all of it does. `fenced`:
   * so does the use of blocks of that range that it was fenced from.
   */
  giveBack(slot: number, from: number, to: number, fenced = false): void {
    const { table } = this
    const drain = this.draining.get(table.idOf(slot))
    if (drain !== undefined) return void drain.returned.push(from, to) // it ends as a whole
    const inode = table.inodeOf(slot)
    const cut: number[] = []
    table.pieces.cutHold(slot, inode, from, to, (_slot, start, end) => cut.push(start, end))
    for (let i = 0; i < cut.length; i += 2) this.#uncount(slot, inode, cut[i]!, cut[i + 1]!)
    const left = fenced ? this.ghosts.take(slot, from, to) : []
    this.#drop(slot, left, left.length / 2)
    if (cut.length + left.length > 0) this.tell('return', [slot])
    if (table.pieces.first(slot) === NO_PIECE && !this.ghosts.has(slot)) this.end(slot)
    else this.changed(table.idOf(slot))
  }

  /** Its holder gives it up: it ends at once, or when it has drained. */
  release(slot: number): void {
    const drain = this.draining.get(this.table.idOf(slot))
    if (drain === undefined) this.end(slot)
    else drain.givenUp = true
  }

  /**
   * Cuts all access through a hold off, if that can be done. Resolves with true when none is under
   * way any more: then it has ended; with false when it may still be in use.
   */
  cutOff(slot: number): Promise<boolean> {
    const drain: Drain = { givenUp: false, returned: [], done: Promise.resolve(false) }
    this.draining.set(this.table.idOf(slot), drain)
    drain.done = this.#drain(slot, drain)
    return drain.done
  }

  async #drain(slot: number, drain: Drain): Promise<boolean> {
    const id = this.table.idOf(slot)
    const revoke = this.users.get(slot)?.revoke
    let ends = revoke !== undefined
    try {
      await revoke?.(...this.span(slot))
    } catch {
      ends = false // then it may still be in use, as that of somebody who cannot be cut off
    }
    ends ||= drain.givenUp
    this.draining.delete(id)
    for (let i = 0, { returned } = drain; i < returned.length && !ends; i += 2) {
      const left = this.table.find(id)
      if (left >= 0) this.giveBack(left, returned[i]!, returned[i + 1]!, true)
      ends = this.table.find(id) < 0
    }
    const now = this.table.find(id)
    if (ends && now >= 0) this.end(now)
    return ends
  }

  /** Nobody wants it back any more. Of one that was fenced from a part, that stays so. */
  callOff(slot: number): void {
    this.table.setState(slot, this.ghosts.has(slot) ? 'fenced' : 'held')
  }

  /** A hold ends. Nobody reaches its blocks through it any more. */
  end(slot: number): void {
    if (this.events.watched) this.tell('release', [slot])
    this.users.get(slot)?.ends?.()
    finishAll(this.#endings(slot))
  }

  /**
   * Also when the medium failed: its holder is gone, and nobody is to wait for it. Blocks of a file
   * that does not say any more which they are stay counted, and in limbo, until the next mount.
   */
  *#endings(slot: number): Generator<() => void, void> {
    const { pieces } = this.table
    for (let piece = pieces.first(slot); piece !== NO_PIECE; piece = pieces.first(slot)) {
      const inode = pieces.inodeOf(piece)
      const [from, to] = [pieces.startOf(piece), pieces.endOf(piece)]
      pieces.remove(piece)
      yield () => this.#uncount(slot, inode, from, to)
    }
    const ghosts = this.ghosts.take(slot, 0, Infinity)
    yield () => this.#drop(slot, ghosts, ghosts.length / 2)
    yield () => this.#remove(slot)
  }

  #remove(slot: number): void {
    const { table } = this
    this.#countRuns(-table.runsOf(slot))
    // It keeps its file open, so that is still there.
    const open = this.#volume.core.opens.get(table.inodeOf(slot))!
    this.users.delete(slot)
    table.remove(slot)
    try {
      this.#volume.releaseInode(open)
    } finally {
      this.changed()
    }
  }

  #uncount(slot: number, inode: number, from: number, to: number): void {
    if (this.users.get(slot)?.follows === true) return
    const runs = this.#collect(inode, from, to)
    this.#drop(slot, this.#collected, runs)
    if (inode !== this.#volume.core.limbo.number) this.#volume.files.zeroLastBlock(inode, from, to)
  }

  /** Runs of a hold are counted once less; what nothing covers any more leaves limbo. */
  #drop(slot: number, list: ArrayLike<number>, runs: number): void {
    const { core, work } = this.#volume
    if (this.table.kindOf(slot) !== 'lease') {
      const session = this.sessions.get(this.table.ownerOf(slot))!
      this.#limits.uncharge(session.as.uid, list, runs)
    }
    for (let i = 0; i < 2 * runs; i += 2) {
      const block = list[i]!
      const count = list[i + 1]!
      // What they wrote is the file's.
      core.beforeRead(block * BLOCK_BYTES, count * BLOCK_BYTES)
      core.frames.drop(block, count)
      core.limbo.lift(work, block, count)
    }
  }

  // ---- limbo and ghosts ------------------------------------------------------------------------

  /** Blocks under holds are in limbo from now on: the holds cover them there. */
  deferred(inode: number, fileBlock: number, regionBlock: number, count: number): void {
    const { pieces } = this.table
    const moved: number[] = []
    const limbo = this.#volume.core.limbo.number
    pieces.cut(inode, fileBlock, fileBlock + count, (slot, start, end) => {
      moved.push(slot, regionBlock + (start - fileBlock), end - start)
    })
    for (let i = 0; i < moved.length; i += 3) {
      const slot = moved[i]!
      pieces.add(slot, limbo, moved[i + 1]!, moved[i + 1]! + moved[i + 2]!)
      if (!this.table.coversFile(slot) && this.table.stateOf(slot) === 'held') {
        this.table.setState(slot, 'deferred')
      }
      this.tell('defer', [slot])
    }
  }

  /**
   * A hold was fenced and its addresses cannot be cut off: its blocks stay counted, wherever they
   * go, until it or its session ends, and it covers nothing of the file any more.
   */
  haunt(slot: number, from: number, to: number): void {
    const { table } = this
    const inode = table.inodeOf(slot)
    const cut: number[] = []
    table.pieces.cutHold(slot, inode, from, to, (_slot, start, end) => cut.push(start, end))
    for (let i = 0; i < cut.length; i += 2) {
      this.eachRun(inode, cut[i]!, cut[i + 1]!, (block, count, fileBlock) => {
        this.ghosts.add(slot, block, count, fileBlock)
      })
    }
    table.setState(slot, 'fenced')
    this.changed()
  }

  /** Whether any hold was fenced that could not be cut off. */
  get haunts(): boolean {
    return this.ghosts.size > 0
  }

  /**
   * Whether region block `start`, which is this block of this file, is in use by a fenced hold of
   * another block or file, which gave it up; and of how many blocks from there on, at most `most`,
   * that is so.
   */
  hauntedByOthers(
    inode: number,
    fileBlock: number,
    start: number,
    most: number,
  ): { haunted: boolean; count: number } {
    return this.ghosts.runAt(
      start,
      most,
      (slot, block) => block !== fileBlock || this.table.inodeOf(slot) !== inode,
    )
  }

  /** Of file blocks [from, to), runs that fenced holds still use: [from, to, from, to, ...]. */
  haunted(inode: number, from: number, to: number): number[] {
    const found: number[] = []
    if (!this.haunts) return found
    this.eachRun(inode, from, to, (block, count, fileBlock) => {
      for (let done = 0; done < count;) {
        const run = this.ghosts.runAt(block + done, count - done, () => true)
        const first = fileBlock + done
        done += run.count
        if (!run.haunted) continue
        if (found.at(-1) === first) found[found.length - 1] = first + run.count
        else found.push(first, first + run.count)
      }
    })
    return found
  }

  /** All that a session holds ends. Rejects when the medium failed. */
  endSession(session: Session): Promise<void> {
    return endSession(this, session)
  }
}
