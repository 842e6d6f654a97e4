/**
 * Who claims which block.
 *
 * - A block has at most one claim; the second is a finding and changes nothing. All the extents
 *   over shared blocks (shares.ts) make one claim together.
 * - Every walk claims a block before it goes on from it, so that no walk passes a block twice: that
 *   is what makes walks of cross-linked and cyclic structures end.
 */
import { placeOf, type Findings } from './codes.js'

export const Claim = {
  none: 0,
  /** Superblocks, state, log, bitmap, inode map. */
  fixed: 1,
  inodeSlab: 2,
  nameSlab: 3,
  treeNode: 4,
  data: 5,
  value: 6,
  /** Listed as bad, and nobody's. */
  bad: 7,
} as const
export type Claim = (typeof Claim)[keyof typeof Claim]

const NAMES = [
  'nothing',
  'the fixed area',
  'an inode slab',
  'a name slab',
  'a tree node',
  'data',
  'a value block',
  'a bad block',
]

export class Claims {
  /** Claim of each block. */
  kind = new Uint8Array(0)
  /**
   * What more is known of a claimed block. Slabs: ordinal in their table. The first block of an
   * extent: 1 + its ordinal, of its other blocks: 0. Tree nodes and value blocks: the owner.
   */
  index = new Uint32Array(0)
  /** Blocks with a claim. */
  used = 0
  dataStart = 0
  blockCount = 0
  readonly #findings: Findings
  /**
   * Conflicts that are still followed block by block. A ruin may have many long extents over each
   * other; when as many blocks conflicted as there are, an extent is left at its first conflict.
   */
  #patience = 0

  constructor(findings: Findings) {
    this.#findings = findings
  }

  reset(blockCount: number, dataStart: number): void {
    if (this.kind.length < blockCount) {
      this.kind = new Uint8Array(blockCount)
      this.index = new Uint32Array(blockCount)
    }
    this.kind.fill(Claim.none, 0, blockCount)
    this.kind.fill(Claim.fixed, 0, dataStart)
    this.used = dataStart
    this.dataStart = dataStart
    this.blockCount = blockCount
    this.#patience = blockCount
  }

  /** Whether [block, block + count) lies within the blocks that files and trees may use. */
  inData(block: number, count: number): boolean {
    return block >= this.dataStart && block + count <= this.blockCount
  }

  /**
   * Claims blocks of the data area; false when some had a claim already. `owner` is for messages,
   * 0 no inode or several.
   */
  claim(block: number, count: number, kind: Claim, index: number, owner: number): boolean {
    const end = block + count
    let fresh = true
    for (let b = block; b < end;) {
      if (this.kind[b] === Claim.none) {
        this.kind[b] = kind
        this.index[b] = b === block ? index : 0
        this.used++
        b++
        continue
      }
      fresh = false
      const run = this.#conflict(b, end)
      const before = NAMES[this.kind[b]!]!
      const whose = owner === 0 ? '' : ` of inode ${owner}`
      const message = `claimed as ${NAMES[kind]!}${whose}, and before as ${before}`
      this.#findings.add('block-claimed-twice', placeOf(`${run} blocks`, b), message)
      if (this.#patience === 0) break
      b += run
    }
    return fresh
  }

  /** Length of the run of blocks from `block` on that have the same claim as it. */
  #conflict(block: number, end: number): number {
    const kind = this.kind[block]!
    let b = block + 1
    while (b < end && this.kind[b] === kind) b++
    this.#patience = Math.max(0, this.#patience - (b - block))
    return b - block
  }
}
