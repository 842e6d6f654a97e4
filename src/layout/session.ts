/**
 * Sessions: who holds. One is a client: a part of this program, a process, a remote host. What it
 * holds ends with it.
 */
import { HoldfastError } from '../base/errors.js'
import type { Credentials } from '../base/filesystem.js'
import type { HoldOwner } from '../base/layout.js'

export interface SessionOptions {
  /** What it calls itself in lists and errors. */
  readonly name?: string
  /** Who it is; root unless given. */
  readonly as?: Credentials
}

export class Session {
  /** Never given twice within one mount. */
  readonly id: number
  readonly name: string
  readonly as: Credentials
  #ended = false
  readonly #onEnd: (session: Session) => Promise<void>
  #over: Promise<void> | null = null

  constructor(id: number, options: SessionOptions, onEnd: (session: Session) => Promise<void>) {
    this.id = id
    this.name = options.name ?? `session ${id}`
    this.as = options.as ?? { uid: 0, gid: 0 }
    this.#onEnd = onEnd
  }

  get ended(): boolean {
    return this.#ended
  }

  /** As it is named where its holds are listed. */
  get owner(): HoldOwner {
    return { session: this.id, name: this.name, uid: this.as.uid }
  }

  /** ESTALE once it has ended. */
  demandAlive(): void {
    if (this.#ended) throw new HoldfastError('ESTALE', `session ${this.id} has ended`)
  }

  /**
   * Ends all that it holds: leases that can be cut off when they have drained, all else at once.
   * Its addresses are no longer good. `over` tells when nothing is left.
   */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    try {
      this.#over = this.#onEnd(this)
      this.#over.catch(() => {}) // told to who asks for it
    } catch (error) {
      this.#ended = false // nothing of it has: it may be asked again
      throw error
    }
  }

  /**
   * Resolves when it has ended and nothing of what it held is in use any more. Rejects, then, when
   * the medium failed meanwhile.
   */
  get over(): Promise<void> {
    if (this.#over === null) throw new HoldfastError('EINVAL', 'end() comes first')
    return this.#over
  }

  [Symbol.dispose](): void {
    this.end()
  }
}
