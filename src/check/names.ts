/**
 * Names, and short values of attributes, in their slabs: each used slot belongs to exactly one
 * directory entry or attribute.
 */
import { BLOCK_BYTES, NAME_BYTES_MAX, SLAB_VALUE_BYTES_MAX } from '../base/limits.js'
import { invalidName, NameHeader, nameSlots, NAME_SLOT_BYTES } from '../media/name.js'
import { SlabKind, slotsOf } from '../media/slab.js'
import type { Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Column } from './column.js'
import { Scratch, type Crc32cOf, type Medium } from './medium.js'
import { findSlab, SlabTable } from './slabs.js'

const SLOTS = slotsOf(SlabKind.names)
const TEXT_BYTES = nameSlots(SLAB_VALUE_BYTES_MAX) * NAME_SLOT_BYTES

/** What stands in a slab of names, for messages. */
export type NameUse = 'entry of directory' | 'attribute of inode' | 'value of inode'

/**
 * A name as it was read: valid until the read after the next, so that two can be compared. A value
 * is valid until the next value is read.
 */
export interface ReadName {
  readonly scratch: Scratch
  length: number
}

export class Names {
  readonly slabs: SlabTable
  /** By ordinal of the slab: slots that have an owner. Grows with the slabs. */
  readonly #claimedLow = new Column()
  readonly #claimedHigh = new Column()
  readonly #header: Scratch
  readonly #names: readonly [ReadName, ReadName]
  readonly #value: ReadName
  #turn = 0
  /** The name being looked at, for messages. */
  #block = 0
  #slot = 0
  readonly #medium: Medium
  readonly #claims: Claims
  readonly #findings: Findings

  constructor(medium: Medium, claims: Claims, findings: Findings, crc32cOf: Crc32cOf) {
    this.slabs = new SlabTable(SlabKind.names, claims, findings)
    this.#medium = medium
    this.#claims = claims
    this.#findings = findings
    this.#header = new Scratch(NAME_SLOT_BYTES, crc32cOf)
    const read = (): ReadName => ({ scratch: new Scratch(TEXT_BYTES, crc32cOf), length: 0 })
    this.#names = [read(), read()]
    this.#value = read()
  }

  reset(): void {
    this.slabs.reset()
    this.#claimedLow.reset()
    this.#claimedHigh.reset()
  }

