/**
 * Where the lines of a log go: a descriptor, without waiting for it. Node writes to stderr
 * synchronously when it is a pipe, so that a reader who stops would stop the server; here lines
 * wait, up to a bound, and what is beyond is counted and said.
 */
import { write, writeSync } from 'node:fs'

export const LOG_WAITING_BYTES_MAX = 1024 * 1024

export class LogSink {
  readonly #fd: number
  readonly #most: number
  #waiting: Buffer[] = []
  #bytes = 0
  #lost = 0
  #writing: Buffer | null = null
  #idle: (() => void)[] = []

  constructor(fd: number, most = LOG_WAITING_BYTES_MAX) {
    this.#fd = fd
    this.#most = most
  }

  /** Lines that were not written: too many waited, or the descriptor takes none. */
  get lost(): number {
    return this.#lost
  }

  readonly write = (line: string): void => {
    const bytes = Buffer.from(line)
    if (this.#bytes + bytes.length > this.#most) {
      this.#lost++
      return
    }
    this.#waiting.push(bytes)
    this.#bytes += bytes.length
    if (this.#writing === null) this.#next()
  }

  /** Resolves when all that waits is written. */
  drained(): Promise<void> {
    if (this.#writing === null) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }

  /** What waits, now: for a process that is about to end. */
  flush(): void {
    const waiting = Buffer.concat(this.#waiting)
    this.#forget()
    try {
      for (let at = 0; at < waiting.length;) at += writeSync(this.#fd, waiting, at)
    } catch {
      this.#lost++ // nobody is there to be told
    }
  }

  #next(): void {
    const bytes = Buffer.concat(this.#waiting)
    this.#forget()
    if (bytes.length === 0) {
      this.#writing = null
      for (const resolve of this.#idle.splice(0)) resolve()
    } else this.#writeFrom(bytes)
  }

  #forget(): void {
    this.#waiting = []
    this.#bytes = 0
  }

  #writeFrom(bytes: Buffer): void {
    this.#writing = bytes
    write(this.#fd, bytes, (error, written) => {
      if (error?.code === 'EAGAIN') return void setImmediate(() => this.#writeFrom(bytes))
      if (error !== null) this.#lost++
      if (error !== null || written === bytes.length) return this.#next()
      this.#writeFrom(bytes.subarray(written))
    })
  }
}
