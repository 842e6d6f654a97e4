/**
 * A snapshot in several turns of the event loop: others read meanwhile, and give back what they
 * hold; changes, and new holds, wait for it (Alone).
 *
 * Invariants:
 * - it is of one moment, as nothing changes from its first step to its last;
 * - it is not alone while it waits for anybody: what is in the way ends it, and it begins anew;
 * - given up, or refused, it leaves nothing behind.
 */
import { HoldfastError } from '../base/errors.js'
import type { Credentials, Path, ShareOptions } from '../base/filesystem.js'
import type { ChangeOptions, WaitOptions } from '../base/layout.js'
import type { InTurns } from './alone.js'
import type { Session } from './session.js'
import { snapshot } from './snapshot.js'
import type { LayoutVolume } from './volume.js'

export interface SnapshotOptions extends ChangeOptions, WaitOptions, ShareOptions {
  readonly as?: Credentials | undefined
  /** Who asks for it. */
  readonly session?: Session | undefined
}

export class SnapshotInTurns implements InTurns {
  readonly #volume: LayoutVolume
  readonly #from: Path
  readonly #to: Path
  readonly #options: SnapshotOptions
  #steps: Generator<void> | null = null
  #done = false
  /** In the middle of a step: who is called from there can neither finish it nor undo it. */
  #stepping = false
  /** It is given up when that step is over. */
  #left = false

  constructor(volume: LayoutVolume, from: Path, to: Path, options: SnapshotOptions) {
    this.#volume = volume
    this.#from = from
    this.#to = to
    this.#options = options
  }

  /** Whether it is alone now, or was: it waits for nobody. */
  get begun(): boolean {
    return this.#done || this.#steps !== null
  }

  /** Some of it; true: all is done. */
  step(): boolean {
    if (this.#done) return true
    const { waiting } = this.#volume
    try {
      if (this.#run((steps) => waiting.slice(steps))) this.#end()
      else if (this.#left) throw new HoldfastError('EINTR', 'the snapshot was given up')
      return this.#done
    } catch (error) {
      this.giveUp()
      throw error
    }
  }

  #run(much: (steps: Generator<void>) => boolean): boolean {
    const { policy, share, session } = this.#options
    const request = session === undefined ? { policy, share } : { policy, share, session }
    return this.#volume.arbiter.during(request, () => {
      if (this.#steps === null) {
        this.#volume.waiting.alone.begin(this)
        this.#steps = snapshot(this.#volume, this.#from, this.#to, { share }, this.#options.as)
      }
      this.#stepping = true
      try {
        return much(this.#steps)
      } finally {
        this.#stepping = false
      }
    })
  }

  /**
   * All of it, for a change that does not wait. What is refused is asked for anew, later. EDEADLK
   * out of a step of it.
   */
  finish(): void {
    if (this.#stepping) {
      throw new HoldfastError('EDEADLK', 'a snapshot is in the middle of a step: do it afterwards')
    }
    try {
      this.#run((steps) => {
        while (steps.next().done !== true);
        return true
      })
      this.#end()
    } catch {
      this.giveUp()
    }
  }

  #end(): void {
    this.#done = true
    this.#steps = null
    this.#volume.waiting.alone.end()
  }

  /** What was made of it goes; out of a step, when that is over. */
  giveUp(): void {
    const steps = this.#steps
    if (steps === null) return
    this.#left = this.#stepping
    if (this.#stepping) return
    this.#steps = null
    this.#stepping = true
    try {
      steps.return(undefined)
    } finally {
      this.#stepping = false
      this.#volume.waiting.alone.end()
    }
  }
}
