/**
 * What a hold covers of its file: ranges of blocks, holes among them, and where the blocks are.
 *
 * Invariant: ranges and extents are in file order, neither empty nor overlapping; extents lie
 * within the ranges.
 */
import type { Extent } from '../base/filesystem.js'
import type { ByteRange } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { sizeOf } from './wire.js'

/** File blocks [from, to). */
type Blocks = readonly [from: number, to: number]

export interface Part extends ByteRange {
  readonly extents: readonly Extent[]
}

/** The blocks that bytes touch. */
export function blocksOf({ offset, length }: ByteRange): Blocks {
  const first = sizeOf(offset, 'offset')
  const end = first + sizeOf(length, 'length')
  const from = Math.floor(first / BLOCK_BYTES)
  return [from, end === first ? from : Math.ceil(end / BLOCK_BYTES)]
}

export class Covered {
  readonly extents: readonly Extent[]
  /** Something was taken from it. */
  readonly partial: boolean
  readonly #ranges: readonly Blocks[]

  private constructor(ranges: readonly Blocks[], extents: readonly Extent[], partial: boolean) {
    this.#ranges = ranges
    this.extents = extents
    this.partial = partial
  }

  /** As it was granted. */
  static of(range: ByteRange, extents: readonly Extent[]): Covered {
    const [from, to] = blocksOf(range)
    return new Covered(from < to ? [[from, to]] : [], extents, false)
  }

  get empty(): boolean {
    return this.#ranges.length === 0
  }

  /** First byte. */
  get offset(): number {
    return (this.#ranges[0]?.[0] ?? 0) * BLOCK_BYTES
  }

  /** Bytes from the first to the last. */
  get length(): number {
    return (this.#ranges.at(-1)?.[1] ?? 0) * BLOCK_BYTES - this.offset
  }

  /** What is covered, each range in bytes. */
  get ranges(): ByteRange[] {
    return this.#ranges.map(([from, to]) => {
      return { offset: from * BLOCK_BYTES, length: (to - from) * BLOCK_BYTES }
    })
  }

  /** All of it, in order, each part with so many extents at most. */
  parts(most: number): Part[] {
    const parts: Part[] = []
    let at = 0
    for (const [first, end] of this.#ranges) {
      for (let from = first; from < end;) {
        const start = at
        while (at < start + most && (this.extents[at]?.fileBlock ?? end) < end) at++
        const next = this.extents[at]?.fileBlock ?? end
        const { fileBlock, count } = this.extents[at - 1] ?? { fileBlock: from, count: 0 }
        const to = next < end ? fileBlock + count : end
        const range = { offset: from * BLOCK_BYTES, length: (to - from) * BLOCK_BYTES }
        parts.push({ ...range, extents: this.extents.slice(start, at) })
        from = to
      }
    }
    return parts
  }

  /** Whether all these bytes are. */
  covers(offset: number, length: number): boolean {
    for (const [from, to] of this.#ranges) {
      if (offset >= from * BLOCK_BYTES && offset + length <= to * BLOCK_BYTES) return true
    }
    return length === 0 && this.empty
  }

  /** What is left without blocks [from, to); the same one where there is nothing of them. */
  without(from: number, to: number): Covered {
    if (!this.#ranges.some(([first, end]) => first < to && end > from)) return this
    const ranges: Blocks[] = []
    for (const [first, end] of this.#ranges) {
      if (first < Math.min(end, from)) ranges.push([first, Math.min(end, from)])
      if (Math.max(first, to) < end) ranges.push([Math.max(first, to), end])
    }
    const extents: Extent[] = []
    for (const extent of this.extents) {
      const { fileBlock: first, count } = extent
      const end = first + count
      const before = Math.min(end, from) - first
      if (before > 0) extents.push({ ...extent, count: before })
      const skipped = Math.max(first, to) - first
      if (skipped >= count) continue
      const regionBlock = extent.regionBlock + skipped
      extents.push({ ...extent, fileBlock: first + skipped, regionBlock, count: count - skipped })
    }
    return new Covered(ranges, extents, true)
  }
}
