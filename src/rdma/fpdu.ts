/**
 * MPA's frames (RFC 5044, section 4): a ULPDU with its length in front, padded to four bytes, and a
 * CRC32C behind; markers every 512 bytes of the stream where the receiver wants them.
 *
 *     [marker] | ULPDU_Length | ULPDU … | [marker] … | PAD | CRC |
 *
 * Invariants:
 * - a frame is a multiple of four bytes, so that a marker never cuts the length or the CRC in two;
 * - a marker says how far back the length of its frame is; one between two frames is the next one's
 *   and says 0;
 * - the CRC is of everything before it, markers too; it goes least significant byte first, the one
 *   little-endian field of the protocol;
 * - no ULPDU is handed on before its CRC was found good.
 */
import { native } from '../native/native.js'
import { ProtocolError } from './protocol_error.js'
import { MpaError } from './wire/terminate.js'

const LENGTH_BYTES = 2
const CRC_BYTES = 4
const MARKER_BYTES = 4
const MARKER_EVERY = 512
export const ULPDU_MAX = 0xffff
/** Where both ends take frames longer than a TCP segment: a payload of whole cache lines. */
export const LARGE_ULPDU = 65_472 + 18
/** Below it no segment pays (RFC 5044, 3.1). */
const ULPDU_LEAST = 128
/** Of Ethernet, where nobody says what it is. */
const SEGMENT_BYTES_DEFAULT = 1448
const HOLD_LEAST = 4096

/** Bytes of PAD behind a ULPDU. */
const padOf = (ulpdu: number) => (4 - ((ulpdu + LENGTH_BYTES) & 3)) & 3

/** Bytes of a frame without markers. */
export const fpduBytes = (ulpdu: number) => LENGTH_BYTES + ulpdu + padOf(ulpdu) + CRC_BYTES

/** MULPDU: the longest ULPDU whose frame is one TCP segment (RFC 5044, 4.5). */
export function ulpduFor(segmentBytes: number | null, markers: boolean): number {
  const emss = segmentBytes ?? SEGMENT_BYTES_DEFAULT
  const marks = markers ? MARKER_BYTES * Math.ceil(emss / MARKER_EVERY) : 0
  const most = emss - (LENGTH_BYTES + CRC_BYTES + marks + (emss % 4))
  return Math.max(ULPDU_LEAST, Math.min(most, LARGE_ULPDU))
}

/** Markers that a frame of so many bytes without them has at most. */
const markersAtMost = (plain: number) => 1 + Math.ceil(plain / (MARKER_EVERY - MARKER_BYTES))

/** Bytes of the longest frame. */
const FRAME_MAX = fpduBytes(ULPDU_MAX) + markersAtMost(fpduBytes(ULPDU_MAX)) * MARKER_BYTES

export interface FramingOptions {
  readonly crc: boolean
  readonly markers: boolean
}

/** Makes frames of ULPDUs. */
export class FpduWriter {
  /** Where the ULPDU goes in what is given to `seal`. */
  static readonly ulpduAt = LENGTH_BYTES
  readonly #crc: boolean
  readonly #markers: boolean
  /** Of the stream so far, modulo the distance of markers. */
  #position = 0

  constructor({ crc, markers }: FramingOptions) {
    this.#crc = crc
    this.#markers = markers
  }

  /** Most bytes that a frame of such a ULPDU has. */
  bytesFor(ulpdu: number): number {
    const plain = fpduBytes(ulpdu)
    const markers = this.#markers ? markersAtMost(plain) : 0
    return plain + markers * MARKER_BYTES
  }

  /**
   * Completes the frame at `start` of `bytes`, where a ULPDU of so many bytes stands behind two
   * free ones. There is room for `bytesFor`. Returns the bytes of the frame.
   */
  seal(bytes: Uint8Array, start: number, ulpdu: number): number {
    const plain = fpduBytes(ulpdu)
    bytes[start] = ulpdu >>> 8
    bytes[start + 1] = ulpdu & 0xff
    bytes.fill(0, start + LENGTH_BYTES + ulpdu, start + plain)
    const length = this.#markers ? this.#insertMarkers(bytes, start, plain) : plain
    if (this.#crc) putCrc(bytes, start, length - CRC_BYTES)
    return length
  }

  /**
   * As `seal`, without CRC and markers, of a payload that stands elsewhere: `header` bytes of the
   * ULPDU are there. Returns the bytes around the payload.
   */
  sealAround(bytes: Uint8Array, start: number, header: number, payload: number): number {
    const ulpdu = header + payload
    const around = fpduBytes(ulpdu) - payload
    bytes[start] = ulpdu >>> 8
    bytes[start + 1] = ulpdu & 0xff
    bytes.fill(0, start + LENGTH_BYTES + header, start + around)
    return around
  }

  /** Moves what stands there apart, the last part first; returns the length with markers. */
  #insertMarkers(bytes: Uint8Array, start: number, plain: number): number {
    const first = this.#position
    const markers = markersIn(first, plain)
    const length = plain + markers * MARKER_BYTES
    const header = first === 0 ? MARKER_BYTES : 0
    let from = plain
    let end = length
    for (let marker = lastMarker(first, length); marker >= 0; marker -= MARKER_EVERY) {
      const part = end - (marker + MARKER_BYTES)
      from -= part
      bytes.copyWithin(start + marker + MARKER_BYTES, start + from, start + from + part)
      putMarker(bytes, start + marker, marker === 0 ? 0 : marker - header)
      end = marker
    }
    this.#position = (first + length) % MARKER_EVERY
    return length
  }
}

