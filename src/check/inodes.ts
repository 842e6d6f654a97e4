/**
 * The inodes: the inode map leads to the slabs, the slabs hold the inodes, a file's inode leads to
 * its extents. What later phases compare is kept in columns.
 */
import { BLOCK_BYTES } from '../base/limits.js'
import { Inode, InodeFlag, INODES_PER_SLAB, invalidInode } from '../media/inode.js'
import { Mode } from '../base/mode.js'
import { InodeMapPage, invalidInodeMapPage, MAP_ENTRIES } from '../media/inode_map.js'
import { SlabHeader, SlabKind } from '../media/slab.js'
import type { Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Column } from './column.js'
import type { Extents } from './extents.js'
import { checkFileContent, checkInlineUnused, checkInodeFields } from './inode_fields.js'
import { Scratch, type Crc32cOf, type Medium } from './medium.js'
import { checkReserved } from './reserved.js'
import { SlabTable } from './slabs.js'
import { checkTarget } from './symlinks.js'
import type { TreeWalker } from './tree.js'
import type { Values } from './values.js'
import type { Header, Roots } from './volume_header.js'

const at = Inode.word
const typeBits = (mode: number): number => (mode & Mode.typeMask) >>> 12

/**
 * What stands in an inode slot: bits 12 to 15 of its mode. `damaged`: in use, and nothing more is
 * known of it.
 */
export const SlotType = {
  none: 0,
  file: typeBits(Mode.file),
  directory: typeBits(Mode.directory),
  symlink: typeBits(Mode.symlink),
  damaged: 16,
} as const

const INODE_BYTES = Inode.size
const INODE_WORDS = INODE_BYTES / 4

export class Inodes {
  readonly slabs: SlabTable
  /** By slot: slab ordinal * 16 + slot. */
  readonly type = new Column()
  readonly links = new Column()
  readonly flags = new Column()
  /** Directory entries found that lead here, and the directory of the first. */
  readonly entries = new Column()
  readonly holder = new Column()
  /** Bit k: it has an orphan record of kind k. */
  readonly orphan = new Column()
  /** Entries of a directory that lead to directories. */
  readonly subdirectories = new Column()

  /** By directory: number, slot index, root, entries it says it has, parent. */
  readonly directories = {
    number: new Column(),
    slot: new Column(),
    root: new Column(),
    count: new Column(),
    parent: new Column(),
  }

  /**
   * By inode with extended attributes, or that says it has some: number, slot index, mode, root,
   * attributes it says it has.
   */
  readonly attributed = {
    number: new Column(),
    slot: new Column(),
    mode: new Column(),
    root: new Column(),
    count: new Column(),
  }

  /** All flags that any file has. */
  allFlags = 0
  /** All that are no directories. */
  files = 0
  /** Slots in use, of slabs that could be read. */
  used = 0
  /** Part of the map or of the slabs could not be read: what is not here may be there. */
  incomplete = false

  /** By map page 1 + the place of its entries in `#ordinals`, 0 while it has none. */
  readonly #pages = new Column()
  /** By map entry, for pages that have any: 1 + ordinal of its slab. */
  readonly #ordinals = new Column()
  /** By ordinal of the slab: the generation that the inode map says is below all of it. */
  readonly #floor = new Column()
  readonly #map: Scratch
  readonly #slab: Scratch
  readonly #medium: Medium
  readonly #claims: Claims
  readonly #findings: Findings
  readonly #extents: Extents
  readonly #walker: TreeWalker
  readonly #values: Values

  constructor(
    medium: Medium,
    claims: Claims,
    findings: Findings,
    extents: Extents,
    walker: TreeWalker,
    values: Values,
    crc32cOf: Crc32cOf,
  ) {
    this.slabs = new SlabTable(SlabKind.inodes, claims, findings)
    this.#medium = medium
    this.#claims = claims
    this.#findings = findings
    this.#extents = extents
    this.#walker = walker
    this.#values = values
    this.#map = new Scratch(BLOCK_BYTES, crc32cOf)
    this.#slab = new Scratch(BLOCK_BYTES, crc32cOf)
  }

  reset(): void {
    this.slabs.reset()
    for (const column of this.#bySlot()) column.reset()
    for (const column of Object.values(this.directories)) column.reset()
    for (const column of Object.values(this.attributed)) column.reset()
    this.#floor.reset()
    this.#pages.reset()
    this.#ordinals.reset()
    this.allFlags = 0
    this.files = 0
    this.used = 0
    this.incomplete = false
  }

  #bySlot(): Column[] {
    return [
      this.type,
      this.links,
      this.flags,
      this.entries,
      this.holder,
      this.orphan,
      this.subdirectories,
    ]
  }

