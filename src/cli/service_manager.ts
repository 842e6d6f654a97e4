/**
 * What the manager of services (systemd) hears of a server: sd_notify(3).
 *
 * Invariant: a manager that does not listen is logged once, and stops nothing.
 */
import { systemTimers } from '../base/timers.js'
import { notifySystemd, watchdogMilliseconds } from '../native/systemd.js'
import type { Log } from '../serve/log.js'

/** Signs of life within the time that the manager waits for one. */
const SIGNS = 3
const NANOSECONDS = 1000n

export class ServiceManager {
  readonly #log: Log
  #silent = false
  #cancel = () => {}

  constructor(log: Log) {
    this.#log = log
  }

  /** Clients can come. From now on it is told that the server lives, while it does. */
  ready(status: string, healthy: () => boolean): void {
    this.#tell(`READY=1\nSTATUS=${status}`)
    const within = watchdogMilliseconds()
    if (within === null) return
    const sign = () => {
      if (healthy()) this.#tell('WATCHDOG=1')
      this.#cancel = systemTimers.after(within / SIGNS, sign)
    }
    sign()
  }

  /** Runs what reads settings again (Type=notify-reload). */
  reloading(reload: () => void): void {
    this.#tell(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / NANOSECONDS}`)
    reload()
    this.#tell('READY=1')
  }

  stopping(): void {
    this.#cancel()
    this.#tell('STOPPING=1\nSTATUS=asking back what clients hold')
  }

  #tell(state: string): void {
    if (this.#silent) return
    try {
      notifySystemd(state)
    } catch (error) {
      this.#silent = true
      this.#log.warn('the manager of services is not told', { error: error as Error })
    }
  }
}
