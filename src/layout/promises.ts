/**
 * The forms that recall and wait. Each is the synchronous call, asked again until nothing is in its
 * way: with policy 'wait' for pins, up to `timeout`; for leases, until they are given back or
 * fenced.
 */
import type { Credentials, Path } from '../base/filesystem.js'
import type {
  ChangeOptions,
  Defragmented,
  Evacuated,
  HoldKind,
  MoveOptions,
  ShareOptions,
  Shrunk,
  UnshareMode,
  WaitOptions,
} from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { OpenFile } from '../volume/open_file.js'
import { BEHIND, BESIDE, type Standing } from './alone.js'
import type { LayoutFile } from './file.js'
import type { HoldOptions, LeaseOptions } from './grants.js'
import type { Hold } from './hold.js'
import { SnapshotInTurns, type SnapshotOptions } from './snapshot_in_turns.js'
import type { LayoutVolume } from './volume.js'

/** Of a change by path. */
export interface SettleOptions extends ChangeOptions, WaitOptions {
  readonly as?: Credentials | undefined
}

export class LayoutPromises {
  readonly #volume: LayoutVolume

  constructor(volume: LayoutVolume) {
    this.#volume = volume
  }

  /** Any synchronous call of the volume or of its handles, as a whole. */
  settle<T>(run: () => T, options: ChangeOptions & MoveOptions = {}): Promise<T> {
    return this.#settle(run, options, BEHIND)
  }

  /** One that changes nothing, but may have to wait: not for a snapshot. */
  look<T>(run: () => T, options: ChangeOptions & MoveOptions = {}): Promise<T> {
    return this.#settle(run, options, BESIDE)
  }

