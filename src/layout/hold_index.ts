/**
 * What holds cover, found by range of a file. A piece is one run of file blocks of one hold; all
 * pieces of a volume stand in one treap by (inode, start, piece number), whose nodes know the
 * highest (inode, end) below them (Cormen, Leiserson, Rivest, Stein, ch. 14.3).
 *
 * With n pieces, all expected: add and remove O(log n), whether anything overlaps O(log n), those
 * that overlap O(log n) and O(1) for each where they stand side by side. None of it allocates but
 * for growth, and no piece is an object: there may be a million, and most of what looks finds none.
 *
 *     piece:  inode start end hold | left right highInode highEnd | next previous
 *             what it is           | its place in the treap       | pieces of the same hold
 *
 * The ten words of a piece stand together, so that a step down the tree is one miss of the cache
 * and not five. The heap's priority is not kept: it is a mix of the piece's number.
 *
 * Invariants (`assertConsistent` looks at all of them):
 * - by (inode, start, number) it is a search tree, by priority a heap;
 * - highInode and highEnd are the highest (inode, end) of the subtree, lexicographically;
 * - a piece is not empty;
 * - the list of a hold has its pieces and no others;
 * - every other piece number is on the free list. Piece 0 is none.
 */
import { assert } from '../base/errors.js'
import { BLOCK_COUNT_MAX } from '../base/limits.js'
import { Prng } from '../base/prng.js'
import { grown, newWords } from './growth.js'

/** No piece. */
export const NO_PIECE = 0

/** A part of a hold: blocks [start, end) of the file. */
export type PieceVisitor = (hold: number, start: number, end: number) => void

const PIECE_WORDS = 10
const INODE = 0
const START = 1
const END = 2
const HOLD = 3
const LEFT = 4
const RIGHT = 5
const HIGH_INODE = 6
const HIGH_END = 7
const NEXT = 8
const PREVIOUS = 9

/** Of all trees: only the shape depends on it, and nobody sees that. */
const SALT = new Prng(1).next()

/** One to one on 32-bit words (the finalizer of MurmurHash3, Appleby), so no two are equal. */
function priorityOf(piece: number): number {
  let z = piece ^ SALT
  z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
  z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
  return (z ^ (z >>> 16)) >>> 0
}

export class HoldIndex {
  /** Pieces in it. */
  size = 0
  /** Pieces, or parts of them, that were taken out: who keeps what one covers looks again. */
  removals = 0

  /** Words of all pieces, by piece number. */
  #words = new Uint32Array(PIECE_WORDS)
  /** First piece, by hold. */
  #holds = new Uint32Array(0)
  #root = NO_PIECE
  /** Piece numbers given back, linked by NEXT. */
  #free = NO_PIECE
  /** The lowest piece number never used. */
  #unused = 1
  /** Walks under way: their visitors look, they do not change anything. */
  #walks = 0
  /** The two trees that the last split made. */
  #below = NO_PIECE
  #above = NO_PIECE

  /** Bytes of memory that it takes. */
  get byteLength(): number {
    return this.#words.byteLength + this.#holds.byteLength
  }

  /** Adds blocks [start, end) of a file to what a hold covers. */
  add(hold: number, inode: number, start: number, end: number): void {
    assert(inode === inode >>> 0, 'an inode number is u32')
    assert(start >= 0 && start < end, 'a piece of a hold is not empty')
    assert(end <= BLOCK_COUNT_MAX, 'a piece of a hold ends where a file may end')
    const piece = this.#newPiece()
    const words = this.#words
    const w = piece * PIECE_WORDS
    words[w + INODE] = inode
    words[w + START] = start
    words[w + END] = end
    words[w + HOLD] = hold
    this.#link(piece)
    this.#insert(piece)
  }

  /** Takes all pieces of a hold out. */
  removeAll(hold: number): void {
    for (let piece = this.first(hold); piece !== NO_PIECE; piece = this.first(hold)) {
      this.remove(piece)
    }
  }

  /** Whether anything overlaps blocks [from, to) of a file; `to` may be Infinity. */
  any(inode: number, from: number, to: number): boolean {
    return this.#overlapping(inode, from, to) !== NO_PIECE
  }

