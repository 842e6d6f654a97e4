/**
 * Not tests, but what the tests of fsck share: an image of a volume, put together byte by byte from
 * src/media alone, and the tools to find a structure in it, change it and seal it again.
 */
import { popcount } from '../../src/base/bytes.js'
import { halfSipHash } from '../../src/base/halfsiphash.js'
import type { Struct } from '../../src/base/struct.js'
import { BITMAP_MAGIC, BitmapChunk, CHUNK_BLOCKS } from '../../src/media/bitmap.js'
import { Inode, INLINE_TARGET_BYTES, INODE_MAGIC } from '../../src/media/inode.js'
import { Mode } from '../../src/base/mode.js'
import { INODE_MAP_MAGIC, InodeMapPage } from '../../src/media/inode_map.js'
import {
  LogRecord,
  LogTail,
  PageDescriptor,
  RECORD_MAGIC,
  tailHighWord,
} from '../../src/media/log.js'
import { NAME_MAGIC, NameHeader, nameSlots } from '../../src/media/name.js'
import { SLAB_MAGIC, SlabHeader, SlabKind, slotsOf } from '../../src/media/slab.js'
import { State, STATE_MAGIC } from '../../src/media/state.js'
import { Incompat, Superblock, SUPERBLOCK_MAGIC } from '../../src/media/superblock.js'
import {
  NODE_MAGIC,
  NODE_RECORDS,
  RecordKinds,
  sealedBytes,
  TreeNode,
  type RecordKind,
} from '../../src/media/tree_node.js'
import { VALUE_BLOCK_BYTES, VALUE_MAGIC, ValueBlock } from '../../src/media/value.js'
import type { Region } from '../../src/region/region.js'

const CRC_TABLE = new Uint32Array(256).map((_, n) => {
  let c = n
  for (let k = 0; k < 8; k++) c = (c & 1) !== 0 ? 0x82f63b78 ^ (c >>> 1) : c >>> 1
  return c
})

/** CRC32C in plain JavaScript: the images do not depend on the addon. */
export function crc32cOf(bytes: Uint8Array, start: number, length: number, seed: number): number {
  let c = ~seed
  for (let i = start; i < start + length; i++) c = CRC_TABLE[(c ^ bytes[i]!) & 0xff]! ^ (c >>> 8)
  return ~c >>> 0
}

/** Block 4096 bytes: areas of the image, as mkfs might lay them out. */
export const LOG_START = 4
export const LOG_BLOCKS = 32
export const BITMAP = 36
export const MAP = 37
export const DATA_START = 38
const HASH_KEY = [0x01234567, 0x89abcdef] as const

/** The words of one record of a tree. */
type Words = readonly [number, number, number, number]

export class Image {
  readonly u8: Uint8Array<ArrayBuffer>
  readonly u32: Uint32Array
  readonly blocks: number

  constructor(blocks: number) {
    this.blocks = blocks
    this.u8 = new Uint8Array(blocks * 4096)
    this.u32 = new Uint32Array(this.u8.buffer)
  }

  clone(): Image {
    const copy = new Image(this.blocks)
    copy.u8.set(this.u8)
    return copy
  }

  get(base: number, struct: Struct, field: string): number {
    return this.u32[(base >>> 2) + struct.word[field]!]!
  }

  /** Sets fields of the structure at byte `base` and seals it. */
  set(base: number, struct: Struct, fields: Record<string, number>, length?: number): void {
    for (const [field, value] of Object.entries(fields)) {
      this.u32[(base >>> 2) + struct.word[field]!] = value
    }
    this.seal(base, struct, length)
  }

  seal(base: number, struct: Struct, length?: number, seed = 0): void {
    const field = (base >>> 2) + struct.word['checksum']!
    this.u32[field] = 0
    this.u32[field] = crc32cOf(this.u8, base, length ?? this.#sealed(base, struct), seed)
  }

  /**
   * A tree node is sealed as far as its records go, a value block as far as its text; a count that
   * is no count seals all of it.
   */
  #sealed(base: number, struct: Struct): number {
    if (struct.name === ValueBlock.name) {
      return Math.min(struct.size, ValueBlock.at.bytes + this.get(base, ValueBlock, 'length'))
    }
    if (struct.name !== TreeNode.name) return struct.size
    return Math.min(struct.size, sealedBytes(this.get(base, TreeNode, 'count')))
  }

  get state(): number {
    return 2 * 4096
  }

