/**
 * Extents of the files, and the reverse map that must say the same the other way round.
 *
 * An extent that has its blocks alone is kept under the first of them, in `claims.index`, when it
 * got that one. Those over shared blocks are kept in an order of their own, that of the reverse map:
 * there are never more of them than records in nodes and inodes, each of which is read once.
 */
import { RecordKinds } from '../media/tree_node.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Column } from './column.js'
import type { Shares } from './shares.js'
import type { TreeWalker } from './tree.js'

/** File blocks are numbered below this. */
const FILE_BLOCKS_MAX = 0xffff_ffff

/** File blocks [from, to). */
export interface FileRange {
  readonly from: number
  readonly to: number
}

export class Extents {
  /** Blocks and extents of the file begun last. */
  fileBlocks = 0
  fileExtents = 0
  /** How many of its first blocks are there without a hole, and whether it shares any block. */
  fileWhole = 0
  fileShared = false
  readonly #ino = new Column()
  readonly #fileBlock = new Column()
  readonly #regionBlock = new Column()
  readonly #count = new Column()
  readonly #matched = new Column()
  /** Those over shared blocks; from `checkReverseMap` on in the order of the reverse map. */
  readonly #together = new Column()
  readonly #claims: Claims
  readonly #shares: Shares
  readonly #findings: Findings
  #owner = 0
  #flagged = false
  /** Where the extent before ends, in the file and in the region. */
  #end = 0
  #regionEnd = 0
  readonly #visit = (words: Uint32Array, w: number, block: number): void =>
    this.add(words, w, block, words[w + 3]!)

  constructor(claims: Claims, shares: Shares, findings: Findings) {
    this.#claims = claims
    this.#shares = shares
    this.#findings = findings
  }

  reset(): void {
    this.#ino.reset()
    this.#fileBlock.reset()
    this.#regionBlock.reset()
    this.#count.reset()
    this.#matched.reset()
    this.#together.reset()
  }

  get length(): number {
    return this.#ino.length
  }

  /** `flagged`: the file has the flag `shares`. */
  begin(owner: number, flagged: boolean): void {
    this.#owner = owner
    this.#flagged = flagged
    this.#end = 0
    this.#regionEnd = 0
    this.fileBlocks = 0
    this.fileExtents = 0
    this.fileWhole = 0
    this.fileShared = false
  }

  /** The extents of the tree at `root`, of the file begun last. */
  walk(walker: TreeWalker, root: number): void {
    walker.walk(root, RecordKinds.extents, this.#owner, this.#visit)
  }

  /** Takes the extent at words[w]: file block, region block, count; `block` is where it stands. */
  add(words: Uint32Array, w: number, block: number, rest = 0): void {
    const fileBlock = words[w]!
    const regionBlock = words[w + 1]!
    const count = words[w + 2]!
    this.fileExtents++
    this.fileBlocks += count
    const reason = this.#invalid(fileBlock, regionBlock, count, rest)
    if (reason !== null) {
      this.#findings.add('extent-invalid', this.#place(block, fileBlock), reason)
      return
    }
    if (fileBlock < this.#end) {
      const message = `begins before ${this.#end}, where the one before it ends`
      this.#findings.add('extents-overlap', this.#place(block, fileBlock), message)
    }
    if (fileBlock === this.#end && regionBlock === this.#regionEnd) {
      const message = `goes on where the one before it ends, at block ${regionBlock}`
      this.#findings.add('extents-unmerged', this.#place(block, fileBlock), message)
    }
    if (fileBlock <= this.fileWhole) this.fileWhole = Math.max(this.fileWhole, fileBlock + count)
    this.#end = Math.max(this.#end, fileBlock + count)
    this.#regionEnd = regionBlock + count
    if (this.#claim(regionBlock, count)) this.#keep(fileBlock, regionBlock, count)
  }

  /** Whether the extent is to be kept. */
  #claim(regionBlock: number, count: number): boolean {
    const shared = this.#shares.touches(regionBlock, count)
    if (shared) this.fileShared = true
    if (shared || (this.#flagged && this.#shares.broken)) {
      this.#shares.keep(regionBlock, count)
      this.#together.push(this.length)
      return true
    }
    const free = this.#claims.kind[regionBlock] === Claim.none
    this.#claims.claim(regionBlock, count, Claim.data, this.length + 1, this.#owner)
    return free
  }

  #keep(fileBlock: number, regionBlock: number, count: number): void {
    this.#ino.push(this.#owner)
    this.#fileBlock.push(fileBlock)
    this.#regionBlock.push(regionBlock)
    this.#count.push(count)
    this.#matched.push(0)
  }

  #invalid(fileBlock: number, regionBlock: number, count: number, rest: number): string | null {
    if (count === 0) return 'count 0'
    if (fileBlock + count > FILE_BLOCKS_MAX) return `${count} blocks, past the end of any file`
    if (!this.#claims.inData(regionBlock, count)) {
      const { dataStart, blockCount } = this.#claims
      const last = regionBlock + count - 1
      return `blocks ${regionBlock} to ${last}, expected ${dataStart} to ${blockCount - 1}`
    }
    return rest === 0 ? null : `last word ${rest}, expected 0`
  }

