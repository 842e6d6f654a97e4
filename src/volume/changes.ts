/** Who is told of changes, an event a change, after it is made (not: durable). */
import type { Change } from '../base/filesystem.js'

export class Changes {
  readonly #listeners = new Set<(change: Change) => void>()

  /** Whether anybody listens: who tells asks first, so that nothing is made for nobody. */
  get watched(): boolean {
    return this.#listeners.size > 0
  }

  watch(listener: (change: Change) => void): () => void {
    const own = (change: Change) => listener(change)
    this.#listeners.add(own)
    return () => void this.#listeners.delete(own)
  }

  /** A listener that throws does so in its own turn, not in the operation's. */
  tell(change: Change): void {
    for (const listener of this.#listeners) {
      try {
        listener(change)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
