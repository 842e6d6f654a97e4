/**
 * A wire in memory, from a seed: bytes are taken as far as a window has room, come in pieces of any
 * size after any time, and at some byte, perhaps, no more.
 *
 *     send → | in flight, at most `window` | → | arrived, at most `room` | → receive
 *
 * Invariants:
 * - what comes is what was sent, in order, up to where the connection is lost;
 * - no more is held than the two limits say;
 * - after `close` or `abort` no event comes; a `close` still delivers what was taken.
 */
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import type {
  ByteStream,
  Parts,
  StreamEvents,
  StreamListener,
  Transport,
} from '../../src/base/byte_stream.js'
import { joined } from './frames.js'
import type { SimulatedTime } from './simulated_time.js'

export interface Loss {
  /** 0: in what the initiator sends. 1: in what the responder does. */
  readonly direction: 0 | 1
  /** Bytes that still come. */
  readonly after: number
  /** Both ends learn of it; one is told that this is the end; nobody learns anything. */
  readonly how: 'reset' | 'end' | 'silence'
}

export interface Wire {
  readonly window: number
  readonly room: number
  /** Most bytes that come at a time. */
  readonly piece: number
  /** Most milliseconds that a piece takes. */
  readonly delay: number
  readonly segmentBytes: number | null
  readonly loss: Loss | null
}

export const FAST: Wire = {
  window: 1 << 20,
  room: 1 << 20,
  piece: 1 << 20,
  delay: 0,
  segmentBytes: 1448,
  loss: null,
}

const SETUP_BYTES = 600

class ByteQueue {
  length = 0
  readonly #chunks: Uint8Array[] = []

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    this.#chunks.push(bytes)
    this.length += bytes.length
  }

  /** At most so many bytes from the front, at least one if there is any. */
  take(most: number): Uint8Array {
    const first = this.#chunks[0]!
    const part = first.subarray(0, most)
    if (part.length === first.length) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(part.length)
    this.length -= part.length
    return part
  }

  clear(): void {
    this.#chunks.length = 0
    this.length = 0
  }
}

/** What one end sends and the other receives. */
class Direction {
  readonly flying = new ByteQueue()
  readonly arrived = new ByteQueue()
  readonly from: SimulatedStream
  readonly to: SimulatedStream
  ended = false
  endArrived = false
  wantsRoom = false
  /** Bytes that were taken in all. */
  sent = 0
  /** Bytes until it is lost. */
  left: number
  readonly #pair: Pair
  #delivering = false

  constructor(pair: Pair, from: SimulatedStream, to: SimulatedStream, left: number) {
    this.#pair = pair
    this.from = from
    this.to = to
    this.left = left
  }

  /** Something is in flight, or there is room for what is. */
  go(): void {
    const { silent, world, wire } = this.#pair
    if (this.#delivering || silent || this.endArrived || this.left === 0) return
    if (this.flying.length === 0 && !this.ended) return
    if (!this.to.closed && this.arrived.length >= wire.room) return
    this.#delivering = true
    world.soon(wire.delay, () => {
      this.#delivering = false
      this.#deliver()
    })
  }

  #deliver(): void {
    const { silent, world, wire } = this.#pair
    if (silent || this.endArrived) return
    let count = Math.min(this.flying.length, 1 + world.random.below(wire.piece), this.left)
    if (!this.to.closed) count = Math.min(count, wire.room - this.arrived.length)
    for (let part = count; part > 0;) {
      const bytes = this.flying.take(part)
      part -= bytes.length
      if (!this.to.closed) this.arrived.push(bytes)
    }
    this.left -= count
    if (this.left === 0) this.#pair.lose(this)
    // Nobody is there: who sent is told.
    else if (this.to.closed && count > 0) this.from.reset()
    else if (this.flying.length === 0 && this.ended) this.endArrived = true
    this.to.look()
    if (this.wantsRoom && this.flying.length < wire.window) this.from.hasRoom()
    this.go()
  }
}

class Pair {
  readonly world: SimulatedNetwork
  readonly wire: Wire
  readonly ends: readonly [SimulatedStream, SimulatedStream]
  readonly ways: readonly [Direction, Direction]
  silent = false

