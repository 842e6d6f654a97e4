/**
 * Sizes of files that remote clients have leases of. A size may change without a change of the
 * layout, so no lease is asked back for it; who reads one-sided has to be told.
 *
 * Invariant: when a size has changed, each session with a lease of the file is told the one that it
 * has after all that this turn brought, unless it was told that one last.
 */
import type { LayoutVolume } from '../layout/volume.js'
import type { ClientSession } from './client_session.js'

export class Sizes {
  readonly #volume: LayoutVolume
  /** By inode: leases of each session, and the size that it was told last. */
  readonly #leases = new Map<number, Map<ClientSession, { leases: number; told: number }>>()
  readonly #changed = new Set<number>()
  #stop: (() => void) | null = null

  constructor(volume: LayoutVolume) {
    this.#volume = volume
  }

  /** A session has one lease more of a file. */
  add(session: ClientSession, ino: number): void {
    const sessions =
      this.#leases.get(ino) ?? new Map<ClientSession, { leases: number; told: number }>()
    this.#leases.set(ino, sessions)
    const known = sessions.get(session)
    if (known === undefined) sessions.set(session, { leases: 1, told: -1 })
    else known.leases++
    this.#stop ??= this.#volume.watch(({ ino: changed }) => this.#note(changed))
  }

  /** A session has one lease fewer of a file. */
  drop(session: ClientSession, ino: number): void {
    const sessions = this.#leases.get(ino)
    const known = sessions?.get(session)
    if (sessions === undefined || known === undefined) return
    if (--known.leases > 0) return
    sessions.delete(session)
    if (sessions.size === 0) this.#leases.delete(ino)
    if (this.#leases.size === 0) this.close()
  }

  #note(ino: number): void {
    if (!this.#leases.has(ino) || this.#changed.has(ino)) return
    this.#changed.add(ino)
    if (this.#changed.size === 1) queueMicrotask(() => this.#tell())
  }

  #tell(): void {
    const { core, closed } = this.#volume
    const changed = [...this.#changed]
    this.#changed.clear()
    if (closed) return
    core.pages.tick()
    for (const ino of changed) {
      const sessions = this.#leases.get(ino)
      if (sessions === undefined) continue
      const size = core.inodes.size(core.inodes.get(ino))
      for (const [session, known] of sessions) {
        if (known.told === size) continue
        known.told = size
        session.tell('sized', { ino, size })
      }
    }
  }

  close(): void {
    this.#stop?.()
    this.#stop = null
  }
}
