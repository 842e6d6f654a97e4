/**
 * The shares: which blocks may have several owners is read first, how many they have is counted in
 * the end, over the extents that files have then.
 *
 * A block goes to a second owner when a share says that there are several, or when every owner has
 * the flag `shares`: nothing else is known of a tree that is lost. Whoever shares has the flag then.
 */
import { InodeFlag, Inode } from '../media/inode.js'
import { RecordKinds } from '../media/tree_node.js'
import type { ExtentTable } from './extent_table.js'
import type { Ground } from './ground.js'
import { Records } from './tree_builder.js'

const at = Inode.word
/** Marks of a block: it is in a share; each of its owners so far has the flag. */
const COVERED = 1
const FLAGGED = 2

export class Shares {
  readonly tree: number
  readonly #ground: Ground
  readonly #marks: Uint8Array
  /** Blocks that are still marked one by one: records of a ruin may lie over each other. */
  #patience: number
  /** The runs with several owners, in their order. */
  #runs = new Records()

  constructor(ground: Ground) {
    this.#ground = ground
    this.#marks = new Uint8Array(ground.space.blockCount)
    this.#patience = 4 * ground.space.blockCount
    this.tree = ground.trees.add(ground.roots.shares, RecordKinds.shares, 0)
  }

  /** Takes in all records that can be. */
  read(): void {
    const { trees, space } = this.#ground
    trees.forEach(this.tree, (start, count, owners) => {
      if (count === 0 || owners < 2 || !space.inData(start, count)) return
      if (this.#patience < count) return
      this.#patience -= count
      for (let block = start; block < start + count; block++) this.#marks[block]! |= COVERED
    })
  }

  /** Whether a file has the flag `shares`. */
  isFlagged(index: number): boolean {
    return index >= 0 && (this.#ground.inodes.get(index, at.flags) & InodeFlag.shares) !== 0
  }

  /** Whether a file (-1: one that is lost) may have a data block along with its owners. */
  mayJoin(index: number, block: number): boolean {
    const marks = this.#marks[block]!
    return (marks & COVERED) !== 0 || ((marks & FLAGGED) !== 0 && this.isFlagged(index))
  }

  /** A file, with the flag or without, has a block that was free (`fresh`) or somebody's. */
  own(flagged: boolean, block: number, fresh: boolean): void {
    if (!flagged) this.#marks[block]! &= ~FLAGGED
    else if (fresh) this.#marks[block]! |= FLAGGED
  }

  /** Makes flags and tree say what the extents say; returns the root. */
  rebuild(extents: ExtentTable): number {
    const { trees, builder, fixes } = this.#ground
    const wanted = this.#count(extents)
    this.#runs = wanted
    this.#setFlags(extents)
    const root = trees.root.data[this.tree]!
    if (trees.sound.data[this.tree] === 1 && this.#agrees(wanted)) return root
    const built = builder.replace(this.tree, wanted)
    if (built < 0) {
      fixes.leave('share-owners-wrong', 'no room for the nodes of the shares')
      return root
    }
    const code = trees.broken.data[this.tree] === 1 ? 'tree-node-damaged' : 'share-owners-wrong'
    fixes.add(code, `the shares are made anew from the extents: ${wanted.length}`)
    return built
  }

  /** The runs with several owners, cut wherever an extent starts or ends. */
  #count(extents: ExtentTable): Records {
    const starts = new Uint32Array(extents.length)
    const ends = new Uint32Array(extents.length)
    for (let i = 0; i < extents.length; i++) {
      starts[i] = extents.region.data[i]!
      ends[i] = starts[i]! + extents.count.data[i]!
    }
    starts.sort()
    ends.sort()
    const runs = new Records()
    let [owners, position, started] = [0, 0, 0]
    for (let ended = 0; ended < ends.length;) {
      const next = Math.min(ends[ended]!, starts[started] ?? 0xffff_ffff)
      if (owners > 1 && next > position) runs.push(position, next - position, owners, 0)
      for (; started < starts.length && starts[started] === next; started++) owners++
      for (; ended < ends.length && ends[ended] === next; ended++) owners--
      position = next
    }
    return runs
  }

  #setFlags(extents: ExtentTable): void {
    const { inodes, fixes } = this.#ground
    if (this.#runs.length === 0) return
    for (let i = 0; i < extents.length; i++) {
      const [index, region] = [extents.inode.data[i]!, extents.region.data[i]!]
      if (this.isFlagged(index) || !this.has(region, extents.count.data[i]!)) continue
      const flags = inodes.get(index, at.flags) | InodeFlag.shares
      inodes.set(index, [[at.flags, flags >>> 0]])
      const message = `inode ${inodes.numberOf(index)} has the flag 'shares' now`
      fixes.add('share-flag-missing', message)
    }
  }

  /** Whether the records of the tree are these runs, some of them maybe in several pieces. */
  #agrees(runs: Records): boolean {
    const { trees } = this.#ground
    let run = 0
    let done = 0
    let same = true
    trees.forEach(this.tree, (start, count, owners, rest) => {
      if (!same) return
      same = run < runs.length && rest === 0 && count > 0
      if (!same) return
      const [first, length, expected] = runs.at(run)
      same = start === first! + done && owners === expected && done + count <= length!
      done += count
      if (done < length!) return
      done = 0
      run++
    })
    return same && run === runs.length
  }

  /** Whether one of these blocks has several owners, once they are counted. */
  has(block: number, count: number): boolean {
    const runs = this.#runs
    let low = 0
    let high = runs.length
    while (low < high) {
      const middle = (low + high) >>> 1
      const [start, length] = runs.at(middle)
      if (start! + length! <= block) low = middle + 1
      else high = middle
    }
    return low < runs.length && runs.at(low)[0]! < block + count
  }
}
