/**
 * Long texts in chains of value blocks: a chain counts when all of it can be read. Its blocks say
 * whose they are, and are claimed before any data is.
 */
import { invalidValueBlock, VALUE_BLOCK_BYTES, ValueBlock } from '../media/value.js'
import type { Draft } from './draft.js'
import type { Fixes } from './fixes.js'
import { Use, type Space } from './space.js'

const at = ValueBlock.word
/** Blocks of the longest text. */
const CHAIN_MAX = 17

export class Values {
  readonly #draft: Draft
  readonly #space: Space
  readonly #fixes: Fixes

  constructor(draft: Draft, space: Space, fixes: Fixes) {
    this.#draft = draft
    this.#space = space
    this.#fixes = fixes
  }

  /** Claims a chain; returns the length of its text. -1, and nothing claimed: it is no chain. */
  claim(first: number, owner: number): number {
    const blocks: number[] = []
    let length = 0
    let whole = true
    for (let block = first; block !== 0 && whole;) {
      const free = this.#space.isFree(block) && !blocks.includes(block)
      const page = free ? this.#draft.view(block) : null
      if (page === null || invalidValueBlock(page, 0, block, owner) !== null) return -1
      const bytes = page.u32[at.length]!
      length += bytes
      blocks.push(block)
      block = page.u32[at.next]!
      whole = block === 0 || (bytes === VALUE_BLOCK_BYTES && blocks.length < CHAIN_MAX)
    }
    if (!whole) return -1
    for (const block of blocks) {
      this.#space.claim(block, Use.value, owner)
      this.#zeroReserved(block)
    }
    return length
  }

  #zeroReserved(block: number): void {
    const [from, to] = [ValueBlock.at.reserved, ValueBlock.at.bytes]
    const view = this.#draft.view(block)
    if (view.u8.subarray(from, to).every((byte) => byte === 0)) return
    const page = this.#draft.page(block)
    page.u8.fill(0, from, to)
    page.seal(ValueBlock, 0, ValueBlock.at.bytes + page.u32[at.length]!)
    this.#fixes.add('reserved-not-zero', `reserved bytes of the value block ${block} are zeroed`)
  }

  /** The text of a chain that was claimed. */
  read(first: number): Uint8Array {
    const parts: Uint8Array[] = []
    for (let block = first; block !== 0;) {
      const page = this.#draft.view(block)
      const from = ValueBlock.at.bytes
      parts.push(page.u8.slice(from, from + page.u32[at.length]!))
      block = page.u32[at.next]!
    }
    return Buffer.concat(parts)
  }

  /** Gives the blocks of a chain back. */
  free(first: number): void {
    for (let block = first; block !== 0;) {
      const next = this.#draft.view(block).u32[at.next]!
      this.#space.release(block)
      this.#draft.discard(block)
      block = next
    }
  }
}
