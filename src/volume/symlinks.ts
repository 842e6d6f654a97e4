/** Targets of symlinks: in the inode up to 120 bytes, longer ones in a chain of value blocks. */
import { Inode, INLINE_TARGET_BYTES } from '../media/inode.js'
import type { Inodes } from './inodes.js'
import type { Pages } from './pages.js'
import { valueBlocks, type Values } from './values.js'

const at = Inode.word

export class Symlinks {
  readonly #pages: Pages
  readonly #inodes: Inodes
  readonly #values: Values

  constructor(pages: Pages, inodes: Inodes, values: Values) {
    this.#pages = pages
    this.#inodes = inodes
    this.#values = values
  }

  /** A copy of the target. */
  read(number: number): Uint8Array {
    const w = this.#inodes.get(number)
    const root = this.#pages.u32[w + at.root]!
    if (root !== 0) return this.#values.read(number, root)
    const from = (w << 2) + Inode.at.extents
    return this.#pages.u8.slice(from, from + this.#inodes.size(w))
  }

  /** Blocks that a target of `length` bytes allocates. */
  blocks(length: number): number {
    return length <= INLINE_TARGET_BYTES ? 0 : valueBlocks(length)
  }

  /** Inside a transaction: gives a new symlink its target. */
  write(w: number, target: Uint8Array): void {
    this.#inodes.setSize(w, target.length)
    if (target.length <= INLINE_TARGET_BYTES) {
      this.#pages.u8.set(target, (w << 2) + Inode.at.extents)
      this.#inodes.touch(w, Inode.at.extents, target.length)
      return
    }
    this.#pages.u32[w + at.root] = this.#values.write(this.#pages.u32[w + at.number]!, target)
  }

  /** Blocks of the chain that holds the target of the symlink at word `w`; none: it needs none. */
  chain(w: number): number[] {
    const root = this.#pages.u32[w + at.root]!
    return root === 0 ? [] : this.#values.blocks(this.#pages.u32[w + at.number]!, root)
  }

  /** Inside a transaction: gives such a target other blocks. Allocates as many as it has. */
  moveChain(w: number): void {
    const u32 = this.#pages.u32
    u32[w + at.root] = this.#values.move(u32[w + at.number]!, u32[w + at.root]!)
    this.#inodes.touch(w, Inode.at.root, 4)
  }

  /** Inside a transaction: frees the target. */
  free(w: number): void {
    const root = this.#pages.u32[w + at.root]!
    if (root === 0) return
    this.#values.free(this.#pages.u32[w + at.number]!, root)
    this.#pages.u32[w + at.root] = 0
    this.#inodes.touch(w, Inode.at.root, 4)
  }
}
