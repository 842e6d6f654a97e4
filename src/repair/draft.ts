/**
 * The volume as it is to be: the region, and over it the pages that the repair changes, in memory.
 *
 * Invariants:
 * - nothing here stores into the region; the journal does, when the draft is done;
 * - a page is in memory once: what one part of the repair changes, every other part reads;
 * - a view is good for the next few views only (`VIEWS`); a page taken for change stays.
 */
import { checksumOf, type Bytes, type Sealed } from '../base/bytes.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { Crc32cOf, Readable } from '../check/medium.js'

/** Views that are good at a time: the way down a tree, a name, and what it is compared with. */
const VIEWS = 32

export class Page implements Bytes {
  readonly u8 = new Uint8Array(BLOCK_BYTES)
  readonly u32 = new Uint32Array(this.u8.buffer)
  readonly #crc32cOf: Crc32cOf

  constructor(crc32cOf: Crc32cOf) {
    this.#crc32cOf = crc32cOf
  }

  crc32c(offset: number, length: number, seed: number): number {
    return this.#crc32cOf(this.u8, offset, length, seed) >>> 0
  }

  seal(struct: Sealed, base = 0, length = struct.size): void {
    this.u32[(base >>> 2) + struct.word.checksum] = checksumOf(this, base, struct, length)
  }
}

export class Draft implements Readable {
  readonly changed = new Map<number, Page>()
  readonly #region: Readable
  readonly #crc32cOf: Crc32cOf
  readonly #views: Page[] = []
  readonly #viewed = new Int32Array(VIEWS).fill(-1)
  #turn = 0

  constructor(region: Readable, crc32cOf: Crc32cOf) {
    this.#region = region
    this.#crc32cOf = crc32cOf
  }

  get path(): string {
    return this.#region.path
  }

  get byteLength(): number {
    return this.#region.byteLength
  }

  check(): void {
    this.#region.check()
  }

  /** The content of a block, to be read and not changed. */
  view(block: number): Page {
    const known = this.changed.get(block)
    if (known !== undefined) return known
    const at = this.#viewed.indexOf(block)
    if (at >= 0) return this.#views[at]!
    const turn = this.#turn
    this.#turn = (turn + 1) % VIEWS
    const page = (this.#views[turn] ??= new Page(this.#crc32cOf))
    this.#region.read(block * BLOCK_BYTES, page.u8, 0, BLOCK_BYTES)
    this.#viewed[turn] = block
    return page
  }

  /** The content of a block, to be changed; who changes it seals it. */
  page(block: number): Page {
    const known = this.changed.get(block)
    if (known !== undefined) return known
    const page = new Page(this.#crc32cOf)
    page.u8.set(this.view(block).u8)
    this.changed.set(block, page)
    return page
  }

  /** A page of zeros in the place of whatever the block holds. */
  fresh(block: number): Page {
    const known = this.changed.get(block)
    const page = known ?? new Page(this.#crc32cOf)
    page.u8.fill(0)
    this.changed.set(block, page)
    return page
  }

  /** A page that belongs to no block. */
  scratch(): Page {
    return new Page(this.#crc32cOf)
  }

  /** The block stays as it is in the region. */
  discard(block: number): void {
    this.changed.delete(block)
  }

  /** Pages taken for change that came out as they were need not be written. */
  prune(): void {
    const home = new Uint8Array(BLOCK_BYTES)
    for (const [block, page] of this.changed) {
      this.#region.read(block * BLOCK_BYTES, home, 0, BLOCK_BYTES)
      if (Buffer.compare(home, page.u8) === 0) this.changed.delete(block)
    }
  }

  /** As a region is read: what the check looks at. */
  read(offset: number, target: Uint8Array, start: number, length: number): void {
    this.#region.read(offset, target, start, length)
    if (this.changed.size === 0 || length === 0) return
    const end = offset + length
    const last = Math.floor((end - 1) / BLOCK_BYTES)
    for (let block = Math.floor(offset / BLOCK_BYTES); block <= last; block++) {
      const page = this.changed.get(block)
      if (page === undefined) continue
      const from = Math.max(offset, block * BLOCK_BYTES)
      const to = Math.min(end, (block + 1) * BLOCK_BYTES)
      const within = from - block * BLOCK_BYTES
      target.set(page.u8.subarray(within, within + to - from), start + from - offset)
    }
  }
}
