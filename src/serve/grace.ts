/**
 * The grace period: from the mount of a region that others still map, until each of them has taken
 * its holds again or maps it no more.
 *
 * Invariant: it ends once, and only when every lock byte that was held at the mount is a session's
 * that has said RECLAIM_COMPLETE, or is free.
 */
import { whoMaps } from '../region/survivor_locks.js'
import type { ClientSession } from './client_session.js'
import type { Server } from './server.js'

const LOOK_MILLISECONDS = 50
/** Between two lines of the log about who is waited for. */
const TELL_MILLISECONDS = 10_000

export class GracePeriod {
  readonly #server: Server
  #stop = () => {}
  #told = -Infinity

  constructor(server: Server) {
    this.#server = server
    if (server.files.volume.inGrace) this.#look()
  }

  /** A session has taken again what mappings with the locks of these slots stand on. */
  claim(session: ClientSession, slots: readonly number[]): void {
    session.reclaiming = false
    if (!this.#server.files.volume.inGrace) return
    this.#server.mapping.claim(session, slots)
    this.#stop()
    this.#look()
  }

  #look(): void {
    const { volume } = this.#server.files
    if (volume.closed || !volume.inGrace) return
    const { unclaimed } = this.#server.mapping
    if (unclaimed > 0) {
      this.#tell(unclaimed)
      this.#stop = this.#server.timers.after(LOOK_MILLISECONDS, () => this.#look())
      return
    }
    volume.endGrace()
    this.#server.log.info('grace period is over')
    for (const session of this.#server.sessions.values()) {
      session.reclaiming = false
      session.tell('graceOver', {})
    }
  }

  #tell(survivors: number): void {
    const { timers, log, files } = this.#server
    if (timers.now() - this.#told < TELL_MILLISECONDS) return
    this.#told = timers.now()
    const processes = whoMaps(files.volume.region.path)
      .filter(({ pid }) => pid !== process.pid)
      .map(({ pid, name }) => `${pid} (${name})`)
    log.warn('grace period: processes still map the region', { survivors, processes })
  }

  close(): void {
    this.#stop()
  }
}
