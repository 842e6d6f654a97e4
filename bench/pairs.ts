/**
 * Interleaved pairs: A, B, A, B, …, the same work on the same amount of data in the same order, so
 * that a machine that changes its speed changes it for both. What counts is the ratio of each pair.
 */
import type { MemoryRegion } from '../src/region/memory_region.js'
import type { Volume } from '../src/volume/volume.js'
import { spread, type Spread } from './table.js'

/** One side of a comparison. */
export interface Side {
  readonly name: string
  /** Before each timed round: not timed. */
  prepare?(): void
  /** `count` operations, timed. */
  run(count: number): void
  /** After each round: not timed. */
  cleanUp?(): void
}

export interface Comparison {
  readonly question: string
  readonly ours: Side
  readonly peer: Side
  /** A floor: the least that any implementation must do. Timed in the same rounds. */
  readonly floor?: Side
  readonly count: number
  /** What is wanted: peer / ours at least this, or ours / floor at most that. */
  readonly wantRatio: number
  readonly wantFloor?: number
  /** Both are wanted, not one of them. */
  readonly wantBoth?: boolean
}

export interface Result {
  readonly question: string
  /** Nanoseconds an operation. */
  readonly ours: Spread
  readonly peer: Spread
  readonly peerName: string
  readonly floor?: Spread
  readonly floorName?: string
  /** Peer's time / our time, pair by pair: above 1 we are faster. */
  readonly ratio: Spread
  /** Our time / the floor's, pair by pair. */
  readonly overFloor?: Spread
  readonly met: boolean
  readonly wanted: string
  readonly pairs: number
  readonly perOperation: Counts
}

/** What one operation of ours costs the medium. */
export interface Counts {
  readonly bytesLogged: number
  readonly bytesStored: number
  readonly linesFlushed: number
  readonly fences: number
}

/** One round: nanoseconds an operation. */
export function time(side: Side, count: number): number {
  side.prepare?.()
  const start = process.hrtime.bigint()
  side.run(count)
  const nanoseconds = Number(process.hrtime.bigint() - start)
  side.cleanUp?.()
  return nanoseconds / count
}

/** Rounds that are thrown away: the engine compiles, caches fill, memory is touched. */
const WARM_UP = 6

export function compare(
  comparison: Comparison,
  volume: Volume,
  region: MemoryRegion,
  pairs: number,
): Result {
  const { ours, peer, floor, count } = comparison
  for (let i = 0; i < WARM_UP; i++)
    for (const side of [ours, peer, floor]) if (side) time(side, count)
  const times = { ours: [] as number[], peer: [] as number[], floor: [] as number[] }
  for (let i = 0; i < pairs; i++) {
    times.ours.push(time(ours, count))
    times.peer.push(time(peer, count))
    if (floor) times.floor.push(time(floor, count))
  }
  const perOperation = counted(ours, count, volume, region)
  const ratio = spread(times.ours.map((t, i) => times.peer[i]! / t))
  const overFloor = floor ? spread(times.ours.map((t, i) => t / times.floor[i]!)) : undefined
  const floorMet = overFloor !== undefined && overFloor.median <= (comparison.wantFloor ?? 0)
  const both = comparison.wantBoth === true
  const ratioMet = ratio.median >= comparison.wantRatio
  const conjunction = both ? 'and' : 'or'
  const floorWish =
    comparison.wantFloor === undefined ? '' : ` ${conjunction} <= ${comparison.wantFloor} x floor`
  return {
    question: comparison.question,
    ours: spread(times.ours),
    peer: spread(times.peer),
    peerName: peer.name,
    ...(floor && overFloor ? { floor: spread(times.floor), floorName: floor.name, overFloor } : {}),
    ratio,
    met: both ? ratioMet && floorMet : ratioMet || floorMet,
    wanted: `>= ${comparison.wantRatio} x peer${floorWish}`,
    pairs,
    perOperation,
  }
}

export function counted(ours: Side, count: number, volume: Volume, region: MemoryRegion): Counts {
  ours.prepare?.()
  const { log } = volume.core
  const before = { ...region.counters, bytesLogged: log.bytesLogged }
  ours.run(count)
  const after = { ...region.counters, bytesLogged: log.bytesLogged }
  ours.cleanUp?.()
  return {
    bytesLogged: (after.bytesLogged - before.bytesLogged) / count,
    bytesStored: (after.bytesStored - before.bytesStored) / count,
    linesFlushed: (after.linesFlushed - before.linesFlushed) / count,
    fences: (after.fences - before.fences) / count,
  }
}