  stateOf(field: string): number {
    return this.get(this.state, State, field)
  }

  /** Byte offset of inode `number`. */
  inode(number: number): number {
    return this.slab(number) * 4096 + (number & 15) * Inode.size
  }

  /** Block of the slab of inode `number`. */
  slab(number: number): number {
    return this.u32[((MAP * 4096) >>> 2) + InodeMapPage.word.entries + (number >>> 4) * 2]!
  }

  rootOf(number: number): number {
    return this.get(this.inode(number), Inode, 'root')
  }

  /** Word index of the i-th record, in order, of the node in `block`. */
  record(block: number, i: number): number {
    const slot = this.u8[block * 4096 + TreeNode.at.order + i]!
    return block * 1024 + TreeNode.word.records + slot * 4
  }

  /** Changes words of the i-th record of a node and seals it. */
  setRecord(block: number, i: number, words: Partial<Record<number, number>>): void {
    const w = this.record(block, i)
    for (const [k, value] of Object.entries(words)) this.u32[w + Number(k)] = value!
    this.seal(block * 4096, TreeNode)
  }

  /** Byte offset of the name of the i-th entry of the leaf in `block`. */
  nameAt(block: number, i: number): number {
    const w = this.record(block, i)
    return this.u32[w + 2]! * 4096 + (this.u32[w + 1]! & 0xff) * 64
  }

  /** Sets a block's bit in the bitmap, and the counts that follow from it. */
  allocate(block: number, used: boolean): void {
    const base = BITMAP * 4096
    const w = (base >>> 2) + BitmapChunk.word.bits + (block >>> 5)
    const bit = 1 << (block & 31)
    const delta = ((this.u32[w]! & bit) !== 0) === used ? 0 : used ? -1 : 1
    this.u32[w] = used ? this.u32[w]! | bit : this.u32[w]! & ~bit
    this.set(base, BitmapChunk, { free: this.get(base, BitmapChunk, 'free') + delta })
    this.set(this.state, State, { freeBlocks: this.stateOf('freeBlocks') + delta })
  }

  /** The region over this image, which may only be read. */
  region(): Region {
    const bytes = this.u8
    const region = {
      kind: 'heap',
      path: 'image',
      byteLength: bytes.length,
      read(offset: number, target: Uint8Array, start: number, length: number): void {
        if (offset < 0 || offset + length > bytes.length)
          throw new RangeError('outside of the image')
        target.set(bytes.subarray(offset, offset + length), start)
      },
      check(): void {},
    }
    return region as unknown as Region
  }
}

interface Entry {
  readonly name: string
  readonly inode: number
}

/** Puts an image together; every structure is sealed as it is written. */
export class ImageBuilder {
  readonly image: Image
  #next = DATA_START
  #nextInode = 1
  readonly #used = new Set<number>()
  readonly #types = new Map<number, number>()
  readonly #reverse: Words[] = []
  readonly #orphans: Words[] = []
  readonly #bad: Words[] = []
  readonly #shares: Words[] = []
  readonly #slabs = new Map<number, number>()
  readonly #nameSlabs: number[] = []
  #nameSlot = 64

  constructor(blocks = 1024) {
    this.image = new Image(blocks)
    for (let b = 0; b < DATA_START; b++) this.#used.add(b)
    this.#superblocks()
    setTail(this.image, 1000)
  }

  block(count = 1): number {
    const first = this.#next
    this.#next += count
    for (let b = first; b < this.#next; b++) this.#used.add(b)
    return first
  }

  /** Leaves `count` blocks free. */
  gap(count = 1): void {
    this.#next += count
  }

  /** A number for an inode; its slab when there is none yet. */
  number(): number {
    if ((this.#nextInode & 15) === 0) this.#nextInode++
    const number = this.#nextInode++
    if (!this.#slabs.has(number >>> 4)) this.#slabs.set(number >>> 4, this.block())
    return number
  }

  file(number: number, extents: Array<[number, number, number]>, fields: object = {}): void {
    const tree = extents.length > 10
    const words = extents.map(([f, r, c]): Words => [f, r, c, 0])
    for (const [f, r, c] of extents) this.#reverse.push([r, number, f, c])
    const blocks = extents.reduce((sum, [, , count]) => sum + count, 0)
    const base = this.#inode(number, Mode.file | 0o644, {
      links: 1,
      blocks,
      size: blocks * 4096,
      count: extents.length,
      root: tree ? this.tree(RecordKinds.extents, number, words) : 0,
      ...fields,
    })
    if (!tree) {
      this.image.u32.set(extents.flat(), (base >>> 2) + Inode.word.extents)
      this.image.seal(base, Inode)
    }
  }

  /** A symlink; its target in the inode, or in value blocks. */
  symlink(number: number, target: string): void {
    const bytes = Buffer.from(target, 'latin1')
    const inline = bytes.length <= INLINE_TARGET_BYTES
    const base = this.#inode(number, Mode.symlink | 0o777, {
      links: 1,
      size: bytes.length,
      root: inline ? 0 : this.value(number, bytes),
    })
    if (!inline) return
    this.image.u8.set(bytes, base + Inode.at.extents)
    this.image.seal(base, Inode)
  }

