/** A stream whose other end is the test: what comes, in which pieces, and how much is taken. */
import assert from 'node:assert/strict'
import type { ByteStream, StreamEvents } from '../../src/base/byte_stream.js'
import type { SimulatedTime } from '../rdma/simulated_time.js'

export class ScriptedStream implements ByteStream {
  readonly peer = 'the test'
  readonly segmentBytes = null
  /** Most bytes of one receive. */
  piece = Infinity
  /** Bytes that `send` takes yet. */
  window = Infinity
  /** What was sent, and descriptors with the number of the byte that each came with. */
  sent: Uint8Array = new Uint8Array(0)
  readonly descriptors: { fd: number; at: number }[] = []
  /** Receives that brought something. */
  receives = 0
  wanted = true
  state: 'open' | 'closed' | 'aborted' = 'open'
  /** Thrown by what is called next. */
  failure: Error | null = null
  readonly #time: SimulatedTime
  #came: Uint8Array[] = []
  #ended = false
  #events: StreamEvents | null = null
  #looking = false

  constructor(time: SimulatedTime) {
    this.#time = time
  }

  get room(): number {
    return this.window
  }

  attach(events: StreamEvents): void {
    assert.equal(this.#events, null)
    this.#events = events
    this.#look()
  }

  /** Bytes come. */
  come(...bytes: Uint8Array[]): void {
    this.#came.push(...bytes)
    this.#look()
  }

  /** Nothing more comes. */
  over(): void {
    this.#ended = true
    this.#look()
  }

  /** So many more bytes are taken. */
  take(bytes: number): void {
    const full = this.window === 0
    this.window += bytes
    if (full) this.#time.later(0, () => this.state === 'open' && this.#events!.writable())
  }

  get unread(): number {
    return this.#came.reduce((sum, { length }) => sum + length, 0)
  }

  #look(): void {
    if (this.#looking || this.#events === null) return
    this.#looking = true
    this.#time.later(0, () => {
      this.#looking = false
      const something = this.#came.length > 0 || this.#ended || this.failure !== null
      if (!this.wanted || this.state !== 'open' || !something) return
      this.#events!.readable()
      this.#look()
    })
  }

  send(bytes: Uint8Array, start: number, length: number): number {
    assert.equal(this.state, 'open', 'nothing is sent after the end')
    if (this.failure !== null) throw this.failure
    const count = Math.min(length, this.window)
    this.window -= count
    this.sent = Buffer.concat([this.sent, bytes.subarray(start, start + count)])
    return count
  }

  sendDescriptors(bytes: Uint8Array, start: number, descriptors: readonly number[]): number {
    if (this.failure !== null) throw this.failure
    if (this.window === 0) return 0
    for (const fd of descriptors) this.descriptors.push({ fd, at: this.sent.length })
    return this.send(bytes, start, 1)
  }

  receive(bytes: Uint8Array, start: number, length: number): number {
    assert.equal(this.state, 'open', 'nothing is received after the end')
    if (this.failure !== null) throw this.failure
    const [first] = this.#came
    if (first === undefined) return this.#ended ? -1 : 0
    const count = Math.min(length, first.length, this.piece)
    bytes.set(first.subarray(0, count), start)
    if (count === first.length) this.#came.shift()
    else this.#came[0] = first.subarray(count)
    this.receives++
    return count
  }

  reading(wanted: boolean): void {
    this.wanted = wanted
    if (wanted) this.#look()
  }

  end(): void {}

  close(): void {
    assert.equal(this.state, 'open')
    this.state = 'closed'
  }

  abort(): void {
    assert.equal(this.state, 'open')
    this.state = 'aborted'
  }
}

/** A record: a mark, and a message of so many bytes that are told from others. */
export function record(length: number, salt = 0): Uint8Array {
  const bytes = Buffer.alloc(4 + length)
  bytes.writeUInt32BE((0x8000_0000 | length) >>> 0)
  for (let i = 0; i < length; i++) bytes[4 + i] = (i * 7 + salt * 13 + (i >> 8)) & 0xff
  return new Uint8Array(bytes)
}

/** The messages in what was sent. */
export function messagesOf(sent: Uint8Array): Uint8Array[] {
  const view = new DataView(sent.buffer, sent.byteOffset, sent.length)
  const all: Uint8Array[] = []
  for (let at = 0; at < sent.length;) {
    const mark = view.getUint32(at)
    assert.ok(mark >= 0x8000_0000, 'a record of one fragment')
    const length = mark - 0x8000_0000
    assert.ok(at + 4 + length <= sent.length, 'a whole message')
    all.push(sent.slice(at + 4, at + 4 + length))
    at += 4 + length
  }
  return all
}
