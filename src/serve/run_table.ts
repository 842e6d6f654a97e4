/**
 * Where blocks of a file are, by file block, as they were once: runs side by side in typed arrays,
 * found by binary search. 10^5 of them are 1.2 MB, and nothing for the garbage collector.
 *
 * Invariant: runs are sorted, not empty, and do not overlap.
 */
import type { ByteRange } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { HeldRun } from '../layout/hold.js'

/** The region block of a hole: no file has that one, which is the superblock's. */
const HOLE = 0
const RUN_WORDS = 3
const FIRST = 0
const AFTER = 1
const PLACE = 2

export class RunTable {
  count = 0
  #words: Uint32Array
  /** Where the last search has ended. */
  #last = 0

  /** `ranges`, sorted, of which `runs` are there; what is between those is holes. */
  constructor(ranges: readonly ByteRange[], runs: readonly HeldRun[]) {
    this.#words = new Uint32Array(RUN_WORDS * (2 * runs.length + ranges.length))
    let next = 0
    while (next < runs.length && runs[next]!.offset === null) next++
    for (const { offset, length } of ranges) {
      const end = (offset + length) / BLOCK_BYTES
      let block = offset / BLOCK_BYTES
      for (; next < runs.length; next++) {
        const run = runs[next]!
        const first = run.offset! / BLOCK_BYTES
        if (first >= end) break
        this.#push(block, first, HOLE)
        block = first + run.length / BLOCK_BYTES
        this.#push(first, block, run.regionOffset / BLOCK_BYTES)
      }
      this.#push(block, end, HOLE)
    }
    this.#words = this.#words.slice(0, RUN_WORDS * this.count)
  }

  #push(first: number, after: number, place: number): void {
    if (first >= after) return
    const w = RUN_WORDS * this.count++
    this.#words[w + FIRST] = first
    this.#words[w + AFTER] = after
    this.#words[w + PLACE] = place
  }

  /** Offset in the file behind the last run. */
  get end(): number {
    return this.count === 0 ? 0 : this.to(this.count - 1)
  }

  /** Offset in the file. */
  from(run: number): number {
    return this.#words[RUN_WORDS * run + FIRST]! * BLOCK_BYTES
  }

  /** The one behind it. */
  to(run: number): number {
    return this.#words[RUN_WORDS * run + AFTER]! * BLOCK_BYTES
  }

  /** Offset in the region. */
  place(run: number): number {
    return this.#words[RUN_WORDS * run + PLACE]! * BLOCK_BYTES
  }

  isHole(run: number): boolean {
    return this.#words[RUN_WORDS * run + PLACE] === HOLE
  }

  /** The first run that ends behind an offset; `count`: there is none. */
  find(offset: number): number {
    const words = this.#words
    const block = Math.floor(offset / BLOCK_BYTES)
    const w = RUN_WORDS * this.#last
    if (this.#last < this.count && words[w + FIRST]! <= block && block < words[w + AFTER]!) {
      return this.#last
    }
    let [low, high] = [0, this.count]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (words[RUN_WORDS * middle + AFTER]! <= block) low = middle + 1
      else high = middle
    }
    return (this.#last = low)
  }

  /** Blocks [from, to) of the file are not there any more. */
  cut(from: number, to: number): void {
    const old = this.#begin(this.count + 1)
    for (let w = 0; w < old.length; w += RUN_WORDS) {
      const [first, after] = [old[w + FIRST]!, old[w + AFTER]!]
      this.#keep(old, w, first, Math.min(after, from))
      this.#keep(old, w, Math.max(first, to), after)
    }
    this.#words = this.#words.slice(0, RUN_WORDS * this.count)
  }

  /**
   * Keeps what is in one of some ranges of file blocks, or, of blocks that left the file, of region
   * blocks: [from, to, from, to, …], which do not overlap.
   */
  keep(file: readonly number[], region: readonly number[]): void {
    const kept: [first: number, after: number, place: number][] = []
    const words = this.#words
    const [inFile, inRegion] = [inPairs(file), inPairs(region)]
    for (let w = 0; w < RUN_WORDS * this.count; w += RUN_WORDS) {
      const [first, after, place] = [words[w + FIRST]!, words[w + AFTER]!, words[w + PLACE]!]
      const keep = (from: number, to: number) =>
        kept.push([from, to, place === HOLE ? HOLE : place + (from - first)])
      eachWithin(inFile, first, after, keep)
      if (place === HOLE) continue
      eachWithin(inRegion, place, place + (after - first), (from, to) =>
        keep(first + (from - place), first + (to - place)),
      )
    }
    kept.sort((a, b) => a[0] - b[0])
    this.#begin(kept.length)
    for (const [first, after, place] of kept) this.#push(first, after, place)
  }

  /** Begins anew, with room for so many runs. */
  #begin(room: number): Uint32Array {
    const old = this.#words.subarray(0, RUN_WORDS * this.count)
    this.#words = new Uint32Array(RUN_WORDS * room)
    this.count = 0
    this.#last = 0
    return old
  }

  #keep(old: Uint32Array, w: number, first: number, after: number): void {
    const place = old[w + PLACE]!
    this.#push(first, after, place === HOLE ? HOLE : place + (first - old[w + FIRST]!))
  }
}

type Pair = readonly [from: number, to: number]

/** Sorted. */
function inPairs(list: readonly number[]): Pair[] {
  const pairs: Pair[] = []
  for (let i = 0; i < list.length; i += 2) pairs.push([list[i]!, list[i + 1]!])
  return pairs.sort((a, b) => a[0] - b[0])
}

/** Parts of [from, to) that are in one of the ranges, which do not overlap. */
function eachWithin(
  ranges: readonly Pair[],
  from: number,
  to: number,
  visit: (from: number, to: number) => void,
): void {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ranges[middle]![1] <= from) low = middle + 1
    else high = middle
  }
  for (let i = low; i < ranges.length && ranges[i]![0] < to; i++) {
    visit(Math.max(from, ranges[i]![0]), Math.min(to, ranges[i]![1]))
  }
}
