/**
 * Locks that programs take through a mount: the volume has them, so that they hold against those of
 * other mounts and sessions, too. The kernel names an owner by 64 bits, of which 53 are enough.
 *
 * Invariants:
 * - an owner keeps its number as long as a handle is open that it has locked through: who keeps a
 *   list of owners keeps a short one;
 * - the last close of a handle ends what its owners hold of the file, in the volume: who has closed
 *   a handle that others keep, and locks the file again, does so by another number;
 * - a number is another owner's only when no handle is open any more that it was used with.
 */
import type { Handles, OpenHandle } from './handles.js'

/** What the kernel says for "to the end" (OFFSET_MAX of linux/fs.h), as a number. */
export const TO_END = 2 ** 63

interface Owner {
  readonly name: number
  /** What it is called in the volume from now on. */
  number: number
  /** The process that was last seen to lock for it. */
  pid: number
  /** Inodes that it may have locks on, and its number there. */
  readonly inodes: Map<number, number>
}

interface Numbered {
  readonly owner: Owner
  /** Open handles that it has locked through. */
  handles: number
}

export class Locks {
  readonly #handles: Handles
  readonly #owners = new Map<number, Owner>()
  readonly #byNumber = new Map<number, Numbered>()
  readonly #free: number[] = []

  constructor(handles: Handles) {
    this.#handles = handles
  }

  /** An owner is about to lock something through a handle. Returns its number. */
  take(handle: OpenHandle, name: number, pid: number): number {
    let owner = this.#owners.get(name)
    if (owner === undefined) {
      owner = { name, number: 0, pid, inodes: new Map() }
      this.#owners.set(name, owner)
      this.#number(owner)
    }
    owner.pid = pid
    let number = owner.inodes.get(handle.ino)
    if (number === undefined) {
      if (this.#isLeftBehind(handle, owner.number)) this.#number(owner)
      number = owner.number
      owner.inodes.set(handle.ino, number)
    }
    if (!handle.lockers.has(number)) this.#byNumber.get(number)!.handles++
    handle.lockers.set(number, 'open')
    return number
  }

  #number(owner: Owner): void {
    owner.number = this.#free.pop() ?? this.#byNumber.size + 1
    this.#byNumber.set(owner.number, { owner, handles: 0 })
  }

  /** Whether others keep another handle of the file that a number was used with, and closed. */
  #isLeftBehind(handle: OpenHandle, number: number): boolean {
    const own = handle.lockers.has(number) ? 1 : 0
    if (this.#byNumber.get(number)!.handles <= own) return false
    for (const one of this.#handles.values()) {
      const left = one.ino === handle.ino && one.lockers.get(number) === 'closed'
      if (left && one !== handle) return true
    }
    return false
  }

  /** The number of an owner; 0: it has no locks. */
  numberOf(ino: number, name: number): number {
    const owner = this.#owners.get(name)
    return owner?.inodes.get(ino) ?? owner?.number ?? 0
  }

  /** 0 for one that is another mount's. */
  pidOf(number: unknown): number {
    return typeof number === 'number' ? (this.#byNumber.get(number)?.owner.pid ?? 0) : 0
  }

  /** All that it has on an inode has ended. */
  dropped(ino: number, name: number): void {
    this.#owners.get(name)?.inodes.delete(ino)
  }

  /** A descriptor was closed: all locks of its process on the file end (fcntl(2)). */
  closed({ file, ino, lockers }: OpenHandle, name: number): number | Promise<number> {
    const owner = this.#owners.get(name)
    if (owner === undefined) return 0
    const number = owner.inodes.get(ino)
    for (const one of [owner.number, number ?? owner.number]) {
      if (lockers.has(one)) lockers.set(one, 'closed')
    }
    if (number === undefined) return 0
    return file.unlock({ start: 0, length: 0, owner: number }).then(() => {
      this.dropped(ino, name)
      return 0
    })
  }

  /** A handle was closed for the last time: what its owners had by it has ended. */
  released({ ino, lockers }: OpenHandle): void {
    for (const number of lockers.keys()) {
      const numbered = this.#byNumber.get(number)!
      const { owner } = numbered
      if (owner.inodes.get(ino) === number) owner.inodes.delete(ino)
      if (--numbered.handles > 0) continue
      this.#byNumber.delete(number)
      this.#free.push(number)
      if (owner.number === number) this.#owners.delete(owner.name)
    }
    lockers.clear()
  }
}
