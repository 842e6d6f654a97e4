/**
 * A connected stream of bytes, and what makes such streams: TCP, or a simulated wire. Readiness
 * style: a stream keeps nothing but what the kernel has of it, so that who uses it says how much
 * memory a connection takes, and when it is read from.
 */

/**
 * Runs of bytes, three elements each: where they are (a memory of the addon, by its id, or bytes),
 * an offset there, a length.
 */
export type Parts = readonly (number | Uint8Array)[]

export interface StreamEvents {
  /**
   * There is something to receive: bytes, the peer's end, or an error. Again while there is; not
   * any more once the end or the error was received.
   */
  readable(): void
  /** There is room again, after a `send` that took less than it was given. Once. */
  writable(): void
}

/**
 * Errors come out of `send` and `receive`, as a HoldfastError: ECONNRESET, EPIPE, ETIMEDOUT, … That
 * of the connection comes again from each call, after the bytes that were there before it.
 */
export interface ByteStream {
  /** The other end, for texts: '127.0.0.1:7174'. */
  readonly peer: string
  /** Bytes of data in one segment (tcp(7), TCP_MAXSEG), as of now; null: not known. */
  readonly segmentBytes: number | null
  /** About how many bytes `send` takes now: who makes bytes for it makes no more. */
  readonly room: number
  /** Once, before anything else. */
  attach(events: StreamEvents): void
  /** Returns how many bytes were taken; fewer than `length` when it is full. They are copied. */
  send(bytes: Uint8Array, start: number, length: number): number
  /** Returns how many bytes came, at most `length`; 0: none now; -1: the peer sends no more. */
  receive(bytes: Uint8Array, start: number, length: number): number
  /** As `send` and `receive`, of `count` parts. Not of every stream. */
  sendParts?(parts: Parts, count: number): number
  receiveParts?(parts: Parts, count: number): number
  /** Of a peer on this machine: who it was when it connected, or began to listen. */
  readonly credentials?: PeerCredentials
  /**
   * Sends the byte at `start` and, with it, copies of descriptors: the caller's stay its own.
   * Returns 1, or 0 when it is full; nothing was sent then. Not of every stream.
   */
  sendDescriptors?(bytes: Uint8Array, start: number, descriptors: readonly number[]): number
  /**
   * How many descriptors that came may wait for `takeDescriptors`; others are closed as they come.
   * At first none may.
   */
  wantDescriptors?(most: number): void
  /** Those that came with bytes that were received, in order: the caller's from now on. */
  takeDescriptors?(): ReceivedDescriptor[]
  /** Whether `readable` is to be called. At first it is. */
  reading(wanted: boolean): void
  /** Nothing more is sent: the peer gets what was taken, and then the end. */
  end(): void
  /** Lets go of it. What was taken is still sent. No event comes after it. */
  close(): void
  /** As `close`, with a reset: what was not sent yet is dropped. */
  abort(): void
}

/** Who is at the other end: SO_PEERCRED and SO_PEERGROUPS of unix(7). */
export interface PeerCredentials {
  /** 0: not of this pid namespace. */
  readonly pid: number
  readonly uid: number
  readonly gid: number
  /** Supplementary groups. */
  readonly groups: readonly number[]
}

export interface ReceivedDescriptor {
  readonly fd: number
  /** Number of the byte that it came with, counted from the first that was received, 0. */
  readonly at: number
}

/** What takes connections. */
export interface Acceptor {
  /** Whether connections are taken. Others wait with the kernel. At first they are. */
  accepting(wanted: boolean): void
  /** No more connections come. Those that were taken live on. */
  close(): void
}

export interface StreamListener extends Acceptor {
  /** Where it listens, the port as it was chosen where 0 was asked for. */
  readonly host: string
  readonly port: number
}

export interface Transport {
  /** ECONNREFUSED, ETIMEDOUT, ENOTFOUND, …; the signal's reason when that is aborted. */
  connect(host: string, port: number, signal?: AbortSignal): Promise<ByteStream>
  /**
   * EADDRINUSE, EACCES, … `silence`: milliseconds after which a peer that acknowledges nothing is
   * gone; 0, or left out: as the transport has it.
   */
  listen(
    host: string,
    port: number,
    accepted: (stream: ByteStream) => void,
    silence?: number,
  ): Promise<StreamListener>
}
