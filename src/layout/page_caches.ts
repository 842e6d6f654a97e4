/**
 * Who keeps pages of files apart from the volume: mounts. Before somebody else is granted a hold
 * that lets him store to a file past all calls, each writes back what is dirty and drops all of it.
 *
 * Invariant: who asks for a hold waits for a cache only so long as its session lasts, and no longer
 * than PATIENCE_MS.
 */
import type { Timers } from '../base/timers.js'
import type { Session } from './session.js'

/** Milliseconds: a mount has a page of any file written back sooner, or its host is not well. */
const PATIENCE_MS = 5000

/** Resolves when nothing of that inode is cached; `over`: nobody waits for it any more. */
type Release = (ino: number, over: AbortSignal) => Promise<void>

interface Cache {
  readonly session: Session
  readonly release: Release
  /** Ends of waits for it, for when it is gone. */
  readonly waits: Set<() => void>
}

export class PageCaches {
  readonly #timers: Timers
  readonly #caches = new Set<Cache>()
  /** Told of the session of a cache that was waited for in vain. */
  late: (session: Session, ino: number) => void = () => {}

  constructor(timers: Timers) {
    this.#timers = timers
  }

  /** There are none. */
  get none(): boolean {
    return this.#caches.size === 0
  }

  /** From now on a session's cache is asked; what comes back ends that. */
  add(session: Session, release: Release): () => void {
    const cache: Cache = { session, release, waits: new Set() }
    this.#caches.add(cache)
    return () => {
      this.#caches.delete(cache)
      for (const end of [...cache.waits]) end()
    }
  }

  /** Before `asker` stores to a file: nobody else has pages of it when this resolves. */
  async release(ino: number, asker: Session): Promise<void> {
    const others = [...this.#caches].filter(({ session }) => session !== asker)
    await Promise.all(others.map((cache) => this.#releaseOne(cache, ino)))
  }

  #releaseOne(cache: Cache, ino: number): Promise<void> {
    return new Promise((resolve) => {
      const over = new AbortController()
      const done = () => {
        cancel()
        cache.waits.delete(done)
        over.abort()
        resolve()
      }
      const cancel = this.#timers.after(PATIENCE_MS, () => {
        this.late(cache.session, ino)
        done()
      })
      cache.waits.add(done)
      // What a cache throws is no reason to wait for it.
      cache.release(ino, over.signal).then(done, done)
    })
  }
}
