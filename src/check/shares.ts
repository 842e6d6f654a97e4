/**
 * The blocks that several extents lead to, as the tree of shares has them, against the extents.
 *
 * - The tree is read before any file: an extent over a run of it is kept for `settle`, every other
 *   one claims its blocks for itself.
 * - `settle` goes once along the volume, over the ends of the extents that were kept in their order:
 *   what it costs and takes depends on how many they are, not on the blocks under them.
 */
import { RecordKinds } from '../media/tree_node.js'
import { Claim, type Claims } from './claims.js'
import { placeOf, type Findings } from './codes.js'
import { Column } from './column.js'
import type { TreeWalker } from './tree.js'

export class Shares {
  /** Part of the tree could not be read: any block may have several owners. */
  broken = false
  /** By record that can be: ascending, and none over another. */
  readonly #start = new Column()
  readonly #end = new Column()
  readonly #owners = new Column()
  /** By extent that was kept: where it starts and ends. */
  readonly #starts = new Column()
  readonly #ends = new Column()
  readonly #claims: Claims
  readonly #findings: Findings
  /** The record that the way along the volume has come to. */
  #run = 0
  /** The last records that were found to have the wrong owners, and to be uncut: once is enough. */
  #wrong = -1
  #uncut = -1

  constructor(claims: Claims, findings: Findings) {
    this.#claims = claims
    this.#findings = findings
  }

  /** Reads the tree at `root`. */
  read(walker: TreeWalker, root: number): void {
    const columns = [this.#start, this.#end, this.#owners, this.#starts, this.#ends]
    for (const column of columns) column.reset()
    walker.walk(root, RecordKinds.shares, 0, (words, w, block) => {
      const [start, count, owners, rest] = [words[w]!, words[w + 1]!, words[w + 2]!, words[w + 3]!]
      const reason = this.#invalid(start, count, owners, rest)
      if (reason !== null) {
        this.#findings.add('share-invalid', placeOf(`share of block ${start}`, block), reason)
        return
      }
      this.#start.push(start)
      this.#end.push(start + count)
      this.#owners.push(owners)
    })
    this.broken = walker.broken
  }

  #invalid(start: number, count: number, owners: number, rest: number): string | null {
    if (count === 0) return 'count 0'
    if (!this.#claims.inData(start, count)) {
      const { dataStart, blockCount } = this.#claims
      const last = start + count - 1
      return `blocks ${start} to ${last}, expected ${dataStart} to ${blockCount - 1}`
    }
    if (owners < 2) return `${owners} owners, expected 2 or more`
    const end = this.#end.length === 0 ? 0 : this.#end.data[this.#end.length - 1]!
    if (start < end) return `begins before ${end}, where the one before it ends`
    return rest === 0 ? null : `last word ${rest}, expected 0`
  }

  /** Whether a record says of one of these blocks that it has several owners. */
  touches(block: number, count: number): boolean {
    let low = 0
    let high = this.#end.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#end.data[middle]! <= block) low = middle + 1
      else high = middle
    }
    return low < this.#start.length && this.#start.data[low]! < block + count
  }

  /** An extent that may have blocks together with others. */
  keep(block: number, count: number): void {
    this.#starts.push(block)
    this.#ends.push(block + count)
  }

  /** When all files are walked: claims what they share, and compares the numbers of owners. */
  settle(): void {
    const { length } = this.#starts
    const starts = this.#starts.data.subarray(0, length).sort()
    const ends = this.#ends.data.subarray(0, length).sort()
    this.#run = 0
    this.#wrong = -1
    this.#uncut = -1
    let [depth, position, started] = [0, 0, 0]
    for (let ended = 0; ended < length;) {
      const next = Math.min(ends[ended]!, started < length ? starts[started]! : 0xffff_ffff)
      this.#pass(position, next, depth)
      for (; started < length && starts[started] === next; started++) depth++
      for (; ended < length && ends[ended] === next; ended++) depth--
      position = next
      this.#checkCut(position)
    }
    this.#pass(position, this.#claims.blockCount, 0)
  }

  /** Blocks [from, to), each of which `depth` of the kept extents lead to. */
  #pass(from: number, to: number, depth: number): void {
    const { length } = this.#end
    for (let at = from; at < to;) {
      while (this.#run < length && this.#end.data[this.#run]! <= at) this.#run++
      const start = this.#run < length ? this.#start.data[this.#run]! : to
      const shared = start <= at
      const end = Math.min(to, shared ? this.#end.data[this.#run]! : start)
      if (depth > 0) this.#claims.claim(at, end - at, Claim.data, 0, 0)
      if (shared) this.#compare(at, depth)
      else if (depth > 1 && !this.broken) {
        const message = `${depth} extents lead there, and no share says so`
        this.#findings.add('block-claimed-twice', placeOf(`${end - at} blocks`, at), message)
      }
      at = end
    }
  }

  #compare(block: number, found: number): void {
    const owners = this.#owners.data[this.#run]!
    if (found === owners || this.#wrong === this.#run) return
    this.#wrong = this.#run
    const message = `${owners} owners, expected ${found}: the extents that lead to block ${block}`
    this.#findings.add('share-owners-wrong', this.#place(), message)
  }

  /** Where an extent starts or ends a record does, too, when it goes that far. */
  #checkCut(block: number): void {
    const run = this.#run
    if (run >= this.#start.length || this.#start.data[run]! >= block) return
    if (this.#end.data[run]! <= block || this.#uncut === run) return
    this.#uncut = run
    const message = `an extent starts or ends at block ${block}, within it`
    this.#findings.add('share-uncut', this.#place(), message)
  }

  #place(): string {
    const [start, end] = [this.#start.data[this.#run]!, this.#end.data[this.#run]!]
    return placeOf(`share of ${end - start} blocks`, start)
  }
}
