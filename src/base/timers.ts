/** Time, as the arbiter takes it: handed in, so that tests say what time it is. */
export interface Timers {
  /** Milliseconds of a clock that only goes forward. */
  now(): number
  /** Milliseconds since 1970. */
  wall(): number
  /** Calls `run` once, later; returns what prevents it. */
  after(milliseconds: number, run: () => void): () => void
  /** Resolves when what has come in meanwhile was dealt with. */
  turn(): Promise<void>
}

export const systemTimers: Timers = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(milliseconds, run) {
    const timer = setTimeout(run, milliseconds)
    return () => clearTimeout(timer)
  },
  turn: () => new Promise((resolve) => setImmediate(resolve)),
}
