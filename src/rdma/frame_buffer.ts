/**
 * Frames on their way to the stream.
 *
 *     the device's buffer   | framed … | room
 *     kept of the last one  | from … waits for the stream |
 *
 * Invariants:
 * - frames are made in the buffer of the device, between `open` and `close`, and handed over before
 *   others make theirs: a connection keeps what its stream did not take, and nothing else;
 * - no more is framed at a time than the stream says it has room for, but for one frame: what is
 *   kept is about that long;
 * - with a CRC, a payload is copied, and the CRC is of the copy. Without, a long one is taken by
 *   the stream from where it is, before `close` returns; what it does not take is copied then, and
 *   where that faults the stream ends in front of it.
 */
import { assert, HoldfastError } from '../base/errors.js'
import type { ByteStream } from '../base/byte_stream.js'
import { native } from '../native/native.js'
import { FpduWriter, LARGE_ULPDU, ulpduFor } from './fpdu.js'
import { Pieces } from './pieces.js'
import type { SendBuffer } from './send_buffer.js'
import type { Agreed } from './setup.js'
import type { Shared } from './shared.js'

/** So much is framed without asking the stream for its room. */
const ASK_BYTES = 32 << 10
/** Of one call of the stream, where payloads are sent from where they are. */
const BATCH_BYTES = 1 << 20
/** Parts that a stream takes in one call are 1024 at most; a frame names at most so many. */
const PARTS_MAX = 512

const NONE = new Uint8Array(0)

export class FrameBuffer {
  /** Of the stream: bytes that were framed, that were taken, and calls for that. */
  framed = 0
  handed = 0
  sends = 0
  /** Bytes of the longest ULPDU, header and payload. */
  ulpdu = 0
  readonly #stream: ByteStream
  readonly #agreed: Agreed
  readonly #buffer: SendBuffer
  readonly #writer: FpduWriter
  readonly #copyBelow: number
  #open = false
  #to = 0
  /** Up to where frames may be made; 0: not asked yet. */
  #limit = 0
  #kept = NONE
  #from = 0
  /** Bytes that were framed since `open`. */
  #batch = 0
  /** Where payloads are that were not copied, with what of the buffer is around them. */
  readonly #parts = new Pieces()
  /** Those of the payload that is to be framed next; null: it was copied. */
  #placed: Pieces | null = null
  /** What of the buffer is not yet among the parts begins here. */
  #partsTo = 0
  /** The stream takes parts, and what stands in the frames but the payloads is zero. */
  readonly #byName: boolean

  constructor(stream: ByteStream, agreed: Agreed, shared: Shared) {
    this.#stream = stream
    this.#agreed = agreed
    this.#buffer = shared.sendBuffer
    this.#copyBelow = shared.sendCopyBelow
    this.#writer = new FpduWriter({ crc: agreed.crc, markers: agreed.sendMarkers })
    this.#byName = !agreed.crc && !agreed.sendMarkers && stream.sendParts !== undefined
  }

  /** Whether the stream has all that was framed. */
  get empty(): boolean {
    return this.#to === 0 && this.#kept.length === 0
  }

  get bytes(): Uint8Array {
    return this.#buffer.bytes
  }

  get view(): DataView {
    return this.#buffer.view
  }

  /** Whether payloads wait that were not copied. */
  get names(): boolean {
    return this.#parts.count > 0
  }

  /** Where the next ULPDU is made. */
  get at(): number {
    return this.#to + FpduWriter.ulpduAt
  }

