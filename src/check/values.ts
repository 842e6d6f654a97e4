/**
 * Long texts: chains of value blocks. Each block is claimed before it is read, so that a chain ends
 * whatever its blocks say.
 */
import { BLOCK_BYTES, XATTR_VALUE_BYTES_MAX } from '../base/limits.js'
import { invalidValueBlock, VALUE_BLOCK_BYTES, ValueBlock } from '../media/value.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Scratch, type Crc32cOf, type Medium } from './medium.js'
import { checkReserved } from './reserved.js'

const at = ValueBlock.word

export class Values {
  /** The text read last, as far as it goes. */
  readonly text = new Uint8Array(XATTR_VALUE_BYTES_MAX)
  readonly #medium: Medium
  readonly #claims: Claims
  readonly #findings: Findings
  readonly #block: Scratch

  constructor(medium: Medium, claims: Claims, findings: Findings, crc32cOf: Crc32cOf) {
    this.#medium = medium
    this.#claims = claims
    this.#findings = findings
    this.#block = new Scratch(BLOCK_BYTES, crc32cOf)
  }

  /**
   * Reads the text of inode `owner` that begins in block `first` (`place` says what leads there);
   * returns its bytes, -1 when a part of it is lost, which is then a finding.
   */
  read(first: number, owner: number, place: () => string): number {
    let length = 0
    for (let block = first; block !== 0; block = this.#block.u32[at.next]!) {
      if (!this.#claims.inData(block, 1)) {
        const { dataStart, blockCount } = this.#claims
        const message = `leads to block ${block}, expected ${dataStart} to ${blockCount - 1}`
        this.#findings.add('value-pointer-invalid', place(), message)
        return -1
      }
      if (!this.#claims.claim(block, 1, Claim.value, owner, owner)) return -1
      this.#medium.read(block, 0, this.#block.u8, 0, BLOCK_BYTES)
      const reason = invalidValueBlock(this.#block, 0, block, owner)
      if (reason !== null) {
        this.#findings.add('value-damaged', placeOf(ValueBlock.name, block), reason)
        return -1
      }
      checkReserved(this.#block, 0, ValueBlock, block, 0, this.#findings)
      length += this.#take(block, length)
    }
    return length
  }

  /** Takes in the part in the block just read; returns its bytes. */
  #take(block: number, before: number): number {
    const bytes = this.#block.u32[at.length]!
    if (bytes !== VALUE_BLOCK_BYTES && this.#block.u32[at.next] !== 0) {
      const message = `${bytes} bytes, expected ${VALUE_BLOCK_BYTES} in all but the last`
      this.#findings.add('value-length-wrong', placeOf(ValueBlock.name, block), message)
    }
    const room = Math.max(0, Math.min(bytes, this.text.length - before))
    const start = ValueBlock.at.bytes
    if (room > 0) this.text.set(this.#block.u8.subarray(start, start + room), before)
    return bytes
  }
}
