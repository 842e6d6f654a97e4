/** The extents that files have in the end: each block is in one of them at most. */
import { Column } from '../check/column.js'
import type { InodeTable } from './inode_table.js'
import { Use, type Space } from './space.js'

export class ExtentTable {
  /** By extent: slot index of its inode, and what it maps. */
  readonly inode = new Column()
  readonly file = new Column()
  readonly region = new Column()
  readonly count = new Column()
  readonly #space: Space
  readonly #inodes: InodeTable

  constructor(space: Space, inodes: InodeTable) {
    this.#space = space
    this.#inodes = inodes
  }

  get length(): number {
    return this.inode.length
  }

  /** Claims blocks, all of them free, for a file. */
  add(inode: number, file: number, region: number, count: number): void {
    this.inode.push(inode)
    this.file.push(file)
    this.region.push(region)
    this.count.push(count)
    this.#space.claim(region, Use.data, this.length)
    for (let block = region + 1; block < region + count; block++) {
      this.#space.claim(block, Use.data, 0)
    }
  }

  /** Joins an extent to the one before it, which it continues. */
  join(first: number, second: number): void {
    this.#space.index[this.region.data[second]!] = 0
    this.count.data[first]! += this.count.data[second]!
    this.count.data[second] = 0
  }

  /** Extents in the order of their blocks. */
  forEachByBlock(visit: (extent: number) => void): void {
    const { kind, index, blockCount } = this.#space
    for (let block = 0; block < blockCount; block++) {
      if (kind[block] === Use.data && index[block] !== 0) visit(index[block]! - 1)
    }
  }

  /** The words of its record in the reverse map. */
  reverse(i: number): readonly [number, number, number, number] {
    const inode = this.#inodes.numberOf(this.inode.data[i]!)
    return [this.region.data[i]!, inode, this.file.data[i]!, this.count.data[i]!]
  }

  /** Extents of some inodes, by slot index, in no order. */
  of(wanted: ReadonlySet<number>): Map<number, number[]> {
    const found = new Map<number, number[]>()
    for (const inode of wanted) found.set(inode, [])
    for (let i = 0; i < this.length; i++) found.get(this.inode.data[i]!)?.push(i)
    return found
  }
}
