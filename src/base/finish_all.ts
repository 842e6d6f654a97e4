/**
 * Runs all steps of an end, whichever of them fail: what one could not let go of is no reason to
 * keep the rest. Throws what the first failure was.
 */
export function finishAll(steps: Iterable<() => void>): void {
  let failed = false
  let first: unknown
  for (const step of steps) {
    try {
      step()
    } catch (error) {
      if (!failed) first = error
      failed = true
    }
  }
  if (failed) throw first
}
