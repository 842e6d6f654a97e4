/**
 * The arbiter: every change of a layout asks it first, and gets the contract's answer (table.ts).
 *
 * Invariants:
 * - an answer changes nothing: what is refused has left everything as it was. Leases of the one who
 *   asks count as given back, and are once the call goes on (`proceed`);
 * - what cannot be recalled is looked at first: a request that would fail anyway recalls nothing;
 * - it never waits. A conflict that waiting, or a recall, would do away with is kept in `conflict`
 *   for the promise form (waiting.ts), which asks again afterwards.
 */
import { checkChoice } from '../base/choice.js'
import { assert, HoldfastError } from '../base/errors.js'
import type { HoldInfo, LayoutChange, LayoutPolicy, ShareMode } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { InodeFlag } from '../media/inode.js'
import { LAYOUT_POLICIES, LayoutOption } from '../media/superblock.js'
import type { LayoutGuard } from '../volume/guard.js'
import type { Volume } from '../volume/volume.js'
import type { HeldClass } from './table.js'
import type { Holds } from './holds.js'
import type { Session } from './session.js'
import { verdictOf, type Verdict } from './table.js'

/** Who asks for a change, and how. */
export interface Request {
  readonly session: Session
  /** Instead of the file's, or the volume's. */
  readonly policy?: LayoutPolicy | undefined
  readonly share?: ShareMode | undefined
  /** Maintenance moves blocks away from under fenced leases, too. */
  readonly force?: boolean | undefined
}

/** What is in the way of a change, and would not be for ever. */
export interface Conflict {
  readonly change: LayoutChange
  readonly inode: number
  readonly from: number
  readonly to: number
  /** Leases to be recalled, by id. */
  readonly recalls: readonly number[]
  /** Pins that the policy waits for, by id. */
  readonly waits: readonly number[]
  /** Blocks may be moved away from under leases that cannot be cut off. */
  readonly force: boolean
  /** Says when what is in the way is gone, where that is no hold. */
  readonly gone?: () => boolean
}

/** Changes that a static volume does not know. */
const NEVER_STATIC: ReadonlySet<LayoutChange> = new Set([
  'punch',
  'share',
  'shareInto',
  'move',
  'shift',
])

export class Arbiter implements LayoutGuard {
  readonly holds: Holds
  /** Who asks in the running call, and how. */
  asking: Request
  /** What the last refusal was about, when waiting would help. */
  conflict: Conflict | null = null
  /** A call that may wait is tried: what is in its way is no refusal yet. */
  trying = false

  readonly #volume: Volume
  readonly #default: Request
  readonly #static: boolean
  /** Of leases of the asker, what the call does away with: id, first file block, the one after. */
  #own: number[] = []
  /** What leaves blocks behind to holds that were fenced: inode, first block, the one after. */
  #leaving: number[] = []
  #options: Partial<Request> | null = null

  constructor(volume: Volume, holds: Holds, self: Session) {
    this.#volume = volume
    this.holds = holds
    this.#default = { session: self }
    this.asking = this.#default
    this.#static = volume.core.features.has(LayoutOption.static)
    const { grace } = volume.core
    const gone = () => !grace.active
    const of = { inode: 0, from: 0, to: 0, recalls: [], waits: [], force: false }
    grace.refused = () => (this.conflict = { change: 'grow', ...of, gone })
  }

  demandOutside(): void {
    if (!this.holds.events.telling) return
    throw new HoldfastError('EDEADLK', 'a listener of holds makes no calls: do it afterwards')
  }

  ask(asker: object | null): void {
    this.demandOutside()
    const base = (asker as Request | null) ?? this.#default
    this.asking = this.#options === null ? base : { ...base, ...this.#options }
    this.#forgetPlans()
    this.asking.session.demandAlive()
  }

  /** Runs a call with options of its own. */
  during<T>(options: Partial<Request>, run: () => T): T {
    const before = this.#options
    this.#options = { ...before, ...given(options) }
    try {
      return run()
    } finally {
      this.#options = before
    }
  }