  constructor(world: SimulatedNetwork, wire: Wire, names: readonly [string, string]) {
    this.world = world
    this.wire = wire
    const ends = [new SimulatedStream(this, names[1]), new SimulatedStream(this, names[0])] as const
    const left = (direction: 0 | 1) =>
      wire.loss?.direction === direction ? Math.max(1, wire.loss.after) : Infinity
    this.ends = ends
    this.ways = [
      new Direction(this, ends[0], ends[1], left(0)),
      new Direction(this, ends[1], ends[0], left(1)),
    ]
  }

  lose(way: Direction): void {
    const { how } = this.wire.loss!
    if (how === 'silence') {
      this.silent = true
      return
    }
    way.flying.clear()
    if (how === 'end') {
      way.endArrived = true
      way.to.look()
      this.world.soon(50, () => way.from.reset())
      return
    }
    for (const end of this.ends) this.world.soon(this.wire.delay, () => end.reset())
  }
}

export class SimulatedStream implements ByteStream {
  readonly peer: string
  closed = false
  readonly #pair: Pair
  #events: StreamEvents | null = null
  #reading = true
  #looking = false
  #error: HoldfastError | null = null

  constructor(pair: Pair, peer: string) {
    this.#pair = pair
    this.peer = peer
  }

  get segmentBytes(): number | null {
    return this.#pair.wire.segmentBytes
  }

  get room(): number {
    const { flying, sent } = this.#out
    const { window } = this.#pair.wire
    // As every stream does, it has room for what sets a connection up.
    const least = sent < SETUP_BYTES ? SETUP_BYTES : 0
    return Math.max(0, Math.max(window, least) - flying.length)
  }

  get #out(): Direction {
    const { ends, ways } = this.#pair
    return ends[0] === this ? ways[0] : ways[1]
  }

  get #in(): Direction {
    const { ends, ways } = this.#pair
    return ends[0] === this ? ways[1] : ways[0]
  }

  attach(events: StreamEvents): void {
    this.#events = events
    this.look()
  }

  send(bytes: Uint8Array, start: number, length: number): number {
    this.#demandOpen()
    const out = this.#out
    if (this.#error !== null) throw this.#error
    if (out.ended) throw new HoldfastError('EPIPE', 'sent after the end')
    const count = Math.min(length, this.room)
    out.sent += count
    out.flying.push(bytes.slice(start, start + count))
    if (count < length) out.wantsRoom = true
    out.go()
    return count
  }

  receive(bytes: Uint8Array, start: number, length: number): number {
    this.#demandOpen()
    const { arrived, endArrived } = this.#in
    let count = 0
    while (arrived.length > 0 && count < length) {
      const part = arrived.take(length - count)
      bytes.set(part, start + count)
      count += part.length
    }
    if (count > 0) {
      this.#in.go()
      return count
    }
    if (this.#error !== null) throw this.#error
    return endArrived ? -1 : 0
  }

  sendParts(parts: Parts, count: number): number {
    const all: Uint8Array[] = []
    eachPart(parts, count, (bytes) => all.push(bytes))
    const bytes = joined(all)
    return this.send(bytes, 0, bytes.length)
  }

  receiveParts(parts: Parts, count: number): number {
    let [sum, over] = [0, false]
    eachPart(parts, count, (bytes) => {
      if (over) return
      const got = this.receive(bytes, 0, bytes.length)
      // What came before is told first.
      if (got < 0 && sum === 0) sum = -1
      over = got < bytes.length
      if (got > 0) sum += got
    })
    return sum
  }

  reading(wanted: boolean): void {
    this.#reading = wanted
    this.look()
  }

  end(): void {
    this.#demandOpen()
    this.#out.ended = true
    this.#out.go()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    const unread = this.#in.arrived.length
    this.#in.arrived.clear()
    this.#out.ended = true
    this.#out.go()
    this.#in.go()
    // What was not read is lost, and who sent it is told.
    if (unread > 0) this.#pair.world.soon(this.#pair.wire.delay, () => this.#in.from.reset())
  }

  abort(): void {
    if (this.closed) return
    this.closed = true
    this.#in.arrived.clear()
    this.#out.flying.clear()
    if (this.#pair.silent) return
    const other = this.#out.to
    this.#pair.world.soon(this.#pair.wire.delay, () => other.reset())
  }

  /** The connection is no more. */
  reset(): void {
    if (this.closed || this.#pair.silent) return
    const { random } = this.#pair.world
    this.#error ??= new HoldfastError('ECONNRESET', `${this.peer} reset the connection`)
    this.#out.flying.clear()
    this.#in.flying.clear()
    if (random.chance(1, 2)) this.#in.arrived.clear()
    this.look()
    if (this.#out.wantsRoom) this.hasRoom()
  }

  hasRoom(): void {
    this.#out.wantsRoom = false
    this.#pair.world.soon(1, () => {
      if (!this.closed) this.#events?.writable()
    })
  }

  /** Tells of what there is to receive, as long as there is. */
  look(): void {
    if (this.#looking || !this.#wanted) return
    this.#looking = true
    this.#pair.world.soon(1, () => {
      this.#looking = false
      if (!this.#wanted) return
      this.#events!.readable()
      this.look()
    })
  }

  get #wanted(): boolean {
    const { arrived, endArrived } = this.#in
    const something = arrived.length > 0 || endArrived || this.#error !== null
    return something && this.#reading && !this.closed && this.#events !== null
  }

  #demandOpen(): void {
    if (this.closed) throw new Error('a stream is used after it was closed')
  }
}

