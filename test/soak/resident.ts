/**
 * Whether a row of measurements grows. What malloc and the engine keep of freed memory makes single
 * ones jump, up and down; what a leak raises is the least of them.
 */

/** By which the least of the last quarter is above the least of the quarter before. */
export function growth(row: readonly number[]): number {
  const quarter = Math.max(1, Math.floor(row.length / 4))
  const least = (from: number, to: number) => Math.min(...row.slice(from, to))
  const last = row.length - quarter
  return Math.max(0, least(last, row.length) - least(Math.max(0, last - quarter), last))
}
