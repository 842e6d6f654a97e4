/** The extents that files have in the end: each block is in one of them, or is shared. */
import { Column } from '../check/column.js'
import type { InodeTable } from './inode_table.js'
import type { Shares } from './shares.js'
import { Use, type Space } from './space.js'

export class ExtentTable {
  /** By extent: slot index of its inode, and what it maps. */
  readonly inode = new Column()
  readonly file = new Column()
  readonly region = new Column()
  readonly count = new Column()
  /** 1 + the one before it that starts at the same block, 0 none. */
  readonly #before = new Column()
  readonly #space: Space
  readonly #inodes: InodeTable
  readonly #shares: Shares

  constructor(space: Space, inodes: InodeTable, shares: Shares) {
    this.#space = space
    this.#inodes = inodes
    this.#shares = shares
  }

  get length(): number {
    return this.inode.length
  }

  /** Claims blocks, each free or shared, for a file. */
  add(inode: number, file: number, region: number, count: number): void {
    this.inode.push(inode)
    this.file.push(file)
    this.region.push(region)
    this.count.push(count)
    const flagged = this.#shares.isFlagged(inode)
    for (let block = region; block < region + count; block++) {
      const fresh = this.#space.kind[block] === Use.none
      if (fresh) this.#space.claim(block, Use.data, 0)
      this.#shares.own(flagged, block, fresh)
    }
    this.#before.push(this.#space.index[region]!)
    this.#space.index[region] = this.length
  }

  /** Joins an extent to the one before it, which it continues. */
  join(first: number, second: number): void {
    this.count.data[first]! += this.count.data[second]!
    this.count.data[second] = 0
  }

  /** Extents in the order of the reverse map. */
  forEachByBlock(visit: (extent: number) => void): void {
    const { kind, index, blockCount } = this.#space
    const here: number[] = []
    for (let block = 0; block < blockCount; block++) {
      if (kind[block] !== Use.data) continue
      here.length = 0
      for (let i = index[block]! - 1; i >= 0; i = this.#before.data[i]! - 1) {
        if (this.count.data[i] !== 0) here.push(i)
      }
      if (here.length > 1) here.sort((a, b) => this.#compare(a, b))
      for (const i of here) visit(i)
    }
  }

  #compare(a: number, b: number): number {
    const [inode, file] = [this.inode.data, this.file.data]
    const numbers = this.#inodes.numberOf(inode[a]!) - this.#inodes.numberOf(inode[b]!)
    return numbers || file[a]! - file[b]!
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
