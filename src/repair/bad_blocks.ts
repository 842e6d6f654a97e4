/** The list of bad blocks: kept as far as it can be read, and its blocks are not handed out. */
import { blocksAtMost } from '../media/bitmap.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Ground } from './ground.js'
import { Use } from './space.js'
import { Records } from './tree_builder.js'

export class BadBlocks {
  readonly tree: number
  readonly #ground: Ground
  readonly #records = new Records()
  #changed = false

  constructor(ground: Ground) {
    this.#ground = ground
    this.tree = ground.trees.add(ground.roots.badBlocks, RecordKinds.badBlocks, 0)
  }

  /** Claims those that nobody has; to be called when all that is there is claimed. */
  settle(): void {
    const { trees, space, fixes, header } = this.#ground
    const most = blocksAtMost(header.bitmapBlocks)
    this.#changed = trees.sound.data[this.tree] === 0
    trees.forEach(this.tree, (block, w1, w2, w3) => {
      if (block < space.dataStart || block >= most) {
        this.#changed = true
        fixes.add('bad-block-invalid', `block ${block} cannot be bad: it is not of the data area`)
        return
      }
      if (w1 !== 0 || w2 !== 0 || w3 !== 0) {
        this.#changed = true
        fixes.add('bad-block-invalid', `the record of the bad block ${block} is set right`)
      }
      // Past the end of a volume that became smaller there is nothing to claim.
      if (space.isFree(block)) space.claim(block, Use.bad, 0)
      this.#records.push(block, 0, 0, 0)
    })
  }

  /** The root of the list, written again when it changed. */
  write(): number {
    const { builder, trees, fixes } = this.#ground
    if (!this.#changed) return trees.root.data[this.tree]!
    this.#records.sort(1)
    this.#records.unique(1)
    const root = builder.replace(this.tree, this.#records)
    if (root >= 0) return root
    fixes.leave('bad-block-invalid', 'no room for the list of bad blocks')
    return trees.root.data[this.tree]!
  }
}
