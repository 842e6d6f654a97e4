/** The list of bad blocks: in use for good, whether somebody has them or not. */
import { RecordKinds } from '../media/tree_node.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import type { TreeWalker } from './tree.js'

/** Claims the bad blocks that nobody has; to be called when all others are claimed. */
export function checkBadBlocks(
  root: number,
  walker: TreeWalker,
  claims: Claims,
  findings: Findings,
): void {
  walker.walk(root, RecordKinds.badBlocks, 0, (words, w, leaf) => {
    const block = words[w]!
    const rest = words.subarray(w + 1, w + 4)
    if (!claims.inData(block, 1) || rest.some((word) => word !== 0)) {
      const message = `block ${block}, words ${rest.join(', ')}`
      findings.add('bad-block-invalid', placeOf('record of a bad block', leaf), message)
      return
    }
    if (claims.kind[block] === Claim.none) claims.claim(block, 1, Claim.bad, 0, 0)
  })
}
