/**
 * What a power cut may leave of the stores of a region: the model of the medium.
 *
 * 'flush' (persistent memory): a line that is stored may reach the medium at any time. It is
 * durable for certain when it was written back (or streamed) after its last store and a fence came
 * later; until then it is pending, also through any number of fences that came without a flush. A
 * power cut leaves each pending unit as it was or as any store since has made it; units are lines
 * of 64 bytes (what the caches move) and words of 8 (what is never torn).
 *
 * 'sync' (a page cache): a page may be written back at any time; all are durable after `sync`, and
 * neither flush nor fence means anything.
 */
import type { RegionListener, TracedRegion } from '../../src/region/traced_region.js'

export const LINE = 64
export const WORD = 8
export const PAGE = 4096

/** A unit that is not certain: its place, and what it may hold besides what is durable. */
export interface Pending {
  readonly offset: number
  readonly versions: readonly Uint8Array[]
}

interface PendingLine {
  /** Content after each store since it was last durable. */
  readonly versions: Uint8Array[]
  flushed: boolean
}

export class Medium implements RegionListener {
  /** What is certain: kept up to date in place. */
  readonly durable: Uint8Array
  readonly #region: TracedRegion
  readonly #onWindow: () => void
  readonly #onDurable: (offset: number, length: number) => void
  readonly #lines = new Map<number, PendingLine>()
  /** Everything stored, replayed: what the live region must equal. */
  readonly replayed: Uint8Array
  readonly #unit: number
  fences = 0

  /**
   * `onWindow`: a fence or sync is about to make things certain; look at `pending` now.
   * `onDurable`: a range of `durable` has changed.
   */
  constructor(
    region: TracedRegion,
    durable: Uint8Array,
    onWindow: () => void,
    onDurable: (offset: number, length: number) => void,
  ) {
    this.#region = region
    this.durable = durable
    durable.set(region.u8)
    this.replayed = region.u8.slice()
    this.#onWindow = onWindow
    this.#onDurable = onDurable
    this.#unit = region.persistence === 'sync' ? PAGE : LINE
  }

  beforeStore(): void {}

  stored(offset: number, length: number, streamed: boolean): void {
    const { u8 } = this.#region
    this.replayed.set(u8.subarray(offset, offset + length), offset)
    const unit = this.#unit
    for (let at = offset - (offset % unit); at < offset + length; at += unit) {
      let line = this.#lines.get(at)
      if (line === undefined) {
        line = { versions: [], flushed: false }
        this.#lines.set(at, line)
      }
      line.versions.push(u8.slice(at, at + unit))
      line.flushed = streamed
    }
  }

  flushed(offset: number, length: number): void {
    if (this.#unit === PAGE) return
    for (let at = offset - (offset % LINE); at < offset + length; at += LINE) {
      const line = this.#lines.get(at)
      if (line !== undefined) line.flushed = true
    }
  }

  fenced(): void {
    if (this.#unit === PAGE) return
    this.fences++
    this.#onWindow()
    for (const [at, line] of this.#lines) if (line.flushed) this.#settle(at, line)
  }

  synced(): void {
    if (this.#unit !== PAGE) return this.fenced()
    this.fences++
    this.#onWindow()
    for (const [at, line] of this.#lines) this.#settle(at, line)
  }

  #settle(at: number, line: PendingLine): void {
    this.durable.set(line.versions[line.versions.length - 1]!, at)
    this.#lines.delete(at)
    this.#onDurable(at, this.#unit)
  }

  /** Units that a cut now leaves in doubt, at a grain of lines (or pages), those that differ. */
  pending(): Pending[] {
    const result: Pending[] = []
    for (const [offset, { versions }] of this.#lines) {
      const different = distinct(this.durable.subarray(offset, offset + this.#unit), versions)
      if (different.length > 0) result.push({ offset, versions: different })
    }
    return result
  }

  /** The same at a grain of 8-byte words. */
  pendingWords(): Pending[] {
    const result: Pending[] = []
    for (const [at, { versions }] of this.#lines) {
      for (let offset = at; offset < at + this.#unit; offset += WORD) {
        const words = versions.map((v) => v.subarray(offset - at, offset - at + WORD))
        const different = distinct(this.durable.subarray(offset, offset + WORD), words)
        if (different.length > 0) result.push({ offset, versions: different })
      }
    }
    return result
  }
}

function distinct(durable: Uint8Array, versions: readonly Uint8Array[]): Uint8Array[] {
  const result: Uint8Array[] = []
  for (const version of versions) {
    if (Buffer.compare(version, durable) === 0) continue
    if (!result.some((other) => Buffer.compare(other, version) === 0)) result.push(version)
  }
  return result
}
