/**
 * Locks that programs take through a mount: the volume has them, so that they hold against those of
 * other mounts and sessions, too. The kernel names an owner by 64 bits, of which 53 are enough.
 *
 * Invariant: an owner has a small number here from its first lock to the end of its last, and those
 * numbers are used again: who keeps a list of owners keeps a short one.
 */
import type { OpenHandle } from './handles.js'

/** What the kernel says for "to the end" (OFFSET_MAX of linux/fs.h), as a number. */
export const TO_END = 2 ** 63

interface Owner {
  readonly number: number
  /** The process that was last seen to lock for it. */
  pid: number
  /** Inodes that it may have locks on. */
  readonly inodes: Set<number>
}

export class Locks {
  readonly #owners = new Map<number, Owner>()
  readonly #byNumber = new Map<number, Owner>()
  /** Names of owners that may have locks on an inode. */
  readonly #byInode = new Map<number, Set<number>>()
  readonly #free: number[] = []

  /** An owner is about to lock something of an inode. Returns its number. */
  take(ino: number, name: number, pid: number): number {
    let owner = this.#owners.get(name)
    if (owner === undefined) {
      const number = this.#free.pop() ?? this.#byNumber.size + 1
      owner = { number, pid, inodes: new Set() }
      this.#owners.set(name, owner)
      this.#byNumber.set(number, owner)
    }
    owner.pid = pid
    owner.inodes.add(ino)
    const names = this.#byInode.get(ino)
    if (names === undefined) this.#byInode.set(ino, new Set([name]))
    else names.add(name)
    return owner.number
  }

  /** The number of an owner; 0: it has no locks. */
  numberOf(name: number): number {
    return this.#owners.get(name)?.number ?? 0
  }

  /** 0 for one that is another mount's. */
  pidOf(number: unknown): number {
    return typeof number === 'number' ? (this.#byNumber.get(number)?.pid ?? 0) : 0
  }

  /** All that it has on an inode has ended. */
  dropped(ino: number, name: number): void {
    const owner = this.#owners.get(name)
    if (owner?.inodes.delete(ino) !== true) return
    const names = this.#byInode.get(ino)!
    names.delete(name)
    if (names.size === 0) this.#byInode.delete(ino)
    if (owner.inodes.size > 0) return
    this.#owners.delete(name)
    this.#byNumber.delete(owner.number)
    this.#free.push(owner.number)
  }

  /** Whether anybody may have locks on an inode. */
  concern(ino: number): boolean {
    return this.#byInode.has(ino)
  }

  /**
   * Nobody has it open any more. The kernel says nothing of locks of open file descriptions, which
   * end with them.
   */
  ended(ino: number): void {
    for (const name of [...(this.#byInode.get(ino) ?? [])]) this.dropped(ino, name)
  }

  get count(): number {
    return this.#owners.size
  }

  /** A descriptor was closed: all locks of its process on the file end (fcntl(2)). */
  closed({ file, ino }: OpenHandle, name: number): number | Promise<number> {
    const owner = this.#owners.get(name)
    if (owner?.inodes.has(ino) !== true) return 0
    return file.unlock({ start: 0, length: 0, owner: owner.number }).then(() => {
      this.dropped(ino, name)
      return 0
    })
  }
}
