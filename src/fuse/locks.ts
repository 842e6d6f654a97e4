/**
 * Locks that programs take through a mount: the volume has them, so that they hold against those of
 * other mounts and sessions, too. The kernel names an owner by 64 bits, of which 53 are enough.
 */
import type { OpenHandle } from './handles.js'

/** What the kernel says for "to the end" (OFFSET_MAX of linux/fs.h), as a number. */
export const TO_END = 2 ** 63

export class Locks {
  /** Processes that were last seen to lock, by owner: the volume does not keep them. */
  readonly #pids = new Map<number, number>()
  /** Of each inode, who has taken locks on it through this mount. */
  readonly #owners = new Map<number, Set<number>>()

  take(ino: number, owner: number, pid: number): void {
    this.#pids.set(owner, pid)
    const owners = this.#owners.get(ino)
    if (owners === undefined) this.#owners.set(ino, new Set([owner]))
    else owners.add(owner)
  }

  /** 0 for one that is another mount's. */
  pidOf(owner: unknown): number {
    return typeof owner === 'number' ? (this.#pids.get(owner) ?? 0) : 0
  }

  /** A descriptor was closed: all locks of its process on the file end (fcntl(2)). */
  closed(handle: OpenHandle, owner: number): number | Promise<number> {
    const owners = this.#owners.get(handle.ino)
    if (owners?.delete(owner) !== true) return 0
    if (owners.size === 0) this.#owners.delete(handle.ino)
    this.#pids.delete(owner)
    return handle.file.unlock({ start: 0, length: 0, owner }).then(() => 0)
  }
}
