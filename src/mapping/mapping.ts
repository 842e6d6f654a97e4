/**
 * A mapping of a file: ArrayBuffers over its blocks, kept true while the file changes.
 *
 * Invariants:
 * - an address of the mapping leads to the block that the file has there, or to zeros of its own;
 *   it never leads to a block that has left the file;
 * - an ArrayBuffer is detached when a block under it left the file; holes under a mapping that is
 *   not for writing are the exception: zeros is what the file has there;
 * - what is behind the last block of the file counts as a hole, even where blocks wait for it.
 */
import { constants } from 'node:buffer'
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { FileMapping } from '../base/mapping.js'
import type { Fault } from '../native/native.js'
import { isAccess, isPoison } from '../region/faults.js'
import type { DeviceSync, Mappable } from '../region/region.js'
import { Stitch, type Walk } from './stitch.js'

/** Windows begin at multiples of this, so that typed arrays and Atomics find their alignment. */
const WINDOW_ALIGNMENT = 8
/** Ways for an ArrayBuffer to give its memory away, as far as the engine has them. */
const TRANSFERS = ['transfer', 'transferToFixedLength', 'transferToImmutable'] as const

/** Where an ArrayBuffer over a mapping begins. */
const places = new WeakMap<
  ArrayBufferLike,
  { readonly mapping: Mapping; readonly offset: number }
>()

/** The mapping that an ArrayBuffer is a window of, and its first byte there. */
export const placeOf = (buffer: ArrayBufferLike) => places.get(buffer)

/** The file under a mapping. */
export interface MappedFile {
  /** EDEADLK in the middle of a call of the volume. */
  demandOutside(): void
  /** Blocks that hold bytes of the file: its size, rounded up. */
  blocks(): number
  readonly walk: Walk
  /** The layout is another one: `persist` makes it durable, too. */
  changed(): void
  /** Writes back, or drops, what this side has cached of bytes of the file (Region.coherent). */
  device(what: DeviceSync, offset: number, length: number): void
  /** The medium has lost what was in file blocks [from, to). */
  poisoned(from: number, to: number): void
  /** Runs a flush of stores; when it fails the medium has failed for the volume, too. */
  persist(flush: () => void): void
  /** The mapping is done with the file. */
  release(): void
}

export interface MappedRange {
  readonly offset: number
  readonly byteLength: number
  readonly write: boolean
  readonly populate: boolean
}

export class Mapping implements FileMapping {
  readonly offset: number
  readonly byteLength: number
  readonly writable: boolean
  readonly #file: MappedFile
  readonly #stitch: Stitch
  /** Bytes of the stitched run before the mapping: the grain begins earlier than `offset`. */
  readonly #before: number
  #whole: ArrayBuffer | null = null
  /** Why nothing can be had from it any more. */
  #ended: string | null = null
  #released = false
  /** Blocks left the file, and holes may be where they were. */
  #punched = false
  /** Blocks that were given up. */
  readonly #givenUp: [from: number, to: number][] = []

  constructor(region: Mappable, file: MappedFile, range: MappedRange) {
    this.offset = range.offset
    this.byteLength = range.byteLength
    this.writable = range.write
    this.#file = file
    const from = Math.floor(range.offset / BLOCK_BYTES)
    const end = Math.ceil((range.offset + range.byteLength) / BLOCK_BYTES)
    this.#stitch = new Stitch(region, file.walk, from, end, range)
    this.#before = range.offset - this.#stitch.first * BLOCK_BYTES
  }

  get buffer(): ArrayBuffer {
    if (this.#whole === null || this.#whole.byteLength === 0) {
      this.#whole = this.window(0, this.byteLength)
    }
    return this.#whole
  }

