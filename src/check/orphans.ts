/**
 * The orphan records: inodes without a name that are still there, and work on the blocks of files
 * that is not finished. What half-done work leaves is sound when its records can complete it:
 *
 * - beyond: blocks past the end of the file are to go; nothing is asked of what is there.
 * - punch: blocks of a range are to go; the same.
 * - collapse: a range is taken out, by a punch of it (while there is one) and by moving down what
 *   is behind it: all below the cursor is moved, so that as much as the distance before it is a
 *   hole.
 * - insert and insertEnd: what is behind a file block is moved up, the last extent first: all from
 *   the cursor on is moved, so that as much as the distance behind it is a hole.
 * - receive and receiveFrom: blocks of a range are to go, and those of another inode, the giver, to
 *   take their place, the last extent first: from the end of the range on it is done. The giver has
 *   no name, says whom it gives to, and has blocks in what is left of the range only.
 */
import { BLOCK_BYTES, FILE_BYTES_MAX } from '../base/limits.js'
import { OrphanKind, RecordKinds } from '../media/tree_node.js'
import { placeOf, type Findings } from './codes.js'
import type { Extents, FileRange } from './extents.js'
import { SlotType, type Inodes } from './inodes.js'
import type { TreeWalker } from './tree.js'

/** File blocks are numbered below this. */
const FILE_BLOCKS_MAX = 0xffff_ffff

const UNLINKED = 1 << OrphanKind.unlinked
const PUNCH = 1 << OrphanKind.punch
const COLLAPSE = 1 << OrphanKind.collapse
const INSERT = (1 << OrphanKind.insert) | (1 << OrphanKind.insertEnd)
const RECEIVE = (1 << OrphanKind.receive) | (1 << OrphanKind.receiveFrom)
const GIVER = 1 << OrphanKind.giver

/** Kinds of records that an inode without a name may have: none of them is unfinished work. */
export const NAMELESS = UNLINKED | GIVER
/** Kinds of what clones larger than a transaction leave behind. */
export const OF_CLONES = RECEIVE | GIVER

/** Kinds that an inode may have records of at the same time. */
export const TOGETHER: ReadonlySet<number> = new Set([
  UNLINKED,
  1 << OrphanKind.beyond,
  PUNCH,
  COLLAPSE,
  PUNCH | COLLAPSE,
  INSERT,
  RECEIVE,
  NAMELESS,
])

/** The records of one inode, by kind: first and second argument. */
interface Records {
  readonly number: number
  readonly slot: number
  /** For messages. */
  readonly place: string
  kinds: number
  readonly first: number[]
  readonly second: number[]
}

/** Whom a file receives from, and where its records stand. */
interface Receiver {
  readonly giver: number
  readonly place: string
}

export class Orphans {
  /** Part of the records could not be read. */
  lost = false
  /** Bit k: there is a record of kind k. */
  allKinds = 0
  readonly #inodes: Inodes
  readonly #extents: Extents
  readonly #walker: TreeWalker
  readonly #findings: Findings
  /** Of the inode that the walk is at. */
  #records: Records | null = null
  /** File blocks that an inode must not have, and where the records that say so stand. */
  readonly #holes = new Map<number, FileRange & { readonly place: string }>()
  /** By giver, to whom: 0 when its record is invalid. By receiver, from whom. */
  readonly #givers = new Map<number, number>()
  readonly #receivers = new Map<number, FileRange & Receiver>()

  constructor(inodes: Inodes, extents: Extents, walker: TreeWalker, findings: Findings) {
    this.#inodes = inodes
    this.#extents = extents
    this.#walker = walker
    this.#findings = findings
  }

