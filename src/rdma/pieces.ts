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
  /** Three elements each, as streams take them: memory, offset, length. */
  readonly list: (number | Uint8Array)[] = []

  clear(): void {
    this.count = 0
  }

  /** Lets go of all memory that was named. */
  forget(): void {
    this.count = 0
    this.list.length = 0
  }

  /** `length` bytes at `offset` of a memory, or of a byte array. */
  add(memory: MemoryId | Uint8Array, offset: number, length: number): void {
    const at = 3 * this.count++
    this.list[at] = memory
    this.list[at + 1] = offset
    this.list[at + 2] = length
  }

  addAll(other: Pieces): void {
    const { list } = other
    for (let i = 0; i < other.count; i++) {
      const length = list[3 * i + 2] as number
      this.add(list[3 * i] as MemoryId | Uint8Array, list[3 * i + 1] as number, length)
    }
  }

  /** Bytes in all pieces. */
  get bytes(): number {
    return this.bytesFrom(0)
  }

  /** Bytes in that piece and those behind it. */
  bytesFrom(index: number): number {
    let sum = 0
    for (let i = index; i < this.count; i++) sum += this.#lengthOf(i)
    return sum
  }

  /** Copies what is there to `target`, from `start` on. */
  read(target: Uint8Array, start: number): void {
    let at = start
    for (let i = 0; i < this.count; i++) {
      const length = this.#lengthOf(i)
      this.#copy(i, 0, target, at, length)
      at += length
    }
  }

  /** A copy of bytes [from, to) of all. */
  slice(from: number, to: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(to - from)
    let at = 0
    for (let i = 0; i < this.count; i++) {
      const length = this.#lengthOf(i)
      const first = Math.max(from, at)
      const count = Math.min(to, at + length) - first
      if (count > 0) this.#copy(i, first - at, bytes, first - from, count)
      at += length
    }
    return bytes
  }

  #copy(index: number, from: number, target: Uint8Array, start: number, count: number): void {
    const memory = this.#memoryOf(index)
    const offset = this.#offsetOf(index) + from
    if (typeof memory === 'number') native.copyOut(memory, offset, target, start, count)
    else native.copyBytes(target, start, memory, offset, count)
  }

  /** Copies bytes there, from `start` of `source` on. An aligned word is one store. */
  write(source: Uint8Array, start: number): void {
    if (this.count === 1 && this.#lengthOf(0) === WORD_BYTES && this.#storeWord(source, start)) {
      return
    }
    let at = start
    for (let i = 0; i < this.count; i++) {
      const memory = this.#memoryOf(i)
      const length = this.#lengthOf(i)
      if (typeof memory === 'number') {
        native.copyIn(memory, this.#offsetOf(i), source, at, length)
      } else {
        native.copyBytes(memory, this.#offsetOf(i), source, at, length)
      }
      at += length
    }
  }

  #memoryOf(index: number): MemoryId | Uint8Array {
    return this.list[3 * index] as MemoryId | Uint8Array
  }

  #offsetOf(index: number): number {
    return this.list[3 * index + 1] as number
  }

  #lengthOf(index: number): number {
    return this.list[3 * index + 2] as number
  }

  #storeWord(source: Uint8Array, start: number): boolean {
    const memory = this.#memoryOf(0)
    const offset = this.#offsetOf(0)
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
    const memory = this.#memoryOf(0)
    const offset = this.#offsetOf(0)
    if (typeof memory === 'number') return native.atomic8(memory, offset, operation, change)
    return native.atomic8Of(memory, offset, operation, change)
  }
}

const littleEndian = (bytes: Uint8Array, at: number) =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
