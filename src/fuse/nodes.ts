/**
 * Inodes that the kernel knows, and how often it was told of each (the lookup count of
 * linux/fuse.h): a node is named by its inode number.
 *
 * Invariant: what the kernel may ask about is here, with the generation that it was told of last; a
 * number that was given to another file is that file's from then on, and the kernel has called the
 * old one bad (fuse_stale_inode).
 */
import type { Stats } from '../base/filesystem.js'
import type { PathAt } from '../base/path.js'
import { HoldfastError } from '../base/errors.js'
import { ROOT_NODE } from './wire/header.js'

const ITSELF = new Uint8Array()

interface Node {
  readonly ino: number
  generation: number
  key: Uint8Array | undefined
  lookups: number
}

export class Nodes {
  readonly #nodes = new Map<number, Node>()

  constructor(root: Stats) {
    this.learn(root)
    this.#nodes.get(ROOT_NODE)!.lookups = Infinity
  }

  get count(): number {
    return this.#nodes.size
  }

  numbers(): Iterable<number> {
    return this.#nodes.keys()
  }

  knows(ino: number): boolean {
    return this.#nodes.has(ino)
  }

  /** The kernel is told of an inode. */
  learn({ ino, generation, key }: Stats): void {
    const node = this.#nodes.get(ino)
    if (node === undefined) this.#nodes.set(ino, { ino, generation, key, lookups: 1 })
    else {
      node.generation = generation
      node.key = key
      node.lookups++
    }
  }

  forget(ino: number, lookups: number): void {
    const node = this.#nodes.get(ino)
    if (node === undefined) return
    node.lookups -= lookups
    if (node.lookups <= 0) this.#nodes.delete(ino)
  }

  /** ESTALE for one that the kernel was not told of. */
  generationOf(ino: number): number {
    return this.#get(ino).generation
  }

  #get(ino: number): Node {
    const node = this.#nodes.get(ino)
    if (node === undefined) throw new HoldfastError('ESTALE', `node ${ino} is not known`)
    return node
  }

  /** The inode itself, or a name in it. */
  path(ino: number, path: Uint8Array = ITSELF): PathAt {
    const { generation, key } = this.#get(ino)
    return { ino, generation, path, key }
  }
}