  /** Notes which inodes have a record of which kind; looks at the extents, which are known. */
  walk(root: number): void {
    this.#records = null
    this.#holes.clear()
    this.#givers.clear()
    this.#receivers.clear()
    this.allKinds = 0
    this.#walker.walk(root, RecordKinds.orphans, 0, (words, w, block) => {
      this.#visit(words[w]!, words[w + 1]!, words[w + 2]!, words[w + 3]!, block)
    })
    this.lost = this.#walker.broken
    this.#checkTogether()
    this.#checkReceivers()
    this.#extents.findWithin(this.#holes, (number) => {
      const { from, to, outside, place } = this.#holes.get(number)!
      // Once for an inode.
      this.#holes.delete(number)
      const message =
        outside === true
          ? `inode ${number} has blocks for more than file blocks ${from} to ${to}`
          : `blocks at file blocks ${from} to ${to - 1}, expected a hole`
      this.#findings.add('orphan-work-impossible', place, message)
    })
    this.#holes.clear()
  }

  #visit(number: number, kind: number, first: number, second: number, block: number): void {
    const place = placeOf(`orphan record of inode ${number}`, block)
    const reason = invalidOrphan(kind, first, second)
    if (reason !== null) this.#findings.add('orphan-record-invalid', place, reason)
    const slot = this.#inodes.slotOf(number)
    const type = slot < 0 ? SlotType.none : this.#inodes.type.data[slot]!
    if (type === SlotType.none) {
      if (slot < 0 && this.#inodes.incomplete) return
      this.#findings.add('orphan-target-missing', place, `inode ${number} is not in use`)
      return
    }
    if (reason !== null && !isKnown(kind)) return
    this.#inodes.orphan.data[slot]! |= 1 << kind
    this.allKinds |= 1 << kind
    if (kind === OrphanKind.giver) this.#givers.set(number, reason === null ? first : 0)
    if (this.#records === null || this.#records.number !== number) {
      this.#checkTogether()
      this.#records = { number, slot, place, kinds: 0, first: [], second: [] }
    }
    // One that is invalid asks for nothing more.
    if (reason !== null) return
    this.#records.kinds |= 1 << kind
    this.#records.first[kind] = first
    this.#records.second[kind] = second
  }

  /** The records of one inode, when all are there. */
  #checkTogether(): void {
    const records = this.#records
    this.#records = null
    if (records === null || records.kinds === 0) return
    // Not all of them are valid, or known: what is missing is no second finding.
    const { slot } = records
    if (this.#inodes.orphan.data[slot] !== records.kinds || this.#walker.broken) return
    if (this.#inodes.type.data[slot] === SlotType.damaged) return
    const reason = this.#impossible(records)
    if (reason !== null) this.#findings.add('orphan-work-impossible', records.place, reason)
  }

  /** Whoever receives does so from one that gives to it, and that one has nothing else. */
  #checkReceivers(): void {
    if (this.lost) return
    for (const [number, { giver, from, to, place }] of this.#receivers) {
      const target = this.#givers.get(giver)
      if (target === number) this.#holes.set(giver, { from, to, outside: true, place })
      if (target === number || target === 0) continue
      const message = `receives from inode ${giver}, which gives it nothing`
      this.#findings.add('orphan-work-impossible', place, message)
    }
    for (const [giver, target] of this.#givers) {
      const receiver = this.#receivers.get(target)
      const slot = this.#inodes.slotOf(target)
      // What is wrong with its own records is no second finding.
      const other = slot >= 0 && (this.#inodes.orphan.data[slot]! & RECEIVE) !== 0
      if (target === 0 || receiver?.giver === giver || (receiver === undefined && other)) continue
      const message = `gives to inode ${target}, which does not receive from it`
      this.#findings.add('orphan-work-impossible', `orphan record of inode ${giver}`, message)
    }
  }

  #impossible({ number, slot, kinds, first, second, place }: Records): string | null {
    if (!TOGETHER.has(kinds)) return `records of kinds ${kindsOf(kinds)} at a time`
    if (kinds === UNLINKED) return null
    if (this.#inodes.type.data[slot] !== SlotType.file)
      return 'work on the blocks of what is no file'
    if (kinds === NAMELESS) return null
    if (this.#inodes.links.data[slot] === 0) return 'work on the blocks of a file without a name'
    if ((kinds & COLLAPSE) !== 0) {
      const [to, distance] = [first[OrphanKind.collapse]!, second[OrphanKind.collapse]!]
      const from = to - distance
      if (distance * BLOCK_BYTES >= this.#inodes.sizeOf(slot))
        return `${distance} blocks are too many`
      if ((kinds & PUNCH) === 0) this.#holes.set(number, { from, to, place })
      else if (first[OrphanKind.punch] !== from || second[OrphanKind.punch] !== to) {
        return `a punch of other blocks than ${from} to ${to - 1}`
      }
    } else if (kinds === RECEIVE) {
      const [from, to] = [first[OrphanKind.receive]!, second[OrphanKind.receive]!]
      this.#receivers.set(number, { giver: first[OrphanKind.receiveFrom]!, from, to, place })
    } else if (kinds === INSERT) {
      const [offset, distance] = [first[OrphanKind.insert]!, second[OrphanKind.insert]!]
      const from = first[OrphanKind.insertEnd]!
      if (from <= offset) return `all is moved from file block ${from} on, and not at ${offset}`
      const size = this.#inodes.sizeOf(slot) + distance * BLOCK_BYTES
      if (size > FILE_BYTES_MAX) return `${distance} blocks are too many`
      this.#holes.set(number, { from, to: from + distance, place })
    }
    return null
  }
}

const KINDS: ReadonlySet<number> = new Set(Object.values(OrphanKind))
const isKnown = (kind: number): boolean => KINDS.has(kind)

const kindsOf = (kinds: number): string =>
  Object.values(OrphanKind)
    .filter((kind) => (kinds & (1 << kind)) !== 0)
    .join(', ')

/** Why no record has these words, or null. */
export function invalidOrphan(kind: number, first: number, second: number): string | null {
  if (!isKnown(kind)) return `kind ${kind}`
  const sound = soundArguments(kind, first, second)
  return sound ? null : `kind ${kind} with the arguments ${first}, ${second}`
}

function soundArguments(kind: number, first: number, second: number): boolean {
  switch (kind) {
    case OrphanKind.unlinked:
      return second === 0
    case OrphanKind.punch:
      return first < second
    case OrphanKind.receive:
      return first <= second
    case OrphanKind.collapse:
      return second > 0 && second <= first
    case OrphanKind.insert:
      return second > 0 && first + second <= FILE_BLOCKS_MAX
    case OrphanKind.receiveFrom:
      return first > 0 && second <= 1
    case OrphanKind.insertEnd:
    case OrphanKind.giver:
      return first > 0 && second === 0
    default:
      return first === 0 && second === 0
  }
}