  #place(block: number, fileBlock: number): string {
    return placeOf(`extent of inode ${this.#owner} at file block ${fileBlock}`, block)
  }

  /** Says of each extent that reaches into a range of file blocks that its inode has here. */
  findWithin(ranges: ReadonlyMap<number, FileRange>, visit: (owner: number) => void): void {
    if (ranges.size === 0) return
    for (let i = 0; i < this.length; i++) {
      const range = ranges.get(this.#ino.data[i]!)
      if (range === undefined) continue
      const first = this.#fileBlock.data[i]!
      if (first < range.to && first + this.#count.data[i]! > range.from) visit(this.#ino.data[i]!)
    }
  }

  /** When all files are walked: that the reverse map has these extents and no others. */
  checkReverseMap(walker: TreeWalker, root: number): void {
    const { data, length } = this.#together
    data.subarray(0, length).sort((a, b) => this.#compareTwo(a, b))
    walker.walk(root, RecordKinds.reverseMap, 0, this.#visitReverse)
    // Below a node that is lost any extent may be.
    if (walker.broken) return
    for (let i = 0; i < this.length; i++) {
      if (this.#matched.data[i] !== 0) continue
      const place = placeOf('extent', this.#regionBlock.data[i]!)
      this.#findings.add('reverse-map-missing', place, this.#describe(i))
    }
  }

  readonly #visitReverse = (words: Uint32Array, w: number, block: number): void => {
    const record = words.subarray(w, w + 4)
    const i = this.#find(record)
    if (i >= 0 && this.#compare(i, record) === 0 && this.#count.data[i] === record[3]) {
      this.#matched.data[i] = 1
      return
    }
    const [regionBlock, inode, fileBlock, count] = record
    const found = `block ${regionBlock}: ${count} blocks of inode ${inode} at ${fileBlock}`
    const message = i < 0 ? `${found}; no file has that` : `${found}; expected ${this.#describe(i)}`
    this.#findings.add('reverse-map-extra', placeOf('reverse map', block), message)
  }

  /** The extent that a record of the reverse map stands for, or one at its block; -1 none. */
  #find(record: Uint32Array): number {
    const regionBlock = record[0]!
    let alone = -1
    if (this.#claims.inData(regionBlock, 1) && this.#claims.kind[regionBlock] === Claim.data) {
      alone = this.#claims.index[regionBlock]! - 1
    }
    if (alone >= 0 && this.#compare(alone, record) === 0) return alone
    let low = 0
    let high = this.#together.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#compare(this.#together.data[middle]!, record) < 0) low = middle + 1
      else high = middle
    }
    const found = low < this.#together.length ? this.#together.data[low]! : -1
    return found >= 0 && this.#regionBlock.data[found] === regionBlock ? found : alone
  }

  #compareTwo(i: number, k: number): number {
    const [region, ino, file] = [this.#regionBlock.data, this.#ino.data, this.#fileBlock.data]
    return region[i]! - region[k]! || ino[i]! - ino[k]! || file[i]! - file[k]!
  }

  /** An extent against the record of the reverse map at the start of `key`. */
  #compare(i: number, key: Uint32Array): number {
    return (
      this.#regionBlock.data[i]! - key[0]! ||
      this.#ino.data[i]! - key[1]! ||
      this.#fileBlock.data[i]! - key[2]!
    )
  }

  #describe(i: number): string {
    const { data: count } = this.#count
    return `${count[i]!} blocks of inode ${this.#ino.data[i]!} at ${this.#fileBlock.data[i]!}`
  }
}
