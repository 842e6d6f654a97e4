/** Connections whose bytes are written down as they are sent. */
import type { ByteStream, StreamEvents, Transport } from '../../src/base/byte_stream.js'
import { mpaLength } from '../../src/rdma/wire/mpa.js'
import { joined } from '../rdma/frames.js'
import type { Side } from './pcap_writer.js'

/** What was sent, and that there is no more, in the order in which it was. */
export class Recording {
  readonly events: { readonly from: Side; readonly bytes: Uint8Array | null }[] = []
  /** A byte of what the initiator sends, behind its Request, that arrives as another. */
  readonly damaged: number | null

  constructor(damaged: number | null = null) {
    this.damaged = damaged
  }

  add(from: Side, bytes: Uint8Array | null): void {
    this.events.push({ from, bytes })
  }

  sentBy(side: Side): Uint8Array {
    const parts = this.events.flatMap(({ from, bytes }) =>
      from === side && bytes !== null ? [bytes] : [],
    )
    return joined(parts)
  }
}

class RecordedStream implements ByteStream {
  readonly #stream: ByteStream
  readonly #recording: Recording
  readonly #from: Side
  readonly segmentBytes: number | null
  #ended = false

  constructor(stream: ByteStream, recording: Recording, from: Side, segmentBytes: number | null) {
    this.#stream = stream
    this.#recording = recording
    this.#from = from
    this.segmentBytes = segmentBytes
  }

  get peer(): string {
    return this.#stream.peer
  }

  get room(): number {
    return this.#stream.room
  }

  attach(events: StreamEvents): void {
    this.#stream.attach(events)
  }

  send(bytes: Uint8Array, start: number, length: number): number {
    const taken = this.#stream.send(this.#damage(bytes, start), start, length)
    if (taken > 0) this.#recording.add(this.#from, bytes.slice(start, start + taken))
    return taken
  }

  #damage(bytes: Uint8Array, start: number): Uint8Array {
    const { damaged } = this.#recording
    if (damaged === null || this.#from === 'responder') return bytes
    const sent = this.#recording.sentBy('initiator')
    // The Request arrives as it is.
    if (sent.length === 0) return bytes
    const copy = bytes.slice()
    const at = start + mpaLength(sent) + damaged - sent.length
    if (at >= start && at < copy.length) copy[at]! ^= 4
    return copy
  }

  receive(bytes: Uint8Array, start: number, length: number): number {
    return this.#stream.receive(bytes, start, length)
  }

  reading(wanted: boolean): void {
    this.#stream.reading(wanted)
  }

  end(): void {
    this.#end()
    this.#stream.end()
  }

  close(): void {
    this.#end()
    this.#stream.close()
  }

  abort(): void {
    this.#stream.abort()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#recording.add(this.#from, null)
  }
}

/** `segmentBytes`: what TCP segments are said to have, whatever they have. */
export function recorded(
  transport: Transport,
  recording: Recording,
  segmentBytes: number | null,
): Transport {
  const of = (stream: ByteStream, from: Side) =>
    new RecordedStream(stream, recording, from, segmentBytes)
  return {
    async connect(host, port, signal) {
      return of(await transport.connect(host, port, signal), 'initiator')
    },
    listen(host, port, accepted) {
      return transport.listen(host, port, (stream) => accepted(of(stream, 'responder')))
    },
  }
}
