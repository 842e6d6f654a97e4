/**
 * The face of the addon for /dev/fuse (fuse.c): requests, replies, and what may have to wait for
 * the filesystem itself, which is done on a thread, so that this one can answer.
 */
import type { Parts } from '../base/byte_stream.js'
import type { MemoryId } from './native.js'
import type { PollId } from './sockets.js'

export interface FuseDevice {
  /**
   * One request into [offset, offset + length) of a memory. Bytes; 0: none is there; -errno: ENODEV
   * when it was unmounted.
   */
  readRequest(device: PollId, memory: MemoryId, offset: number, length: number): number
  /** Header and data of a reply in one writev(2). 0, or the errno. */
  writeReply(
    device: PollId,
    memory: MemoryId,
    offset: number,
    length: number,
    dataMemory: MemoryId,
    dataOffset: number,
    dataLength: number,
  ): number
  /** The same of `count` parts. */
  writeReplyParts(device: PollId, parts: Parts, count: number): number
  /** A notification, on a thread. Resolves with 0, or the errno: ENOENT where nothing is cached. */
  notifyFuse(device: PollId, bytes: Uint8Array): Promise<number>

  /** mount(2). */
  mount(source: string, target: string, type: string, flags: number, data: string): void
  /** umount2(2), on a thread. */
  unmount(target: string, flags: number): Promise<number>
  /** socketpair(2), both close-on-exec. */
  socketPair(): [number, number]
  /** The descriptor that comes through a socket, on a thread. ENOTCONN: none came. */
  takeDescriptor(fd: number): Promise<number>
}
