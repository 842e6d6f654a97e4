/**
 * The slabs of one kind that were found, and the list of those with a free slot.
 *
 * - A slab is here once: its block is claimed when it is added, and `claims.index` has its ordinal.
 * - A damaged slab is here too, so that its block is no leak; what it holds is unknown.
 */
import { popcount, type Bytes } from '../base/bytes.js'
import { invalidSlab, SlabHeader, SlabKind, slotsOf } from '../media/slab.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Column } from './column.js'
import type { Medium, Scratch } from './medium.js'
import { checkReserved } from './reserved.js'

const at = SlabHeader.word

/** Bits of `SlabTable.flags`. */
const Flag = { damaged: 1, listed: 2, visited: 4 } as const

export class SlabTable {
  readonly kind: SlabKind
  readonly structure: string
  /** By ordinal. */
  readonly block = new Column()
  readonly usedLow = new Column()
  readonly usedHigh = new Column()
  readonly tag = new Column()
  readonly #previous = new Column()
  readonly #next = new Column()
  readonly #flags = new Column()
  readonly #claims: Claims
  readonly #findings: Findings
  /** The list could not be followed to its end: who is not in it is unknown. */
  #listBroken = false

  constructor(kind: SlabKind, claims: Claims, findings: Findings) {
    this.kind = kind
    this.structure = kind === SlabKind.inodes ? 'inode slab' : 'name slab'
    this.#claims = claims
    this.#findings = findings
  }

  reset(): void {
    const columns = [this.block, this.usedLow, this.usedHigh, this.tag]
    for (const column of columns) column.reset()
    this.#previous.reset()
    this.#next.reset()
    this.#flags.reset()
    this.#listBroken = false
  }

  get length(): number {
    return this.block.length
  }

  isDamaged(ordinal: number): boolean {
    return (this.#flags.data[ordinal]! & Flag.damaged) !== 0
  }

  /**
   * Claims `block` and takes in the slab whose header is at byte `base`; returns its ordinal, or -1
   * when the block belongs to something else.
   */
  add(block: number, bytes: Bytes, base: number): number {
    const ordinal = this.block.length
    const claim = this.kind === SlabKind.inodes ? Claim.inodeSlab : Claim.nameSlab
    if (!this.#claims.claim(block, 1, claim, ordinal, 0)) return -1
    const reason = invalidSlab(bytes, base, block, this.kind)
    const w = base >>> 2
    this.block.push(block)
    this.usedLow.push(bytes.u32[w + at.usedLow]!)
    this.usedHigh.push(bytes.u32[w + at.usedHigh]!)
    this.tag.push(bytes.u32[w + at.tag]!)
    this.#previous.push(bytes.u32[w + at.previous]!)
    this.#next.push(bytes.u32[w + at.next]!)
    if (reason !== null) {
      this.#flags.push(Flag.damaged)
      this.#findings.add('slab-damaged', placeOf(this.structure, block), reason)
      return ordinal
    }
    const listed = bytes.u32[w + at.listed]!
    this.#flags.push(listed === 1 ? Flag.listed : 0)
    const tag = this.tag.data[ordinal]!
    if (this.kind === SlabKind.names && tag !== 0) {
      const place = placeOf(this.structure, block)
      this.#findings.add('slab-tag-wrong', place, `tag ${tag}, expected 0`)
    }
    if (listed > 1) this.#wrong(ordinal, `listed is ${listed}, expected 0 or 1`)
    checkReserved(bytes, base, SlabHeader, block, 0, this.#findings)
    return ordinal
  }

  isUsed(ordinal: number, slot: number): boolean {
    const column = slot < 32 ? this.usedLow : this.usedHigh
    return ((column.data[ordinal]! >>> (slot & 31)) & 1) !== 0
  }

  /** Slots in use, without the header. */
  usedSlots(ordinal: number): number {
    return popcount(this.usedLow.data[ordinal]!) + popcount(this.usedHigh.data[ordinal]!) - 1
  }

  /**
   * Follows the list from `head`. `find` gives the ordinal of the slab in a block, or -1 when it is
   * none: name slabs are found here, inode slabs are known from the inode map.
   */
  walkList(head: number, find: (block: number) => number): void {
    let previous = 0
    for (let block = head; block !== 0;) {
      const ordinal = this.#claims.inData(block, 1) ? find(block) : -1
      if (ordinal < 0) {
        this.#break(
          'slab-list-broken',
          previous,
          `leads to block ${block}, which is no ${this.structure}`,
        )
        return
      }
      if (this.isDamaged(ordinal)) {
        this.#listBroken = true
        return
      }
      if ((this.#flags.data[ordinal]! & Flag.visited) !== 0) {
        this.#break('slab-list-cyclic', previous, `comes back to block ${block}`)
        return
      }
      this.#flags.data[ordinal]! |= Flag.visited
      if (this.#previous.data[ordinal] !== previous) {
        const message = `previous is ${this.#previous.data[ordinal]!}, expected ${previous}`
        this.#findings.add('slab-list-broken', placeOf(this.structure, block), message)
      }
      previous = block
      block = this.#next.data[ordinal]!
    }
  }

  #break(code: 'slab-list-broken' | 'slab-list-cyclic', block: number, message: string): void {
    this.#listBroken = true
    const place = block === 0 ? `head of the list of ${this.structure}s` : this.structure
    this.#findings.add(code, placeOf(place, block === 0 ? 2 : block), message)
  }

  /** When every slab is known and the list walked: whether the right ones are in it. */
  checkMembership(): void {
    const slots = slotsOf(this.kind) - 1
    for (let i = 0; i < this.block.length; i++) {
      const flags = this.#flags.data[i]!
      if ((flags & Flag.damaged) !== 0) continue
      const place = placeOf(this.structure, this.block.data[i]!)
      const used = this.usedSlots(i)
      const visited = (flags & Flag.visited) !== 0
      const listed = (flags & Flag.listed) !== 0
      if (used === 0) this.#findings.add('slab-empty', place, 'no slot but the header is in use')
      if (visited && used === slots) {
        this.#findings.add('slab-list-full', place, `all ${slots} slots are in use`)
      }
      if (this.#listBroken && !visited) continue
      if (!visited && used < slots) {
        this.#findings.add('slab-list-missing', place, `${slots - used} slots are free`)
      }
      if (visited !== listed) {
        this.#wrong(i, `listed is ${Number(listed)}, expected ${Number(visited)}`)
      }
      if (!visited && (this.#previous.data[i] !== 0 || this.#next.data[i] !== 0)) {
        const links = `previous ${this.#previous.data[i]!}, next ${this.#next.data[i]!}`
        this.#findings.add('slab-list-broken', place, `${links}, expected 0 outside of the list`)
      }
    }
  }

  #wrong(ordinal: number, message: string): void {
    this.#findings.add(
      'slab-listed-wrong',
      placeOf(this.structure, this.block.data[ordinal]!),
      message,
    )
  }
}

/**
 * The ordinal of the slab in `block`, read and added when it is not known yet; -1 when it is
 * none.
 */
export function findSlab(
  table: SlabTable,
  block: number,
  claims: Claims,
  medium: Medium,
  scratch: Scratch,
): number {
  const claim = table.kind === SlabKind.inodes ? Claim.inodeSlab : Claim.nameSlab
  if (claims.kind[block] === claim) return claims.index[block]!
  medium.read(block, 0, scratch.u8, 0, SlabHeader.size)
  return table.add(block, scratch, 0)
}
