/**
 * One request and the reply to it, in memory of the addon:
 *
 *     0          4096-80     4096                  1 MiB more    a page more
 *     |            | request   | bytes of a WRITE  |             | header | reply ...
 *
 * A request is read so that the bytes of a WRITE, which come after two headers of 40 bytes, begin
 * a page: they can be stored from there without a copy before. The data of a reply begins a page,
 * too. One object serves many requests, one after the other.
 *
 * Numbers of 64 bits are two words, low first; as one number they are below 2^53, or cut.
 */
import { HoldfastError } from '../base/errors.js'
import { native, type MemoryId } from '../native/native.js'
import { InHeader, OutHeader } from './wire/header.js'

const PAGE = 4096
/** Bytes of one READ or WRITE. */
export const DATA_BYTES_MAX = 1 << 20
const REQUEST_AT = PAGE - 80
const REQUEST_BYTES = DATA_BYTES_MAX + 80
/** Where what follows a request's header begins. */
const BODY_AT = REQUEST_AT + InHeader.size
const REPLY_AT = PAGE + DATA_BYTES_MAX + PAGE - OutHeader.size
const REPLY_BODY_AT = REPLY_AT + OutHeader.size
/** A listing of a directory, or an attribute, is no longer than data. */
const BYTES = REPLY_BODY_AT + DATA_BYTES_MAX + PAGE

const BODY_WORD = BODY_AT / 4
const REPLY_WORD = REPLY_BODY_AT / 4
const IN = REQUEST_AT / 4
const OUT = REPLY_AT / 4
const TWO_32 = 0x1_0000_0000
const inWord = InHeader.word
const outWord = OutHeader.word

export class Exchange {
  readonly memory: MemoryId
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly #words: Uint32Array<ArrayBuffer>
  /** Bytes of the request. */
  #length = 0
  /** Given up: by whom the request is carried out, is told. */
  abort: AbortController | null = null
  /** It was answered though it is not at its end. */
  given = false

  constructor() {
    this.memory = native.anonymous(Math.ceil(BYTES / PAGE) * PAGE)
    const buffer = native.view(this.memory, 0, BYTES)
    this.bytes = new Uint8Array(buffer)
    this.#words = new Uint32Array(buffer)
  }

  close(): void {
    native.unmap(this.memory)
  }

  /** The next request of a device. Bytes; 0: there is none; -errno. */
  take(device: Parameters<typeof native.readRequest>[0]): number {
    this.#length = native.readRequest(device, this.memory, REQUEST_AT, REQUEST_BYTES)
    return this.#length
  }

  // ---- the request -----------------------------------------------------------------------------

  get opcode(): number {
    return this.#words[IN + inWord.opcode]!
  }

  /** Names the request. */
  get unique(): number {
    return this.#words[IN + inWord.unique]! + this.#words[IN + inWord.unique + 1]! * TWO_32
  }

  get node(): number {
    return this.#words[IN + inWord.nodeid]!
  }

  get uid(): number {
    return this.#words[IN + inWord.uid]!
  }

  get gid(): number {
    return this.#words[IN + inWord.gid]!
  }

  get pid(): number {
    return this.#words[IN + inWord.pid]!
  }

  /** A word of the structure that follows the header, by its index. */
  u32(word: number): number {
    return this.#words[BODY_WORD + word]!
  }

  u64(word: number): number {
    return this.#words[BODY_WORD + word]! + this.#words[BODY_WORD + word + 1]! * TWO_32
  }

  /** A place in a file that is about to have bytes there: EFBIG for one that no file has. */
  place(word: number): number {
    const place = this.u64(word)
    if (place <= Number.MAX_SAFE_INTEGER) return place
    throw new HoldfastError('EFBIG', `byte ${place}: no file is so long`)
  }

  /** With a sign. */
  i64(word: number): number {
    return this.#words[BODY_WORD + word]! + (this.#words[BODY_WORD + word + 1]! | 0) * TWO_32
  }

  /** The text that begins at byte `at` of what follows the header, ended by a zero. */
  text(at: number): Uint8Array {
    const start = BODY_AT + at
    const end = this.bytes.indexOf(0, start)
    if (end < 0 || end >= REQUEST_AT + this.#length) {
      throw new HoldfastError('EPROTO', 'a name that does not end')
    }
    return this.bytes.subarray(start, end)
  }

  /** Bytes of what follows the header, as they are until the next request. */
  data(at: number, length: number): Uint8Array {
    if (InHeader.size + at + length > this.#length) {
      throw new HoldfastError('EPROTO', `${length} bytes that are not there`)
    }
    return this.bytes.subarray(BODY_AT + at, BODY_AT + at + length)
  }

  // ---- the reply -------------------------------------------------------------------------------

  /** A word of what the reply says. */
  put32(word: number, value: number): void {
    this.#words[REPLY_WORD + word] = value
  }

  put64(word: number, value: number): void {
    this.#words[REPLY_WORD + word] = value % TWO_32
    this.#words[REPLY_WORD + word + 1] = Math.floor(value / TWO_32)
  }

  /** Zeros for a structure, part of which is put. */
  clear(at: number, length: number): void {
    this.bytes.fill(0, REPLY_BODY_AT + at, REPLY_BODY_AT + at + length)
  }

  putBytes(at: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, REPLY_BODY_AT + at)
  }

  /** Where up to `length` bytes of the reply are put. */
  room(length: number): Uint8Array {
    return this.bytes.subarray(REPLY_BODY_AT, REPLY_BODY_AT + Math.min(length, DATA_BYTES_MAX))
  }

  /** The header of a reply with `length` bytes; `errno` 0: it was done. */
  #head(length: number, errno: number): void {
    const words = this.#words
    words[OUT + outWord.len] = OutHeader.size + length
    words[OUT + outWord.error] = -errno
    words[OUT + outWord.unique] = words[IN + inWord.unique]!
    words[OUT + outWord.unique + 1] = words[IN + inWord.unique + 1]!
  }

  /** Answers with `length` bytes that were put, or with an error. 0, or the errno of the device. */
  reply(device: Parameters<typeof native.writeReply>[0], length: number, errno = 0): number {
    this.#head(length, errno)
    const { memory } = this
    return native.writeReply(device, memory, REPLY_AT, OutHeader.size + length, memory, 0, 0)
  }

  /** Answers with bytes that stand elsewhere. */
  replyWith(
    device: Parameters<typeof native.writeReply>[0],
    memory: MemoryId,
    offset: number,
    length: number,
  ): number {
    this.#head(length, 0)
    return native.writeReply(device, this.memory, REPLY_AT, OutHeader.size, memory, offset, length)
  }

  /** The same in several parts, of which the first is left free for the header. */
  replyWithParts(
    device: Parameters<typeof native.writeReply>[0],
    parts: (number | Uint8Array)[],
    count: number,
    length: number,
  ): number {
    this.#head(length, 0)
    parts[0] = this.memory
    parts[1] = REPLY_AT
    parts[2] = OutHeader.size
    return native.writeReplyParts(device, parts, count)
  }
}
