/**
 * Whether what was written, and not synced, may be lost: a server that begins anew, after a crash
 * of its machine say, has what its medium had.
 */
import { HoldfastError } from '../base/errors.js'
import type { Alive } from './link.js'

export class Unsynced {
  /** Of the volume, when the first of it was written; null: nothing was. */
  #epoch: number | null = null

  /** Something was written in a session. */
  wrote({ hello }: Alive): void {
    this.#epoch ??= hello.epoch
  }

  /** All was made durable in a session. ESTALE, once, when it may not be all. */
  synced({ hello }: Alive): void {
    const epoch = this.#epoch
    this.#epoch = null
    if (epoch === null || epoch === hello.epoch) return
    const detail =
      'the server has begun anew since the file was written: what was not synced may be lost, ' +
      'write it again'
    throw new HoldfastError('ESTALE', detail)
  }
}
