/**
 * XDR (RFC 4506), as far as the control protocol needs it: big-endian, each item in whole words of
 * four bytes.
 *
 * Invariants:
 * - the reader never looks past its end, and what it returns was there: whatever is not well formed
 *   is EPROTO, padding that is not zero and bytes left over too;
 * - numbers are exact: an unsigned hyper of 2^53 or more is refused in both directions.
 */
import { assert, HoldfastError } from '../base/errors.js'

const WORD = 4
const HYPER = 0x1_0000_0000
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()

const padded = (length: number) => (length + WORD - 1) & -WORD

/** Items one behind the other, in memory that is used again after `reset`. */
export class XdrWriter {
  /** Bytes written. */
  length = 0
  #bytes: Uint8Array
  #view: DataView

  constructor(bytes = 1024) {
    this.#bytes = new Uint8Array(bytes)
    this.#view = new DataView(this.#bytes.buffer)
  }

  /** Begins anew, behind `skip` bytes that the caller fills. */
  reset(skip = 0): void {
    this.length = 0
    this.#room(skip)
    this.length = skip
  }

  /** What was written; good until the next call. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.length)
  }

  u32(value: number): void {
    assert(value >>> 0 === value, 'an unsigned int of the protocol has 32 bits')
    const at = this.#room(WORD)
    this.#view.setUint32(at, value)
  }

  /** A word that was written before. */
  u32At(at: number, value: number): void {
    assert(at + WORD <= this.length, 'a word is set again where one was written')
    this.#view.setUint32(at, value)
  }

  /** An unsigned hyper. */
  size(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, 'an unsigned hyper is a safe integer')
    const at = this.#room(2 * WORD)
    this.#view.setUint32(at, Math.floor(value / HYPER))
    this.#view.setUint32(at + WORD, value >>> 0)
  }

  /** A hyper. */
  long(value: number): void {
    assert(Number.isSafeInteger(value), 'a hyper is a safe integer')
    const at = this.#room(2 * WORD)
    this.#view.setInt32(at, Math.floor(value / HYPER))
    this.#view.setUint32(at + WORD, value >>> 0)
  }

  opaque(value: Uint8Array): void {
    this.u32(value.length)
    this.fixed(value)
  }

  /** Opaque data whose length both sides know. */
  fixed(value: Uint8Array): void {
    const at = this.#room(padded(value.length))
    this.#bytes.set(value, at)
    this.#bytes.fill(0, at + value.length, this.length)
  }

  text(value: string): void {
    this.opaque(encoder.encode(value))
  }

  /** Opaque data of `length` bytes at most, that `fill` puts in; it returns how many it were. */
  filled(length: number, fill: (target: Uint8Array) => number): void {
    this.u32(0)
    const at = this.#room(length)
    const count = fill(this.#bytes.subarray(at, at + length))
    assert(count >= 0 && count <= length, 'what was filled in has room')
    this.length = at
    this.#room(padded(count))
    this.#bytes.fill(0, at + count, this.length)
    this.#view.setUint32(at - WORD, count)
  }

  #room(bytes: number): number {
    const at = this.length
    const needed = at + bytes
    if (needed > this.#bytes.length) {
      const more = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
      more.set(this.#bytes.subarray(0, at))
      this.#bytes = more
      this.#view = new DataView(more.buffer)
    }
    this.length = needed
    return at
  }
}

/** Items of a message, in order. */
export class XdrReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  u32(): number {
    return this.#word(this.#take(WORD)) >>> 0
  }

  /** An unsigned hyper. */
  size(): number {
    const at = this.#take(2 * WORD)
    const value = (this.#word(at) >>> 0) * HYPER + (this.#word(at + WORD) >>> 0)
    if (!Number.isSafeInteger(value)) throw malformed('a number of 2^53 or more')
    return value
  }

  /** A hyper. */
  long(): number {
    const at = this.#take(2 * WORD)
    const value = this.#word(at) * HYPER + (this.#word(at + WORD) >>> 0)
    if (!Number.isSafeInteger(value)) throw malformed('a number beyond 2^53')
    return value
  }

  /** The bytes themselves, not a copy. */
  opaque(most: number): Uint8Array {
    const length = this.u32()
    if (length > most) throw malformed(`${length} bytes where ${most} are allowed`)
    return this.fixed(length)
  }

  fixed(length: number): Uint8Array {
    const at = this.#take(padded(length))
    for (let i = at + length; i < this.#at; i++) {
      if (this.#bytes[i] !== 0) throw malformed('padding that is not zero')
    }
    return this.#bytes.subarray(at, at + length)
  }

  text(most: number): string {
    const bytes = this.opaque(most)
    try {
      return utf8.decode(bytes)
    } catch {
      throw malformed('text that is no UTF-8')
    }
  }

  /** How many items of a list follow. */
  count(most: number): number {
    const count = this.u32()
    if (count > most) throw malformed(`a list of ${count} where ${most} are allowed`)
    return count
  }

  /** Nothing is left over. */
  end(): void {
    const left = this.#bytes.length - this.#at
    if (left !== 0) throw malformed(`${left} bytes too many`)
  }

  /** Byte by byte: a view of each message takes longer than the words of most. */
  #word(at: number): number {
    const bytes = this.#bytes
    return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!
  }

  #take(bytes: number): number {
    const at = this.#at
    if (at + bytes > this.#bytes.length) throw malformed('it ends too early')
    this.#at = at + bytes
    return at
  }
}

export const malformed = (what: string) =>
  new HoldfastError('EPROTO', `a message of the control protocol: ${what}`)