  /** A FIFO, a socket, a device. */
  special(number: number, mode: number, device = 0): void {
    this.#inode(number, mode, { links: 1, device })
  }

  /** A chain of value blocks with this text; returns the first. */
  value(owner: number, text: Uint8Array): number {
    const blocks = Array.from({ length: Math.ceil(text.length / VALUE_BLOCK_BYTES) }, () =>
      this.block(),
    )
    blocks.forEach((block, i) => {
      const part = text.subarray(i * VALUE_BLOCK_BYTES, (i + 1) * VALUE_BLOCK_BYTES)
      const base = block * 4096
      this.image.u8.set(part, base + ValueBlock.at.bytes)
      const fields = { block, owner, length: part.length, next: blocks[i + 1] ?? 0 }
      this.image.set(base, ValueBlock, { magic: VALUE_MAGIC, ...fields })
    })
    return blocks[0]!
  }

  /** Attributes of an inode that is there; returns the root of their tree. */
  xattrs(number: number, attributes: Record<string, Uint8Array>): number {
    const words = Object.entries(attributes).map(([text, value]): Words => {
      const name = Buffer.from(text, 'latin1')
      const [block, slot] = this.#name(number, name)
      const hash = halfSipHash(HASH_KEY[0], HASH_KEY[1], name, 0, name.length)
      if (value.length === 0) return [hash, slot, block, 0]
      if (value.length > 512) return [hash, slot, block, this.value(number, value)]
      const [valueBlock, valueSlot] = this.#name(number, Buffer.from(value))
      return [hash, (valueSlot << 8) | slot, block, valueBlock]
    })
    const xattrRoot = this.tree(RecordKinds.xattrs, number, words)
    const base = this.#slabs.get(number >>> 4)! * 4096 + (number & 15) * Inode.size
    this.image.set(base, Inode, { xattrRoot, xattrCount: words.length })
    return xattrRoot
  }

  /** Lists a block as bad. */
  bad(block: number): void {
    this.#used.add(block)
    this.#bad.push([block, 0, 0, 0])
  }

  /** Blocks with several owners. */
  share(block: number, count: number, owners: number): void {
    this.#shares.push([block, count, owners, 0])
  }

  /** Has the superblocks know of shares and the like, with these fields. */
  layout(fields: Record<string, number>): void {
    for (const copy of [0, 4096]) {
      this.image.set(copy, Superblock, { featuresIncompat: Incompat.layout, ...fields })
    }
  }