  /** The ordinal of the name slab in `block`, a block of the data area; -1 when it is none. */
  readonly find = (block: number): number =>
    findSlab(this.slabs, block, this.#claims, this.#medium, this.#header)

  /**
   * The name or value in `slot` of the slab in `block`, for a record of inode `owner` (`place` says
   * where that stands); null when there is none to go by, which is then a finding.
   */
  take(
    block: number,
    slot: number,
    owner: number,
    use: NameUse,
    place: () => string,
  ): ReadName | null {
    if (!this.#claims.inData(block, 1) || slot < 1 || slot >= SLOTS) {
      this.#findings.add('entry-invalid', place(), `${use}: slot ${slot} of block ${block}`)
      return null
    }
    const ordinal = this.find(block)
    if (ordinal < 0 || this.slabs.isDamaged(ordinal)) return null
    const isValue = use === 'value of inode'
    if (!isValue) this.#turn ^= 1
    const name = isValue ? this.#value : this.#names[this.#turn]!
    const offset = slot * NAME_SLOT_BYTES
    const bytes = Math.min(TEXT_BYTES, BLOCK_BYTES - offset)
    this.#medium.read(block, offset, name.scratch.u8, 0, bytes)
    this.#block = block
    this.#slot = slot
    const words = name.scratch.u32
    name.length = words[NameHeader.word.length]! & 0xffff
    const reason =
      invalidName(name.scratch, 0, SLOTS - slot) ??
      (isValue || name.length <= NAME_BYTES_MAX ? null : `name of ${name.length} bytes`)
    if (reason !== null) {
      this.#findings.add('name-damaged', this.#place(), reason)
      this.#claimSlots(ordinal, slot, 1)
      return null
    }
    this.#claimSlots(ordinal, slot, words[NameHeader.word.length]! >>> 16)
    if (words[NameHeader.word.owner] !== owner) {
      const message = `owner ${words[NameHeader.word.owner]!}, ${use} ${owner}`
      this.#findings.add('name-owner-wrong', this.#place(), message)
    }
    this.#checkBytes(name, use)
    return name
  }

  #place(): string {
    const structure = `name in slot ${this.#slot} of name slab`
    return placeOf(structure, this.#block, this.#slot * NAME_SLOT_BYTES)
  }

  #checkBytes(name: ReadName, use: NameUse): void {
    const bytes = name.scratch.u8
    const start = NameHeader.size
    const end = start + name.length
    if (use !== 'value of inode' && isForbidden(bytes, start, end, use)) {
      const text = JSON.stringify(Buffer.from(bytes.subarray(start, end)).toString('latin1'))
      this.#findings.add('name-forbidden', this.#place(), text)
    }
    const padded = nameSlots(name.length) * NAME_SLOT_BYTES
    for (let i = end; i < padded; i++) {
      if (bytes[i] === 0) continue
      this.#findings.add(
        'reserved-not-zero',
        this.#place(),
        `byte ${i}, after the name, is not zero`,
      )
      return
    }
  }

  #claimSlots(ordinal: number, slot: number, count: number): void {
    const missing = ordinal + 1 - this.#claimedLow.length
    if (missing > 0) {
      this.#claimedLow.extend(missing)
      this.#claimedHigh.extend(missing)
    }
    for (let i = slot; i < slot + count; i++) {
      const column = i < 32 ? this.#claimedLow : this.#claimedHigh
      const bit = 1 << (i & 31)
      if (!this.slabs.isUsed(ordinal, i)) {
        this.#findings.add('name-slot-unused', this.#place(), `slot ${i} is not in use`)
      }
      if ((column.data[ordinal]! & bit) !== 0) {
        this.#findings.add('name-claimed-twice', this.#place(), `slot ${i} has an owner already`)
      }
      column.data[ordinal]! |= bit
    }
  }

  /**
   * When all directories and attributes are walked: slots in use that none led to. `lost`: some are
   * missing.
   */
  checkUnowned(lost: boolean): void {
    if (lost) return
    const claimed = this.#claimedLow
    if (claimed.length < this.slabs.length) {
      this.#claimedHigh.extend(this.slabs.length - claimed.length)
      claimed.extend(this.slabs.length - claimed.length)
    }
    for (let i = 0; i < this.slabs.length; i++) {
      if (this.slabs.isDamaged(i)) continue
      const low = this.slabs.usedLow.data[i]! & ~claimed.data[i]! & ~1
      const high = this.slabs.usedHigh.data[i]! & ~this.#claimedHigh.data[i]!
      if ((low | high) === 0) continue
      const slots = []
      for (let slot = 1; slot < SLOTS; slot++) {
        if ((((slot < 32 ? low : high) >>> (slot & 31)) & 1) !== 0) slots.push(slot)
      }
      const place = placeOf('name slab', this.slabs.block.data[i]!)
      this.#findings.add('name-unowned', place, `slots ${slots.join(', ')} have no owner`)
    }
  }
}

/** Entries are not `.` or `..` and have no `/`; nor has any name a NUL. */
function isForbidden(bytes: Uint8Array, start: number, end: number, use: NameUse): boolean {
  const entry = use === 'entry of directory'
  if (entry && end - start <= 2 && bytes[start] === 0x2e && bytes[end - 1] === 0x2e) return true
  for (let i = start; i < end; i++) {
    if (bytes[i] === 0 || (entry && bytes[i] === 0x2f)) return true
  }
  return false
}
