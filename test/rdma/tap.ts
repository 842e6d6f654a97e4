/**
 * A transport that shows what goes over it, message by message, and that a test can hold up, or
 * cut.
 */
import type {
  ByteStream,
  StreamEvents,
  StreamListener,
  Transport,
} from '../../src/base/byte_stream.js'
import { HoldfastError } from '../../src/base/errors.js'
import { tcp } from '../../src/native/tcp.js'
import { FpduReader } from '../../src/rdma/fpdu.js'
import { headerBytes, isLast, opcodeOf } from '../../src/rdma/wire/ddp.js'
import { MpaFrame, mpaLength } from '../../src/rdma/wire/mpa.js'

/** A segment that went by. */
export interface Seen {
  readonly sent: boolean
  readonly opcode: number
  readonly last: boolean
  readonly payload: number
}

export class Tap implements Transport {
  /** Of all its streams, in the order in which this end had them. */
  readonly seen: Seen[] = []
  readonly streams: TappedStream[] = []
  /** Bytes that each stream still takes. */
  room = Infinity

  async connect(host: string, port: number, signal?: AbortSignal): Promise<ByteStream> {
    return this.#wrap(await tcp.connect(host, port, signal))
  }

  listen(
    host: string,
    port: number,
    accepted: (stream: ByteStream) => void,
  ): Promise<StreamListener> {
    return tcp.listen(host, port, (stream) => accepted(this.#wrap(stream)))
  }

  #wrap(stream: ByteStream): ByteStream {
    const tapped = new TappedStream(stream, this)
    this.streams.push(tapped)
    return tapped
  }

  /** There is room for so many bytes more. */
  give(bytes: number): void {
    this.room += bytes
    for (const stream of this.streams) stream.wake()
  }

  /** The opcodes of one direction, in order. */
  opcodes(sent: boolean): number[] {
    return this.seen.filter((one) => one.sent === sent).map(({ opcode }) => opcode)
  }

  /** The most requests that were not answered at a time. */
  mostOutstanding(request: readonly number[], response: readonly number[]): number {
    let now = 0
    let most = 0
    for (const { sent, opcode, last } of this.seen) {
      if (sent && request.includes(opcode)) most = Math.max(most, ++now)
      if (!sent && last && response.includes(opcode)) now--
    }
    return most
  }
}

/** Finds the segments behind the first frame, which is MPA's. */
class Decoder {
  readonly #seen: Seen[]
  readonly #sent: boolean
  readonly #reader = new FpduReader({ crc: false, markers: false })
  #setup: Uint8Array | null = new Uint8Array(0)

  constructor(seen: Seen[], sent: boolean) {
    this.#seen = seen
    this.#sent = sent
  }

  take(bytes: Uint8Array): void {
    if (this.#setup === null) return this.#frames(bytes)
    this.#setup = Buffer.concat([this.#setup, bytes])
    if (this.#setup.length < MpaFrame.size) return
    const length = mpaLength(this.#setup)
    if (this.#setup.length < length) return
    const rest = this.#setup.subarray(length)
    this.#setup = null
    this.#frames(rest)
  }

  #frames(bytes: Uint8Array): void {
    const reader = this.#reader
    reader.push(bytes)
    while (reader.next()) {
      const ddp = reader.bytes[reader.start]!
      this.#seen.push({
        sent: this.#sent,
        opcode: opcodeOf(reader.bytes[reader.start + 1]!),
        last: isLast(ddp),
        payload: reader.length - headerBytes(ddp),
      })
    }
  }
}

export class TappedStream implements ByteStream {
  readonly peer: string
  readonly #inner: ByteStream
  readonly #tap: Tap
  readonly #out: Decoder
  readonly #in: Decoder
  #events: StreamEvents | null = null
  /** Whether this end wants to read. */
  wantsReading = true
  #full = false
  #cut = false

  constructor(inner: ByteStream, tap: Tap) {
    this.#inner = inner
    this.#tap = tap
    this.peer = inner.peer
    this.#out = new Decoder(tap.seen, true)
    this.#in = new Decoder(tap.seen, false)
  }

  get segmentBytes(): number | null {
    return this.#inner.segmentBytes
  }

  get room(): number {
    return Math.min(this.#inner.room, this.#tap.room)
  }

  attach(events: StreamEvents): void {
    this.#events = events
    this.#inner.attach(events)
  }

  send(bytes: Uint8Array, start: number, length: number): number {
    if (this.#cut) throw reset()
    const most = Math.min(length, this.#tap.room)
    const taken = this.#inner.send(bytes, start, most)
    this.#tap.room -= taken
    this.#full = taken === most && most < length
    this.#out.take(bytes.slice(start, start + taken))
    return taken
  }

  receive(bytes: Uint8Array, start: number, length: number): number {
    if (this.#cut) throw reset()
    const count = this.#inner.receive(bytes, start, length)
    if (count > 0) this.#in.take(bytes.slice(start, start + count))
    return count
  }

  reading(wanted: boolean): void {
    this.wantsReading = wanted
    if (!this.#cut) this.#inner.reading(wanted)
  }

  end(): void {
    this.#inner.end()
  }

  close(): void {
    this.#events = null
    this.#inner.close()
  }

  abort(): void {
    this.#events = null
    this.#inner.abort()
  }

  wake(): void {
    if (!this.#full || this.#tap.room === 0) return
    this.#full = false
    this.#events?.writable()
  }

  /** The connection breaks, here and there. */
  cut(): void {
    this.#cut = true
    this.#inner.abort()
    this.#events?.readable()
  }
}

const reset = () => new HoldfastError('ECONNRESET', 'the connection was cut')
