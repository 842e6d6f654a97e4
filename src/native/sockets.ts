/**
 * The face of the addon for descriptors that the event loop watches (poll.c), and for TCP sockets
 * (sockets.c, socket_io.c). `tcp.ts` is what the rest of the project takes. What is said of bytes,
 * of ending and of closing goes for Unix sockets as well (unix_sockets.ts).
 */
import type { Parts } from '../base/byte_stream.js'

/**
 * A descriptor that the event loop watches: never the same number again in a thread, for a long
 * time. It belongs to the thread that opened it; elsewhere, and once closed, it throws EBADF.
 */
export type PollId = number & { readonly __poll: unique symbol }

/**
 * Called in a turn of its own, microtasks run after it. What it throws is an uncaught exception.
 * Both may be true without being so: whatever is tried then may find nothing.
 */
export type Ready = (readable: boolean, writable: boolean) => void

/** A numeric address, and a port. */
export interface Endpoint {
  readonly host: string
  readonly port: number
}

export interface Accepted extends Endpoint {
  readonly poll: PollId
}

export interface Sockets {
  // ---- poll.c -----------------------------------------------------------------------------------
  /**
   * Owns `fd` from now on: it is closed with the poll, and when the thread ends. Nothing is watched
   * for before `watch`. Keeps the event loop alive while it is open. EPERM: the event loop cannot
   * watch such a descriptor (a regular file). When it throws, `fd` is the caller's.
   */
  poll(fd: number, callback: Ready): PollId
  /**
   * What it is to be called for, again and again while it is so. An error of the descriptor counts
   * as both; with nothing asked for, nothing is called and nothing is spent. System calls are made
   * when something is asked for that was not before.
   */
  watch(poll: PollId, readable: boolean, writable: boolean): void
  /** Also inside its own callback. None comes after it. */
  closePoll(poll: PollId): void

  // ---- sockets.c --------------------------------------------------------------------------------
  /**
   * Begins to connect; it is writable when that has come to an end, see `connected`. Without delay
   * (TCP_NODELAY), and a peer that is gone is found after a minute.
   */
  connectSocket(address: string, port: number, callback: Ready): PollId
  /** Whether it is connected by now; throws what prevented it. */
  connected(poll: PollId): boolean
  /** Readable: there is something to accept. Port 0: one that is free. */
  /** `silence`: milliseconds after which a peer that acknowledges nothing is gone; 0: as others. */
  listenSocket(address: string, port: number, silence: number, callback: Ready): PollId
  /** The next connection; undefined when there is none now. */
  acceptSocket(listener: PollId, callback: Ready): Accepted | undefined
  /** The address at this end. */
  boundTo(socket: PollId): Endpoint
  /** TCP_MAXSEG (tcp(7)), without what the options of each segment take. */
  segmentBytes(socket: PollId): number
  /** SO_SNDBUF without SIOCOUTQ (socket(7), tcp(7)): about the bytes that `send` takes now. */
  roomToSend(socket: PollId): number
  /** Sends the end, after what was sent. */
  endSocket(socket: PollId): void
  /**
   * Closes it. Without `reset` what was sent still goes, and what was not received is dropped; with
   * it the peer sees a reset.
   */
  closeSocket(socket: PollId, reset: boolean): void

  // ---- socket_io.c ------------------------------------------------------------------------------
  /** Returns the number of bytes taken, fewer when it is full. */
  send(socket: PollId, bytes: Uint8Array, start: number, length: number): number
  /** Returns the number of bytes; 0: none now; -1: the peer has ended. */
  receive(socket: PollId, bytes: Uint8Array, start: number, length: number): number
  /** As `send` and `receive`, of `count` parts one behind the other, at most 1024. */
  sendParts(socket: PollId, parts: Parts, count: number): number
  /** Bytes are lost where a memory has no page: EFAULT. */
  receiveParts(socket: PollId, parts: Parts, count: number): number
}
