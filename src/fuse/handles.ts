/** Files and directories that the kernel has open, by the numbers that it has of them. */
import { HoldfastError } from '../base/errors.js'
import type { DirectFile, FileHandle, HeldRange } from '../base/filesystem.js'
import { O } from '../base/open_flags.js'

export interface OpenHandle {
  readonly file: FileHandle
  /** Root has opened it. */
  readonly trusted: boolean
  /** Where bytes are moved in place; undefined: by calls. */
  readonly direct: DirectFile | undefined
  readonly ino: number
  /** Flags of open(2) that it was opened with. */
  readonly flags: number
  /** Pins that were taken through it, by their ids. */
  readonly pins: Map<number, HeldRange>
  /** Owners that have locked through it, by their numbers, and whether they have closed it. */
  readonly lockers: Map<number, 'open' | 'closed'>
}

/** One that fails keeps no other: the first failure is thrown when all were tried. */
export async function releasePins({ pins }: OpenHandle): Promise<void> {
  const releasing = [...pins.values()].map(async (held) => held.release())
  pins.clear()
  const failed = (await Promise.allSettled(releasing)).find(({ status }) => status === 'rejected')
  if (failed !== undefined) throw (failed as PromiseRejectedResult).reason
}

export class Handles {
  readonly #open: (OpenHandle | undefined)[] = []
  readonly #free: number[] = []

  add(handle: OpenHandle): number {
    const number = this.#free.pop() ?? this.#open.length
    this.#open[number] = handle
    return number
  }

  /** EBADF for one that is not open. */
  get(number: number): OpenHandle {
    const handle = this.#open[number]
    if (handle === undefined) throw new HoldfastError('EBADF', `handle ${number} is not open`)
    return handle
  }

  remove(number: number): OpenHandle {
    const handle = this.get(number)
    this.#open[number] = undefined
    this.#free.push(number)
    return handle
  }

  *values(): Iterable<OpenHandle> {
    for (const handle of this.#open) if (handle !== undefined) yield handle
  }

  /** Whether somebody may be writing to a file. */
  writes(ino: number): boolean {
    for (const handle of this.values()) {
      if (handle.ino === ino && (handle.flags & (O.WRONLY | O.RDWR)) !== 0) return true
    }
    return false
  }

  get count(): number {
    return this.#open.length - this.#free.length
  }
}
