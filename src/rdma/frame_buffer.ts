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
 *   kept is about that long.
 */
import { assert } from '../base/errors.js'
import type { ByteStream } from '../base/byte_stream.js'
import { FpduWriter, LARGE_ULPDU, ulpduFor } from './fpdu.js'
import type { SendBuffer } from './send_buffer.js'
import type { Agreed } from './setup.js'

/** So much is framed without asking the stream for its room. */
const ASK_BYTES = 32 << 10

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
  #open = false
  #to = 0
  /** Up to where frames may be made; 0: not asked yet. */
  #limit = 0
  #kept = NONE
  #from = 0

  constructor(stream: ByteStream, agreed: Agreed, buffer: SendBuffer) {
    this.#stream = stream
    this.#agreed = agreed
    this.#buffer = buffer
    this.#writer = new FpduWriter({ crc: agreed.crc, markers: agreed.sendMarkers })
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

  /** Where the next ULPDU is made. */
  get at(): number {
    return this.#to + FpduWriter.ulpduAt
  }

  /** Whether one more frame may be made, however long it is. */
  get hasRoom(): boolean {
    if (!this.#open) return false
    if (this.#to < ASK_BYTES) return true
    if (this.#limit === 0) this.#limit = Math.min(this.bytes.length, this.#stream.room)
    return this.#to + this.#writer.bytesFor(this.ulpdu) <= this.#limit
  }

  /** Frames are made from now on; false: another connection makes its own. */
  open(): boolean {
    if (this.#buffer.taken) return false
    assert(this.#kept.length === 0, 'what is kept goes before what is made')
    this.#buffer.taken = true
    this.#open = true
    this.#limit = 0
    const { large, sendMarkers } = this.#agreed
    this.ulpdu = large ? LARGE_ULPDU : ulpduFor(this.#stream.segmentBytes, sendMarkers)
    return true
  }

  /** The ULPDU that was made at `at` is whole: it is framed. */
  seal(length: number): void {
    const frame = this.#writer.seal(this.bytes, this.#to, length)
    this.#to += frame
    this.framed += frame
  }

  /** Gives the stream what was framed. What it has no room for is kept. */
  close(): void {
    if (!this.#open) return
    const to = this.#to
    this.#open = false
    this.#buffer.taken = false
    this.#to = 0
    if (to === 0) return
    const taken = this.#send(this.bytes, 0, to)
    if (taken < to) this.#keep(this.bytes.slice(taken, to))
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