  /** The slot index of inode `number`, or -1 when its slab does not exist. */
  slotOf(number: number): number {
    const slot = number % INODES_PER_SLAB
    const entry = (number - slot) / INODES_PER_SLAB
    const page = Math.floor(entry / MAP_ENTRIES)
    if (slot === 0 || page >= this.#pages.length || this.#pages.data[page] === 0) return -1
    const at = (this.#pages.data[page]! - 1) * MAP_ENTRIES + (entry % MAP_ENTRIES)
    return (this.#ordinals.data[at]! - 1) * INODES_PER_SLAB + slot
  }

  /** For messages: the inode of a slot index and where it stands. */
  placeOf(index: number): string {
    const slot = index % INODES_PER_SLAB
    const ordinal = (index - slot) / INODES_PER_SLAB
    const number = this.slabs.tag.data[ordinal]! * INODES_PER_SLAB + slot
    return placeOf(`inode ${number}`, this.slabs.block.data[ordinal]!, slot * INODE_BYTES)
  }

  /** Reads the whole map, and claims all slabs: first, so that what is wrong cannot take them. */
  scanMap(header: Header, roots: Roots): void {
    this.#pages.extend(header.inodeMapBlocks)
    for (let page = 0; page < header.inodeMapBlocks; page++) this.#scanPage(header, roots, page)
  }

  /** Reads the slabs, and the extents of all files. */
  scanSlabs(roots: Roots, onSlab: (done: number, total: number) => void): void {
    for (let ordinal = 0; ordinal < this.slabs.length; ordinal++) {
      if (!this.slabs.isDamaged(ordinal)) this.#scanSlab(ordinal)
      onSlab(ordinal + 1, this.slabs.length)
    }
    if (!this.incomplete && this.used !== roots.inodes) {
      const message = `the state says ${roots.inodes}, ${this.used} are in use`
      this.#findings.add('inode-count-wrong', placeOf('state', 2), message)
    }
  }

  #scanPage(header: Header, roots: Roots, page: number): void {
    const block = header.inodeMapStart + page
    this.#medium.read(block, 0, this.#map.u8, 0, BLOCK_BYTES)
    const reason = invalidInodeMapPage(this.#map, 0, page)
    if (reason !== null) {
      this.#findings.add('inode-map-damaged', placeOf(InodeMapPage.name, block), reason)
      this.incomplete = true
      return
    }
    checkReserved(this.#map, 0, InodeMapPage, block, 0, this.#findings)
    let used = 0
    for (let i = 0; i < MAP_ENTRIES; i++) {
      const slab = this.#map.u32[InodeMapPage.word.entries + 2 * i]!
      if (slab === 0) continue
      used++
      this.#scanEntry(block, page, i, slab, roots.inodeMapHigh)
    }
    const stored = this.#map.u32[InodeMapPage.word.used]!
    if (used !== stored) {
      const message = `used is ${stored}, ${used} entries have a slab`
      this.#findings.add('inode-map-used-wrong', placeOf(InodeMapPage.name, block), message)
    }
  }

  #scanEntry(mapBlock: number, page: number, i: number, slab: number, high: number): void {
    const entry = page * MAP_ENTRIES + i
    const place = () =>
      placeOf(`entry ${entry} of the inode map`, mapBlock, InodeMapPage.at.entries + 8 * i)
    if (entry >= high) {
      const message = `slab in block ${slab}, expected none from entry ${high} on`
      this.#findings.add('inode-map-entry-invalid', place(), message)
    }
    if (!this.#claims.inData(slab, 1)) {
      const { dataStart, blockCount } = this.#claims
      const message = `slab in block ${slab}, expected ${dataStart} to ${blockCount - 1}`
      this.#findings.add('inode-map-entry-invalid', place(), message)
      this.incomplete = true
      return
    }
    this.#medium.read(slab, 0, this.#slab.u8, 0, SlabHeader.size)
    const ordinal = this.slabs.add(slab, this.#slab, 0)
    if (ordinal < 0) {
      this.incomplete = true
      return
    }
    const tag = this.slabs.tag.data[ordinal]!
    this.slabs.tag.data[ordinal] = entry
    this.#floor.push(this.#map.u32[InodeMapPage.word.entries + 2 * i + 1]!)
    this.#remember(page, i, ordinal)
    for (const column of this.#bySlot()) column.extend(INODES_PER_SLAB)
    if (this.slabs.isDamaged(ordinal)) {
      this.type.data.fill(SlotType.damaged, ordinal * INODES_PER_SLAB + 1, this.type.length)
      this.incomplete = true
    } else if (tag !== entry) {
      const message = `entry ${tag} of the inode map, expected ${entry}`
      this.#findings.add('slab-tag-wrong', placeOf('inode slab', slab), message)
    }
  }

  #scanSlab(ordinal: number): void {
    const block = this.slabs.block.data[ordinal]!
    const entry = this.slabs.tag.data[ordinal]!
    this.#medium.read(block, 0, this.#slab.u8, 0, BLOCK_BYTES)
    this.#checkZero(block, 'header', SlabHeader.size >>> 2, INODE_WORDS)
    for (let slot = 1; slot < INODES_PER_SLAB; slot++) this.#scanSlot(block, ordinal, entry, slot)
  }

  #remember(page: number, i: number, ordinal: number): void {
    if (this.#pages.data[page] === 0) {
      this.#pages.data[page] = this.#ordinals.length / MAP_ENTRIES + 1
      this.#ordinals.extend(MAP_ENTRIES)
    }
    this.#ordinals.data[(this.#pages.data[page]! - 1) * MAP_ENTRIES + i] = ordinal + 1
  }

  #scanSlot(block: number, ordinal: number, entry: number, slot: number): void {
    const base = slot * INODE_BYTES
    if (!this.slabs.isUsed(ordinal, slot)) {
      this.#checkFree(block, slot)
      return
    }
    this.used++
    const number = entry * INODES_PER_SLAB + slot
    const index = ordinal * INODES_PER_SLAB + slot
    const reason = invalidInode(this.#slab, base, number)
    if (reason !== null) {
      this.type.data[index] = SlotType.damaged
      this.#findings.add('inode-damaged', placeOf(`inode ${number}`, block, base), reason)
      return
    }
    this.#scanInode(block, base, number, index, this.#floor.data[ordinal]!)
  }

  /** The inode at byte `base` of the slab, whose checksum is right. */
  #scanInode(block: number, base: number, number: number, index: number, floor: number): void {
    const w = base >>> 2
    const words = this.#slab.u32
    const mode = words[w + at.mode]!
    const type = typeBits(mode)
    this.type.data[index] = type
    this.links.data[index] = words[w + at.links]!
    this.flags.data[index] = words[w + at.flags]!
    const sized = checkInodeFields(this.#slab, base, number, block, floor, this.#findings)
    const acls = words[w + at.flags]! & (InodeFlag.accessAcl | InodeFlag.defaultAcl)
    if ((words[w + at.xattrRoot]! | words[w + at.xattrCount]! | acls) !== 0) {
      this.attributed.number.push(number)
      this.attributed.slot.push(index)
      this.attributed.mode.push(mode)
      this.attributed.root.push(words[w + at.xattrRoot]!)
      this.attributed.count.push(words[w + at.xattrCount]!)
    }
    if (type === SlotType.directory) {
      this.directories.number.push(number)
      this.directories.slot.push(index)
      this.directories.root.push(words[w + at.root]!)
      this.directories.count.push(words[w + at.count]!)
      this.directories.parent.push(words[w + at.parent]!)
      checkInlineUnused(this.#slab, base, 0, number, block, this.#findings)
      return
    }
    this.files++
    if (type === SlotType.file) {
      this.allFlags |= words[w + at.flags]!
      checkFileContent(this.#slab, base, number, block, this.#extents, this.#walker, this.#findings)
    } else if (type !== SlotType.symlink) {
      checkInlineUnused(this.#slab, base, 0, number, block, this.#findings)
    } else if (sized) {
      checkTarget(this.#slab, base, number, block, this.#values, this.#findings)
    }
  }

  /** Bytes of the inode with a slot index, read again: few are asked for. */
  sizeOf(index: number): number {
    const slot = index % INODES_PER_SLAB
    const block = this.slabs.block.data[(index - slot) / INODES_PER_SLAB]!
    this.#medium.read(block, slot * INODE_BYTES, this.#slab.u8, 0, INODE_BYTES)
    return this.#slab.u32[at.size]! + this.#slab.u32[at.size + 1]! * 2 ** 32
  }

  /** A slot not in use is zero but for its generation. */
  #checkFree(block: number, slot: number): void {
    const start = slot * INODE_WORDS
    this.#checkZero(block, `slot ${slot}, not in use,`, start, start + INODE_WORDS)
  }

  #checkZero(block: number, what: string, from: number, to: number): void {
    for (let w = from; w < to; w++) {
      if (this.#slab.u32[w] === 0 || w % INODE_WORDS === at.generation) continue
      const place = placeOf(`${what} of inode slab`, block, w * 4)
      this.#findings.add('slab-slot-not-zero', place, `word ${w % INODE_WORDS} is not zero`)
      return
    }
  }
}
