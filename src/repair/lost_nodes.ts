/**
 * Structures that nothing leads to any more: slabs of inodes, leaves of trees. Looked for only when
 * something is missing, in blocks that are in use and that nobody claims.
 *
 * Both carry their own block and whose they are, with a checksum over it. A block that the reverse
 * map knows as data of a file is never taken: its bytes are whatever the file's writer wanted.
 */
import { invalidTreeNode, NODE_MAGIC, TreeNode } from '../media/tree_node.js'
import { SLAB_MAGIC } from '../media/slab.js'
import type { Ground } from './ground.js'

const at = TreeNode.word

export class LostNodes {
  /** Leaves by kind and owner. */
  readonly #leaves = new Map<string, number[]>()

  /** `named`: 1 for blocks that are data of files, as the reverse map has it. */
  scan(ground: Ground, named: Uint8Array): void {
    const { space, draft, inodes } = ground
    for (let block = space.dataStart; block < space.blockCount; block++) {
      if (!space.isFree(block) || space.before[block] === 0 || named[block] === 1) continue
      const magic = draft.view(block).u32[0]
      if (magic === SLAB_MAGIC && inodes.incomplete) inodes.offer(block)
      else if (magic === NODE_MAGIC) this.#addNode(ground, block)
    }
  }

  #addNode(ground: Ground, block: number): void {
    const page = ground.draft.view(block)
    const kind = page.u32[at.kind]!
    const owner = page.u32[at.owner]!
    if (page.u32[at.level] !== 0) return
    if (invalidTreeNode(page, 0, block, kind, owner) !== null) return
    const key = `${kind}:${owner}`
    const known = this.#leaves.get(key)
    if (known === undefined) this.#leaves.set(key, [block])
    else known.push(block)
  }

  has(kind: number, owner: number): boolean {
    return this.#leaves.has(`${kind}:${owner}`)
  }

  /** Inodes that leaves of this kind belong to. */
  owners(kind: number): number[] {
    const prefix = `${kind}:`
    const keys = [...this.#leaves.keys()].filter((key) => key.startsWith(prefix))
    return keys.map((key) => Number(key.slice(prefix.length)))
  }

  /** Gives a tree the leaves that it lost. */
  giveTo(ground: Ground, tree: number): void {
    const { trees, space } = ground
    const key = `${trees.kind[tree]!.id}:${trees.owner.data[tree]!}`
    for (const block of this.#leaves.get(key) ?? []) {
      if (space.isFree(block)) trees.adopt(tree, block)
    }
    this.#leaves.delete(key)
  }
}
