/**
 * The inodes that are there: slabs by what stands in them, not only by who leads to them.
 *
 * - A slab belongs to the map entry that its inodes are numbered for; when it has none that can be
 *   read, to the one its header names.
 * - An inode whose checksum does not fit, but which says whose number it has and is of a type, is
 *   kept with what it says, without rights for others than its owner. One that does not is lost:
 *   its number is remembered, what the reverse map knows of it is found there.
 */
import { checksumOf } from '../base/bytes.js'
import { Column } from '../check/column.js'
import type { Header } from '../check/volume_header.js'
import { isKnownType, Mode } from '../base/mode.js'
import { Inode, INODE_MAGIC, INODES_PER_SLAB, invalidInode } from '../media/inode.js'
import { InodeMapPage, invalidInodeMapPage, MAP_ENTRIES } from '../media/inode_map.js'
import { invalidSlab, SLAB_MAGIC, SlabHeader, SlabKind } from '../media/slab.js'
import type { Draft, Page } from './draft.js'
import type { Fixes } from './fixes.js'
import { sanitize } from './inode_fields.js'
import { Use, type Space } from './space.js'

const at = Inode.word
const WORDS = Inode.size / 4

/** Bits of `header` of a slab. */
const HeaderState = { sound: 0, damaged: 1 } as const

export class InodeTable {
  /** By slab. */
  readonly block = new Column()
  readonly entry = new Column()
  readonly #header = new Column()
  readonly #ordinals = new Map<number, number>()
  /** By slot, 16 a slab: type (mode >>> 12) of the inode, 0 none. */
  readonly type = new Column()
  /** Entries that lead to it, and for a directory: the directory of its entry; subdirectories. */
  readonly names = new Column()
  readonly holder = new Column()
  readonly subdirectories = new Column()
  /** 1 + its tree of extents or entries, 0 none. */
  readonly tree = new Column()
  /** 1 + the tree of its extended attributes, 0 none. */
  readonly attributes = new Column()
  /** 1: an orphan record says that it has no name. */
  readonly unlinked = new Column()
  /** Numbers whose inode was in use and cannot be read. */
  readonly lost = new Set<number>()
  /** Pages of the map that cannot be read. */
  readonly lostPages: number[] = []
  /** Something led to a slab that is none: there may be slabs that nothing leads to. */
  incomplete = false
  highestGeneration = 0

  readonly #draft: Draft
  readonly #space: Space
  readonly #fixes: Fixes
  readonly #header0: Header

  constructor(draft: Draft, space: Space, fixes: Fixes, header: Header) {
    this.#draft = draft
    this.#space = space
    this.#fixes = fixes
    this.#header0 = header
  }

  // ---- slabs -----------------------------------------------------------------------------------

  /** Finds the slabs that the map leads to. */
  readMap(): void {
    const { inodeMapStart, inodeMapBlocks } = this.#header0
    const strays: number[] = []
    for (let page = 0; page < inodeMapBlocks; page++) {
      const block = inodeMapStart + page
      if (invalidInodeMapPage(this.#draft.view(block), 0, page) !== null) {
        this.lostPages.push(page)
        this.incomplete = true
        continue
      }
      for (let i = 0; i < MAP_ENTRIES; i++) {
        const w = InodeMapPage.word.entries + 2 * i
        const slab = this.#draft.view(block).u32[w]!
        if (slab === 0) continue
        const entry = page * MAP_ENTRIES + i
        const found = this.#space.isFree(slab) ? this.identify(slab, entry) : -1
        if (found === entry) this.add(slab, entry)
        else this.#lose(entry, slab, found, strays)
      }
    }
    for (const slab of strays) this.offer(slab)
  }

  #lose(entry: number, slab: number, found: number, strays: number[]): void {
    this.incomplete = true
    for (let slot = 1; slot < INODES_PER_SLAB; slot++) this.lost.add(entry * 16 + slot)
    if (found >= 0) strays.push(slab)
    const message = `map entry ${entry} led to block ${slab}, which is no slab of its inodes`
    this.#fixes.add('inode-map-entry-invalid', message)
  }

