/**
 * The holds of a volume: what each is, whose and why, by slot in typed arrays; what it covers
 * stands in the index of pieces under the same slot. A hold is no object here: 100 000 of them are
 * 10 MB and nothing for the garbage collector to look at.
 *
 * A slot is good within one step of the arbiter; what is kept outside is the id, slot and
 * generation in one safe integer: id = generation * HOLDS_MAX + slot + 1. So the first holds are
 * 1, 2, 3, no id is given twice, and an old one is found to be old without being remembered.
 *
 * Invariants:
 * - a slot in use has flag `used` and stands on no list; a free one is on the free list, unless its
 *   generations have run out: then it is never used again;
 * - a free slot has no pieces; one in use has a deadline exactly while it is recalled;
 * - the generation of a slot is how many holds have ended in it.
 */
import { assert, HoldfastError } from '../base/errors.js'
import type { ByteRange, HoldInfo, HoldKind, HoldOwner, HoldState, Iomode } from '../base/layout.js'
import { BLOCK_BYTES, HOLDS_MAX } from '../base/limits.js'
import { BySlot } from './by_slot.js'
import { grown, newBytes, newNumbers, newWords } from './growth.js'
import { HoldIndex, NO_PIECE } from './hold_index.js'
import { iomodeOfClass, kindOfClass, type HeldClass } from './table.js'

const NO_SLOT = 0xffff_ffff
/** Ids stay safe integers: HOLDS_MAX times this is 2^52. */
const GENERATIONS = 0x1_0000_0000

const SLOT_WORDS = 4
const GENERATION = 0
/** Of a free slot: the next one on the free list. */
const INODE = 1
const OWNER = 2
const RUNS = 3

/** Flags: class in bits 0 and 1, state in bits 2 and 3. */
const CLASSES = ['pin', 'seal', 'readLease', 'rwLease'] as const satisfies HeldClass[]
const CLASS_MASK = 3
const STATES = ['held', 'recalled', 'deferred', 'fenced'] as const satisfies HoldState[]
const STATE_SHIFT = 2
const STATE_MASK = 3 << STATE_SHIFT
const USED = 16

const CLASS_BITS: Readonly<Record<HeldClass, number>> = {
  pin: 0,
  seal: 1,
  readLease: 2,
  rwLease: 3,
}
const STATE_BITS: Readonly<Record<HoldState, number>> = {
  held: 0,
  recalled: 1 << STATE_SHIFT,
  deferred: 2 << STATE_SHIFT,
  fenced: 3 << STATE_SHIFT,
}

export class HoldTable {
  /** Holds in it. */
  size = 0
  /** Of those, how many are asked back. */
  recalled = 0
  /** What they cover. */
  readonly pieces = new HoldIndex()

  #words = newWords(0)
  #since = newNumbers(0)
  readonly #deadlines = new BySlot<number>()
  #flags = newBytes(0)
  readonly #reasons: string[] = []
  /** Holds of each class. */
  readonly #counts = new Uint32Array(CLASSES.length)
  #free = NO_SLOT
  /** The lowest slot never used. */
  #unused = 0
  readonly #slotsMax: number
  readonly #generations: number

  /** Fewer slots and generations than there are by default are for tests. */
  constructor(slotsMax = HOLDS_MAX, generations = GENERATIONS) {
    assert(slotsMax <= HOLDS_MAX && generations <= GENERATIONS, 'ids are safe integers')
    this.#slotsMax = slotsMax
    this.#generations = generations
  }

  /** Bytes of memory that it takes with its pieces, the reasons left out. */
  get byteLength(): number {
    const own = this.#words.byteLength + this.#since.byteLength + this.#flags.byteLength
    return own + this.pieces.byteLength
  }