  directory(number: number, parent: number, entries: Entry[], fields: object = {}): void {
    const subdirectories = entries.filter((e) => this.#types.get(e.inode) === Mode.directory)
    const words = entries.map((e): Words => {
      const name = Buffer.from(e.name, 'latin1')
      const [block, slot] = this.#name(number, name)
      const hash = halfSipHash(HASH_KEY[0], HASH_KEY[1], name, 0, name.length)
      return [hash, ((this.#types.get(e.inode)! >>> 12) << 8) | slot, block, e.inode]
    })
    this.#inode(number, Mode.directory | 0o755, {
      links: 2 + subdirectories.length,
      parent,
      count: entries.length,
      root: this.tree(RecordKinds.directory, number, words),
      ...fields,
    })
  }

  /** What an inode will be, for entries that lead to it before it is written. */
  type(number: number, mode: number): number {
    this.#types.set(number, mode)
    return number
  }

  orphan(number: number, kind: number, first = 0, second = 0): void {
    this.#orphans.push([number, kind, first, second])
  }

  /** A tree of these records, as full as may be; returns its root. */
  tree(kind: RecordKind, owner: number, records: Words[]): number {
    if (records.length === 0) return 0
    let level = 0
    let above = [...records].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2])
    for (;;) {
      const nodes: Words[] = []
      for (let i = 0; i < above.length; i += NODE_RECORDS) {
        const part = above.slice(i, i + NODE_RECORDS)
        nodes.push([part[0]![0], part[0]![1], part[0]![2], this.#node(kind, owner, level, part)])
      }
      if (nodes.length === 1) return nodes[0]![3]
      above = nodes
      level++
    }
  }

  /** Slots are given out backwards, so that the order is never the trivial one. */
  #node(kind: RecordKind, owner: number, level: number, records: readonly Words[]): number {
    const block = this.block()
    const base = block * 4096
    records.forEach((words, i) => {
      const slot = records.length - 1 - i
      this.image.u8[base + TreeNode.at.order + i] = slot
      this.image.u32.set(words, (base >>> 2) + TreeNode.word.records + slot * 4)
    })
    const fields = { block, kind: kind.id, owner, level, count: records.length }
    this.image.set(base, TreeNode, { magic: NODE_MAGIC, ...fields })
    return block
  }

  #inode(number: number, mode: number, fields: Record<string, number>): number {
    const block = this.#slabs.get(number >>> 4)!
    const base = block * 4096 + (number & 15) * Inode.size
    this.#types.set(number, mode & Mode.typeMask)
    const times = { modified: 1_700_000_000, changed: 1_700_000_000 }
    this.image.set(base, Inode, {
      magic: INODE_MAGIC,
      number,
      generation: 1,
      mode,
      ...times,
      ...fields,
    })
    const slab = (block * 4096) >>> 2
    this.image.u32[slab + SlabHeader.word.usedLow]! |= 1 << (number & 15)
    return base
  }