  watches(inode: number): boolean {
    return (
      this.#static ||
      this.#volume.core.grace.active ||
      this.holds.haunts ||
      (this.holds.table.size > 0 && this.holds.table.pieces.any(inode, 0, Infinity))
    )
  }

  demand(change: LayoutChange, inode: number, from: number, to: number): void {
    this.conflict = null
    const { table } = this.holds
    try {
      // Who holds what is not known before it is over.
      this.#volume.core.grace.demandOver()
      this.#demandFlags(change, inode)
      if (table.size === 0) return
      if (table.pieces.any(inode, from, to)) this.#demandHolds(change, inode, from, to)
    } catch (error) {
      this.#forgetPlans()
      throw error
    }
    // Their addresses are good for a place in one file, and no other.
    if ((change === 'share' || change === 'shift') && this.holds.haunts) {
      this.#leaving.push(inode, from, to)
    }
  }

  demandLeft(start: number, end: number): void {
    this.conflict = null
    const slots = new Set<number>()
    const { limbo } = this.#volume.core
    this.holds.ghosts.over(start, end - start, (slot) => slots.add(slot))
    this.holds.table.pieces.overlapping(limbo.number, start, end, (slot) => slots.add(slot))
    if (slots.size > 0) throw this.#refusal('EBUSY', 'move', [...slots])
  }

  proceed(): boolean {
    if (this.#own.length + this.#leaving.length === 0) return false
    const [own, leaving] = [this.#own, this.#leaving]
    this.#forgetPlans()
    for (let i = 0; i < leaving.length; i += 3) {
      this.#leaveGhosts(leaving[i]!, leaving[i + 1]!, leaving[i + 2]!)
    }
    for (let i = 0; i < own.length; i += 3) {
      const slot = this.holds.table.find(own[i]!)
      if (slot >= 0) this.holds.giveBack(slot, own[i + 1]!, own[i + 2]!)
    }
    return true
  }

  #forgetPlans(): void {
    if (this.#own.length > 0) this.#own = []
    if (this.#leaving.length > 0) this.#leaving = []
  }

  /**
   * Holds that were fenced and could not be cut off keep their blocks; this file gets others, and
   * other owners of them stay. Not where somebody holds it in place, nor where it is fixed: of
   * those blocks the destination gets a copy (shareRun).
   */
  #leaveGhosts(inode: number, from: number, to: number): void {
    const { inodes } = this.#volume.core
    const { pieces } = this.holds.table
    if (inodes.has(inodes.get(inode), InodeFlag.fixed)) return
    const runs = this.holds.haunted(inode, from, to)
    for (let i = 0; i < runs.length; i += 2) {
      const end = runs[i + 1]!
      const alone = !pieces.any(inode, runs[i]!, end)
      for (let block = runs[i]!; block < end;) {
        if (!alone && pieces.any(inode, block, block + 1)) block++
        else block += this.#volume.copies.leave(inode, block, alone ? end - block : 1)
      }
    }
  }

  #demandHolds(change: LayoutChange, inode: number, from: number, to: number): void {
    const { table } = this.holds
    const found = this.#judge(change, inode, from, to)
    if (found.refused.length > 0) {
      const sealed = found.refused.some((slot) => table.kindOf(slot) === 'seal')
      throw this.#refusal(sealed ? 'ETXTBSY' : 'EBUSY', change, found.refused)
    }
    if (found.waits.length + found.recalls.length > 0) {
      const { recalls, waits } = found
      const ids = (slots: readonly number[]) => slots.map((slot) => table.idOf(slot))
      this.conflict = {
        change,
        inode,
        from,
        to,
        recalls: ids(recalls),
        waits: ids(waits),
        force: this.asking.force === true,
      }
      throw this.#refusal('EBUSY', change, [...waits, ...recalls])
    }
    for (const slot of found.own) this.#own.push(table.idOf(slot), from, to)
  }

  #refusal(
    code: 'EBUSY' | 'ETXTBSY',
    change: LayoutChange,
    slots: readonly number[],
  ): HoldfastError {
    const holds: HoldInfo[] = slots.map((slot) => this.holds.info(slot))
    if (!this.trying || this.conflict === null) this.tellRefusal(change, holds)
    const way = code === 'EBUSY' && this.#static ? 'blocks are held; release them' : WAYS_OUT[code]
    return new HoldfastError(code, `${TEXT[change]}: ${way}`, { holds })
  }

