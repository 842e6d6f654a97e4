/** Whether a row of measurements grows: a straight line through them, by least squares. */

export interface Sample {
  /** Seconds since the beginning. */
  readonly at: number
  readonly bytes: number
}

/** Bytes by which the line through the samples rises from the first of them to the last. */
export function growth(samples: readonly Sample[]): number {
  const n = samples.length
  const mean = (of: (one: Sample) => number) => samples.reduce((sum, s) => sum + of(s), 0) / n
  const at = mean((s) => s.at)
  const bytes = mean((s) => s.bytes)
  const spread = samples.reduce((sum, s) => sum + (s.at - at) ** 2, 0)
  if (spread === 0) return 0
  const slope = samples.reduce((sum, s) => sum + (s.at - at) * (s.bytes - bytes), 0) / spread
  return slope * (samples[n - 1]!.at - samples[0]!.at)
}

/** What is left when the first quarter, in which caches fill, is taken away. */
export function settled(samples: readonly Sample[]): readonly Sample[] {
  return samples.slice(Math.ceil(samples.length / 4))
}
