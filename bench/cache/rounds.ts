/** What the processes of `bench -- cache` are asked, and what they answer. */
export interface CacheRound {
  /** `fill` puts every key once, `put` those of this process, `get` any. */
  readonly operation: 'fill' | 'put' | 'get'
  readonly bytes: number
  readonly count: number
  readonly outstanding: number
}

/** Nanoseconds: of all, and of one. */
export interface CacheTimes {
  readonly nanoseconds: number
  readonly p50: number
  readonly p99: number
}

export const PROCESSES = 4
/** Of each size. */
export const KEYS = 128
