/**
 * Interleaved rounds: each side in turn, again and again, so that a machine that changes its speed
 * changes it for all. A side may be a process of its own, which says itself how long it took.
 */
import { counted, time, type Counts, type Side } from './pairs.js'
import type { MemoryRegion } from '../src/region/memory_region.js'
import type { Volume } from '../src/volume/volume.js'
import { spread, type Spread } from './table.js'

export interface Runner {
  readonly name: string
  /** One round: nanoseconds an operation. */
  round(): number | Promise<number>
  /** What one operation costs the medium. */
  counts?(): Counts
}

/** Who is compared with, and what is wanted: ours / theirs at most this. */
export interface Other {
  readonly runner: Runner
  readonly most?: number
}

export interface Question {
  readonly question: string
  readonly ours: Runner
  /** Nanoseconds that an operation may take. */
  readonly most?: number
  readonly others: readonly Other[]
}

export interface Answer {
  readonly question: string
  readonly ours: Spread
  readonly most: number | undefined
  readonly counts: Counts | undefined
  readonly others: readonly {
    readonly name: string
    readonly time: Spread
    /** Ours / theirs, round by round. */
    readonly ratio: Spread
    readonly most: number | undefined
  }[]
}

/** Rounds that do not count: the engine compiles, caches fill, memory is touched. */
const WARM_UP = 10

export async function ask(asked: Question, rounds: number, warmUp = WARM_UP): Promise<Answer> {
  const { question, ours, most, others } = asked
  const runners = [ours, ...others.map(({ runner }) => runner)]
  const times: number[][] = runners.map(() => [])
  for (let i = -warmUp; i < rounds; i++) {
    for (const [k, runner] of runners.entries()) {
      const nanoseconds = await runner.round()
      if (i >= 0) times[k]!.push(nanoseconds)
    }
  }
  const [own, ...theirs] = times
  return {
    question,
    most,
    ours: spread(own!),
    counts: ours.counts?.(),
    others: others.map(({ runner, most: wanted }, k) => ({
      name: runner.name,
      time: spread(theirs[k]!),
      ratio: spread(own!.map((t, i) => t / theirs[k]![i]!)),
      most: wanted,
    })),
  }
}

/** A side in this process; with a volume, what it costs the medium is counted. */
export function runner(side: Side, count: number, on?: OnVolume): Runner {
  return {
    name: side.name,
    round: () => time(side, count),
    ...(on === undefined ? {} : { counts: () => counted(side, count, on.volume, on.region) }),
  }
}

/** A volume, and the region that counts what is stored there. */
export interface OnVolume {
  readonly volume: Volume
  readonly region: MemoryRegion
}
