/**
 * Long texts: chains of value blocks, written once and never changed.
 *
 * They are streamed to new blocks like data, durable before the record that leads to them, and so
 * cost the log nothing. Whoever frees one forgets its cached copy first.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { invalidValueBlock, VALUE_BLOCK_BYTES, VALUE_MAGIC, ValueBlock } from '../media/value.js'
import { native } from '../native/native.js'
import type { Region } from '../region/region.js'
import type { Allocator } from './allocator.js'
import { PageKind, type Pages } from './pages.js'
import type { Transaction } from './transaction.js'

const at = ValueBlock.word
/** Blocks of the longest text: what a damaged chain is cut off at. */
const CHAIN_MAX = 17

/** Blocks that a text of `length` bytes takes. */
export function valueBlocks(length: number): number {
  return Math.ceil(length / VALUE_BLOCK_BYTES)
}

export class Values {
  readonly #pages: Pages
  readonly #region: Region
  readonly #allocator: Allocator
  readonly #transaction: Transaction
  readonly #u8 = new Uint8Array(BLOCK_BYTES)
  readonly #u32 = new Uint32Array(this.#u8.buffer)

  constructor(pages: Pages, region: Region, transaction: Transaction) {
    this.#pages = pages
    this.#region = region
    this.#allocator = transaction.allocator
    this.#transaction = transaction
  }

  /** Writes a text; returns its first block, 0 for an empty one. Allocates `valueBlocks`. */
  write(owner: number, text: Uint8Array): number {
    let next = 0
    for (let i = valueBlocks(text.length) - 1; i >= 0; i--) {
      const part = text.subarray(i * VALUE_BLOCK_BYTES, (i + 1) * VALUE_BLOCK_BYTES)
      const block = this.#allocator.allocateOne()
      this.#u8.fill(0)
      this.#u32[at.magic] = VALUE_MAGIC
      this.#u32[at.block] = block
      this.#u32[at.owner] = owner
      this.#u32[at.length] = part.length
      this.#u32[at.next] = next
      this.#u8.set(part, ValueBlock.at.bytes)
      const sealed = ValueBlock.at.bytes + part.length
      this.#u32[at.checksum] = native.crc32cOf(this.#u8, 0, sealed, 0)
      this.#region.stream(block * BLOCK_BYTES, this.#u8, 0, BLOCK_BYTES)
      next = block
    }
    this.#transaction.wroteData()
    return next
  }

  /** A copy of a text. */
  read(owner: number, first: number): Uint8Array {
    const parts: Uint8Array[] = []
    let length = 0
    for (let block = first; block !== 0; block = this.#next(block, owner)) {
      if (parts.length === CHAIN_MAX) throw damaged(block, 'the chain does not end')
      const base = this.#at(block, owner)
      const from = base + ValueBlock.at.bytes
      const part = this.#pages.u8.slice(from, from + this.#pages.u32[(base >>> 2) + at.length]!)
      parts.push(part)
      length += part.length
    }
    if (parts.length === 1) return parts[0]!
    const text = new Uint8Array(length)
    let to = 0
    for (const part of parts) {
      text.set(part, to)
      to += part.length
    }
    return text
  }

  /** Blocks of a text. */
  blocks(owner: number, first: number): number[] {
    const blocks: number[] = []
    for (let block = first; block !== 0; block = this.#next(block, owner)) {
      if (blocks.length === CHAIN_MAX) throw damaged(block, 'the chain does not end')
      blocks.push(block)
    }
    return blocks
  }

  /** Gives a text other blocks; returns the first. Allocates as many as it has. */
  move(owner: number, first: number): number {
    const to = this.write(owner, this.read(owner, first))
    this.free(owner, first)
    return to
  }

  free(owner: number, first: number): void {
    for (const block of this.blocks(owner, first)) {
      this.#pages.drop(block)
      this.#allocator.release(block, 1, false)
    }
  }

  #next(block: number, owner: number): number {
    return this.#pages.u32[(this.#at(block, owner) >>> 2) + at.next]!
  }

  /** Byte offset in the arena of a value block. */
  #at(block: number, owner: number): number {
    let base = this.#pages.find(block, PageKind.value)
    if (base >= 0) return base
    base = this.#pages.load(block)
    const why =
      base < 0 ? 'is in use as something else' : invalidValueBlock(this.#pages, base, block, owner)
    if (why !== null) {
      if (base >= 0) this.#pages.drop(block)
      throw damaged(block, why)
    }
    this.#pages.verified(base, PageKind.value)
    return base
  }
}

function damaged(block: number, why: string): HoldfastError {
  return new HoldfastError('EUCLEAN', `value in block ${block}: ${why}; run holdfast fsck`)
}
