/**
 * The frame table: how many holds and transfers under way cover each block. It is to the region
 * what struct page is to memory: whatever the layers above believe, a block that it counts is not
 * handed out and not freed.
 *
 * A run that covers a whole group of 512 blocks counts there, once; only its ends count block by
 * block, in chunks that are made when first touched: 2 bytes a block, and 4 once a count asks for
 * it.
 *
 * Invariants:
 * - the count of a block is its own and its group's together;
 * - `distinct` is how many blocks have a count;
 * - a drop takes away what adds have put there, no more; its runs may be cut elsewhere than theirs,
 *   as a hold comes back in parts and its blocks may have moved to limbo in others.
 */
import { assert } from '../base/errors.js'
import { GROUP_BLOCKS } from './free_map.js'

const CHUNK_GROUPS = 8
const CHUNK_BLOCKS = CHUNK_GROUPS * GROUP_BLOCKS
const NARROW_MAX = 0xffff
const COUNT_MAX = 0xffff_ffff

type Chunk = Uint16Array | Uint32Array

export class Frames {
  /** Blocks with a count. */
  distinct = 0
  /** Length of the run found by `runAt`. */
  count = 0

  readonly #groups: number
  /** Of whole groups; made with the first count. */
  #whole = new Uint32Array(0)
  /** Blocks of a group that have a count of their own. */
  #own = new Uint16Array(0)
  readonly #chunks: (Chunk | undefined)[] = []
  #chunkBytes = 0

  constructor(blockCount: number) {
    this.#groups = Math.ceil(blockCount / GROUP_BLOCKS)
  }

  /** Bytes of memory that it takes. */
  get byteLength(): number {
    return this.#whole.byteLength + this.#own.byteLength + this.#chunkBytes
  }

  /** Counts a run once more; returns how many of its blocks had no count. */
  add(start: number, count: number): number {
    if (this.#whole.length === 0) {
      this.#whole = new Uint32Array(this.#groups)
      this.#own = new Uint16Array(this.#groups)
    }
    let fresh = 0
    for (let block = start, end = start + count; block < end;) {
      const group = Math.floor(block / GROUP_BLOCKS)
      const next = Math.min(end, (group + 1) * GROUP_BLOCKS)
      const n = next - block
      if (n === GROUP_BLOCKS) {
        const had = this.#whole[group]!
        assert(had < COUNT_MAX, 'a count of the frame table does not overflow')
        this.#whole[group] = had + 1
        if (had === 0) fresh += n - this.#own[group]!
      } else fresh += this.#addOwn(group, block, next)
      block = next
    }
    this.distinct += fresh
    return fresh
  }

