/** The seed of a file's random tests, which SEED repeats, and how many runs HOLDFAST_LONG makes. */
export const LONG = Number(process.env['HOLDFAST_LONG'] ?? 1)
export const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 0x7fff_ffff))

/** For fast-check: so many runs, or as many times more as was asked for. */
export const runs = (short: number) => ({ seed, numRuns: short * LONG })