  /** From here on a conflict that waiting would do away with is no refusal. */
  beginTry(): void {
    this.conflict = null
    this.trying = true
  }

  tellRefusal(change: LayoutChange, holds: readonly HoldInfo[]): void {
    if (this.holds.events.watched) this.holds.events.tell({ kind: 'refuse', holds, change })
  }

  // ---- the table applied -----------------------------------------------------------------------

  /** Sorts the holds in the way by what is to be done about them. */
  #judge(change: LayoutChange, inode: number, from: number, to: number) {
    const { table, users } = this.holds
    const refused: number[] = []
    const waits: number[] = []
    const recalls: number[] = []
    const own: number[] = []
    const seen = new Set<number>()
    table.pieces.overlapping(inode, from, to, (slot) => {
      if (seen.has(slot) || users.get(slot)?.follows === true) return
      seen.add(slot)
      const verdict = this.#verdict(change, inode, slot)
      if (verdict === 'recall') {
        // Of one that is being cut off, transfers may be under way whoever asks.
        const draining = this.holds.draining.has(table.idOf(slot))
        const apart = users.get(slot)?.apart?.() === true
        const mine = table.ownerOf(slot) === this.asking.session.id && !draining && !apart
        ;(mine ? own : recalls).push(slot)
      } else if (verdict === 'policy') {
        const policy = this.policyOf(inode)
        if (policy === 'busy') refused.push(slot)
        if (policy === 'wait') waits.push(slot)
      } else if (verdict === 'EBUSY' || verdict === 'ETXTBSY') refused.push(slot)
      else assert(verdict !== 'never', `no ${table.classOf(slot)} is in the way of a ${change}`)
    })
    return { refused, waits, recalls, own }
  }

  #verdict(change: LayoutChange, inode: number, slot: number): Verdict {
    const { table } = this.holds
    const share = this.asking.share ?? 'strict'
    const verdict = verdictOf(change, table.classOf(slot), { share })
    if (verdict !== 'policy' || !this.#static) return verdict
    // Of a static volume only what is not held is cut off.
    void inode
    return 'EBUSY'
  }

  /**
   * What a shrink or punch does to pinned blocks of a file: the call's, the file's, the volume's.
   */
  policyOf(inode: number): LayoutPolicy {
    const { policy } = this.asking
    if (policy !== undefined) return policy
    const { inodes, features } = this.#volume.core
    return inodes.policy(inodes.get(inode)) ?? LAYOUT_POLICIES[features.policy] ?? 'busy'
  }

  // ---- files whose layout does not change ------------------------------------------------------

  #demandFlags(change: LayoutChange, inode: number): void {
    const { inodes } = this.#volume.core
    if (this.#static && NEVER_STATIC.has(change)) {
      throw new HoldfastError(
        'EOPNOTSUPP',
        `${TEXT[change]}: the volume is static, its files keep their blocks; a volume made ` +
          'without --static can',
      )
    }
    const w = inodes.get(inode)
    if (!inodes.has(w, InodeFlag.fixed)) return
    const writeSealed = inodes.has(w, InodeFlag.writeSealed)
    const verdict = verdictOf(change, 'fixed', {
      share: this.asking.share ?? 'strict',
      writeSealed,
    })
    if (verdict === 'ok' || verdict === 'copy') return
    // Nobody writes to what a fixed file shares; who asks for other blocks is refused as well.
    assert(verdict === 'EPERM' || change === 'unshare', `a ${change} of a fixed file is refused`)
    throw new HoldfastError(
      'EPERM',
      `${TEXT[change]}: it is fixed, its blocks stay where they are; holdfast unfix allows it`,
    )
  }

  shareRun(inode: number, from: number, to: number): { end: number; copy: boolean } {
    const { inodes } = this.#volume.core
    const w = inodes.get(inode)
    if (inodes.has(w, InodeFlag.fixed) && !inodes.has(w, InodeFlag.writeSealed)) {
      return { end: to, copy: true }
    }
    const { end, held } = this.#run(inode, from, to, (kind) => kind === 'pin' || kind === 'seal')
    const [first, after] = held ? [] : this.holds.haunted(inode, from, end)
    if (first === undefined) return { end, copy: held }
    return first > from ? { end: first, copy: false } : { end: after!, copy: true }
  }

  storedRun(inode: number, from: number, to: number): { end: number; held: boolean } {
    return this.#run(inode, from, to, (kind) => kind !== 'readLease')
  }

  /** Whether file block `from` is under a hold of such a kind, and as far as that goes. */
  #run(
    inode: number,
    from: number,
    to: number,
    counts: (kind: HeldClass) => boolean,
  ): { end: number; held: boolean } {
    const { table, users } = this.holds
    const { pieces } = table
    if (!pieces.any(inode, from, to)) return { end: to, held: false }
    const counted = (slot: number) =>
      users.get(slot)?.follows !== true && counts(table.classOf(slot))
    let end = from
    // As far as one hold goes; what comes after is looked at again.
    pieces.overlapping(inode, from, from + 1, (slot, _first, after) => {
      if (counted(slot)) end = Math.max(end, Math.min(to, after))
    })
    if (end > from) return { end, held: true }
    // Ever further: the first of many is found without a look at all of them.
    for (let step = 16; end < to; step *= 2) {
      const start = end
      end = Math.min(to, start + step)
      let first = Infinity
      pieces.overlapping(inode, start, end, (slot, begins) => {
        if (counted(slot)) first = Math.min(first, begins)
      })
      if (first < Infinity) return { end: first, held: false }
    }
    return { end: to, held: false }
  }

  held(inode: number, from: number, to: number): boolean {
    return this.holds.table.size > 0 && this.holds.table.pieces.any(inode, from, to)
  }

  hauntedRun(
    inode: number,
    fileBlock: number,
    start: number,
    most: number,
  ): { haunted: boolean; count: number } {
    return this.holds.hauntedByOthers(inode, fileBlock, start, most)
  }

  deferred(inode: number, fileBlock: number, regionBlock: number, count: number): void {
    this.holds.deferred(inode, fileBlock, regionBlock, count)
  }

  /** EBUSY when the last name of an inode may not go: the volume's option, and a pin or seal. */
  demandUnlink(inode: number): void {
    if (!this.#volume.core.features.has(LayoutOption.unlinkBusy)) return
    const { table } = this.holds
    const held = new Set<number>()
    table.pieces.overlapping(inode, 0, Infinity, (slot) => {
      if (table.kindOf(slot) !== 'lease') held.add(slot)
    })
    if (held.size === 0) return
    const holds = [...held].map((slot) => this.holds.info(slot))
    throw new HoldfastError('EBUSY', 'the volume keeps the last name of what is pinned or sealed', {
      holds,
    })
  }
}

