/**
 * Where a run of bytes is: pieces of memories of the addon, or of byte arrays, one behind the
 * other.
 *
 * One object is used over and over: what it says is good until it is filled again, and is acted on
 * before anybody else runs. So no access is ever under way when something else changes what memory
 * belongs to.
 */
import { native, type MemoryId } from '../native/native.js'

/** A machine's word: what is stored as one, when it is aligned. */
const WORD_BYTES = 8

export class Pieces {
  count = 0
  readonly #memories: (MemoryId | Uint8Array)[] = []
  readonly #offsets: number[] = []
  readonly #lengths: number[] = []

  clear(): void {
    this.count = 0
  }

  /** `length` bytes at `offset` of a memory, or of a byte array. */
  add(memory: MemoryId | Uint8Array, offset: number, length: number): void {
    const i = this.count++
    this.#memories[i] = memory
    this.#offsets[i] = offset
    this.#lengths[i] = length
  }

  /** Bytes in all pieces. */
  get bytes(): number {
    let sum = 0
    for (let i = 0; i < this.count; i++) sum += this.#lengths[i]!
    return sum
  }

  /** Copies what is there to `target`, from `start` on. */
  read(target: Uint8Array, start: number): void {
    let at = start
    for (let i = 0; i < this.count; i++) {
      const memory = this.#memories[i]!
      const length = this.#lengths[i]!
      if (typeof memory === 'number') {
        native.copyOut(memory, this.#offsets[i]!, target, at, length)
      } else {
        native.copyBytes(target, at, memory, this.#offsets[i]!, length)
      }
      at += length
    }
  }

  /** Copies bytes there, from `start` of `source` on. An aligned word is one store. */
  write(source: Uint8Array, start: number): void {
    if (this.count === 1 && this.#lengths[0] === WORD_BYTES && this.#storeWord(source, start)) {
      return
    }
    let at = start
    for (let i = 0; i < this.count; i++) {
      const memory = this.#memories[i]!
      const length = this.#lengths[i]!
      if (typeof memory === 'number') {
        native.copyIn(memory, this.#offsets[i]!, source, at, length)
      } else {
        native.copyBytes(memory, this.#offsets[i]!, source, at, length)
      }
      at += length
    }
  }

  #storeWord(source: Uint8Array, start: number): boolean {
    const memory = this.#memories[0]!
    const offset = this.#offsets[0]!
    const low = littleEndian(source, start)
    const high = littleEndian(source, start + 4)
    if (typeof memory !== 'number') return native.store8Of(memory, offset, low, high)
    if (offset % WORD_BYTES !== 0) return false
    native.store8(memory, offset, low, high)
    return true
  }

  /** Changes one word (native.atomic8). False: it is not aligned, or in two pieces. */
  change(operation: 0 | 2, change: Uint32Array): boolean {
    if (this.count !== 1) return false
    const memory = this.#memories[0]!
    const offset = this.#offsets[0]!
    if (typeof memory === 'number') return native.atomic8(memory, offset, operation, change)
    return native.atomic8Of(memory, offset, operation, change)
  }
}

const littleEndian = (bytes: Uint8Array, at: number) =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
