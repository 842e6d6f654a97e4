/**
 * Whose each block is: in the volume as it is being put right.
 *
 * Invariants:
 * - a block has one user; who comes second is told so and takes another;
 * - structures that prove what they are (magic, checksum, place) claim before data does;
 * - a block is handed out only when all claims of what is there have been made;
 * - data is copied only into blocks that nothing used before either: until the repair is
 *   committed, the volume must be able to go back to what it was.
 */
import type { Header } from '../check/volume_header.js'
import { BitmapChunk, CHUNK_BLOCKS, CHUNKS_PER_BLOCK, invalidBitmapChunk } from '../media/bitmap.js'
import { NODE_MAGIC } from '../media/tree_node.js'
import { SLAB_MAGIC } from '../media/slab.js'
import type { Draft } from './draft.js'

export const Use = {
  none: 0,
  fixed: 1,
  inodeSlab: 2,
  nameSlab: 3,
  node: 4,
  data: 5,
  /** A value block: part of the text of an attribute or of a symlink. */
  value: 6,
  /** In the list of bad blocks, and nobody's. */
  bad: 7,
} as const
export type Use = (typeof Use)[keyof typeof Use]

export class Space {
  readonly kind: Uint8Array
  /**
   * Slabs: their ordinal. The first block of an extent: 1 + its ordinal. Nodes: their tree.
   */
  readonly index: Uint32Array
  /** 1: in use before the repair, as far as the bitmap tells; 2: its chunk cannot be read. */
  readonly before: Uint8Array
  readonly blockCount: number
  readonly dataStart: number
  /** Blocks without a user. */
  free: number
  #hint: number
  #copyHint: number

  readonly #draft: Draft
  /** All that is there has been claimed: what is left is free. */
  settled = false

  constructor(header: Header, draft: Draft) {
    this.#draft = draft
    this.blockCount = header.blockCount
    this.dataStart = header.dataStart
    this.kind = new Uint8Array(this.blockCount).fill(Use.fixed, 0, this.dataStart)
    this.index = new Uint32Array(this.blockCount)
    this.before = new Uint8Array(this.blockCount)
    this.free = this.blockCount - this.dataStart
    this.#hint = this.dataStart
    this.#copyHint = this.dataStart
  }

  /** Takes in what the bitmap says. */
  readBitmap(header: Header): void {
    const chunks = Math.ceil(this.blockCount / CHUNK_BLOCKS)
    for (let chunk = 0; chunk < chunks; chunk++) {
      const page = this.#draft.view(header.bitmapStart + Math.floor(chunk / CHUNKS_PER_BLOCK))
      const base = (chunk % CHUNKS_PER_BLOCK) * BitmapChunk.size
      const first = chunk * CHUNK_BLOCKS
      const end = Math.min(this.blockCount, first + CHUNK_BLOCKS)
      if (invalidBitmapChunk(page, base, chunk) !== null) {
        this.before.fill(2, first, end)
        continue
      }
      const w = (base >>> 2) + BitmapChunk.word.bits
      for (let block = first; block < end; block++) {
        const bit = block - first
        this.before[block] = (page.u32[w + (bit >>> 5)]! >>> (bit & 31)) & 1
      }
    }
  }

  /** Whether [block, block + count) lies within the blocks that files and trees may use. */
  inData(block: number, count: number): boolean {
    return block >= this.dataStart && block + count <= this.blockCount
  }

  /** Whether a block may be claimed: of the data area, and nobody's. */
  isFree(block: number): boolean {
    return this.inData(block, 1) && this.kind[block] === Use.none
  }

  claim(block: number, kind: Use, index: number): void {
    this.kind[block] = kind
    this.index[block] = index
    this.free--
  }

  release(block: number): void {
    this.kind[block] = Use.none
    this.index[block] = 0
    this.free++
    if (block < this.#hint) this.#hint = block
  }

  /** A block for a structure, 0 when there is none left. */
  take(kind: Use, index: number): number {
    if (!this.settled) {
      const [block, count] = this.findUnused(1)
      if (count > 0) this.claim(block, kind, index)
      return count > 0 ? block : 0
    }
    while (this.#hint < this.blockCount && this.kind[this.#hint] !== Use.none) this.#hint++
    if (this.#hint === this.blockCount) return 0
    this.claim(this.#hint, kind, index)
    return this.#hint
  }

  /**
   * Finds up to `want` blocks in a row that nothing uses and nothing used before; they are not
   * claimed. Returns [start, count], count 0 when there are none.
   */
  findUnused(want: number): readonly [start: number, count: number] {
    let block = this.#copyHint
    while (block < this.blockCount && !this.isUnused(block)) block++
    this.#copyHint = block
    let end = block
    while (end < this.blockCount && end - block < want && this.isUnused(end)) end++
    return [block, end - block]
  }

  /** Whether the block was of no use before the repair, and is of none after it. */
  isUnused(block: number): boolean {
    if (!this.isFree(block) || this.before[block] === 1) return false
    if (this.before[block] === 0) return true
    // The bitmap is lost there: what looks like a structure may be one that is still looked for.
    const magic = this.#draft.view(block).u32[0]
    return magic !== NODE_MAGIC && magic !== SLAB_MAGIC
  }
}
