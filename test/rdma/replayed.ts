/** Streams whose other end is a list of bytes, for a device at this end. */
import type {
  ByteStream,
  StreamEvents,
  StreamListener,
  Transport,
} from '../../src/base/byte_stream.js'
import { joined } from './frames.js'

export class Replayed implements ByteStream {
  readonly peer = 'a capture'
  readonly segmentBytes = 1448
  readonly room = Infinity
  readonly #sent: Uint8Array[] = []
  readonly #coming: Uint8Array[] = []
  #ended = false
  #events: StreamEvents | null = null
  #reading = true
  #told = false

  get sent(): Uint8Array {
    return joined(this.#sent)
  }

  /** Comes in, in pieces of these sizes, over and over. */
  feed(bytes: Uint8Array, ...sizes: readonly number[]): void {
    for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]!) {
      this.#coming.push(bytes.slice(at, at + sizes[i % sizes.length]!))
    }
    this.#tell()
  }

  finish(): void {
    this.#ended = true
    this.#tell()
  }

  #tell(): void {
    if (this.#told || !this.#reading || this.#events === null) return
    if (this.#coming.length === 0 && !this.#ended) return
    this.#told = true
    setImmediate(() => {
      this.#told = false
      if (this.#reading) this.#events?.readable()
      this.#tell()
    })
  }

  attach(events: StreamEvents): void {
    this.#events = events
    this.#tell()
  }

  send(bytes: Uint8Array, start: number, length: number): number {
    this.#sent.push(bytes.slice(start, start + length))
    return length
  }

  receive(bytes: Uint8Array, start: number, length: number): number {
    const next = this.#coming[0]
    if (next === undefined) return this.#ended ? -1 : 0
    bytes.set(next.subarray(0, length), start)
    if (next.length > length) this.#coming[0] = next.subarray(length)
    else this.#coming.shift()
    return Math.min(next.length, length)
  }

  reading(wanted: boolean): void {
    this.#reading = wanted
    this.#tell()
  }

  end(): void {}

  close(): void {
    this.#events = null
  }

  abort(): void {
    this.#events = null
  }
}

/** Connections that such streams are. */
export class ReplayTransport implements Transport {
  /** The one that a device connected. */
  readonly connected = new Replayed()
  #accepted: ((stream: ByteStream) => void) | null = null

  connect(): Promise<ByteStream> {
    return Promise.resolve(this.connected)
  }

  listen(
    host: string,
    port: number,
    accepted: (stream: ByteStream) => void,
  ): Promise<StreamListener> {
    this.#accepted = accepted
    return Promise.resolve({ host, port, accepting() {}, close() {} })
  }

  /** Somebody connects. */
  arrive(): Replayed {
    const stream = new Replayed()
    this.#accepted!(stream)
    return stream
  }
}