  /** A new hold, which covers nothing yet. `since` is wall clock in milliseconds. */
  add(holdClass: HeldClass, inode: number, owner: number, since: number, reason: string): number {
    assert(inode === inode >>> 0 && owner === owner >>> 0, 'inode and owner numbers are u32')
    const slot = this.#newSlot()
    const w = slot * SLOT_WORDS
    this.#words[w + INODE] = inode
    this.#words[w + OWNER] = owner
    this.#words[w + RUNS] = 0
    this.#since[slot] = since
    this.#flags[slot] = USED | CLASS_BITS[holdClass]
    this.#reasons[slot] = reason
    this.#counts[CLASS_BITS[holdClass]]!++
    this.size++
    return slot
  }

  /** Ends a hold: its pieces go, its id is never valid again. */
  remove(slot: number): void {
    this.#assertUsed(slot)
    this.pieces.removeAll(slot)
    if (this.stateOf(slot) === 'recalled') this.recalled--
    this.#counts[this.#flags[slot]! & CLASS_MASK]!--
    this.#flags[slot] = 0
    this.#deadlines.delete(slot)
    this.#reasons[slot] = ''
    this.size--
    const w = slot * SLOT_WORDS
    const generation = this.#words[w + GENERATION]! + 1
    if (generation === this.#generations) return
    this.#words[w + GENERATION] = generation
    this.#words[w + INODE] = this.#free
    this.#free = slot
  }

  /** Holds of a class. */
  count(holdClass: HeldClass): number {
    return this.#counts[CLASS_BITS[holdClass]]!
  }

  #newSlot(): number {
    const free = this.#free
    if (free !== NO_SLOT) {
      this.#free = this.#words[free * SLOT_WORDS + INODE]!
      return free
    }
    if (this.#unused === this.#slotsMax) {
      throw new HoldfastError(
        'ENOMEM',
        `${this.size} holds are out, and a volume has no room for more; release some`,
      )
    }
    const slot = this.#unused++
    this.#words = grown(this.#words, (slot + 1) * SLOT_WORDS, newWords)
    this.#since = grown(this.#since, slot + 1, newNumbers)
    this.#flags = grown(this.#flags, slot + 1, newBytes)
    return slot
  }

