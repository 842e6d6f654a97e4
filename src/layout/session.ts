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
  readonly #onEnd: (session: Session) => void

  constructor(id: number, options: SessionOptions, onEnd: (session: Session) => void) {
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

  /** Ends all that it holds: the blocks are free to change, and its addresses no longer good. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd(this)
  }

  [Symbol.dispose](): void {
    this.end()
  }
}
