/**
 * Whether a row of measurements grows. What malloc and the engine keep of freed memory makes single
 * ones jump, up and down; what a leak raises is the least of them.
 */

export interface Sample {
  /** Seconds since the beginning. */
  readonly at: number
  readonly bytes: number
}

/** Bytes by which the least of the last quarter is above the least of the quarter before. */
export function growth(samples: readonly Sample[]): number {
  const quarter = Math.max(1, Math.floor(samples.length / 4))
  const least = (from: number, to: number) =>
    Math.min(...samples.slice(from, to).map(({ bytes }) => bytes))
  const last = samples.length - quarter
  return Math.max(0, least(last, samples.length) - least(Math.max(0, last - quarter), last))
}