class SimulatedListener implements StreamListener {
  readonly host: string
  readonly port: number
  closed = false
  readonly #accepted: (stream: ByteStream) => void
  #accepting = true
  readonly #waiting: SimulatedStream[] = []

  constructor(host: string, port: number, accepted: (stream: ByteStream) => void) {
    this.host = host
    this.port = port
    this.#accepted = accepted
  }

  arrive(stream: SimulatedStream): void {
    if (this.closed) return stream.abort()
    this.#waiting.push(stream)
    this.accepting(this.#accepting)
  }

  accepting(wanted: boolean): void {
    this.#accepting = wanted
    while (this.#accepting && this.#waiting.length > 0) this.#accepted(this.#waiting.shift()!)
  }

  close(): void {
    this.closed = true
    for (const stream of this.#waiting.splice(0)) stream.abort()
  }
}

export class SimulatedNetwork {
  readonly time: SimulatedTime
  readonly random: Prng
  /** What the next connection is like. */
  wire: Wire = FAST
  readonly #listeners = new Map<number, SimulatedListener>()
  #port = 1000

  constructor(time: SimulatedTime, seed: number) {
    this.time = time
    this.random = new Prng(seed)
  }

  readonly transport: Transport = {
    connect: async (host, port, signal) => {
      signal?.throwIfAborted()
      const { wire } = this
      await new Promise<void>((resolve) => this.soon(wire.delay, resolve))
      signal?.throwIfAborted()
      const listener = this.#listeners.get(port)
      if (listener === undefined || listener.closed) {
        throw new HoldfastError('ECONNREFUSED', `nobody listens at ${host}:${port}`)
      }
      const pair = new Pair(this, wire, [`${host}:${++this.#port}`, `${host}:${port}`])
      this.soon(wire.delay, () => listener.arrive(pair.ends[1]))
      return pair.ends[0]
    },
    listen: async (host, port, accepted) => {
      const listener = new SimulatedListener(host, port === 0 ? ++this.#port : port, accepted)
      this.#listeners.set(listener.port, listener)
      return listener
    },
  }

  /** After some time, so long at most. */
  soon(delay: number, run: () => void): void {
    this.time.later(delay * (this.random.below(1000) / 1000), run)
  }
}

/** Each part, as bytes: there is no memory of the addon here. */
function eachPart(parts: Parts, count: number, visit: (bytes: Uint8Array) => void): void {
  for (let i = 0; i < count; i++) {
    const [bytes, offset, length] = parts.slice(3 * i) as [Uint8Array, number, number]
    visit(bytes.subarray(offset, offset + length))
  }
}