const SHARE_MODES = ['strict', 'copy'] as const satisfies ShareMode[]

/** Options that were given; what is undefined was not. EINVAL for a way to do it that is none. */
function given(options: Partial<Request>): Partial<Request> {
  const { policy, share } = options
  if (policy !== undefined) checkChoice('policy', policy, LAYOUT_POLICIES)
  if (share !== undefined) checkChoice('share', share, SHARE_MODES)
  const entries = Object.entries(options).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as Partial<Request>
}

const WAYS_OUT = {
  EBUSY: 'blocks are held; release them, or ask with another policy, or wait',
  ETXTBSY: 'blocks are mapped directly; unmap them first',
} as const

/** A change, in words. */
const TEXT: Readonly<Record<LayoutChange, string>> = {
  grow: 'adding blocks',
  shrink: 'cutting blocks off',
  punch: 'taking blocks out',
  shareInto: 'replacing blocks by shared ones',
  share: 'giving blocks a second owner',
  unshare: 'replacing shared blocks',
  move: 'moving blocks',
  shift: 'shifting blocks in the file',
}

/** File blocks that bytes [offset, offset + length) touch. */
export function blocksOf(offset: number, length: number): [from: number, to: number] {
  return [Math.floor(offset / BLOCK_BYTES), Math.ceil((offset + length) / BLOCK_BYTES)]
}
