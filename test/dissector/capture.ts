/** A capture of what was recorded, and the facts of each frame as they must be. */
import { decodeMpa, mpaLength } from '../../src/rdma/wire/mpa.js'
import { framesIn } from '../rdma/plain_reader.js'
import { factsOfSetup, Listener, type Facts } from './facts.js'
import type { PcapConnection, Side } from './pcap_writer.js'
import type { Recording } from './recording.js'

const MARKER_EVERY = 512

/** What one side sent. */
export interface Sent {
  readonly bytes: Uint8Array
  /** Where the Request or Reply ends, and each frame behind it. */
  readonly ends: readonly number[]
  readonly markers: boolean
  readonly facts: readonly Facts[]
}

export type Captured = Readonly<Record<Side, Sent>>

function sentBy(recording: Recording, side: Side): Sent {
  const bytes = recording.sentBy(side)
  const other = recording.sentBy(side === 'initiator' ? 'responder' : 'initiator')
  const kind = side === 'initiator' ? 'request' : 'reply'
  const setup = decodeMpa(bytes, kind)
  const peer = decodeMpa(other, kind === 'request' ? 'reply' : 'request')
  // He who was rejected, or could not agree, heard nothing of markers.
  const markers = peer.markers && !setup.reject
  const crc = setup.crc || peer.crc
  const begin = mpaLength(bytes)
  const stream = bytes.subarray(begin)
  const found = framesIn(stream, { crc, markers })
  if (found.error !== null) throw new Error(`${side} sent a bad frame: ${found.error.join(' ')}`)
  if (!found.between) throw new Error(`the end of a frame of the ${side} is missing`)
  const listener = new Listener(crc)
  const facts = found.ulpdus.map((ulpdu, i) => {
    const from = found.ends[i - 1] ?? 0
    return listener.hear(ulpdu, markers ? markersIn(stream, from, found.ends[i]!) : [])
  })
  return {
    bytes,
    ends: [begin, ...found.ends.map((end) => begin + end)],
    markers,
    facts: [factsOfSetup(setup), ...facts],
  }
}

/** What the markers of a frame say. */
function markersIn(stream: Uint8Array, from: number, end: number): number[] {
  const said: number[] = []
  const first = Math.ceil(from / MARKER_EVERY) * MARKER_EVERY
  for (let at = first; at < end; at += MARKER_EVERY) {
    said.push(stream[at + 2]! * 256 + stream[at + 3]!)
  }
  return said
}

/** Fewer bytes than a frame has, behind another in a TCP segment, tshark takes for data. */
const FRAME_LEAST = 8

function cutAt(ends: readonly number[], at: number): number {
  const frame = ends.find((end) => at > end && at < end + FRAME_LEAST)
  return frame ?? at
}

/**
 * Puts a recording on a connection of a capture; returns what each side sent.
 * `segmentBytes`: of a TCP segment at most, whatever ends in it. A stream with markers has a
 * segment for each frame instead, since tshark finds no others in it.
 */
export function capture(
  recording: Recording,
  connection: PcapConnection,
  segmentBytes: number,
): Captured {
  const sides = {
    initiator: sentBy(recording, 'initiator'),
    responder: sentBy(recording, 'responder'),
  }
  const sent = { initiator: 0, responder: 0 }
  const captured = { initiator: 0, responder: 0 }
  for (const { from, bytes } of recording.events) {
    if (bytes === null) {
      connection.end(from)
      continue
    }
    sent[from] += bytes.length
    const { bytes: all, ends, markers } = sides[from]
    while (captured[from] < sent[from]) {
      const at = captured[from]
      const frame = ends.find((end) => end > at)!
      if (markers && frame > sent[from]) break
      const end = markers ? frame : cutAt(ends, Math.min(sent[from], at + segmentBytes))
      connection.send(from, all.subarray(at, end))
      captured[from] = end
    }
  }
  return sides
}
