/**
 * What files hold: extents from their inodes and trees, from the reverse map where those are lost,
 * and each block with one owner, or with those that may share it (shares.ts).
 *
 * In this order, whoever comes first has the blocks:
 * 1. extents that the reverse map has word for word;
 * 2. extents of files that are sound by themselves, in the order of their inodes;
 * 3. of files that are not, or that met another's blocks: what the reverse map has of them, and
 *    then what is left of their own. What another file has by now they get a copy of.
 */
import { BLOCK_BYTES, RESERVE_BLOCKS } from '../base/limits.js'
import { Mode } from '../base/mode.js'
import { EXTENT_WORDS, INLINE_EXTENTS, Inode } from '../media/inode.js'
import { RecordKinds } from '../media/tree_node.js'
import { ExtentTable } from './extent_table.js'
import type { Ground } from './ground.js'
import type { ReverseMap } from './reverse_map.js'
import type { Shares } from './shares.js'
import { Use } from './space.js'
import { Records } from './tree_builder.js'

const at = Inode.word
const FILE_BLOCKS_MAX = 0xffff_ffff

/** File block, region block, count. */
type Extent = readonly [file: number, region: number, count: number]

export class Contents {
  readonly extents: ExtentTable
  readonly #ground: Ground
  readonly #map: ReverseMap
  readonly #shares: Shares
  /** Extents of files that are not in the reverse map word for word: inode and extent. */
  readonly #later = new Records()
  /** Files whose own extents are not as they must be, with those that can be read. */
  readonly #suspects = new Map<number, Extent[]>()
  /** Files whose extents are to be written again. */
  readonly #changed = new Set<number>()
  readonly #scratch = new Records()
  /** Blocks of conflicts that are still looked at one by one. */
  #patience: number

  constructor(ground: Ground, map: ReverseMap, shares: Shares) {
    this.#ground = ground
    this.#map = map
    this.#shares = shares
    this.extents = new ExtentTable(ground.space, ground.inodes, shares)
    this.#patience = ground.space.blockCount
  }

  settle(): void {
    const { inodes } = this.#ground
    for (let index = 0; index < inodes.length; index++) {
      if (inodes.isFile(index)) this.#gather(index)
    }
    this.#claimLater()
    this.#settleSuspects()
    this.#recreateLost()
    this.#write()
  }

  /** Reads the extents of a file; claims those that are beyond doubt. */
  #gather(index: number): void {
    const { inodes } = this.#ground
    const number = inodes.numberOf(index)
    const own = this.#scratch
    own.clear()
    const sound = this.#readOwn(index, own)
    let end = 0
    let regionEnd = 0
    let good = sound
    for (let i = 0; i < own.length && good; i++) {
      const [file, region, count, rest] = own.at(i)
      // What continues the extent before it must be one with it.
      const joins = file === end && region === regionEnd
      good = this.#valid(file!, region!, count!) && file! >= end && rest === 0 && !joins
      end = file! + count!
      regionEnd = region! + count!
    }
    if (!good) {
      const all: Extent[] = []
      for (let i = 0; i < own.length; i++) {
        const [file, region, count] = own.at(i)
        if (this.#valid(file!, region!, count!)) all.push([file!, region!, count!])
      }
      this.#suspects.set(index, all)
      return
    }
    let blocks = 0
    for (let i = 0; i < own.length; i++) {
      const [file, region, count] = own.at(i)
      blocks += count!
      const exact = this.#map.has(region!, number, file!, count!)
      if (exact && this.#mayHave(index, region!, count!)) {
        this.extents.add(index, file!, region!, count!)
      } else this.#later.push(index, file!, region!, count!)
    }
    this.#count(index, number, own.length, blocks)
  }

