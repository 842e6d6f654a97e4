/** What memory regions are made of: anything that says where its bytes are, each time anew. */
import type { Pieces } from './pieces.js'

/** What is done with memory, and what a region allows; numbers as ibv_access_flags have them. */
export const Access = {
  localWrite: 1,
  remoteWrite: 2,
  remoteRead: 4,
  remoteAtomic: 8,
  /** A peer may end the region with a Send with Invalidate. */
  remoteInvalidate: 16,
} as const
export type AccessName = keyof typeof Access

/** Why bytes cannot be had. 0: they can. */
export const Fault = {
  none: 0,
  /** They are not there (any more): past the end of a file. */
  bounds: 1,
  /** They are there, and not for this. */
  rights: 2,
  /** There is no room for them, or the medium failed. */
  failed: 3,
} as const
export type Fault = (typeof Fault)[keyof typeof Fault]

/**
 * Plain memory, a pinned range of a file, a range that is looked up at each access: whoever
 * implements this says what it is.
 */
export interface MemorySource {
  /** Bytes that it may have at most: no access goes past it. */
  readonly length: number
  /**
   * Adds to `pieces` where [offset, offset + length) is now, all of it and nothing else, for
   * reading, or to be stored to. What it says holds until this turn of the event loop is over,
   * whatever else is asked for meanwhile: the same memory is not other bytes then. Anything else
   * than `Fault.none` ends the stream of the peer that asked; nothing is thrown.
   */
  translate(offset: number, length: number, store: boolean, pieces: Pieces): Fault
  /**
   * The bytes that `translate` was asked for were read: whether they were what is there. They may
   * be sent from where they are without it, where a stream can do that: a fault there ends the
   * stream.
   */
  fetched?(offset: number, length: number): Fault
  /** The store that `translate` was asked for is over. */
  stored?(offset: number, length: number): void
}

export type PlainMemory = Uint8Array | ArrayBufferLike

/** Memory of this process. One that is detached, or shrinks, has no bytes there any more. */
class Plain implements MemorySource {
  readonly length: number
  readonly #bytes: Uint8Array

  constructor(memory: PlainMemory) {
    this.#bytes = memory instanceof Uint8Array ? memory : new Uint8Array(memory)
    this.length = this.#bytes.length
  }

  translate(offset: number, length: number, _store: boolean, pieces: Pieces): Fault {
    if (offset + length > this.#bytes.length) return Fault.bounds
    pieces.add(this.#bytes, offset, length)
    return Fault.none
  }
}

export const sourceOf = (memory: PlainMemory | MemorySource): MemorySource =>
  'translate' in memory ? memory : new Plain(memory)