  window(offset: number, length: number): ArrayBuffer {
    this.#enter(offset, length)
    if (offset % WINDOW_ALIGNMENT !== 0) {
      throw new HoldfastError('EINVAL', `a window at ${offset}: not a multiple of 8`)
    }
    this.#checkThere(offset, length)
    this.check()
    if (length > constants.MAX_LENGTH) {
      throw new HoldfastError(
        'EFBIG',
        `an ArrayBuffer of ${length} bytes: this engine allows ${constants.MAX_LENGTH} at most; ` +
          'use windows: mapping.window(offset, length)',
      )
    }
    const buffer = untransferable(this.#stitch.view(this.#before + offset, length))
    places.set(buffer, { mapping: this, offset })
    return buffer
  }

  persist(offset = 0, length = this.byteLength - offset): void {
    this.#enter(offset, length)
    this.#checkThere(offset, length)
    this.check()
    if (length === 0) return
    this.#file.persist(() => this.#stitch.persist(this.#before + offset, length))
  }

  flush(offset = 0, length = this.byteLength - offset): void {
    this.#enter(offset, length)
    this.#file.device('flush', this.offset + offset, length)
  }

  invalidate(offset = 0, length = this.byteLength - offset): void {
    this.#enter(offset, length)
    this.#file.device('invalidate', this.offset + offset, length)
  }

  check(): void {
    if (this.#ended !== null) return
    this.#file.demandOutside()
    const told = this.#stitch.faults()
    for (const each of told) if (isPoison(each)) this.#poisoned(each)
    const fault = told.filter(isAccess).at(-1)
    if (fault === undefined) return
    const at = this.offset - this.#before + fault.offset
    // A page of zeros stands where it happened; what was stored there is gone with it.
    if (!this.#replace(this.#stitch.first, this.#stitch.end)) return
    if (fault.signal === 'SIGSEGV' && !this.writable) {
      throw new HoldfastError(
        'EACCES',
        `a store to a mapping that is not for writing, near byte ${at} of the file, was dropped; ` +
          'map it with { write: true }',
      )
    }
    throw new HoldfastError(
      'EIO',
      `${fault.signal} (code ${fault.code}) near byte ${at} of the file: the medium failed there, ` +
        'or the region was cut short',
    )
  }

  #poisoned({ offset, length }: Fault): void {
    const from = this.#stitch.first + Math.floor(offset / BLOCK_BYTES)
    this.#file.poisoned(from, Math.min(this.#stitch.end, from + Math.ceil(length / BLOCK_BYTES)))
  }

  unmap(): void {
    if (!this.#released) this.#file.demandOutside()
    this.end('the mapping was unmapped')
    this.release()
  }

  [Symbol.dispose](): void {
    this.unmap()
  }

  // ---- what the volume calls ------------------------------------------------------------------

  /** Blocks of [from, to) are about to leave the file: zeros instead, at once. Never throws. */
  blocksLeave(from: number, to: number): void {
    if (this.#ended !== null) return
    try {
      this.#stitch.blank(from, to)
    } catch (error) {
      this.end(`the mapping could not follow its file: ${(error as Error).message}`)
    }
  }

  /** The file has other blocks in [from, to) than before, or another size. Never throws. */
  layoutChanged(from: number, to: number): void {
    if (this.#ended !== null) return
    const first = Math.max(from, this.#stitch.first)
    const end = Math.min(to, this.#stitch.end)
    if (first >= end) return
    this.#file.changed()
    this.#replace(first, end)
  }

  /**
   * File blocks [from, to) are not mapped any more: zeros, and every ArrayBuffer over them is
   * detached. EINVAL where a page has other blocks, too.
   */
  giveUp(from: number, to: number): void {
    const first = Math.max(from, this.#stitch.first)
    const end = Math.min(to, this.#stitch.end)
    if (this.#ended !== null || first >= end) return
    if (this.#stitch.shares(first, end)) {
      throw new HoldfastError('EINVAL', `blocks ${from} to ${to} share a page with others: widen`)
    }
    this.#givenUp.push([first, end])
    this.blocksLeave(first, end)
    if (this.#alive) this.#stitch.detach(first, end)
  }

  /** Cuts it off from the region and detaches every ArrayBuffer. Never throws. */
  end(why: string): void {
    if (this.#ended !== null) return
    this.#ended = why
    this.#stitch.unmap()
  }

  /** Gives the file back. */
  release(): void {
    if (this.#released) return
    this.#released = true
    this.#file.release()
  }

  get #alive(): boolean {
    return this.#ended === null
  }

  /** Puts in place what the file has now. False: it cannot be had, and the mapping has ended. */
  #replace(from: number, to: number): boolean {
    try {
      this.#stitch.place(from, to)
      this.#detachLost(from, to)
      return true
    } catch (error) {
      // Half in place: whatever it was, none of it may be reached any more.
      this.end(`the mapping could not follow its file: ${(error as Error).message}`)
      return false
    }
  }

  /** Detaches what has nothing of the file under it. */
  #detachLost(from: number, to: number): void {
    const { walk } = this.#file
    const blocks = this.#file.blocks()
    const lose = (first: number, end: number) => {
      this.#punched = true
      this.#stitch.detach(first, end)
    }
    if (to > blocks) lose(Math.max(from, blocks), to)
    if (!this.writable || from >= blocks) return
    walk(from, Math.min(to, blocks), (fileBlock, regionBlock, count) => {
      if (regionBlock === 0) lose(fileBlock, fileBlock + count)
    })
  }

  #enter(offset: number, length: number): void {
    if (this.#ended !== null) throw new HoldfastError('ESTALE', this.#ended)
    this.#file.demandOutside()
    const good = Number.isSafeInteger(offset) && Number.isSafeInteger(length)
    if (good && offset >= 0 && length >= 0 && offset + length <= this.byteLength) return
    throw new HoldfastError(
      'EINVAL',
      `${length} bytes at ${offset} of a mapping of ${this.byteLength} bytes`,
    )
  }

  /** ESTALE when a part of the range is no longer in the file. */
  #checkThere(offset: number, length: number): void {
    const from = Math.floor((this.offset + offset) / BLOCK_BYTES)
    const end = Math.ceil((this.offset + offset + length) / BLOCK_BYTES)
    const blocks = this.#file.blocks()
    if (end > blocks) {
      throw new HoldfastError(
        'ESTALE',
        `the file has ${blocks} blocks now, the range ends at ${end}`,
      )
    }
    if (this.#givenUp.some(([first, last]) => first < end && last > from)) {
      throw new HoldfastError('ESTALE', 'a part of the range was given back')
    }
    if (!this.writable || !this.#punched) return
    // Blocks that were another's as well when they went may be the file's alone by now.
    if (!this.#replace(from, end)) throw new HoldfastError('ESTALE', this.#ended!)
    this.#file.walk(from, end, (fileBlock, regionBlock) => {
      if (regionBlock !== 0) return
      throw new HoldfastError(
        'ESTALE',
        `block ${fileBlock} of the file is a hole now; map it again`,
      )
    })
  }
}

/**
 * Never moved to another place: structuredClone and postMessage refuse it (Node 20 copies), as they
 * do every ArrayBuffer of the addon, and so do its own methods. Who takes them from the prototype
 * gets memory that no detach reaches; it still becomes zeros where the file loses its blocks.
 *
 * Not marked with markAsUntransferable(): from Node 24 on that sets a key without which the engine
 * refuses to detach.
 */
function untransferable(buffer: ArrayBuffer): ArrayBuffer {
  for (const name of TRANSFERS) {
    if (!(name in buffer)) continue
    const refuse = () => {
      throw new HoldfastError(
        'EPERM',
        `${name}() of a mapped file's ArrayBuffer; slice() copies it`,
      )
    }
    Object.defineProperty(buffer, name, { value: refuse })
  }
  return buffer
}