  #addOwn(group: number, from: number, to: number): number {
    let counts = this.#chunk(group)
    const base = from - (from % CHUNK_BLOCKS)
    let fresh = 0
    let i = from - base
    if (counts instanceof Uint16Array) {
      for (let had = 0; i < to - base && (had = counts[i]!) < NARROW_MAX; i++) {
        counts[i] = had + 1
        if (had === 0) fresh++
      }
    }
    for (; i < to - base; i++) {
      const had = counts[i]!
      if (had === NARROW_MAX) counts = this.#wide(group)
      assert(had < COUNT_MAX, 'a count of the frame table does not overflow')
      counts[i] = had + 1
      if (had === 0) fresh++
    }
    this.#own[group]! += fresh
    return this.#whole[group] === 0 ? fresh : 0
  }

  /** Counts a run once less; returns how many of its blocks have no count any more. */
  drop(start: number, count: number): number {
    let gone = 0
    for (let block = start, end = start + count; block < end;) {
      const group = Math.floor(block / GROUP_BLOCKS)
      const next = Math.min(end, (group + 1) * GROUP_BLOCKS)
      const n = next - block
      if (n === GROUP_BLOCKS && this.#whole[group]! > 0) {
        if (--this.#whole[group]! === 0) gone += n - this.#own[group]!
      } else gone += this.#dropOwn(group, block, next)
      block = next
    }
    this.distinct -= gone
    return gone
  }

  #dropOwn(group: number, from: number, to: number): number {
    let counts = this.#chunk(group)
    const base = from - (from % CHUNK_BLOCKS)
    let gone = 0
    let i = from - base
    if (counts instanceof Uint16Array) {
      for (let had = 0; i < to - base && (had = counts[i]!) > 0; i++) {
        counts[i] = had - 1
        if (had === 1) gone++
      }
    }
    for (; i < to - base; i++) {
      if (counts[i] === 0) {
        // Those of this run that had none left have one again.
        this.#breakUp(group)
        counts = this.#chunk(group)
        gone = 0
      }
      assert(counts[i]! > 0, 'only what was counted is taken away')
      if (--counts[i]! === 0) gone++
    }
    this.#own[group]! -= gone
    return this.#whole[group] === 0 ? gone : 0
  }

  /** Counts a whole group that was counted once block by block, where part of it is to go. */
  #breakUp(group: number): void {
    if (this.#whole[group] === 0) return
    this.#whole[group]!--
    let counts = this.#chunk(group)
    const base = (group % CHUNK_GROUPS) * GROUP_BLOCKS
    for (let i = base; i < base + GROUP_BLOCKS; i++) {
      if (counts[i] === NARROW_MAX) counts = this.#wide(group)
      assert(counts[i]! < COUNT_MAX, 'a count of the frame table does not overflow')
      counts[i]!++
    }
    this.#own[group] = GROUP_BLOCKS
  }

  #chunk(group: number): Chunk {
    const index = Math.floor(group / CHUNK_GROUPS)
    return this.#chunks[index] ?? this.#put(index, new Uint16Array(CHUNK_BLOCKS))
  }

  /** The chunk of a group, with room for counts as high as they come. */
  #wide(group: number): Chunk {
    const index = Math.floor(group / CHUNK_GROUPS)
    const counts = this.#chunk(group)
    return counts instanceof Uint32Array ? counts : this.#put(index, new Uint32Array(counts))
  }

  #put(index: number, counts: Chunk): Chunk {
    const { length } = this.#chunks
    for (let i = length; i < index; i++) this.#chunks.push(undefined)
    this.#chunkBytes += counts.byteLength - (this.#chunks[index]?.byteLength ?? 0)
    this.#chunks[index] = counts
    return counts
  }

  /** How many cover a block. */
  of(block: number): number {
    if (this.distinct === 0) return 0
    const group = Math.floor(block / GROUP_BLOCKS)
    const whole = this.#whole[group]!
    return this.#own[group] === 0 ? whole : whole + this.#ownOf(group, block)
  }

  #ownOf(group: number, block: number): number {
    return this.#chunks[Math.floor(group / CHUNK_GROUPS)]![block % CHUNK_BLOCKS]!
  }

  held(block: number): boolean {
    return this.of(block) !== 0
  }

  /** Whether any block of a run has a count. */
  any(start: number, count: number): boolean {
    if (this.distinct === 0) return false
    return this.runAt(start, count) || this.count < count
  }

  /**
   * The run that begins at `start`, at most `most` blocks, whose blocks all have a count, or all
   * have none: which, is the result; `count` is its length.
   */
  runAt(start: number, most: number): boolean {
    const held = this.held(start)
    const end = start + most
    this.count = most
    if (this.distinct === 0) return false
    for (let block = start; block < end;) {
      const group = Math.floor(block / GROUP_BLOCKS)
      const next = Math.min(end, (group + 1) * GROUP_BLOCKS)
      const whole = this.#whole[group]! > 0
      if (whole || this.#own[group] === 0) {
        if (whole !== held) return this.#found(held, block - start)
      } else {
        for (let b = block; b < next; b++) {
          if (this.#ownOf(group, b) > 0 !== held) return this.#found(held, b - start)
        }
      }
      block = next
    }
    return held
  }

  /**
   * Runs of [start, end), held or not, counted from the end, up to `most`: where that many begin.
   */
  reach(start: number, end: number, most: number): number {
    if (this.distinct === 0) return start
    let state = this.held(end - 1)
    let left = most
    for (let block = end - 1; block > start;) {
      const group = Math.floor(block / GROUP_BLOCKS)
      const first = Math.max(start, group * GROUP_BLOCKS)
      const same = this.#whole[group]! > 0 || this.#own[group] === 0
      const held = this.held(block)
      if (held !== state) {
        if (--left === 0) return block + 1
        state = held
      }
      block = same ? first - 1 : block - 1
    }
    if (this.held(start) !== state && left === 1) return start + 1
    return start
  }

  #found(held: boolean, count: number): boolean {
    this.count = count
    return held
  }
}