  #assertUsed(slot: number): void {
    assert((this.#flags[slot] ?? 0) !== 0, 'a slot that is asked for holds something')
  }

  idOf(slot: number): number {
    this.#assertUsed(slot)
    return this.#words[slot * SLOT_WORDS + GENERATION]! * HOLDS_MAX + slot + 1
  }

  /** The slot of a hold, or -1 when it has ended or never was. */
  find(id: number): number {
    if (!Number.isSafeInteger(id) || id < 1) return -1
    const slot = (id - 1) % HOLDS_MAX
    if (slot >= this.#unused || this.#flags[slot] === 0) return -1
    const generation = (id - 1 - slot) / HOLDS_MAX
    return this.#words[slot * SLOT_WORDS + GENERATION] === generation ? slot : -1
  }

  /** The slot of a hold, or ESTALE. */
  slotOf(id: number): number {
    const slot = this.find(id)
    if (slot < 0) throw new HoldfastError('ESTALE', `hold ${id} has ended; take a new one`)
    return slot
  }

  classOf(slot: number): HeldClass {
    return CLASSES[this.#flags[slot]! & CLASS_MASK]!
  }

  kindOf(slot: number): HoldKind {
    return kindOfClass(this.classOf(slot))
  }

  /** Null unless it is a lease. */
  iomodeOf(slot: number): Iomode | null {
    return iomodeOfClass(this.classOf(slot))
  }

  /** The file that it was taken on. */
  inodeOf(slot: number): number {
    return this.#words[slot * SLOT_WORDS + INODE]!
  }

  ownerOf(slot: number): number {
    return this.#words[slot * SLOT_WORDS + OWNER]!
  }

  reasonOf(slot: number): string {
    return this.#reasons[slot]!
  }

  /** Milliseconds of wall clock. */
  sinceOf(slot: number): number {
    return this.#since[slot]!
  }

  /** Whether any of it is a range of its file. */
  coversFile(slot: number): boolean {
    const { pieces } = this
    const inode = this.inodeOf(slot)
    for (let piece = pieces.first(slot); piece !== NO_PIECE; piece = pieces.next(piece)) {
      if (pieces.inodeOf(piece) === inode) return true
    }
    return false
  }

  /** Whether it covers any of file blocks [from, to). */
  covers(slot: number, inode: number, from: number, to: number): boolean {
    let there = false
    this.pieces.overlapping(inode, from, to, (found) => {
      if (found === slot) there = true
    })
    return there
  }

  /** Runs of blocks that its blocks were when last counted; the reserve keeps room for them. */
  runsOf(slot: number): number {
    return this.#words[slot * SLOT_WORDS + RUNS]!
  }

  setRuns(slot: number, runs: number): void {
    this.#assertUsed(slot)
    assert(runs === runs >>> 0, 'a number of runs is u32')
    this.#words[slot * SLOT_WORDS + RUNS] = runs
  }

  stateOf(slot: number): HoldState {
    return STATES[(this.#flags[slot]! & STATE_MASK) >>> STATE_SHIFT]!
  }

  /** When a recalled hold is to be given back by, on the monotonic clock; 0 for others. */
  deadlineOf(slot: number): number {
    return this.#deadlines.get(slot) ?? 0
  }

  /** The hold is asked back by a deadline: milliseconds of a monotonic clock. */
  recall(slot: number, deadline: number): void {
    this.#setState(slot, 'recalled')
    this.#deadlines.set(slot, deadline)
  }

  /** Any other state than recalled. */
  setState(slot: number, state: Exclude<HoldState, 'recalled'>): void {
    this.#setState(slot, state)
    this.#deadlines.delete(slot)
  }

  #setState(slot: number, state: HoldState): void {
    this.#assertUsed(slot)
    if (this.stateOf(slot) === 'recalled') this.recalled--
    if (state === 'recalled') this.recalled++
    this.#flags[slot] = (this.#flags[slot]! & ~STATE_MASK) | STATE_BITS[state]
  }

  /** Every hold, by slot. The visitor may end the one that it is shown. */
  each(visit: (slot: number) => void): void {
    for (let slot = 0; slot < this.#unused; slot++) if (this.#flags[slot] !== 0) visit(slot)
  }

  /** Every hold of an owner, by slot. The visitor may end the one that it is shown. */
  ofOwner(owner: number, visit: (slot: number) => void): void {
    for (let slot = 0; slot < this.#unused; slot++) {
      if (this.#flags[slot] !== 0 && this.ownerOf(slot) === owner) visit(slot)
    }
  }

  /** A hold as it is listed; `now` is of the monotonic clock that its deadline is of. */
  info(slot: number, owner: HoldOwner, now: number): HoldInfo {
    const state = this.stateOf(slot)
    return {
      id: this.idOf(slot),
      kind: this.kindOf(slot),
      iomode: this.iomodeOf(slot),
      ino: this.inodeOf(slot),
      ranges: this.#rangesOf(slot),
      owner,
      reason: this.reasonOf(slot),
      since: this.sinceOf(slot),
      deadline: state === 'recalled' ? Math.max(0, this.deadlineOf(slot) - now) : null,
      state,
      bytes: this.pieces.blocksOf(slot) * BLOCK_BYTES,
    }
  }

  /** What it covers of its file, neighbours joined; what stands in limbo is no range of it. */
  #rangesOf(slot: number): ByteRange[] {
    const { pieces } = this
    const inode = this.inodeOf(slot)
    const found: number[] = []
    for (let piece = pieces.first(slot); piece !== NO_PIECE; piece = pieces.next(piece)) {
      if (pieces.inodeOf(piece) === inode) found.push(piece)
    }
    found.sort((a, b) => pieces.startOf(a) - pieces.startOf(b))
    const ranges: { offset: number; length: number }[] = []
    for (const piece of found) {
      const offset = pieces.startOf(piece) * BLOCK_BYTES
      const end = pieces.endOf(piece) * BLOCK_BYTES
      const last = ranges.at(-1)
      if (last !== undefined && offset <= last.offset + last.length) {
        last.length = Math.max(last.length, end - last.offset)
      } else ranges.push({ offset, length: end - offset })
    }
    return ranges
  }
}