  /** Shows every piece that overlaps [from, to), by its start; `to` may be Infinity. */
  overlapping(inode: number, from: number, to: number, visit: PieceVisitor): void {
    this.#walks++
    try {
      this.#walk(this.#root, inode, from, to, visit)
    } finally {
      this.#walks--
    }
  }

  /**
   * Takes [from, to) out of every piece that overlaps it, and shows each part taken out. The
   * visitor may add pieces, elsewhere.
   */
  cut(inode: number, from: number, to: number, visit: PieceVisitor): void {
    for (;;) {
      const piece = this.#overlapping(inode, from, to)
      if (piece === NO_PIECE) return
      this.#cutPiece(piece, from, to, visit)
    }
  }

  /** The same for the pieces of one hold, which are looked at one by one. */
  cutHold(hold: number, inode: number, from: number, to: number, visit: PieceVisitor): void {
    for (let piece = this.first(hold); piece !== NO_PIECE;) {
      // What a cut or its visitor adds goes to the front of the list, behind this walk.
      const next = this.next(piece)
      const overlaps =
        this.inodeOf(piece) === inode && this.startOf(piece) < to && this.endOf(piece) > from
      if (overlaps) this.#cutPiece(piece, from, to, visit)
      piece = next
    }
  }

  /** The first piece of a hold in its list, in no order; NO_PIECE if it has none. */
  first(hold: number): number {
    return this.#holds[hold] ?? NO_PIECE
  }

  next(piece: number): number {
    return this.#words[piece * PIECE_WORDS + NEXT]!
  }

  inodeOf(piece: number): number {
    return this.#words[piece * PIECE_WORDS + INODE]!
  }

  startOf(piece: number): number {
    return this.#words[piece * PIECE_WORDS + START]!
  }

  endOf(piece: number): number {
    return this.#words[piece * PIECE_WORDS + END]!
  }

  /** How many pieces a hold has. */
  piecesOf(hold: number): number {
    let count = 0
    for (let piece = this.first(hold); piece !== NO_PIECE; piece = this.next(piece)) count++
    return count
  }

  /** How many blocks they have. */
  blocksOf(hold: number): number {
    let blocks = 0
    for (let piece = this.first(hold); piece !== NO_PIECE; piece = this.next(piece)) {
      blocks += this.endOf(piece) - this.startOf(piece)
    }
    return blocks
  }