  /** Fills `own` with what the inode and its tree have; false when that is not all of it. */
  #readOwn(index: number, own: Records): boolean {
    const { inodes, trees } = this.#ground
    const root = inodes.get(index, at.root)
    const count = inodes.get(index, at.count)
    const inline: number[] = []
    for (let i = 0; i < INLINE_EXTENTS * EXTENT_WORDS; i++) {
      inline.push(inodes.get(index, at.extents + i))
    }
    const used = inline.findLastIndex((word) => word !== 0) + 1
    let sound = root === 0 ? count * EXTENT_WORDS >= used : used === 0
    if (root === 0) sound &&= count <= INLINE_EXTENTS
    const most = root === 0 && sound ? count : Math.ceil(used / EXTENT_WORDS)
    for (let i = 0; i < most; i++) {
      const w = i * EXTENT_WORDS
      own.push(inline[w]!, inline[w + 1]!, inline[w + 2]!, 0)
    }
    const tree = inodes.tree.data[index]! - 1
    if (tree < 0) return sound
    trees.forEach(tree, (w0, w1, w2, w3) => own.push(w0, w1, w2, w3))
    return sound && trees.sound.data[tree] === 1
  }

  #valid(file: number, region: number, count: number): boolean {
    return count > 0 && file + count <= FILE_BLOCKS_MAX && this.#ground.space.inData(region, count)
  }

  #allFree(region: number, count: number): boolean {
    const { kind } = this.#ground.space
    for (let block = region; block < region + count; block++) {
      if (kind[block] !== Use.none) return false
    }
    return true
  }

  /** What of a block is in the way of a file that wants it. */
  #inTheWay(index: number, block: number): number {
    const use = this.#ground.space.kind[block]!
    return use === Use.data && this.#shares.mayJoin(index, block) ? Use.none : use
  }

  /** Whether all of these blocks are free, or shared. */
  #mayHave(index: number, region: number, count: number): boolean {
    for (let block = region; block < region + count; block++) {
      if (this.#inTheWay(index, block) !== Use.none) return false
    }
    return true
  }

  #count(index: number, number: number, extents: number, blocks: number): void {
    const { inodes, fixes } = this.#ground
    if (inodes.get(index, at.count) !== extents) {
      inodes.set(index, [[at.count, extents]])
      fixes.add('extent-count-wrong', `inode ${number} has ${extents} extents`)
    }
    if (inodes.get(index, at.blocks) !== blocks) {
      inodes.set(index, [[at.blocks, blocks]])
      fixes.add('inode-blocks-wrong', `inode ${number} has ${blocks} blocks`)
    }
  }

  /** What the reverse map does not confirm, in the order of the inodes. */
  #claimLater(): void {
    for (let i = 0; i < this.#later.length; i++) {
      const [index, file, region, count] = this.#later.at(i)
      // Of one that would share, a map that is whole may know better.
      const free = this.#allFree(region!, count!)
      if (free || (this.#map.broken && this.#mayHave(index!, region!, count!))) {
        this.extents.add(index!, file!, region!, count!)
        continue
      }
      const known = this.#suspects.get(index!)
      if (known === undefined) this.#suspects.set(index!, [[file!, region!, count!]])
      else known.push([file!, region!, count!])
    }
  }

  #settleSuspects(): void {
    const { inodes, fixes } = this.#ground
    if (this.#suspects.size === 0) return
    const numbers = new Set([...this.#suspects.keys()].map((index) => inodes.numberOf(index)))
    const reverse = this.#map.of((inode) => numbers.has(inode))
    const claimed = this.extents.of(new Set(this.#suspects.keys()))
    for (const [index, own] of this.#suspects) {
      const number = inodes.numberOf(index)
      const taken = new Ranges()
      for (const i of claimed.get(index)!) {
        taken.add(this.extents.file.data[i]!, this.extents.count.data[i]!)
      }
      const [sure, rest] = partition(own, ([file, region, count]) =>
        this.#map.has(region, number, file, count),
      )
      for (const extent of sure) this.#accept(index, extent, taken)
      for (const i of reverse.get(number) ?? []) {
        const { file, region, count } = this.#map
        const extent: Extent = [file.data[i]!, region.data[i]!, count.data[i]!]
        if (this.#mayHave(index, extent[1], extent[2])) this.#accept(index, extent, taken)
      }
      for (const extent of rest) this.#accept(index, extent, taken)
      this.#changed.add(index)
      const blocks = `${taken.total} blocks, the inode says ${inodes.get(index, at.blocks)}`
      fixes.add('extent-invalid', `extents of inode ${number} are put together anew: ${blocks}`)
    }
  }

  /** Gives an extent to a file when it has nothing at its place; of what others have a copy. */
  #accept(index: number, [file, region, count]: Extent, taken: Ranges): void {
    if (taken.overlaps(file, count)) return
    taken.add(file, count)
    for (let done = 0; done < count;) {
      const use = this.#inTheWay(index, region + done)
      let run = 1
      while (done + run < count && this.#inTheWay(index, region + done + run) === use) run++
      if (use === Use.none) this.extents.add(index, file + done, region + done, run)
      else this.#conflict(index, file + done, region + done, run, use)
      done += run
    }
  }

  #conflict(index: number, file: number, region: number, count: number, use: number): void {
    const { space, fixes, inodes, copyBlocks } = this.#ground
    const what = `${count} blocks from ${region} at file block ${file} of inode ${inodes.numberOf(index)}`
    this.#patience -= count
    if (use !== Use.data || this.#patience < 0) {
      const why = use === Use.data ? 'are of other files' : 'are of another structure'
      fixes.add('block-claimed-twice', `${what} ${why}: they are a hole now`)
      return
    }
    let done = 0
    // What the volume keeps back for freeing is not for copies: files could not be removed then.
    for (let spare = space.free - RESERVE_BLOCKS; done < count && spare > 0;) {
      const [start, run] = space.findUnused(Math.min(count - done, spare))
      if (run === 0) break
      copyBlocks(region + done, start, run)
      this.extents.add(index, file + done, start, run)
      done += run
      spare -= run
    }
    if (done > 0) fixes.add('block-claimed-twice', `${what} are another file's: they are copied`)
    if (done < count) {
      // Whom the reverse map does not name has the weaker claim; the bytes stay with the other.
      const why = `no room to copy ${count - done} of them: they are a hole now`
      fixes.add('block-claimed-twice', `${what} are another file's; ${why}`)
    }
  }

  /** Files of which only the reverse map knows. */
  #recreateLost(): void {
    const { inodes, fixes, space } = this.#ground
    const found = this.#map.of((inode) => inodes.find(inode) < 0 && inodes.isLost(inode))
    for (const [number, records] of found) {
      const { file, region, count } = this.#map
      const usable = records.filter((i) => {
        const first = region.data[i]!
        return space.before[first] !== 0 && this.#mayHave(-1, first, count.data[i]!)
      })
      if (usable.length === 0) continue
      const index = inodes.create(number, Mode.file | 0o600)
      if (index < 0) {
        fixes.leave('inode-damaged', `no room for inode ${number}, whose extents are known`)
        continue
      }
      const taken = new Ranges()
      for (const i of usable) {
        this.#accept(index, [file.data[i]!, region.data[i]!, count.data[i]!], taken)
      }
      const size = taken.end * BLOCK_BYTES
      inodes.set(index, [
        [at.size, size >>> 0],
        [at.size + 1, Math.floor(size / 2 ** 32)],
      ])
      this.#changed.add(index)
      const message = `inode ${number} is made anew from the reverse map: ${taken.total} blocks, size by blocks`
      fixes.add('inode-damaged', message)
    }
  }

  /** Writes the extents of files that got others. */
  #write(): void {
    for (const [index, rows] of this.extents.of(this.#changed)) this.#writeFile(index, rows)
  }

  /** The extents of a file in order, those that continue each other as one. */
  #joined(rows: number[]): number[] {
    const { file, region, count } = this.extents
    const joined: number[] = []
    for (const i of rows.sort((a, b) => file.data[a]! - file.data[b]!)) {
      const last = joined.at(-1) ?? -1
      const continues =
        last >= 0 &&
        file.data[last]! + count.data[last]! === file.data[i]! &&
        region.data[last]! + count.data[last]! === region.data[i]!
      if (continues) this.extents.join(last, i)
      else joined.push(i)
    }
    return joined
  }

  #writeFile(index: number, rows: number[]): void {
    const { inodes, trees, builder, fixes } = this.#ground
    const number = inodes.numberOf(index)
    const { file, region, count } = this.extents
    const records = new Records()
    let blocks = 0
    for (const i of this.#joined(rows)) {
      records.push(file.data[i]!, region.data[i]!, count.data[i]!, 0)
      blocks += count.data[i]!
    }
    records.sort(1)
    const inline = records.length <= INLINE_EXTENTS
    let tree = inodes.tree.data[index]! - 1
    if (tree < 0 && !inline) {
      tree = trees.add(0, RecordKinds.extents, number)
      inodes.tree.data[index] = tree + 1
    }
    const root = tree < 0 ? 0 : builder.replace(tree, inline ? new Records() : records)
    if (root < 0) {
      fixes.leave('tree-node-damaged', `no room for the extents of inode ${number}`)
      return
    }
    const words: Array<[number, number]> = [
      [at.root, root],
      [at.count, records.length],
      [at.blocks, blocks],
    ]
    for (let i = 0; i < INLINE_EXTENTS * EXTENT_WORDS; i++) {
      const [r, k] = [Math.floor(i / EXTENT_WORDS), i % EXTENT_WORDS]
      words.push([at.extents + i, inline && r < records.length ? records.at(r)[k]! : 0])
    }
    inodes.set(index, words)
  }
}

function partition<T>(items: readonly T[], test: (item: T) => boolean): [T[], T[]] {
  return [items.filter(test), items.filter((item) => !test(item))]
}

/** Ranges of file blocks that do not overlap, in order. */
class Ranges {
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  total = 0

  get end(): number {
    return this.#ends.at(-1) ?? 0
  }

  /** Index of the first range that begins at `start` or later. */
  #find(start: number): number {
    let low = 0
    let high = this.#starts.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#starts[middle]! < start) low = middle + 1
      else high = middle
    }
    return low
  }

  overlaps(start: number, count: number): boolean {
    const i = this.#find(start)
    if (i > 0 && this.#ends[i - 1]! > start) return true
    return i < this.#starts.length && this.#starts[i]! < start + count
  }

  add(start: number, count: number): void {
    const i = this.#find(start)
    this.#starts.splice(i, 0, start)
    this.#ends.splice(i, 0, start + count)
    this.total += count
  }
}