  #settle<T>(run: () => T, options: ChangeOptions & MoveOptions, standing: Standing): Promise<T> {
    const { arbiter, waiting } = this.#volume
    const { policy, force } = options
    return waiting.settle(() => arbiter.during({ policy, force }, run), options, false, standing)
  }

  truncate(path: Path, size: number, options: SettleOptions = {}): Promise<void> {
    return this.settle(() => this.#volume.truncate(path, size, options.as), options)
  }

  unlink(path: Path, options: SettleOptions = {}): Promise<void> {
    return this.settle(() => this.#volume.unlink(path, options.as), options)
  }

  reflink(from: Path, to: Path, options: SettleOptions & ShareOptions = {}): Promise<void> {
    return this.settle(() => this.#volume.reflink(from, to, options, options.as), options)
  }

  snapshot(from: Path, to: Path, options: SettleOptions & ShareOptions = {}): Promise<void> {
    return this.settle(() => this.#volume.snapshot(from, to, options, options.as), options)
  }

  /**
   * The same in several turns, for who makes all changes in the forms here: they wait for it. What
   * does not wait calls `Alone.finish`.
   */
  async snapshotInTurns(from: Path, to: Path, options: SnapshotOptions = {}): Promise<void> {
    const { waiting } = this.#volume
    const turns = new SnapshotInTurns(this.#volume, from, to, options)
    const standing = { beside: () => turns.begun, last: true }
    try {
      while (!(await waiting.settle(() => turns.step(), options, false, standing))) {
        await waiting.turn()
      }
    } finally {
      turns.giveUp()
    }
  }

  // ---- by handle -------------------------------------------------------------------------------

  resize(file: LayoutFile, size: number, options: SettleOptions = {}): Promise<void> {
    return this.settle(() => file.truncate(size), options)
  }

  write(
    file: OpenFile,
    bytes: Uint8Array,
    position: number | null = null,
    options: SettleOptions = {},
  ): Promise<number> {
    return this.settle(() => file.write(bytes, position), options)
  }

  punch(
    file: LayoutFile,
    offset: number,
    length: number,
    options: SettleOptions = {},
  ): Promise<void> {
    return this.settle(() => file.punch(offset, length), options)
  }

  collapse(
    file: OpenFile,
    offset: number,
    length: number,
    options: SettleOptions = {},
  ): Promise<void> {
    return this.settle(() => file.collapse(offset, length), options)
  }

  insert(
    file: OpenFile,
    offset: number,
    length: number,
    options: SettleOptions = {},
  ): Promise<void> {
    return this.settle(() => file.insert(offset, length), options)
  }

  /** Blocks of its own for a range of a file, which a write past the calls is to go to. */
  own(file: LayoutFile, offset: number, length: number, options: WaitOptions = {}): Promise<void> {
    return this.settle(() => file.own(offset, length), options)
  }

  reflinkRange(
    file: LayoutFile,
    offset: number,
    to: OpenFile,
    toOffset: number,
    length: number,
    options: SettleOptions & ShareOptions = {},
  ): Promise<void> {
    return this.settle(() => file.reflinkRange(offset, to, toOffset, length, options), options)
  }

  // ---- holds -----------------------------------------------------------------------------------

  pin(file: LayoutFile, options: HoldOptions & WaitOptions = {}): Promise<Hold> {
    return this.#hold(file, 'pin', options)
  }

  seal(file: LayoutFile, options: HoldOptions & WaitOptions = {}): Promise<Hold> {
    return this.#hold(file, 'seal', options)
  }

  lease(file: LayoutFile, options: LeaseOptions & WaitOptions): Promise<Hold> {
    return this.#hold(file, 'lease', options)
  }

  /** What a large one populates and copies comes first, with other work in between. */
  async #hold(
    file: LayoutFile,
    kind: HoldKind,
    options: (HoldOptions | LeaseOptions) & WaitOptions,
  ): Promise<Hold> {
    const { waiting, pageCaches } = this.#volume
    const stores = kind !== 'lease' || (options as LeaseOptions).iomode === 'rw'
    if (stores && !pageCaches.none) {
      await pageCaches.release(file.ino, options.session ?? file.session)
    }
    const large = file.isLargeHold(options)
    let from = -1
    const step = (ticket: number) => file.takeHoldStep(kind, options, ticket, from)
    while (large && (from = await waiting.settle(step, options, true)) >= 0) {
      await waiting.turn()
      if (options.signal?.aborted === true) break // as of a call that waits
    }
    const run = (ticket: number) => file.takeHold(kind, options, ticket)
    return waiting.settle(run, options, true)
  }

  /** Asks a lease back, for nobody's sake: how it ended. */
  recall(id: number, options: WaitOptions = {}): Promise<'returned' | 'fenced'> {
    return this.#volume.waiting.recall(id, options)
  }

  // ---- maintenance -----------------------------------------------------------------------------

  async defragment(
    path: Path,
    options: MoveOptions & { readonly as?: Credentials | undefined } = {},
  ): Promise<Defragmented> {
    const begin = () => this.#volume.defragment(path, options.as)
    return (await this.#steps(begin, options)).result
  }

  /** Fixes a file, whose blocks it gets step by step. */
  async fix(
    path: Path,
    options: MoveOptions & { readonly as?: Credentials | undefined } = {},
  ): Promise<void> {
    await this.#steps(() => this.#volume.fixing.fix(path, options.as), options)
  }

  /** Moves what files have of bytes [from, to) of the region elsewhere. */
  async evacuate(
    from: number,
    to: number,
    options: MoveOptions & { readonly as?: Credentials | undefined } = {},
  ): Promise<Evacuated> {
    const begin = () => this.#volume.evacuate(from, to, options.as)
    const { moved, result } = await this.#steps(begin, options)
    return { ...result, moved }
  }

  /** Lets the volume end after `size` bytes; what is beyond moves. */
  async shrink(
    size: number,
    options: MoveOptions & { readonly as?: Credentials | undefined } = {},
  ): Promise<Shrunk> {
    const before = this.#volume.core.geometry.blockCount * BLOCK_BYTES
    const begin = () => this.#volume.shrink(size, options.as)
    const { moved } = await this.#steps(begin, options)
    return { before, after: size, moved }
  }

  /** Gives a file blocks of its own, or makes the others move. */
  unshare(file: LayoutFile, options: WaitOptions & { mode?: UnshareMode } = {}): Promise<void> {
    return this.settle(() => file.unshare(options.mode), options)
  }

  /**
   * Steps with other work in between; from the beginning again after what was in the way is gone.
   * Returns the blocks moved in all of them.
   */
  async #steps<T>(
    begin: () => Generator<number, T>,
    options: MoveOptions,
  ): Promise<{ moved: number; result: T }> {
    const { waiting } = this.#volume
    let steps: Iterator<number, T> = begin()
    try {
      for (let moved = 0; ;) {
        const step = await this.settle(() => {
          try {
            return steps.next()
          } catch (error) {
            steps = begin()
            throw error
          }
        }, options)
        if (step.done === true) return { moved, result: step.value }
        moved += step.value
        options.onProgress?.(moved * BLOCK_BYTES)
        await waiting.turn()
      }
    } finally {
      // Given up between two of them: what they keep open, or hold back meanwhile, ends.
      steps.return?.()
    }
  }
}