  #name(owner: number, name: Buffer): [block: number, slot: number] {
    const slots = nameSlots(name.length)
    if (this.#nameSlot + slots > slotsOf(SlabKind.names)) {
      this.#nameSlabs.push(this.block())
      this.#nameSlot = 1
    }
    const block = this.#nameSlabs.at(-1)!
    const slot = this.#nameSlot
    this.#nameSlot += slots
    const base = block * 4096 + slot * 64
    this.image.u8.set(name, base + NameHeader.size)
    const length = name.length | (slots << 16)
    this.image.set(base, NameHeader, { magic: NAME_MAGIC, owner, length }, slots * 64)
    for (let i = slot; i < slot + slots; i++) {
      const at = i < 32 ? SlabHeader.word.usedLow : SlabHeader.word.usedHigh
      this.image.u32[block * 1024 + at]! |= 1 << (i & 31)
    }
    return [block, slot]
  }

  /** Writes what depends on all the rest. */
  finish(): Image {
    const reverseMapRoot = this.tree(RecordKinds.reverseMap, 0, this.#reverse)
    const orphanRoot = this.tree(RecordKinds.orphans, 0, this.#orphans)
    const badBlockRoot = this.tree(RecordKinds.badBlocks, 0, this.#bad)
    const shareRoot = this.tree(RecordKinds.shares, 0, this.#shares)
    const map = (MAP * 4096) >>> 2
    for (const [entry, block] of this.#slabs) {
      this.image.u32[map + InodeMapPage.word.entries + entry * 2] = block
      this.image.u32[block * 1024 + SlabHeader.word.tag] = entry
    }
    const used = { index: 0, used: this.#slabs.size }
    this.image.set(MAP * 4096, InodeMapPage, { magic: INODE_MAP_MAGIC, ...used })
    const state = {
      volume: this.image.u32[Superblock.word.uuid]!,
      inodes: this.#types.size,
      inodeSlabs: this.#slabList([...this.#slabs.values()], SlabKind.inodes),
      nameSlabs: this.#slabList(this.#nameSlabs, SlabKind.names),
      reverseMapRoot,
      orphanRoot,
      badBlockRoot,
      shareRoot,
      inodeMapHigh: Math.max(...this.#slabs.keys()) + 1,
    }
    this.image.set(this.image.state, State, { magic: STATE_MAGIC, ...state })
    this.#bitmap()
    return this.image
  }

  /** Seals the slabs and links those with a free slot; returns the head. */
  #slabList(blocks: number[], kind: SlabKind): number {
    const full = slotsOf(kind)
    const free = blocks.filter((b) => {
      const low = this.image.u32[b * 1024 + SlabHeader.word.usedLow]!
      const high = this.image.u32[b * 1024 + SlabHeader.word.usedHigh]!
      return popcount(low & ~1) + popcount(high) < full - 1
    })
    for (const block of blocks) {
      const i = free.indexOf(block)
      this.image.u32[block * 1024 + SlabHeader.word.usedLow]! |= 1
      this.image.set(block * 4096, SlabHeader, {
        magic: SLAB_MAGIC,
        block,
        kind,
        listed: i < 0 ? 0 : 1,
        previous: i < 0 ? 0 : (free[i - 1] ?? 0),
        next: i < 0 ? 0 : (free[i + 1] ?? 0),
      })
    }
    return free[0] ?? 0
  }

  #bitmap(): void {
    const base = BITMAP * 4096
    const bits = (base >>> 2) + BitmapChunk.word.bits
    for (let b = 0; b < CHUNK_BLOCKS; b++) {
      if (b < this.image.blocks && !this.#used.has(b)) continue
      this.image.u32[bits + (b >>> 5)]! |= 1 << (b & 31)
    }
    const free = this.image.blocks - this.#used.size
    this.image.set(base, BitmapChunk, { magic: BITMAP_MAGIC, index: 0, free })
    this.image.set(this.image.state, State, { freeBlocks: free, blocks: this.image.blocks })
  }

  #superblocks(): void {
    for (const copy of [0, 1]) {
      const base = copy * 4096
      for (let i = 0; i < 16; i++) this.image.u8[base + Superblock.at.uuid + i] = i * 17
      this.image.u8.set(Buffer.from('sample'), base + Superblock.at.label)
      this.image.u32[(base >>> 2) + Superblock.word.hashKey + 1] = HASH_KEY[1]
      this.image.set(base, Superblock, {
        magic: SUPERBLOCK_MAGIC,
        sequence: 5,
        blockBytes: 4096,
        blockCount: this.image.blocks,
        stateBlock: 2,
        tailBlock: 3,
        logStart: LOG_START,
        logBlocks: LOG_BLOCKS,
        bitmapStart: BITMAP,
        bitmapBlocks: 1,
        inodeMapStart: MAP,
        inodeMapBlocks: 1,
        dataStart: DATA_START,
        hashKey: HASH_KEY[0],
        logSalt: 99,
      })
    }
  }
}

export function setTail(image: Image, position: number): void {
  const base = 3 * 4096
  image.u32[base >>> 2] = position
  image.u32[(base >>> 2) + 1] = 0
  const seed = crc32cOf(image.u8, Superblock.at.uuid, 16, 0)
  const word = LogTail.word.positionHighAndCheck
  image.u32[(base >>> 2) + word] = tailHighWord(0, crc32cOf(image.u8, base, 6, seed))
}

export const ringOffset = (position: number): number =>
  LOG_START * 4096 + (position % (LOG_BLOCKS * 64)) * 64

/** Seals the record at byte `base`, over `lines` of it. */
export function sealRecord(
  image: Image,
  base: number,
  lines = image.get(base, LogRecord, 'lines'),
): void {
  const uuid = crc32cOf(image.u8, Superblock.at.uuid, 16, 0)
  const seed = crc32cOf(image.u8, Superblock.at.logSalt, 8, uuid)
  image.seal(base, LogRecord, lines * 64, seed)
}

export function appendRecord(
  image: Image,
  position: number,
  sequence: number,
  pages: Array<[block: number, line: number, bytes: Uint8Array | null]>,
): number {
  const base = ringOffset(position)
  const head = 1 + Math.ceil((pages.length * PageDescriptor.size) / 64)
  let payload = 0
  pages.forEach(([block, line, bytes], i) => {
    const w = (base >>> 2) + 16 + (i * PageDescriptor.size) / 4
    const at = PageDescriptor.word
    image.u32[w + at.block] = block
    const mask = (bytes === null ? at.zeroLow : at.presentLow) + (line >>> 5)
    image.u32[w + mask] = 2 ** (line & 31)
    if (bytes !== null) image.u8.set(bytes, base + (head + payload++) * 64)
  })
  image.set(base, LogRecord, { magic: RECORD_MAGIC, sequence, position, kind: 1 })
  image.set(base, LogRecord, { lines: head + payload, pages: pages.length })
  sealRecord(image, base)
  return base
}