const NONE = new Uint8Array(0)

/** Finds frames in a stream, however it is cut; checks them. */
export class FpduReader {
  /**
   * The ULPDU that `next` found: `length` bytes at `start` of `bytes`, good until the next call.
   */
  bytes = new Uint8Array(0)
  start = 0
  length = 0

  readonly #crc: boolean
  readonly #markers: boolean
  #position = 0
  #chunk = new Uint8Array(0)
  #at = 0
  #end = 0
  /** The beginning of a frame whose end has not come: it grows with what comes, not before. */
  #hold = new Uint8Array(0)
  #held = 0
  /** Bytes to come of a frame that is somebody else's. */
  #skip = 0
  /** A frame without its markers. */
  #plain = new Uint8Array(0)
  /** What `takeRest` returned last. */
  #rest = new Uint8Array(0)

  constructor({ crc, markers }: FramingOptions) {
    this.#crc = crc
    this.#markers = markers
  }

  /** Whether the stream may end here: not in the middle of a frame. */
  get between(): boolean {
    return this.#held === 0 && this.#at === this.#end && this.#skip === 0
  }

  /** What came; the one before was read to its end. It is not changed, and kept until then. */
  push(chunk: Uint8Array, start = 0, end = chunk.length): void {
    const skipped = Math.min(this.#skip, end - start)
    this.#skip -= skipped
    this.#chunk = chunk as Uint8Array<ArrayBuffer>
    this.#at = start + skipped
    this.#end = end
  }

  /**
   * Of the frame whose end has not come, the part that has: its length and the beginning of its
   * ULPDU (`ulpduAt`), in so many bytes; 0 without CRC and markers alone, as nothing was checked.
   */
  get begun(): number {
    return this.#crc || this.#markers ? 0 : this.#held
  }

  get begunBytes(): Uint8Array {
    return this.#hold
  }

  /** Somebody else takes what is to come of that ULPDU, `rest` bytes, before anything is pushed. */
  leave(rest: number): void {
    this.#skip = fpduBytes((this.#hold[0]! << 8) | this.#hold[1]!) - this.#held - rest
    this.#held = 0
  }

  /**
   * A copy of what came and was not looked at yet; it counts as not come. Part of such a copy, when
   * that was pushed, is not copied again before half of it has gone.
   */
  takeRest(): Uint8Array {
    const [chunk, at, end] = [this.#chunk, this.#at, this.#end]
    const copied = chunk === this.#rest && 2 * (end - at) >= chunk.buffer.byteLength
    this.#rest = copied ? chunk.subarray(at, end) : chunk.slice(at, end)
    this.#at = end
    return this.#rest
  }

  /** Finds the next ULPDU; false: the rest of it has not come. Throws a ProtocolError. */
  next(): boolean {
    const left = this.#end - this.#at
    if (this.#held === 0) {
      const total = this.#totalOf(this.#chunk, this.#at, left)
      if (total > 0 && total <= left) {
        this.#take(this.#chunk, this.#at, total)
        this.#at += total
        return true
      }
    }
    for (;;) {
      const total = this.#totalOf(this.#hold, 0, this.#held)
      const wanted = total > 0 ? total : this.#headBytes()
      this.#keep(Math.min(wanted - this.#held, this.#end - this.#at))
      if (this.#held < wanted) return this.#forget()
      if (total === 0) continue
      this.#held = 0
      this.#take(this.#hold, 0, total)
      return true
    }
  }

  /** What came was read to its end: it is kept no longer. */
  #forget(): false {
    this.#chunk = this.#rest = NONE
    this.#at = this.#end = 0
    if (!this.#markers) this.bytes = this.#hold
    return false
  }

  /** Bytes up to the end of ULPDU_Length. */
  #headBytes(): number {
    return LENGTH_BYTES + (this.#markers && this.#position === 0 ? MARKER_BYTES : 0)
  }

  /** Bytes of the frame that begins there; 0: too few of them are there to tell. */
  #totalOf(bytes: Uint8Array, start: number, have: number): number {
    const head = this.#headBytes()
    if (have < head) return 0
    const at = start + head - LENGTH_BYTES
    const plain = fpduBytes((bytes[at]! << 8) | bytes[at + 1]!)
    return this.#markers ? plain + markersIn(this.#position, plain) * MARKER_BYTES : plain
  }

  #keep(count: number): void {
    const needed = this.#held + count
    if (needed > this.#hold.length) {
      const wished = Math.min(FRAME_MAX, Math.max(HOLD_LEAST, 2 * this.#hold.length))
      const grown = new Uint8Array(Math.max(needed, wished))
      grown.set(this.#hold.subarray(0, this.#held))
      this.#hold = grown
      // Else the ULPDU that was found last would keep the smaller one.
      if (!this.#markers) this.bytes = grown
    }
    this.#hold.set(this.#chunk.subarray(this.#at, this.#at + count), this.#held)
    this.#held = needed
    this.#at += count
  }

  #take(bytes: Uint8Array<ArrayBuffer>, start: number, total: number): void {
    if (this.#crc) checkCrc(bytes, start, total - CRC_BYTES)
    if (!this.#markers) {
      this.bytes = bytes
      this.start = start + LENGTH_BYTES
      this.length = (bytes[start]! << 8) | bytes[start + 1]!
      return
    }
    this.#removeMarkers(bytes, start, total)
    this.bytes = this.#plain
    this.start = LENGTH_BYTES
    this.length = (this.#plain[0]! << 8) | this.#plain[1]!
  }

  #removeMarkers(bytes: Uint8Array, start: number, total: number): void {
    if (this.#plain.length < total) this.#plain = new Uint8Array(Math.max(HOLD_LEAST, total))
    const first = this.#position
    const header = first === 0 ? MARKER_BYTES : 0
    let to = 0
    for (let at = 0; at < total;) {
      const into = (first + at) % MARKER_EVERY
      if (into === 0) {
        checkMarker(bytes, start + at, at === 0 ? 0 : at - header)
        at += MARKER_BYTES
        continue
      }
      const end = Math.min(total, at + MARKER_EVERY - into)
      this.#plain.set(bytes.subarray(start + at, start + end), to)
      to += end - at
      at = end
    }
    this.#position = (first + total) % MARKER_EVERY
  }
}

/** Markers among `plain` bytes that begin at a position of the stream. */
function markersIn(position: number, plain: number): number {
  const before = position === 0 ? 0 : MARKER_EVERY - position
  if (plain <= before) return 0
  return Math.ceil((plain - before) / (MARKER_EVERY - MARKER_BYTES))
}

/** Where the last marker of a frame of so many bytes stands in it; negative: it has none. */
function lastMarker(position: number, length: number): number {
  const end = position + length
  return Math.floor((end - 1) / MARKER_EVERY) * MARKER_EVERY - position
}

function putMarker(bytes: Uint8Array, at: number, pointer: number): void {
  bytes[at] = 0
  bytes[at + 1] = 0
  bytes[at + 2] = pointer >>> 8
  bytes[at + 3] = pointer & 0xff
}

function checkMarker(bytes: Uint8Array, at: number, expected: number): void {
  const pointer = (bytes[at + 2]! << 8) | bytes[at + 3]!
  if (pointer === (expected & 0xffff)) return
  const detail = `a marker points ${pointer} bytes back, to a frame that began ${expected} back`
  throw new ProtocolError(MpaError.markerMismatch, detail)
}

function putCrc(bytes: Uint8Array, start: number, length: number): void {
  const crc = native.crc32cOf(bytes, start, length, 0)
  const at = start + length
  bytes[at] = crc & 0xff
  bytes[at + 1] = (crc >>> 8) & 0xff
  bytes[at + 2] = (crc >>> 16) & 0xff
  bytes[at + 3] = crc >>> 24
}

function checkCrc(bytes: Uint8Array, start: number, length: number): void {
  const at = start + length
  const low = bytes[at]! | (bytes[at + 1]! << 8)
  const found = (low | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  const crc = native.crc32cOf(bytes, start, length, 0)
  if (found === crc) return
  const detail = `${found.toString(16)} found, ${crc.toString(16)} is that of the ${length} bytes`
  throw new ProtocolError(MpaError.crc, detail)
}