  #cutPiece(piece: number, from: number, to: number, visit: PieceVisitor): void {
    const w = piece * PIECE_WORDS
    const inode = this.#words[w + INODE]!
    const start = this.#words[w + START]!
    const end = this.#words[w + END]!
    const hold = this.#words[w + HOLD]!
    this.remove(piece)
    if (start < from) this.add(hold, inode, start, from)
    if (end > to) this.add(hold, inode, to, end)
    visit(hold, Math.max(start, from), Math.min(end, to))
  }

  /** Takes one piece out. */
  remove(piece: number): void {
    assert(this.#walks === 0, 'a visitor changes no pieces')
    this.#root = this.#removed(this.#root, piece)
    this.removals++
    this.size--
    this.#unlink(piece)
    this.#words[piece * PIECE_WORDS + NEXT] = this.#free
    this.#free = piece
  }

  #newPiece(): number {
    assert(this.#walks === 0, 'a visitor changes no pieces')
    const free = this.#free
    if (free !== NO_PIECE) {
      this.#free = this.#words[free * PIECE_WORDS + NEXT]!
      return free
    }
    const piece = this.#unused++
    this.#words = grown(this.#words, (piece + 1) * PIECE_WORDS, newWords)
    return piece
  }

  /** Puts a piece at the front of its hold's list. */
  #link(piece: number): void {
    const words = this.#words
    const w = piece * PIECE_WORDS
    const hold = words[w + HOLD]!
    this.#holds = grown(this.#holds, hold + 1, newWords)
    const first = this.#holds[hold]!
    if (first !== NO_PIECE) words[first * PIECE_WORDS + PREVIOUS] = piece
    words[w + NEXT] = first
    words[w + PREVIOUS] = NO_PIECE
    this.#holds[hold] = piece
  }

  #unlink(piece: number): void {
    const words = this.#words
    const w = piece * PIECE_WORDS
    const next = words[w + NEXT]!
    const previous = words[w + PREVIOUS]!
    if (next !== NO_PIECE) words[next * PIECE_WORDS + PREVIOUS] = previous
    if (previous !== NO_PIECE) words[previous * PIECE_WORDS + NEXT] = next
    else this.#holds[words[w + HOLD]!] = next
  }

  /** Whether the piece at word `a` stands before the one at word `b`. */
  #before(a: number, b: number): boolean {
    const words = this.#words
    if (words[a + INODE] !== words[b + INODE]) return words[a + INODE]! < words[b + INODE]!
    if (words[a + START] !== words[b + START]) return words[a + START]! < words[b + START]!
    return a < b
  }

  #insert(piece: number): void {
    const words = this.#words
    const at = piece * PIECE_WORDS
    const inode = words[at + INODE]!
    const end = words[at + END]!
    const priority = priorityOf(piece)
    // Down to where its priority puts it, by the word that points there; every piece above it has
    // it below from now on.
    let link = -1
    let tree = this.#root
    while (tree !== NO_PIECE && priorityOf(tree) > priority) {
      const w = tree * PIECE_WORDS
      if (highBefore(words, w, inode, end)) {
        words[w + HIGH_INODE] = inode
        words[w + HIGH_END] = end
      }
      link = w + (this.#before(at, w) ? LEFT : RIGHT)
      tree = words[link]!
    }
    this.#split(tree, at)
    words[at + LEFT] = this.#below
    words[at + RIGHT] = this.#above
    this.#settle(at)
    if (link < 0) this.#root = piece
    else words[link] = piece
    this.size++
  }

  /** Makes two trees of one: what stands before the piece at word `at`, and the rest. */
  #split(tree: number, at: number): void {
    if (tree === NO_PIECE) {
      this.#below = NO_PIECE
      this.#above = NO_PIECE
      return
    }
    const words = this.#words
    const w = tree * PIECE_WORDS
    if (this.#before(w, at)) {
      this.#split(words[w + RIGHT]!, at)
      words[w + RIGHT] = this.#below
      this.#settle(w)
      this.#below = tree
    } else {
      this.#split(words[w + LEFT]!, at)
      words[w + LEFT] = this.#above
      this.#settle(w)
      this.#above = tree
    }
  }

  /** The tree without a piece. */
  #removed(tree: number, piece: number): number {
    assert(tree !== NO_PIECE, 'a piece that is removed stands in the tree')
    const words = this.#words
    const w = tree * PIECE_WORDS
    if (tree === piece) return this.#joined(words[w + LEFT]!, words[w + RIGHT]!)
    const at = piece * PIECE_WORDS
    const link = w + (this.#before(at, w) ? LEFT : RIGHT)
    words[link] = this.#removed(words[link]!, piece)
    // Only where it was the highest itself is there another now.
    const highest =
      words[w + HIGH_INODE] === words[at + INODE] && words[w + HIGH_END] === words[at + END]
    if (highest) this.#settle(w)
    return tree
  }

  /** One tree of two, of which all of `left` stands before all of `right`. */
  #joined(left: number, right: number): number {
    if (left === NO_PIECE) return right
    if (right === NO_PIECE) return left
    const words = this.#words
    if (priorityOf(left) > priorityOf(right)) {
      const w = left * PIECE_WORDS
      words[w + RIGHT] = this.#joined(words[w + RIGHT]!, right)
      this.#settle(w)
      return left
    }
    const w = right * PIECE_WORDS
    words[w + LEFT] = this.#joined(left, words[w + LEFT]!)
    this.#settle(w)
    return right
  }

  /** Sets the highest end again, after something below the piece at word `w` changed. */
  #settle(w: number): void {
    const words = this.#words
    let inode = words[w + INODE]!
    let end = words[w + END]!
    for (let side = LEFT; side <= RIGHT; side++) {
      const child = words[w + side]! * PIECE_WORDS
      if (child === 0) continue
      const childInode = words[child + HIGH_INODE]!
      const childEnd = words[child + HIGH_END]!
      if (childInode > inode || (childInode === inode && childEnd > end)) {
        inode = childInode
        end = childEnd
      }
    }
    words[w + HIGH_INODE] = inode
    words[w + HIGH_END] = end
  }

  /** The first piece that overlaps a range, or NO_PIECE. */
  #overlapping(inode: number, from: number, to: number): number {
    const words = this.#words
    let tree = this.#root
    while (tree !== NO_PIECE) {
      const w = tree * PIECE_WORDS
      const left = words[w + LEFT]!
      // If the left has what ends past `from`, but nothing that overlaps, then that begins at or
      // after `to`, and so does everything to the right of it.
      if (left !== NO_PIECE && !endsBy(words, left * PIECE_WORDS, inode, from)) {
        tree = left
        continue
      }
      const own = words[w + INODE]!
      if (own > inode || (own === inode && words[w + START]! >= to)) return NO_PIECE
      if (own === inode && words[w + END]! > from) return tree
      tree = words[w + RIGHT]!
    }
    return NO_PIECE
  }

  #walk(tree: number, inode: number, from: number, to: number, visit: PieceVisitor): void {
    const words = this.#words
    while (tree !== NO_PIECE) {
      const w = tree * PIECE_WORDS
      if (endsBy(words, w, inode, from)) return
      this.#walk(words[w + LEFT]!, inode, from, to, visit)
      const own = words[w + INODE]!
      if (own > inode || (own === inode && words[w + START]! >= to)) return
      if (own === inode && words[w + END]! > from) {
        visit(words[w + HOLD]!, words[w + START]!, words[w + END]!)
      }
      tree = words[w + RIGHT]!
    }
  }

  /** Looks at every invariant; for tests, it takes as long as there are pieces. */
  assertConsistent(): void {
    let seen = 0
    let last = -1
    const holds = new Set<number>()
    const below = (tree: number): void => {
      if (tree === NO_PIECE) return
      const w = tree * PIECE_WORDS
      const words = this.#words
      const [left, right] = [words[w + LEFT]!, words[w + RIGHT]!]
      below(left)
      assert(last < 0 || this.#before(last, w), 'pieces stand in order')
      last = w
      below(right)
      for (const child of [left, right]) {
        if (child === NO_PIECE) continue
        assert(priorityOf(child) < priorityOf(tree), 'no piece has one of higher priority below')
      }
      const [inode, end] = [words[w + HIGH_INODE]!, words[w + HIGH_END]!]
      this.#settle(w)
      const same = words[w + HIGH_INODE] === inode && words[w + HIGH_END] === end
      assert(same, 'the highest end below a piece is known')
      assert(words[w + START]! < words[w + END]!, 'a piece of a hold is not empty')
      holds.add(words[w + HOLD]!)
      seen++
    }
    below(this.#root)
    assert(seen === this.size, 'all pieces stand in the tree')
    let listed = 0
    for (const hold of holds) listed += this.#assertHold(hold)
    assert(listed === seen, 'every piece is in the list of its hold')
    let free = 0
    for (let piece = this.#free; piece !== NO_PIECE; piece = this.next(piece)) free++
    assert(seen + free === this.#unused - 1, 'every piece is in the tree or free')
  }

  #assertHold(hold: number): number {
    let count = 0
    let previous = NO_PIECE
    for (let piece = this.first(hold); piece !== NO_PIECE; piece = this.next(piece)) {
      const w = piece * PIECE_WORDS
      assert(this.#words[w + HOLD] === hold, 'the list of a hold has its pieces')
      assert(this.#words[w + PREVIOUS] === previous, 'the list of a hold goes both ways')
      previous = piece
      count++
    }
    return count
  }
}

/** Whether everything below the piece at word `w` ends at or before (inode, from). */
function endsBy(words: Uint32Array, w: number, inode: number, from: number): boolean {
  const high = words[w + HIGH_INODE]!
  return high < inode || (high === inode && words[w + HIGH_END]! <= from)
}

/** Whether the highest end below the piece at word `w` is before (inode, end). */
function highBefore(words: Uint32Array, w: number, inode: number, end: number): boolean {
  const high = words[w + HIGH_INODE]!
  return high < inode || (high === inode && words[w + HIGH_END]! < end)
}
