/**
 * Where connections of a device make their frames, one at a time: what a stream does not take at
 * once is kept elsewhere, and exactly as long as it is.
 */

/** Bytes: a batch of frames as long as frames get. */
const SEND_BUFFER_BYTES = 512 << 10

export class SendBuffer {
  readonly bytes = new Uint8Array(SEND_BUFFER_BYTES)
  readonly view = new DataView(this.bytes.buffer)
  /** Some connection makes frames in it. */
  taken = false
  /** Bytes that connections keep until their streams have room. */
  kept = 0
}
