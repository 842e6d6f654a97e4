/**
 * Messages over a stream of bytes: each behind a word with its length, the highest bit of which is
 * set (record marking, RFC 5531 section 11, one fragment a record).
 *
 * Invariants:
 * - a message of more than `messageBytes` is never taken, and memory for one is taken as it comes;
 * - messages are handed over one at a time, in order, and none after `ended`;
 * - what a slow reader has not taken is bounded by its callers: `backlog` says how much it is.
 */
import { assert, HoldfastError } from '../base/errors.js'
import type { ByteStream } from '../base/byte_stream.js'
import type { Timers } from '../base/timers.js'
import { MESSAGE_BYTES_MAX } from './limits.js'
import { malformed } from './xdr.js'

export const MARK_BYTES = 4
const LAST_FRAGMENT = 0x8000_0000
/** Bytes that are received at once, of messages that are small. */
const STAGE_BYTES = 16 << 10
/** System calls before others have their turn. */
const RECEIVES_A_TURN = 16
/** So many times of what has come, memory is taken for what is said to come. */
const GROWTH = 16
/** Messages that are dealt with before others have their turn. */
const MESSAGES_A_TURN = 64
/** After so many turns without a byte nothing is on its way here, through whatever carries it. */
const IDLE_TURNS = 4
/** Milliseconds that who goes on sending is listened to. */
const CATCH_UP_MILLISECONDS = 1000
/**
 * Messages that wait share pieces of memory of so many bytes: small ones take no more than that.
 */
const GATHERED_BYTES = 16 << 10
/** Milliseconds that the other end has to take what it was sent, once the channel is closed. */
const CLOSE_MILLISECONDS = 5000

export interface ChannelEvents {
  /** A whole message, which is the receiver's. What it throws ends the channel. */
  message(bytes: Uint8Array): void
  /** No message comes any more; null: the other end has closed in order. Once. */
  ended(error: Error | null): void
  /** All that was sent has been taken. */
  drained?(): void
  /** Bytes have come, or some that waited were taken. */
  moved?(): void
  /** A descriptor was passed on, or cannot be: it is to be closed. */
  spare?(fd: number): void
}

/** All channels of a thread receive here: nothing stays in it between two calls. */
const stage = new Uint8Array(STAGE_BYTES)
const NONE = new Uint8Array(0)

/** Words byte by byte: a view for each of them takes longer than the word. */
const wordAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

function mark(message: Uint8Array): void {
  const word = LAST_FRAGMENT | (message.length - MARK_BYTES)
  message[0] = word >>> 24
  message[1] = word >>> 16
  message[2] = word >>> 8
  message[3] = word
}

export class Channel {
  readonly stream: ByteStream
  /** Bytes of a message that is taken. */
  messageBytes: number
  readonly #events: ChannelEvents
  readonly #timers: Timers
  /** What has come of messages that were not handed over, and where the first of them begins. */
  #held = NONE
  #from = 0
  #to = 0
  /** What the stream has not taken; a descriptor goes along with the first byte. */
  readonly #queue: { bytes: Uint8Array; fd: number | null }[] = []
  #attached: number | null = null
  #backlog = 0
  #paused = false
  #handing = false
  /** Bytes that have come. */
  #received = 0
  #ended = false
  #closing = false
  #stopClosing = () => {}

