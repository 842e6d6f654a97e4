/**
 * Frames that wait for the stream to take them.
 *
 *     taken … | from … waits … | to … the next frame … | room
 *
 * Invariant: a connection has a buffer only while there is something in it.
 */
import type { ByteStream } from '../base/byte_stream.js'
import type { Buffers } from './buffers.js'
import { FpduWriter, LARGE_ULPDU, ulpduFor } from './fpdu.js'
import type { Agreed } from './setup.js'

export class FrameBuffer {
  /** What frames are made in, and its bytes; good while there is a buffer. */
  bytes: Uint8Array = new Uint8Array(0)
  view: DataView = new DataView(this.bytes.buffer)
  /** Of the stream: bytes that were framed, that were taken, and calls for that. */
  framed = 0
  handed = 0
  sends = 0
  /** Bytes of the longest ULPDU, header and payload. */
  ulpdu = 0
  readonly #stream: ByteStream
  readonly #agreed: Agreed
  readonly #buffers: Buffers
  readonly #writer: FpduWriter
  #borrowed = false
  #from = 0
  #to = 0

  constructor(stream: ByteStream, agreed: Agreed, buffers: Buffers) {
    this.#stream = stream
    this.#agreed = agreed
    this.#buffers = buffers
    this.#writer = new FpduWriter({ crc: agreed.crc, markers: agreed.sendMarkers })
  }

  /** Whether the stream has all that was framed. */
  get empty(): boolean {
    return this.#from === this.#to
  }

  /** Where the next ULPDU is made. */
  get at(): number {
    return this.#to + FpduWriter.ulpduAt
  }

  /** Whether one more frame has room, however long it is. */
  get hasRoom(): boolean {
    return this.#borrowed && this.#to + this.#writer.bytesFor(this.ulpdu) <= this.bytes.length
  }

  /** There is a buffer from now on. */
  open(): void {
    if (this.#borrowed) return
    const { bytes, view } = this.#buffers.borrow()
    this.bytes = bytes
    this.view = view
    this.#borrowed = true
    const { large, sendMarkers } = this.#agreed
    this.ulpdu = large ? LARGE_ULPDU : ulpduFor(this.#stream.segmentBytes, sendMarkers)
  }

  /** The ULPDU that was made at `at` is whole: it is framed. */
  seal(length: number): void {
    const frame = this.#writer.seal(this.bytes, this.#to, length)
    this.#to += frame
    this.framed += frame
  }

  /** Gives the stream what waits; false: it has no room for all of it. */
  hand(): boolean {
    const wanted = this.#to - this.#from
    const taken = this.#stream.send(this.bytes, this.#from, wanted)
    this.sends++
    this.#from += taken
    this.handed += taken
    if (taken < wanted) return false
    this.#from = this.#to = 0
    return true
  }

  /** There is no buffer any more, and nothing in it. */
  close(): void {
    this.#from = this.#to = 0
    if (!this.#borrowed) return
    this.#borrowed = false
    this.#buffers.giveBack(this.bytes)
  }
}
