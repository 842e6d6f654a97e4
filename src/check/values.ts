/**
 * Chains of value blocks: long texts of symlinks and of extended attributes.
 *
 * Each block is claimed before it is read, so that no chain is followed in a circle.
 */
import { BLOCK_BYTES } from '../base/limits.js'
import { invalidValueBlock, VALUE_BLOCK_BYTES, ValueBlock } from '../media/value.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Scratch, type Crc32cOf, type Medium } from './medium.js'
import { checkReserved } from './reserved.js'

const at = ValueBlock.word

export class Values {
  readonly #medium: Medium
  readonly #claims: Claims
  readonly #findings: Findings
  readonly #scratch: Scratch

  constructor(medium: Medium, claims: Claims, findings: Findings, crc32cOf: Crc32cOf) {
    this.#medium = medium
    this.#claims = claims
    this.#findings = findings
    this.#scratch = new Scratch(BLOCK_BYTES, crc32cOf)
  }

  /**
   * Follows the chain from `first`, which belongs to inode `owner`; returns the length of its text,
   * -1 when it is not whole. `length`: what it ought to be, -1 when that is not known.
   */
  walk(first: number, owner: number, length: number, place: string): number {
    let total = 0
    for (let block = first; block !== 0;) {
      const reason = this.#enter(block, owner)
      if (reason !== null) {
        this.#findings.add('value-damaged', placeOf(ValueBlock.name, block), reason)
        return -1
      }
      const bytes = this.#scratch.u32[at.length]!
      total += bytes
      block = this.#scratch.u32[at.next]!
      if (block === 0 || bytes === VALUE_BLOCK_BYTES) continue
      this.#findings.add('value-damaged', place, `${bytes} bytes in a block that is not the last`)
      return -1
    }
    if (length >= 0 && total !== length) {
      this.#findings.add('value-damaged', place, `text of ${total} bytes, expected ${length}`)
      return -1
    }
    return total
  }

  #enter(block: number, owner: number): string | null {
    const { dataStart, blockCount } = this.#claims
    if (!this.#claims.inData(block, 1)) return `expected ${dataStart} to ${blockCount - 1}`
    if (!this.#claims.claim(block, 1, Claim.value, owner, owner)) return 'claimed before'
    this.#medium.read(block, 0, this.#scratch.u8, 0, BLOCK_BYTES)
    const reason = invalidValueBlock(this.#scratch, 0, block, owner)
    if (reason === null) checkReserved(this.#scratch, 0, ValueBlock, block, 0, this.#findings)
    return reason
  }
}
