/**
 * The layout of a file: which region block holds which file block.
 *
 * Invariants:
 * - extents are sorted by file block, do not overlap, and neighbours that continue each other in
 *   file and region are one extent;
 * - the first 10 stand in the inode; with more they are a tree, and the inline ones are zero; the
 *   tree goes back into the inode only when it is empty;
 * - each extent has its record in the reverse map, changed in the same transaction;
 * - every change here raises the layout generation by one: an operation calls `layoutChanged` once.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { EXTENT_WORDS, Inode, InodeFlag, INLINE_EXTENTS } from '../media/inode.js'
import { NODE_RECORDS, RecordKinds } from '../media/tree_node.js'
import type { Allocator } from './allocator.js'
import type { Inodes } from './inodes.js'
import type { Ownership } from './ownership.js'
import type { Pages } from './pages.js'
import type { ReverseMap } from './reverse_map.js'
import { Tree } from './tree.js'

const at = Inode.word
/** Records that fit in a node that has just been split. */
const SPLIT_ROOM = NODE_RECORDS >>> 1

export class Extents {
  /** The extent found by `find` and `last`. */
  fileBlock = 0
  regionBlock = 0
  count = 0

  readonly #pages: Pages
  readonly #inodes: Inodes
  readonly #allocator: Allocator
  readonly #reverse: ReverseMap
  readonly #ownership: Ownership
  readonly #tree: Tree

  constructor(
    pages: Pages,
    inodes: Inodes,
    allocator: Allocator,
    reverse: ReverseMap,
    ownership: Ownership,
  ) {
    this.#pages = pages
    this.#inodes = inodes
    this.#allocator = allocator
    this.#reverse = reverse
    this.#ownership = ownership
    this.#tree = new Tree(pages, allocator, RecordKinds.extents)
  }

  /**
   * Finds the extent that holds a file block. False: a hole, and `fileBlock` and `count` are the
   * next extent's (`count` 0: there is none).
   */
  find(w: number, block: number): boolean {
    const u32 = this.#pages.u32
    if (u32[w + at.root] === 0) return this.#findInline(w, block)
    const owner = u32[w + at.number]!
    if (this.#tree.seekBefore(u32[w + at.root]!, owner, block)) {
      this.#takeFromTree()
      if (block < this.fileBlock + this.count) return true
      if (!this.#tree.next()) this.count = 0
      else this.#takeFromTree()
    } else if (this.#tree.seek(u32[w + at.root]!, owner, block)) this.#takeFromTree()
    else this.count = 0
    return false
  }

  #findInline(w: number, block: number): boolean {
    const u32 = this.#pages.u32
    const end = w + at.extents + u32[w + at.count]! * EXTENT_WORDS
    for (let e = w + at.extents; e < end; e += EXTENT_WORDS) {
      const first = u32[e]!
      const count = u32[e + 2]!
      if (block >= first + count) continue
      this.#take(first, u32[e + 1]!, count)
      return block >= first
    }
    this.count = 0
    return false
  }

  #takeFromTree(): void {
    this.#take(this.#tree.word(0), this.#tree.word(1), this.#tree.word(2))
  }