  /** Takes a block for a slab when it is one and its entry has none. */
  offer(block: number): boolean {
    if (!this.#space.isFree(block)) return false
    const entry = this.identify(block, -1)
    if (entry < 0 || this.#ordinals.has(entry)) return false
    this.add(block, entry)
    for (let slot = 1; slot < INODES_PER_SLAB; slot++) this.lost.delete(entry * 16 + slot)
    this.#fixes.add('inode-map-damaged', `slab in block ${block} is that of map entry ${entry}`)
    return true
  }

  /** The map entry that a block is the slab of; -1 when it is no slab. */
  identify(block: number, expected: number): number {
    const page = this.#draft.view(block)
    const sound = invalidSlab(page, 0, block, SlabKind.inodes) === null
    if (!sound && page.u32[0] !== SLAB_MAGIC && expected < 0) return -1
    let alike = -1
    for (let slot = 1; slot < INODES_PER_SLAB; slot++) {
      const w = slot * WORDS
      if (page.u32[w] !== INODE_MAGIC) continue
      const number = page.u32[w + at.number]!
      if (number % INODES_PER_SLAB !== slot) continue
      const entry = Math.floor(number / INODES_PER_SLAB)
      if (entry >= this.#entries) continue
      if (checksumOf(page, w * 4, Inode) === page.u32[w + at.checksum]) return entry
      if (alike < 0 || entry === expected) alike = entry
    }
    const tag = page.u32[SlabHeader.word.tag]!
    if (sound && tag < this.#entries) return tag
    return expected >= 0 && alike === expected ? expected : -1
  }

  get #entries(): number {
    return Math.min(this.#header0.inodeMapBlocks * MAP_ENTRIES, 0x0fff_ffff)
  }

  /** A slab is known: its slots are not read yet. */
  add(block: number, entry: number): number {
    const ordinal = this.block.length
    this.#space.claim(block, Use.inodeSlab, ordinal)
    const sound = invalidSlab(this.#draft.view(block), 0, block, SlabKind.inodes) === null
    this.block.push(block)
    this.entry.push(entry)
    this.#header.push(sound ? HeaderState.sound : HeaderState.damaged)
    this.#ordinals.set(entry, ordinal)
    for (const column of this.#bySlot()) column.extend(INODES_PER_SLAB)
    return ordinal
  }

  #bySlot(): Column[] {
    return [
      this.type,
      this.names,
      this.holder,
      this.subdirectories,
      this.tree,
      this.attributes,
      this.unlinked,
    ]
  }

  /** Slab of a map entry, or -1. */
  ordinalOf(entry: number): number {
    return this.#ordinals.get(entry) ?? -1
  }

  /** A slab without inodes goes away. */
  removeSlab(ordinal: number): void {
    const block = this.block.data[ordinal]!
    this.#ordinals.delete(this.entry.data[ordinal]!)
    this.#space.release(block)
    this.#draft.discard(block)
    this.block.data[ordinal] = 0
  }

  // ---- slots -----------------------------------------------------------------------------------

  /**
   * Reads the slots from index `from` on, and puts right what needs nothing but the inode itself.
   */
  readSlots(from = 0): void {
    for (let ordinal = from / INODES_PER_SLAB; ordinal < this.block.length; ordinal++) {
      for (let slot = 1; slot < INODES_PER_SLAB; slot++) this.#readSlot(ordinal, slot)
    }
  }

  #readSlot(ordinal: number, slot: number): void {
    const block = this.block.data[ordinal]!
    const number = this.entry.data[ordinal]! * INODES_PER_SLAB + slot
    const page = this.#draft.view(block)
    const base = slot * Inode.size
    const why = invalidInode(page, base, number)
    const alike = why === null || this.#alike(page, slot, number)
    const sound = this.#header.data[ordinal] === HeaderState.sound
    const used = sound ? ((page.u32[SlabHeader.word.usedLow]! >>> slot) & 1) !== 0 : alike
    if (!used) return this.#clear(page, block, slot, 'slab-slot-not-zero')
    if (!alike) {
      this.lost.add(number)
      this.#fixes.add('inode-damaged', `inode ${number} cannot be read (${why}): it is removed`)
      return this.#clear(page, block, slot, null)
    }
    if (why !== null) {
      const own = this.#draft.page(block)
      own.u32[slot * WORDS + at.mode]! &= Mode.typeMask | 0o700
      own.seal(Inode, base)
      this.#fixes.add(
        'inode-damaged',
        `inode ${number} (${why}): kept as it says it is, for its owner alone`,
      )
    }
    const floor = this.#floorOf(this.entry.data[ordinal]!)
    sanitize(this.#draft, block, slot, number, floor, this.#fixes)
    const w = slot * WORDS
    const now = this.#draft.view(block)
    this.type.data[ordinal * INODES_PER_SLAB + slot] = now.u32[w + at.mode]! >>> 12
    this.highestGeneration = Math.max(this.highestGeneration, now.u32[w + at.generation]!)
  }

  /** Every inode of an entry has a generation above this one, as far as the map can be read. */
  #floorOf(entry: number): number {
    const page = Math.floor(entry / MAP_ENTRIES)
    if (this.lostPages.includes(page)) return 0
    const w = InodeMapPage.word.entries + 2 * (entry - page * MAP_ENTRIES) + 1
    return Math.min(this.#draft.view(this.#header0.inodeMapStart + page).u32[w]!, 0xffff_fffe)
  }

  /** Whether a slot whose checksum does not fit still says what it is. */
  #alike(page: Page, slot: number, number: number): boolean {
    const w = slot * WORDS
    return (
      page.u32[w] === INODE_MAGIC &&
      page.u32[w + at.number] === number &&
      isKnownType(page.u32[w + at.mode]!)
    )
  }

  /** A slot that is not in use is zero but for its generation. */
  #clear(page: Page, block: number, slot: number, code: 'slab-slot-not-zero' | null): void {
    const w = slot * WORDS
    const generation = page.u32[w + at.generation]!
    let zero = true
    for (let i = w; i < w + WORDS && zero; i++) {
      zero = page.u32[i] === 0 || i === w + at.generation
    }
    if (zero) return
    const own = this.#draft.page(block)
    own.u32.fill(0, w, w + WORDS)
    own.u32[w + at.generation] = generation
    if (code !== null) this.#fixes.add(code, `slot ${slot} of the slab in block ${block} is zeroed`)
  }

  // ---- one inode -------------------------------------------------------------------------------

  /** Slots of all slabs. */
  get length(): number {
    return this.type.length
  }

  /** Index of an inode's slot, or -1 when it has no slab. */
  indexOf(number: number): number {
    const slot = number % INODES_PER_SLAB
    const ordinal = this.#ordinals.get((number - slot) / INODES_PER_SLAB)
    return ordinal === undefined || slot === 0 ? -1 : ordinal * INODES_PER_SLAB + slot
  }

  /** Index of an inode in use, or -1. */
  find(number: number): number {
    const index = this.indexOf(number)
    return index >= 0 && this.type.data[index] !== 0 ? index : -1
  }

  numberOf(index: number): number {
    const slot = index % INODES_PER_SLAB
    return this.entry.data[(index - slot) / INODES_PER_SLAB]! * INODES_PER_SLAB + slot
  }

  /** A word of an inode. */
  get(index: number, word: number): number {
    const slot = index % INODES_PER_SLAB
    const block = this.block.data[(index - slot) / INODES_PER_SLAB]!
    return this.#draft.view(block).u32[slot * WORDS + word]!
  }

  /** Sets words of an inode, and seals it. */
  set(index: number, words: ReadonlyArray<readonly [word: number, value: number]>): void {
    const slot = index % INODES_PER_SLAB
    const page = this.#draft.page(this.block.data[(index - slot) / INODES_PER_SLAB]!)
    for (const [word, value] of words) page.u32[slot * WORDS + word] = value
    page.seal(Inode, slot * Inode.size)
  }

  /** An inode goes away; what it had is not claimed any more when its slot is read again. */
  remove(index: number): void {
    const slot = index % INODES_PER_SLAB
    const block = this.block.data[(index - slot) / INODES_PER_SLAB]!
    this.type.data[index] = 0
    this.#clear(this.#draft.view(block), block, slot, null)
  }

  isDirectory(index: number): boolean {
    return this.type.data[index] === Mode.directory >>> 12
  }

  isFile(index: number): boolean {
    return this.type.data[index] === Mode.file >>> 12
  }

  /** Whether an inode of this number may have been in use, and is lost. */
  isLost(number: number): boolean {
    if (this.lost.has(number)) return true
    const slot = number % INODES_PER_SLAB
    const entry = (number - slot) / INODES_PER_SLAB
    if (slot === 0 || entry >= this.#entries || this.#ordinals.has(entry)) return false
    return this.lostPages.includes(Math.floor(entry / MAP_ENTRIES))
  }

  /** Makes an inode with this number, in a new slab when there must be one; -1: no room. */
  create(number: number, mode: number): number {
    const slot = number % INODES_PER_SLAB
    const entry = (number - slot) / INODES_PER_SLAB
    let ordinal = this.ordinalOf(entry)
    if (ordinal < 0) ordinal = this.#newSlab(entry)
    if (ordinal < 0) return -1
    const index = ordinal * INODES_PER_SLAB + slot
    const page = this.#draft.page(this.block.data[ordinal]!)
    const w = slot * WORDS
    const known = Math.max(page.u32[w + at.generation]!, this.#floorOf(entry))
    const generation = Math.max(known, this.highestGeneration) + 1
    page.u32.fill(0, w, w + WORDS)
    this.type.data[index] = mode >>> 12
    this.tree.data[index] = 0
    this.attributes.data[index] = 0
    const links = mode >>> 12 === Mode.directory >>> 12 ? 2 : 1
    this.set(index, [
      [at.magic, INODE_MAGIC],
      [at.number, number],
      [at.generation, generation >>> 0],
      [at.mode, mode],
      [at.links, links],
    ])
    return index
  }

  #newSlab(entry: number): number {
    const block = this.#space.take(Use.inodeSlab, 0)
    if (block === 0) return -1
    this.#space.release(block)
    const page = this.#draft.fresh(block)
    page.u32[SlabHeader.word.magic] = SLAB_MAGIC
    page.u32[SlabHeader.word.block] = block
    page.u32[SlabHeader.word.kind] = SlabKind.inodes
    page.u32[SlabHeader.word.usedLow] = 1
    page.u32[SlabHeader.word.tag] = entry
    page.seal(SlabHeader)
    return this.add(block, entry)
  }

  /** A number that is not in use: of a slab that is there if possible; -1 when there is none. */
  unusedNumber(): number {
    for (let ordinal = 0; ordinal < this.block.length; ordinal++) {
      if (this.block.data[ordinal] === 0) continue
      for (let slot = 1; slot < INODES_PER_SLAB; slot++) {
        if (this.type.data[ordinal * INODES_PER_SLAB + slot] === 0) {
          return this.entry.data[ordinal]! * INODES_PER_SLAB + slot
        }
      }
    }
    for (let entry = 0; entry < this.#entries; entry++) {
      if (!this.#ordinals.has(entry)) return entry * INODES_PER_SLAB + 1
    }
    return -1
  }
}
