/**
 * Long payloads of Writes and Read Responses, where there is no CRC to be looked at first: once the
 * header of such a frame has come, the stream hands over the payload straight to where it goes.
 *
 *     | length | header | payload … has come … | … is to come | pad, CRC | next frame
 *       staged, placed by a copy                 in place        staged: header of the next one
 *
 * Invariants:
 * - where it goes is asked anew each time that some of it comes: what was invalidated meanwhile
 *   gets none of it;
 * - nothing is placed before the whole payload was found to be welcome.
 */
import type { ByteStream } from '../base/byte_stream.js'
import { FpduWriter, type FpduReader } from './fpdu.js'
import type { Receiver } from './receiver.js'
import { Segment } from './segment.js'
import type { SendQueue } from './send_queue.js'
import type { Shared } from './shared.js'
import { isTagged, Opcode, TaggedHeader } from './wire/ddp.js'

/** What is behind one: the end of its frame, and the header of the next. */
export const HEADER_ROOM = 64
/** Parts that a stream takes in one call, but for one of this side. */
const PARTS_MAX = 1023

const AT = FpduWriter.ulpduAt
const BEGINNING = AT + TaggedHeader.size

export class LongPayload {
  /** Bytes of `staging` that came behind it. */
  behind = 0
  /** What is to come, as a segment of its own; none: it has no payload. */
  readonly rest = new Segment()
  readonly #stream: ByteStream
  readonly #reader: FpduReader
  readonly #receiver: Receiver
  readonly #work: SendQueue
  readonly #shared: Shared

  constructor(
    stream: ByteStream,
    reader: FpduReader,
    receiver: Receiver,
    work: SendQueue,
    shared: Shared,
  ) {
    this.#stream = stream
    this.#reader = reader
    this.#receiver = receiver
    this.#work = work
    this.#shared = shared
  }

  get active(): boolean {
    return this.rest.payloadLength > 0
  }

  /**
   * Whether the frame that has begun to come has such a payload: what has come of it is placed
   * then. `segment` is its header. Throws a ProtocolError, or an UnfitError.
   */
  begin(segment: Segment): boolean {
    const reader = this.#reader
    const { begun, begunBytes } = reader
    if (begun < BEGINNING || this.#stream.receiveParts === undefined) return false
    if (!isTagged(begunBytes[AT]!)) return false
    const ulpdu = (begunBytes[0]! << 8) | begunBytes[1]!
    const left = AT + ulpdu - begun
    if (left <= 0 || left < this.#shared.receiveCopyBelow) return false
    segment.read(begunBytes, AT, ulpdu)
    // The answer to an RTR is to have none.
    if (segment.opcode === Opcode.readResponse && this.#work.readyReads > 0) return false
    this.#receiver.findPlace(segment)
    const { last } = segment
    this.rest.parse(begunBytes.slice(AT, BEGINNING), 0, TaggedHeader.size)
    const come = begun - BEGINNING
    if (come > 0) {
      segment.cut(come, false)
      this.#receiver.findPlace(segment).write(segment.bytes, segment.payload)
      this.#receiver.placed(segment)
    }
    this.rest.goOn(come, left, last)
    reader.leave(left)
    return true
  }

  /**
   * Receives more of it, and what is behind it. Returns as ByteStream.receive. Throws a
   * ProtocolError, or an UnfitError.
   */
  receive(): number {
    const { rest } = this
    const { payloadLength: wanted, last } = rest
    this.behind = 0
    const pieces = this.#receiver.findPlace(rest)
    if (pieces.count < PARTS_MAX) pieces.add(this.#shared.staging, 0, HEADER_ROOM)
    const count = this.#stream.receiveParts!(pieces.list, Math.min(pieces.count, PARTS_MAX))
    if (count <= 0) return count
    const placed = Math.min(count, wanted)
    rest.cut(placed, last && placed === wanted)
    this.#receiver.placed(rest)
    rest.goOn(placed, wanted - placed, last)
    this.behind = count - placed
    return count
  }

  /** The rest is nobody's. */
  drop(): void {
    this.rest.cut(0, true)
  }
}
