/**
 * A connected Unix socket as a stream of bytes, with descriptors in their places.
 *
 * Invariants:
 *  - a descriptor that came is handed to the caller, or closed: none is left behind;
 *  - the place of a descriptor is that of the byte that it was sent with. The kernel ends what one
 *    call receives there (descriptors.c); where a peer sends descriptors with several bytes at once
 *    the place is one of these.
 *
 * An `abort` is a `close` here: what was taken is with the peer already, and there is no reset.
 */
import type { Parts, PeerCredentials, ReceivedDescriptor } from '../base/byte_stream.js'
import { ERRNO, HoldfastError, type ErrorCode } from '../base/errors.js'
import { closeSync } from 'node:fs'
import { native } from './native.js'
import { codeOf, SocketStream } from './socket_stream.js'
import type { PollId } from './sockets.js'

/** Errors of what was to be sent along, not of the connection. */
const CALLERS: Partial<Record<ErrorCode, string>> = {
  EBADF: 'pass open descriptors',
  EMFILE: 'close descriptors, or raise RLIMIT_NOFILE',
  ETOOMANYREFS: 'wait until the peers have received those before, or raise RLIMIT_NOFILE',
}

export class UnixStream extends SocketStream {
  readonly credentials: PeerCredentials
  /** Room for descriptors of one call, behind their number; null: none are wanted. */
  #into: Int32Array | null = null
  #most = 0
  #waiting: ReceivedDescriptor[] = []
  /** Bytes that were received. */
  #received = 0

  constructor(poll: PollId, peer: string, credentials: PeerCredentials) {
    super(poll, peer)
    this.credentials = credentials
  }

  sendDescriptors(bytes: Uint8Array, start: number, descriptors: readonly number[]): number {
    this.maySend()
    try {
      const taken = native.sendDescriptors(this.poll, bytes, start, Int32Array.from(descriptors))
      return this.taken(taken, 1)
    } catch (error) {
      const code = codeOf(error)
      const remedy = code === undefined ? undefined : CALLERS[code]
      if (code === undefined || remedy === undefined) throw this.failed(error)
      const what = `descriptors ${descriptors.join(', ')} to ${this.peer}`
      throw new HoldfastError(code, `${what}: ${ERRNO[code][1]}; ${remedy}`, { cause: error })
    }
  }

  wantDescriptors(most: number): void {
    this.#most = most
    this.#into = most > 0 ? new Int32Array(1 + most) : null
  }

  takeDescriptors(): ReceivedDescriptor[] {
    const taken = this.#waiting
    this.#waiting = []
    return taken
  }

  protected override receiveNow(bytes: Uint8Array, start: number, length: number): number {
    if (this.#into === null) return this.#count(super.receiveNow(bytes, start, length))
    return this.#receiveWith(this.#into, [bytes, start, length], 1)
  }

  protected override receivePartsNow(parts: Parts, count: number): number {
    if (this.#into === null) return this.#count(super.receivePartsNow(parts, count))
    return this.#receiveWith(this.#into, parts, count)
  }

  #receiveWith(into: Int32Array, parts: Parts, count: number): number {
    const room = Math.max(0, this.#most - this.#waiting.length)
    const kept = room === this.#most ? into : into.subarray(0, 1 + room)
    const got = this.#count(native.receiveDescriptors(this.poll, parts, count, kept))
    for (let i = 1; i <= kept[0]!; i++) {
      this.#waiting.push({ fd: kept[i]!, at: this.#received - 1 })
    }
    return got
  }

  #count(got: number): number {
    if (got > 0) this.#received += got
    return got
  }

  protected override closeNow(reset: boolean): void {
    for (const { fd } of this.takeDescriptors()) closeSync(fd)
    super.closeNow(reset)
  }
}
