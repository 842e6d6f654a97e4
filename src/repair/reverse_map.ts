/**
 * The reverse map, read first: who has which blocks, from the other side. It decides between two
 * files that claim one block, and knows the extents of files whose own record of them is lost. In
 * the end it is compared with the extents, and made to say the same.
 */
import { Column } from '../check/column.js'
import { RecordKinds } from '../media/tree_node.js'
import type { Ground } from './ground.js'
import type { ExtentTable } from './extent_table.js'
import { Records } from './tree_builder.js'

export class ReverseMap {
  readonly tree: number
  /** By record. */
  readonly region = new Column()
  readonly inode = new Column()
  readonly file = new Column()
  readonly count = new Column()
  /** 1: a record says that the block is data. */
  readonly named: Uint8Array
  /** By first block 1 + the record. */
  readonly #at: Uint32Array
  readonly #ground: Ground
  /** Blocks that are still marked one by one: records of a ruin may lie over each other. */
  #patience: number

  constructor(ground: Ground) {
    this.#ground = ground
    const { blockCount } = ground.space
    this.named = new Uint8Array(blockCount)
    this.#at = new Uint32Array(blockCount)
    this.#patience = 4 * blockCount
    this.tree = ground.trees.add(ground.roots.reverseMap, RecordKinds.reverseMap, 0)
  }

  /** Takes in all records that can be read. */
  read(): void {
    const { space, trees } = this.#ground
    for (const column of [this.region, this.inode, this.file, this.count]) column.reset()
    trees.forEach(this.tree, (region, inode, file, count) => {
      if (count === 0 || !space.inData(region, count) || file + count > 0xffff_ffff) return
      this.region.push(region)
      this.inode.push(inode)
      this.file.push(file)
      this.count.push(count)
      if (this.#at[region] === 0) this.#at[region] = this.region.length
      if (this.#patience < count) return
      this.#patience -= count
      this.named.fill(1, region, region + count)
    })
  }

  /** Whether a record says exactly this. */
  has(region: number, inode: number, file: number, count: number): boolean {
    const record = this.#at[region]! - 1
    return (
      record >= 0 &&
      this.inode.data[record] === inode &&
      this.file.data[record] === file &&
      this.count.data[record] === count
    )
  }

  /** The records of some inodes. */
  of(wanted: (inode: number) => boolean): Map<number, number[]> {
    const found = new Map<number, number[]>()
    for (let i = 0; i < this.region.length; i++) {
      const inode = this.inode.data[i]!
      if (!wanted(inode)) continue
      const known = found.get(inode)
      if (known === undefined) found.set(inode, [i])
      else known.push(i)
    }
    return found
  }

  /** Makes the map say what the extents say; returns its root. */
  rebuild(extents: ExtentTable): number {
    const { trees, builder, fixes, roots } = this.#ground
    if (trees.sound.data[this.tree] === 1 && this.#agrees(extents)) return roots.reverseMap
    const records = new Records()
    extents.forEachByBlock((i) => records.push(...extents.reverse(i)))
    const root = builder.replace(this.tree, records)
    if (root < 0) {
      fixes.leave('reverse-map-missing', 'no room for the nodes of the reverse map')
      return roots.reverseMap
    }
    const broken = trees.broken.data[this.tree] === 1
    const code = broken ? 'tree-node-damaged' : 'reverse-map-extra'
    fixes.add(code, `the reverse map is made anew from ${records.length} extents`)
    return root
  }

  #agrees(extents: ExtentTable): boolean {
    const { trees } = this.#ground
    const order: number[] = []
    extents.forEachByBlock((i) => order.push(i))
    let next = 0
    let same = true
    trees.forEach(this.tree, (w0, w1, w2, w3) => {
      if (!same) return
      const i = order[next++]
      if (i === undefined) {
        same = false
        return
      }
      const [r0, r1, r2, r3] = extents.reverse(i)
      same = w0 === r0 && w1 === r1 && w2 === r2 && w3 === r3
    })
    return same && next === order.length
  }
}