  constructor(
    stream: ByteStream,
    timers: Timers,
    events: ChannelEvents,
    messageBytes = MESSAGE_BYTES_MAX,
  ) {
    this.stream = stream
    this.messageBytes = messageBytes
    this.#timers = timers
    this.#events = events
    stream.attach({ readable: () => this.#take(), writable: () => this.#flush() })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Bytes that wait to be sent. */
  get backlog(): number {
    return this.#backlog
  }

  /** A descriptor goes along with the next message, and is closed here. Of Unix sockets alone. */
  attach(fd: number): void {
    assert(this.#attached === null, 'a message takes one descriptor along')
    this.#attached = fd
  }

  /** Sends a message, the first MARK_BYTES of which are its mark's. It may be used again then. */
  send(message: Uint8Array): void {
    const fd = this.#attached
    this.#attached = null
    if (this.#ended || this.#closing) {
      if (fd !== null) this.#events.spare!(fd)
      return
    }
    mark(message)
    const item = { bytes: message, fd }
    try {
      if (this.#queue.length === 0) this.#give(item)
    } catch (error) {
      if (item.fd !== null) this.#events.spare!(item.fd)
      return this.#end(error as Error, false, true)
    }
    if (item.bytes.length === 0) return
    this.#backlog += item.bytes.length
    if (item.fd !== null || !this.#gather(item.bytes)) {
      this.#queue.push({ bytes: item.bytes.slice(), fd: item.fd })
    }
  }

  /** Puts what waits into one piece of memory with what waits before it, where there is room. */
  #gather(bytes: Uint8Array): boolean {
    const last = this.#queue.at(-1)
    if (last === undefined || bytes.length > GATHERED_BYTES / 4) return false
    const { buffer, byteOffset, length } = last.bytes
    const to = byteOffset + length
    if (buffer.byteLength === GATHERED_BYTES && to + bytes.length <= GATHERED_BYTES) {
      last.bytes = new Uint8Array(buffer, byteOffset, length + bytes.length)
      last.bytes.set(bytes, length)
      return true
    }
    const gathered = new Uint8Array(GATHERED_BYTES)
    gathered.set(bytes)
    this.#queue.push({ bytes: gathered.subarray(0, bytes.length), fd: null })
    return true
  }

  /** Gives the stream what it takes: that is left out afterwards. */
  #give(item: { bytes: Uint8Array; fd: number | null }): void {
    const { stream } = this
    if (item.fd !== null) {
      const first = stream.sendDescriptors!(item.bytes, 0, [item.fd])
      if (first === 0) return
      this.#events.spare!(item.fd)
      item.fd = null
      item.bytes = item.bytes.subarray(first)
    }
    const { length } = item.bytes
    const taken = stream.send(item.bytes, 0, length)
    item.bytes = taken === length ? NONE : item.bytes.subarray(taken)
  }

  /** Whether messages are taken. At first they are. */
  reading(wanted: boolean): void {
    if (this.#ended || this.#paused !== wanted) return
    this.#paused = !wanted
    this.stream.reading(wanted)
    if (wanted && !this.#handing && this.#to > this.#from) void this.#again()
  }

  /** Resolves when what had come until now was handed over: nothing more came for some turns. */
  async caughtUp(): Promise<void> {
    const end = this.#timers.now() + CATCH_UP_MILLISECONDS
    for (let idle = 0; idle < IDLE_TURNS && !this.#ended && this.#timers.now() < end;) {
      const before = this.#received
      await this.#timers.turn()
      idle = this.#received === before && !this.#handing ? idle + 1 : 0
    }
  }

  /**
   * Ends it when all that was sent is on its way, or the other end does not take it in time.
   * Nothing is handed over any more.
   */
  close(): void {
    if (this.#ended || this.#closing) return
    if (this.#backlog === 0) return this.#end(null)
    this.#closing = true
    const late = () => this.abort(new HoldfastError('ETIMEDOUT', 'it takes nothing'))
    this.#stopClosing = this.#timers.after(CLOSE_MILLISECONDS, late)
    this.#paused = true
    this.stream.reading(false)
  }

  /** Ends it at once. */
  abort(why: Error | null = null): void {
    this.#end(why, true)
  }

  #flush(): void {
    try {
      while (this.#queue.length > 0) {
        const first = this.#queue[0]!
        const before = first.bytes.length
        this.#give(first)
        const taken = before - first.bytes.length
        this.#backlog -= taken
        if (taken > 0) this.#events.moved?.()
        if (first.bytes.length > 0) return
        this.#queue.shift()
      }
    } catch (error) {
      return this.#end(error as Error)
    }
    if (this.#closing) return this.#end(null)
    this.#events.drained?.()
  }

  // ---- receiving -------------------------------------------------------------------------------

  #take(): void {
    if (this.#ended || this.#handing) return
    let more = true
    try {
      for (let turns = 0; turns < RECEIVES_A_TURN && more && !this.#isPaused(); turns++) {
        more = this.#receive()
        if (this.#handOver()) return void this.#again()
      }
    } catch (error) {
      this.#end(error as Error, true)
    }
  }

  /** The messages that wait, after others have had their turn. */
  async #again(): Promise<void> {
    this.#handing = true
    this.stream.reading(false)
    await this.#timers.turn()
    this.#handing = false
    if (this.#ended || this.#paused) return
    try {
      if (this.#handOver()) return void this.#again()
    } catch (error) {
      return this.#end(error as Error, true)
    }
    if (!this.#isPaused()) this.stream.reading(true)
  }

  #isPaused(): boolean {
    return this.#paused || this.#ended
  }

  /** Returns whether there may be more at once. */
  #receive(): boolean {
    const wanted = this.#wanted()
    if (wanted <= STAGE_BYTES && this.#to === this.#from) {
      const got = this.#read(stage, 0, STAGE_BYTES)
      if (got > 0) {
        this.#held = stage
        this.#from = 0
        this.#to = got
      }
      return got === STAGE_BYTES
    }
    this.#makeRoom(wanted)
    const got = this.#read(this.#held, this.#to, this.#held.length - this.#to)
    if (got > 0) this.#to += got
    return got > 0 && this.#to === this.#held.length
  }

  #read(bytes: Uint8Array, start: number, length: number): number {
    const got = this.stream.receive(bytes, start, length)
    if (got >= 0) {
      this.#received += got
      if (got > 0) this.#events.moved?.()
      return got
    }
    const half = this.#to > this.#from
    this.#end(half ? new HoldfastError('ECONNRESET', 'it ended within a message') : null)
    return 0
  }

  /** Bytes of the message that comes next, with its mark, as far as that is known. */
  #wanted(): number {
    const there = this.#to - this.#from
    if (there < MARK_BYTES) return MARK_BYTES
    const word = wordAt(this.#held, this.#from)
    if (word < LAST_FRAGMENT) throw malformed('a record in several fragments')
    const length = word - LAST_FRAGMENT
    if (length > this.messageBytes) {
      throw malformed(`${length} bytes where ${this.messageBytes} are allowed`)
    }
    return MARK_BYTES + length
  }

  /** Room behind what is there, for the message, or as much of it as is believed. */
  #makeRoom(wanted: number): void {
    const there = this.#to - this.#from
    const full = this.#held === stage || this.#from > 0 || this.#held.length === this.#to
    if (!full) return
    const length = Math.min(wanted, Math.max(STAGE_BYTES, GROWTH * there))
    const room = new Uint8Array(Math.max(length, there + 1))
    room.set(this.#held.subarray(this.#from, this.#to))
    this.#held = room
    this.#from = 0
    this.#to = there
  }

  /** Hands messages over; returns whether some are left for another turn. */
  #handOver(): boolean {
    for (let count = 0; !this.#isPaused(); count++) {
      const wanted = this.#wanted()
      if (this.#to - this.#from < wanted || this.#to === this.#from) break
      if (count === MESSAGES_A_TURN) {
        this.#keep()
        return true
      }
      const start = this.#from + MARK_BYTES
      this.#from += wanted
      // One that has a buffer to itself is handed over with it.
      const alone = this.#held !== stage && this.#from === this.#to
      const message = this.#held[alone ? 'subarray' : 'slice'](start, this.#from)
      if (alone) this.#drop()
      this.#keep()
      this.#events.message(message)
    }
    if (!this.#ended) this.#keep()
    return false
  }

  /** What is left in the common stage is kept elsewhere. */
  #keep(): void {
    if (this.#from === this.#to) return this.#drop()
    if (this.#held !== stage) return
    this.#held = stage.slice(this.#from, this.#to)
    this.#to -= this.#from
    this.#from = 0
  }

  #drop(): void {
    this.#held = NONE
    this.#from = this.#to = 0
  }

  /** `later`: whoever sends may be in the middle of something, and is told when it is over. */
  #end(error: Error | null, abort = false, later = false): void {
    if (this.#ended) return
    this.#ended = true
    this.#stopClosing()
    this.#drop()
    for (const { fd } of this.#queue) if (fd !== null) this.#events.spare!(fd)
    this.#queue.length = 0
    this.#backlog = 0
    if (abort) this.stream.abort()
    else this.stream.close()
    if (later) queueMicrotask(() => this.#events.ended(error))
    else this.#events.ended(error)
  }
}
