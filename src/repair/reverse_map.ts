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
  /** Records in the order of their keys, while that is known. */
  #order: Uint32Array | null = null
  readonly #ground: Ground
  /** Blocks that are still marked one by one: records of a ruin may lie over each other. */
  #patience: number

  constructor(ground: Ground) {
    this.#ground = ground
    const { blockCount } = ground.space
    this.named = new Uint8Array(blockCount)
    this.#patience = 4 * blockCount
    this.tree = ground.trees.add(ground.roots.reverseMap, RecordKinds.reverseMap, 0)
  }

  /** Whether part of it is lost. */
  get broken(): boolean {
    return this.#ground.trees.broken.data[this.tree] === 1
  }

  /** Takes in all records that can be read. */
  read(): void {
    const { space, trees } = this.#ground
    for (const column of [this.region, this.inode, this.file, this.count]) column.reset()
    this.#order = null
    trees.forEach(this.tree, (region, inode, file, count) => {
      if (count === 0 || !space.inData(region, count) || file + count > 0xffff_ffff) return
      this.region.push(region)
      this.inode.push(inode)
      this.file.push(file)
      this.count.push(count)
      if (this.#patience < count) return
      this.#patience -= count
      this.named.fill(1, region, region + count)
    })
  }

  /** Whether a record says exactly this. */
  has(region: number, inode: number, file: number, count: number): boolean {
    this.#order ??= this.#inOrder()
    const order = this.#order
    let low = 0
    let high = order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(order[middle]!, region, inode, file) < 0) low = middle + 1
      else high = middle
    }
    if (low === order.length || this.#compare(order[low]!, region, inode, file) !== 0) return false
    return this.count.data[order[low]!] === count
  }

  /** A record's key, less the other. */
  #compare(i: number, region: number, inode: number, file: number): number {
    return this.region.data[i]! - region || this.inode.data[i]! - inode || this.file.data[i]! - file
  }

  /** They are, when they come from a tree that is sound. */
  #inOrder(): Uint32Array {
    const [region, inode, file] = [this.region.data, this.inode.data, this.file.data]
    const order = Uint32Array.from({ length: this.region.length }, (_, i) => i)
    const follows = (a: number, b: number) => this.#compare(b, region[a]!, inode[a]!, file[a]!) >= 0
    if (order.every((i) => i === 0 || follows(i - 1, i))) return order
    return order.sort((a, b) => this.#compare(a, region[b]!, inode[b]!, file[b]!))
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
    const code = this.broken ? 'tree-node-damaged' : 'reverse-map-extra'
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