  /** Whether one more frame may be made, however long it is. */
  get hasRoom(): boolean {
    if (!this.#open) return false
    if (this.#batch < ASK_BYTES) return true
    if (this.#limit === 0) this.#limit = Math.min(BATCH_BYTES, this.#stream.room)
    const most = this.#writer.bytesFor(this.ulpdu)
    const fits = this.#to + most <= this.bytes.length && this.#parts.count < PARTS_MAX
    return fits && this.#batch + most <= this.#limit
  }

  /** Frames are made from now on; false: another connection makes its own. */
  open(): boolean {
    if (this.#buffer.taken) return false
    assert(this.#kept.length === 0, 'what is kept goes before what is made')
    this.#buffer.taken = true
    this.#open = true
    this.#limit = 0
    this.#batch = 0
    this.#partsTo = 0
    const { large, sendMarkers } = this.#agreed
    this.ulpdu = large ? LARGE_ULPDU : ulpduFor(this.#stream.segmentBytes, sendMarkers)
    return true
  }

  /** The ULPDU that was made at `at` is whole: it is framed. */
  seal(length: number): void {
    const frame = this.#writer.seal(this.bytes, this.#to, length)
    this.#to += frame
    this.#batch += frame
    this.framed += frame
  }

  /**
   * `count` bytes of payload are in `pieces`: they are copied behind a header, or will be named.
   */
  place(header: number, pieces: Pieces, count: number): void {
    const copied = !this.#byName || count < this.#copyBelow || pieces.count > PARTS_MAX
    this.#placed = copied ? null : pieces
    if (copied && count > 0) pieces.read(this.bytes, this.at + header)
  }

  /** That header was made at `at`: with the payload that was placed, it is framed. */
  sealPlaced(header: number, count: number): void {
    const pieces = this.#placed
    if (pieces === null) return this.seal(header + count)
    const payload = this.at + header
    this.#parts.add(this.bytes, this.#partsTo, payload - this.#partsTo)
    this.#parts.addAll(pieces)
    this.#partsTo = payload
    const around = this.#writer.sealAround(this.bytes, this.#to, header, count)
    this.#to += around
    this.#batch += around + count
    this.framed += around + count
  }

  /** Gives the stream what was framed. What it has no room for is kept. */
  close(): void {
    if (!this.#open) return
    const to = this.#to
    this.#open = false
    this.#buffer.taken = false
    this.#to = 0
    if (this.#parts.count > 0) return this.#handParts(to)
    if (to === 0) return
    const taken = this.#send(this.bytes, 0, to)
    if (taken < to) this.#keep(this.bytes.slice(taken, to))
  }

  #handParts(to: number): void {
    const parts = this.#parts
    if (to > this.#partsTo) parts.add(this.bytes, this.#partsTo, to - this.#partsTo)
    try {
      const taken = this.#stream.sendParts!(parts.list, parts.count)
      this.sends++
      this.handed += taken
      if (taken < this.#batch) this.#keepParts(taken)
    } finally {
      parts.forget()
    }
  }

  /** Memory that was lost reads as zeros: nobody is sent those. The stream stops in front of it. */
  #keepParts(taken: number): void {
    const faults = native.faultCounter[0]
    const rest = this.#parts.slice(taken, this.#batch)
    if (native.faultCounter[0] !== faults) {
      throw new HoldfastError('EIO', 'memory that was to be sent cannot be read')
    }
    this.#keep(rest)
  }

  /** Gives the stream what is kept; false: it has no room for all of it. */
  hand(): boolean {
    const kept = this.#kept
    if (kept.length === 0) return true
    this.#from += this.#send(kept, this.#from, kept.length - this.#from)
    if (this.#from < kept.length) return false
    this.drop()
    return true
  }

  /** What was framed is not sent any more. */
  drop(): void {
    this.#to = 0
    this.#parts.forget()
    this.#buffer.kept -= this.#kept.length
    this.#kept = NONE
  }

  #send(bytes: Uint8Array, start: number, length: number): number {
    const taken = this.#stream.send(bytes, start, length)
    this.sends++
    this.handed += taken
    return taken
  }

  #keep(bytes: Uint8Array<ArrayBuffer>): void {
    this.#kept = bytes
    this.#from = 0
    this.#buffer.kept += bytes.length
  }
}
