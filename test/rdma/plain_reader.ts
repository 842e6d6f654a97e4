/**
 * A second reader of MPA's frames (RFC 5044, section 4), for comparison: it has the whole stream,
 * takes the markers out by where they stand, and knows nothing of pieces.
 */
import { native } from '../../src/native/native.js'
import type { FramingOptions } from '../../src/rdma/fpdu.js'
import { MpaError, type ErrorCode } from '../../src/rdma/wire/terminate.js'

const MARKER_EVERY = 512
const WORD = 4

export interface Frames {
  readonly ulpdus: readonly Uint8Array[]
  /** Where each of their frames ends in the stream. */
  readonly ends: readonly number[]
  readonly error: ErrorCode | null
  /** The stream ends where a frame does. */
  readonly between: boolean
}

/** Frames up to the first bad one, or to where the stream ends in one. */
export function framesIn(stream: Uint8Array, { crc, markers }: FramingOptions): Frames {
  // Where each byte that is no part of a marker stands in the stream.
  const places: number[] = []
  for (let at = 0; at < stream.length; at++) {
    if (!markers || at % MARKER_EVERY >= WORD) places.push(at)
  }
  const ulpdus: Uint8Array[] = []
  const ends: number[] = []
  const done = (error: ErrorCode | null, between: boolean) => ({ ulpdus, ends, error, between })
  // `raw` is where the frame begins in the stream, its leading marker among it.
  for (let first = 0, raw = 0; ;) {
    if (raw === stream.length) return done(null, true)
    if (first + 2 > places.length) return done(null, false)
    const [high, low] = [stream[places[first]!]!, stream[places[first + 1]!]!]
    const length = high * 256 + low
    const bytes = WORD * Math.ceil((2 + length) / WORD) + WORD
    const next = first + bytes
    if (next > places.length) return done(null, false)
    const end = places[next - 1]! + 1
    if (crc && !crcIsGood(stream, raw, end)) return done(MpaError.crc, false)
    if (markers && !markersAreGood(stream, raw, end, places[first]!)) {
      return done(MpaError.markerMismatch, false)
    }
    const ulpdu = places.slice(first + 2, first + 2 + length)
    ulpdus.push(Uint8Array.from(ulpdu, (at) => stream[at]!))
    ends.push(end)
    first = next
    raw = end
  }
}

function crcIsGood(stream: Uint8Array, start: number, end: number): boolean {
  const crc = native.crc32cOf(stream, start, end - WORD - start, 0)
  return Buffer.from(stream).readUInt32LE(end - WORD) === crc
}

function markersAreGood(stream: Uint8Array, start: number, end: number, length: number): boolean {
  const first = Math.ceil(start / MARKER_EVERY) * MARKER_EVERY
  for (let at = first; at < end; at += MARKER_EVERY) {
    const pointer = stream[at + 2]! * 256 + stream[at + 3]!
    if (pointer !== (at < length ? 0 : at - length)) return false
  }
  return true
}
