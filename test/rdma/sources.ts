/** Parts of files of a volume as sources of memory regions, as a server makes them. */
import { BLOCK_BYTES } from '../../src/base/limits.js'
import type { LayoutFile } from '../../src/layout/file.js'
import type { Hold } from '../../src/layout/hold.js'
import type { MemoryId } from '../../src/native/native.js'
import { Fault, type MemorySource, type Pieces } from '../../src/rdma/index.js'

interface Run {
  /** In the source. */
  readonly from: number
  readonly length: number
  readonly regionOffset: number
}

/**
 * What a hold covers, as it was when it was taken: the blocks stay where they are as long as it
 * does, whatever becomes of the file.
 */
export class HeldRange implements MemorySource {
  readonly length: number
  readonly #memory: MemoryId
  readonly #runs: readonly Run[]

  constructor(memory: MemoryId, hold: Hold) {
    let from = 0
    this.#memory = memory
    this.#runs = hold.runs().map(({ regionOffset, length }) => {
      const run = { from, length, regionOffset }
      from += length
      return run
    })
    this.length = from
  }

  translate(offset: number, length: number, _store: boolean, pieces: Pieces): Fault {
    const end = offset + length
    for (const run of this.#runs) {
      const from = Math.max(offset, run.from)
      const to = Math.min(end, run.from + run.length)
      if (from < to) pieces.add(this.#memory, run.regionOffset + from - run.from, to - from)
    }
    return Fault.none
  }
}

/** What holes have. */
const ZEROS = new Uint8Array(1 << 16)

/**
 * A file that is looked up at each access: it has no bytes past its end, holes are zeros to who
 * reads and get blocks when they are written to, and blocks that it shares it has to itself first.
 */
export class FollowedFile implements MemorySource {
  readonly length: number
  readonly #memory: MemoryId
  readonly #file: LayoutFile

  constructor(memory: MemoryId, file: LayoutFile, length: number) {
    this.#memory = memory
    this.#file = file
    this.length = length
  }

  translate(offset: number, length: number, store: boolean, pieces: Pieces): Fault {
    try {
      if (offset + length > this.#file.stat().size) return Fault.bounds
      if (store) this.#own(offset, offset + length)
      this.#look(offset, length, pieces)
      return Fault.none
    } catch {
      return Fault.failed
    }
  }

  /** A write of what is there already gets a file each block for itself alone. */
  #own(from: number, to: number): void {
    const byte = new Uint8Array(1)
    for (let at = from; at < to; at = (Math.floor(at / BLOCK_BYTES) + 1) * BLOCK_BYTES) {
      this.#file.read(byte, at)
      this.#file.write(byte, at)
    }
  }

  #look(offset: number, length: number, pieces: Pieces): void {
    const end = offset + length
    let at = offset
    for (const { fileBlock, regionBlock, count } of this.#file.extents().extents) {
      const from = Math.max(at, fileBlock * BLOCK_BYTES)
      const to = Math.min(end, (fileBlock + count) * BLOCK_BYTES)
      if (from >= to) continue
      addZeros(pieces, from - at)
      pieces.add(
        this.#memory,
        regionBlock * BLOCK_BYTES + from - fileBlock * BLOCK_BYTES,
        to - from,
      )
      at = to
    }
    addZeros(pieces, end - at)
  }
}

function addZeros(pieces: Pieces, length: number): void {
  for (let left = length; left > 0; left -= ZEROS.length) {
    pieces.add(ZEROS, 0, Math.min(left, ZEROS.length))
  }
}
