/**
 * The list of bad blocks: each is in use, its owner's or nobody's, or past the end of a volume that
 * became smaller.
 */
import { blocksAtMost } from '../media/bitmap.js'
import { RecordKinds } from '../media/tree_node.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Column } from './column.js'
import type { TreeWalker } from './tree.js'
import type { Header } from './volume_header.js'

export class BadBlocks {
  readonly #claims: Claims
  readonly #walker: TreeWalker
  readonly #findings: Findings
  readonly #blocks = new Column()

  constructor(claims: Claims, walker: TreeWalker, findings: Findings) {
    this.#claims = claims
    this.#walker = walker
    this.#findings = findings
  }

  /** When everything else is claimed: what is bad and nobody's is in use for being bad. */
  check(header: Header, root: number): void {
    const most = blocksAtMost(header.bitmapBlocks)
    this.#blocks.reset()
    this.#walker.walk(root, RecordKinds.badBlocks, 0, (words, w, block) => {
      const bad = words[w]!
      const rest = words[w + 1]! | words[w + 2]! | words[w + 3]!
      if (bad >= this.#claims.dataStart && bad < most && rest === 0) {
        this.#blocks.push(bad)
        return
      }
      const [second, third, fourth] = words.subarray(w + 1, w + 4)
      const message = `block ${bad}, words ${second}, ${third}, ${fourth}`
      this.#findings.add('bad-block-invalid', placeOf('bad blocks', block), message)
    })
    // Only now: the tree itself may stand in blocks of the list.
    for (let i = 0; i < this.#blocks.length; i++) {
      const bad = this.#blocks.data[i]!
      if (!this.#claims.inData(bad, 1)) continue
      if (this.#claims.kind[bad] === Claim.none) this.#claims.claim(bad, 1, Claim.bad, 0, 0)
    }
  }
}
