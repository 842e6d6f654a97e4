/**
 * The medium as fsck sees it: the region, and over it the pages that log records change. Nothing is
 * ever stored into the region.
 *
 * - A read never throws. What cannot be read is a finding and reads as zeros, which no structure
 *   is.
 * - Pages changed by replay are copies in memory: at most one for each block of the region.
 */
import type { Bytes } from '../base/bytes.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { Region } from '../region/region.js'
import { placeOf, type Findings } from './codes.js'

/** What is read of a region: a repair has its draft checked in the place of one. */
export type Readable = Pick<Region, 'path' | 'byteLength' | 'read' | 'check'>

/** CRC32C of a range, continued from `seed`. */
export type Crc32cOf = (bytes: Uint8Array, start: number, length: number, seed: number) => number

/** A buffer to read structures into, looked at as bytes and words. */
export class Scratch implements Bytes {
  u8: Uint8Array
  u32: Uint32Array
  readonly #crc32cOf: Crc32cOf

  constructor(bytes: number, crc32cOf: Crc32cOf) {
    this.u8 = new Uint8Array(bytes)
    this.u32 = new Uint32Array(this.u8.buffer)
    this.#crc32cOf = crc32cOf
  }

  crc32c(offset: number, length: number, seed: number): number {
    return this.#crc32cOf(this.u8, offset, length, seed) >>> 0
  }

  /** Makes room for `bytes`; what was in it is lost. */
  require(bytes: number): void {
    if (bytes <= this.u8.length) return
    this.u8 = new Uint8Array((bytes + 3) & ~3)
    this.u32 = new Uint32Array(this.u8.buffer)
  }
}

export class Medium {
  /** Blocks that replay changed, and where in `#pages` their content is. */
  readonly overlay = new Map<number, number>()
  /** A read failed: what follows from the zeros in its place is not the volume's doing. */
  faulted = false
  readonly #findings: Findings
  readonly #pages: Uint8Array[] = []
  #region: Readable | undefined

  constructor(findings: Findings) {
    this.#findings = findings
  }

  reset(region: Readable): void {
    this.#region = region
    this.overlay.clear()
    this.faulted = false
  }

  /** Lets go of the region. */
  release(): void {
    this.#region = undefined
  }

  /** Copies `length` bytes at `offset` of `block`; they do not leave the block. */
  read(block: number, offset: number, target: Uint8Array, start: number, length: number): void {
    if (this.overlay.size > 0) {
      const page = this.overlay.get(block)
      if (page !== undefined) {
        target.set(this.#pages[page]!.subarray(offset, offset + length), start)
        return
      }
    }
    this.readHome(block, offset, target, start, length)
  }

  /** The same past the overlay, over as many blocks as it takes: superblocks and the log. */
  readHome(block: number, offset: number, target: Uint8Array, start: number, length: number): void {
    try {
      this.#region!.read(block * BLOCK_BYTES + offset, target, start, length)
    } catch (error) {
      target.fill(0, start, start + length)
      this.faulted = true
      this.#findings.add('block-unreadable', placeOf('region', block, offset), String(error))
    }
  }

  /** The page of `block` in the overlay, copied there first when it is not. */
  overlaid(block: number): Uint8Array {
    const known = this.overlay.get(block)
    if (known !== undefined) return this.#pages[known]!
    const index = this.overlay.size
    const page = (this.#pages[index] ??= new Uint8Array(BLOCK_BYTES))
    this.readHome(block, 0, page, 0, BLOCK_BYTES)
    this.overlay.set(block, index)
    return page
  }

  /** Faults that no call reported: memory that failed under a copy. */
  checkFaults(): void {
    try {
      this.#region!.check()
    } catch (error) {
      this.faulted = true
      this.#findings.add('region-fault', `region '${this.#region!.path}'`, String(error))
    }
  }
}
