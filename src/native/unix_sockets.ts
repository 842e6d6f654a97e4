/**
 * The face of the addon for Unix sockets (unix.c) and for descriptors through them (descriptors.c).
 * `unix.ts` is what the rest of the project takes. Bytes go as through all sockets (sockets.ts).
 *
 * A path has at most 107 bytes. One that begins with '@' is a name without a file (unix(7),
 * abstract): nothing says who may connect there, so that nothing listens there.
 */
import type { Parts, PeerCredentials } from '../base/byte_stream.js'
import type { PollId, Ready } from './sockets.js'

export interface UnixSockets {
  // ---- unix.c -----------------------------------------------------------------------------------
  /** Connected on return. EAGAIN: as many connections wait there as may. */
  connectUnix(path: string, callback: Ready): PollId
  /**
   * Listens at a path, with a mode that says who may connect (write permission, unix(7)). A socket
   * file at which nobody listens is replaced; EADDRINUSE: somebody does; EEXIST: it is no socket;
   * EAGAIN: another process has the directory locked just now, as each that listens there has
   * until it does.
   */
  listenUnix(path: string, mode: number, callback: Ready): PollId
  /** Owns a descriptor that listens already. When it throws, `fd` is the caller's. */
  adoptUnix(fd: number, callback: Ready): PollId
  /** The next connection; undefined when there is none now. */
  acceptUnix(listener: PollId, callback: Ready): PollId | undefined
  /** Where it is bound to; empty: nowhere. */
  unixPath(socket: PollId): string
  /** SO_PEERCRED and SO_PEERGROUPS. */
  peerOf(socket: PollId): PeerCredentials
  /** One datagram. EAGAIN: there is no room for it. */
  sendDatagram(path: string, bytes: Uint8Array, start: number, length: number): void

  // ---- descriptors.c ----------------------------------------------------------------------------
  /**
   * Sends the byte at `start`, and with it copies of descriptors, at most 253. Returns 1; 0: there
   * was no room, and nothing was sent.
   */
  sendDescriptors(socket: PollId, bytes: Uint8Array, start: number, descriptors: Int32Array): number
  /**
   * As `receiveParts`. Descriptors that came with the bytes begin at `into[1]`, close-on-exec;
   * `into[0]` is how many; those for which it has no room are closed. They came with the last of
   * the bytes, where they were sent by `sendDescriptors`. EMFILE: descriptors were lost, all that
   * came are closed, and the bytes are gone.
   */
  receiveDescriptors(socket: PollId, parts: Parts, count: number, into: Int32Array): number
}
