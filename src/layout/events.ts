/** What happens to holds, for who watches: one event for each grant, refusal, recall and end. */
import type { ByteRange, HoldInfo, LayoutChange } from '../base/layout.js'

export interface HoldEvent {
  /**
   * - `grant`, `release`: a hold begins, ends;
   * - `refuse`: a change was refused for the sake of these holds;
   * - `recall`: a lease is asked back; `fence`: it was not given back in time;
   * - `return`: a part of it was given back;
   * - `defer`: blocks under it have left their file;
   * - `lost`: the object of a hold was garbage collected; the hold goes on until its session ends.
   */
  readonly kind: 'grant' | 'release' | 'refuse' | 'recall' | 'return' | 'fence' | 'defer' | 'lost'
  /** The hold, or those in the way. */
  readonly holds: readonly HoldInfo[]
  /** What was to change, where that is why. */
  readonly change?: LayoutChange
  /** The bytes of the file that are wanted back, of a recall. */
  readonly wanted?: ByteRange
}

/** Runs what others have given us to call: what it throws is a warning of the program's. */
export function unharmed(run: () => void): void {
  try {
    run()
  } catch (error) {
    process.emitWarning(error instanceof Error ? error : String(error))
  }
}

/**
 * Listeners are told in the middle of calls: they look and remember, and make no calls of their own
 * (EDEADLK). What one throws is reported as a warning, and changes nothing.
 */
export class HoldEvents {
  /** Listeners are being told. */
  telling = false
  readonly #listeners = new Set<(event: HoldEvent) => void>()

  get watched(): boolean {
    return this.#listeners.size > 0
  }

  /** Calls `listener` for every event from now on; returns what ends it. */
  watch(listener: (event: HoldEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tell(event: HoldEvent): void {
    this.telling = true
    try {
      for (const listener of this.#listeners) unharmed(() => listener(event))
    } finally {
      this.telling = false
    }
  }
}