  /** The extent found; on a damaged volume it may lead anywhere. */
  #take(fileBlock: number, regionBlock: number, count: number): void {
    if (count === 0 || !this.#allocator.isData(regionBlock, count)) {
      const what = `extent of ${count} blocks from ${regionBlock}`
      throw new HoldfastError('EUCLEAN', `${what} at file block ${fileBlock}; run holdfast fsck`)
    }
    this.fileBlock = fileBlock
    this.regionBlock = regionBlock
    this.count = count
  }

  /** Finds the last extent; false when there is none. */
  last(w: number): boolean {
    return this.before(w, 0x1_0000_0000)
  }

  /** Finds the last extent that begins before file block `end`; false when there is none. */
  before(w: number, end: number): boolean {
    const u32 = this.#pages.u32
    if (end === 0 || u32[w + at.count] === 0) return false
    if (u32[w + at.root] !== 0) {
      const found = this.#tree.seekBefore(u32[w + at.root]!, u32[w + at.number]!, end - 1)
      if (found) this.#takeFromTree()
      return found
    }
    const e = this.#inline(w, end) - EXTENT_WORDS
    if (e < w + at.extents) return false
    this.#take(u32[e]!, u32[e + 1]!, u32[e + 2]!)
    return true
  }

  /** Blocks that mapping one more run may allocate for metadata: extent tree and reverse map. */
  runBlocks(w: number): number {
    const u32 = this.#pages.u32
    return (
      this.#tree.insertBlocks(u32[w + at.root]!, u32[w + at.number]!) + this.#reverse.insertBlocks
    )
  }

  /**
   * Blocks of metadata that mapping `runs` runs may allocate at most, all together: the extents go
   * to one place of their tree, the reverse map's records to any.
   */
  runsBlocks(w: number, runs: number): number {
    const u32 = this.#pages.u32
    const splits = Math.ceil(runs / SPLIT_ROOM) + 2
    const own = this.#tree.insertBlocks(u32[w + at.root]!, u32[w + at.number]!) + splits
    const full = Math.min(runs, this.#reverse.leavesAtMost)
    return own + this.#reverse.insertBlocks + splits + full
  }

  /** Extents of the file. */
  total(w: number): number {
    return this.#pages.u32[w + at.count]!
  }

  /**
   * Maps `count` file blocks from `fileBlock`, a hole, to a run of the region. Joins the run to the
   * extent before it when both continue (and to the one after it).
   */
  map(w: number, fileBlock: number, regionBlock: number, count: number): void {
    const u32 = this.#pages.u32
    const number = u32[w + at.number]!
    u32[w + at.blocks]! += count
    this.#inodes.touchFirst(w)
    const joinsBefore =
      fileBlock > 0 &&
      this.find(w, fileBlock - 1) &&
      this.regionBlock + this.count === regionBlock &&
      this.fileBlock + this.count === fileBlock
    let first = fileBlock
    let region = regionBlock
    let length = count
    if (joinsBefore) {
      first = this.fileBlock
      region = this.regionBlock
      length += this.count
    }
    const joinsAfter = this.find(w, fileBlock + count) && this.regionBlock === regionBlock + count
    if (joinsAfter) {
      const afterFile = this.fileBlock
      const afterRegion = this.regionBlock
      length += this.count
      this.#reverse.remove(afterRegion, number, afterFile)
      this.#erase(w, afterFile)
    }
    if (joinsBefore) {
      this.#reverse.resize(region, number, first, length)
      this.#resize(w, first, length)
    } else {
      this.#reverse.add(region, number, first, length)
      this.#insert(w, first, region, length)
    }
  }

  /**
   * Takes blocks away from the end of the file, down to file block `keep`, at most one extent a
   * call. False when nothing is left past `keep`.
   */
  trimLast(w: number, keep: number): boolean {
    return this.cutLast(w, keep, 0x1_0000_0000)
  }

  /**
   * Takes away the blocks of the last extent that reaches into file blocks [from, to), as far as it
   * does, or a part of that where it has many owners or is held in many pieces. False when there is
   * none. An extent cut in its middle becomes two: `runBlocks` are allocated at most. Who else owns
   * or holds the blocks keeps them (Ownership).
   */
  cutLast(w: number, from: number, to: number): boolean {
    if (from >= to) return false // an extent over both is not to be cut in two
    if (!this.before(w, to) || this.fileBlock + this.count <= from) return false
    const u32 = this.#pages.u32
    const number = u32[w + at.number]!
    const { fileBlock, regionBlock, count } = this
    const right = Math.max(0, fileBlock + count - to)
    const shares = this.#inodes.has(w, InodeFlag.shares)
    const first = regionBlock + Math.max(0, from - fileBlock)
    const left = this.#ownership.reach(first, regionBlock + count - right, shares) - regionBlock
    if (left > 0) {
      this.#reverse.resize(regionBlock, number, fileBlock, left)
      this.#resize(w, fileBlock, left)
    } else {
      this.#reverse.remove(regionBlock, number, fileBlock)
      this.#erase(w, fileBlock)
    }
    if (right > 0) {
      const start = count - right
      this.#reverse.add(regionBlock + start, number, fileBlock + start, right)
      this.#insert(w, fileBlock + start, regionBlock + start, right)
    }
    const gone = count - left - right
    u32[w + at.blocks]! -= gone
    this.#inodes.touchFirst(w)
    this.#ownership.giveUp(number, fileBlock + left, regionBlock + left, gone, shares)
    return true
  }

  /**
   * File blocks of a run that one extent holds lead to other region blocks from now on. Allocates
   * what mapping two runs allocates, at most. Inside a transaction; shares of the old run are in
   * one record.
   */
  replace(w: number, fileBlock: number, count: number, regionBlock: number): void {
    while (this.cutLast(w, fileBlock, fileBlock + count));
    this.map(w, fileBlock, regionBlock, count)
  }

  /**
   * Takes [from, to) of the last extent there away without giving the blocks up: the caller maps
   * them elsewhere. `fileBlock`, `regionBlock` and `count` are what was taken. False when there is
   * none.
   */
  detach(w: number, from: number, to: number): boolean {
    if (!this.before(w, to) || this.fileBlock + this.count <= from) return false
    const u32 = this.#pages.u32
    const number = u32[w + at.number]!
    const { fileBlock, regionBlock, count } = this
    assert(fileBlock >= from && fileBlock + count <= to, 'what is detached is whole extents')
    this.#reverse.remove(regionBlock, number, fileBlock)
    this.#erase(w, fileBlock)
    u32[w + at.blocks]! -= count
    this.#inodes.touchFirst(w)
    this.#take(fileBlock, regionBlock, count)
    return true
  }

  /**
   * Moves the extent that begins at file block `from` to file block `to`, past holes only: the
   * order of the extents stays. One that comes to stand behind its continuation joins it.
   */
  shift(w: number, from: number, to: number): void {
    this.find(w, from)
    const u32 = this.#pages.u32
    const number = u32[w + at.number]!
    const { regionBlock, count } = this
    const joins =
      to > 0 &&
      this.find(w, to - 1) &&
      this.fileBlock + this.count === to &&
      this.regionBlock + this.count === regionBlock
    if (joins) {
      const { fileBlock: first, regionBlock: region, count: length } = this
      this.#reverse.remove(regionBlock, number, from)
      this.#erase(w, from)
      this.#reverse.resize(region, number, first, length + count)
      this.#resize(w, first, length + count)
      return
    }
    this.#reverse.rekey(regionBlock, number, from, to)
    if (u32[w + at.root] !== 0) {
      this.#tree.rekey(u32[w + at.root]!, number, [from], 0, to)
      return
    }
    const e = this.#inline(w, from)
    u32[e] = to
    this.#inodes.touch(w, (e - w) << 2, EXTENT_WORDS * 4)
  }

  /**
   * Cuts the extent that holds file blocks `block - 1` and `block`, and moves its right part to
   * file block `to`. `runBlocks` are allocated at most, and a record of shares.
   */
  splitAway(w: number, block: number, to: number): void {
    this.find(w, block)
    const number = this.#pages.u32[w + at.number]!
    const { fileBlock, regionBlock, count } = this
    const left = block - fileBlock
    this.#ownership.shares.cut(regionBlock + left)
    this.#reverse.resize(regionBlock, number, fileBlock, left)
    this.#resize(w, fileBlock, left)
    this.#reverse.add(regionBlock + left, number, to, count - left)
    this.#insert(w, to, regionBlock + left, count - left)
  }

  /** Word index of the inline extent that begins at `fileBlock`, or where it would stand. */
  #inline(w: number, fileBlock: number): number {
    const u32 = this.#pages.u32
    const end = w + at.extents + u32[w + at.count]! * EXTENT_WORDS
    let e = w + at.extents
    while (e < end && u32[e]! < fileBlock) e += EXTENT_WORDS
    return e
  }

  #touchInline(w: number, from: number): void {
    const last = w + at.extents + INLINE_EXTENTS * EXTENT_WORDS
    this.#inodes.touch(w, (from - w) << 2, (last - from) << 2)
  }

  #insert(w: number, fileBlock: number, regionBlock: number, count: number): void {
    const u32 = this.#pages.u32
    if (u32[w + at.root] === 0 && u32[w + at.count]! < INLINE_EXTENTS) {
      const e = this.#inline(w, fileBlock)
      const end = w + at.extents + u32[w + at.count]! * EXTENT_WORDS
      u32.copyWithin(e + EXTENT_WORDS, e, end)
      u32[e] = fileBlock
      u32[e + 1] = regionBlock
      u32[e + 2] = count
      if (e === end) this.#inodes.touch(w, (e - w) << 2, EXTENT_WORDS * 4)
      else this.#touchInline(w, e)
    } else {
      if (u32[w + at.root] === 0) this.#toTree(w)
      const owner = u32[w + at.number]!
      u32[w + at.root] = this.#tree.insert(
        u32[w + at.root]!,
        owner,
        fileBlock,
        regionBlock,
        count,
        0,
      )
    }
    u32[w + at.count]!++
    this.#inodes.touchFirst(w)
  }

  /** The inline extents become the first records of a tree. */
  #toTree(w: number): void {
    const u32 = this.#pages.u32
    const owner = u32[w + at.number]!
    let root = 0
    for (let i = 0; i < INLINE_EXTENTS; i++) {
      const e = w + at.extents + i * EXTENT_WORDS
      root = this.#tree.insert(root, owner, u32[e]!, u32[e + 1]!, u32[e + 2]!, 0)
    }
    u32[w + at.root] = root
    u32.fill(0, w + at.extents, w + at.extents + INLINE_EXTENTS * EXTENT_WORDS)
    this.#touchInline(w, w + at.extents)
  }

  #erase(w: number, fileBlock: number): void {
    const u32 = this.#pages.u32
    u32[w + at.count]!--
    this.#inodes.touchFirst(w)
    if (u32[w + at.root] !== 0) {
      const owner = u32[w + at.number]!
      u32[w + at.root] = this.#tree.remove(u32[w + at.root]!, owner, fileBlock)
      return
    }
    const e = this.#inline(w, fileBlock)
    const end = w + at.extents + (u32[w + at.count]! + 1) * EXTENT_WORDS
    u32.copyWithin(e, e + EXTENT_WORDS, end)
    u32.fill(0, end - EXTENT_WORDS, end)
    this.#inodes.touch(w, (e - w) << 2, (end - e) << 2)
  }

  #resize(w: number, fileBlock: number, count: number): void {
    const u32 = this.#pages.u32
    if (u32[w + at.root] !== 0) {
      this.#tree.find(u32[w + at.root]!, u32[w + at.number]!, fileBlock)
      this.#tree.change(2, count)
      return
    }
    const e = this.#inline(w, fileBlock)
    u32[e + 2] = count
    this.#inodes.touch(w, (e - w) << 2, EXTENT_WORDS * 4)
  }
}
