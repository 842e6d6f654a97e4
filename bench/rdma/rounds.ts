/** Rounds of several sides in turn, the same work for each, and what they say as a table. */
import { setTimeout } from 'node:timers/promises'
import { factors, mebibytes, spread, table, type Spread } from '../table.js'
import type { Measured, Pair } from './pair.js'
import type { Round } from './work.js'

export interface Side {
  readonly name: string
  readonly pair: Pair
  readonly round: Round
}

/** A round in which others had more of the machine is taken again, while there is patience. */
const OTHERS_MOST = 0.08
const PAUSE_MILLISECONDS = 100

export interface Turns {
  readonly rounds: number
  /** Those before that do not count. */
  readonly warmUp: number
  /** Seconds for rounds that are taken again, all together. */
  readonly patience: number
}

/** The measured rounds of each side. */
export const takeTurns = (sides: readonly Side[], turns: Turns): Promise<Measured[][]> =>
  inTurn(
    sides.map(
      ({ pair, round }) =>
        () =>
          pair.round(round),
    ),
    turns,
  )

/** The same of rounds that are run by any means. */
export async function inTurn(
  runs: readonly (() => Promise<Measured>)[],
  { rounds, warmUp, patience }: Turns,
): Promise<Measured[][]> {
  const found = runs.map(() => [] as Measured[])
  let left = patience * 1000
  let disturbed = 0
  for (let i = -warmUp; i < rounds; i++) {
    for (const [side, run] of runs.entries()) {
      let measured = await run()
      while (i >= 0 && measured.others > OTHERS_MOST && left > 0) {
        const start = performance.now()
        await setTimeout(PAUSE_MILLISECONDS)
        measured = await run()
        left -= performance.now() - start
      }
      if (i < 0) continue
      found[side]!.push(measured)
      if (measured.others > OTHERS_MOST) disturbed++
    }
    process.stderr.write('.')
  }
  process.stderr.write('\n')
  if (disturbed > 0) {
    const share = `${OTHERS_MOST * 100} %`
    console.log(
      `In ${disturbed} of ${rounds * runs.length} rounds others had more than ${share} of the machine.\n`,
    )
  }
  return found
}

/** Of the sides at `places`, the one whose median is the least. */
export function fastest(
  found: readonly (readonly Measured[])[],
  places: readonly number[],
  of: (measured: Measured) => number = perByte,
): number {
  const median = (place: number) => spread(found[place]!.map(of)).median
  return places.reduce((best, place) => (median(place) < median(best) ? place : best))
}

/** Round by round, how much of `one` goes into `other`: above 1 `other` is faster. */
export function ratio(
  one: readonly Measured[],
  other: readonly Measured[],
  of: (measured: Measured) => number = perByte,
): Spread {
  return spread(one.map((measured, i) => of(measured) / of(other[i]!)))
}

export const perByte = ({ nanoseconds, bytes }: Measured): number => nanoseconds / bytes

/** Bytes a nanosecond are gigabytes a second. */
export function speeds(found: readonly Measured[]): string {
  const { median, min, max } = spread(found.map((one) => one.bytes / one.nanoseconds))
  return `${median.toFixed(2)} (${min.toFixed(2)} to ${max.toFixed(2)})`
}

/** Thousands of operations a second. */
export function rates(found: readonly Measured[], count: number): string {
  const { median, min, max } = spread(found.map((one) => (count / one.nanoseconds) * 1e6))
  return `${median.toFixed(1)} (${min.toFixed(1)} to ${max.toFixed(1)})`
}

export const microseconds = (values: readonly number[]): string => {
  const { median, min, max } = spread(values.map((value) => value / 1000))
  return `${median.toFixed(1)} (${min.toFixed(1)} to ${max.toFixed(1)})`
}

/**
 * Seconds of processor for a gigabyte, of the client and of the server, all rounds together: a tick
 * is a hundredth of one.
 */
export function processorPerGigabyte(found: readonly Measured[]): string {
  const bytes = found.reduce((sum, one) => sum + one.bytes, 0)
  const of = (side: 'client' | 'server') => {
    const seconds = found.reduce((sum, one) => sum + one[side], 0)
    return ((seconds / bytes) * 1e9).toFixed(2)
  }
  return `${of('client')} + ${of('server')}`
}

export function peaks(pair: Pair): string {
  const { client, server } = pair.peaks()
  return `${mebibytes(client)}, ${mebibytes(server)}`
}

export interface Wish {
  readonly text: string
  met(ratio: Spread): boolean
}

export const atLeast = (least: number): Wish => ({
  text: `>= ${least}`,
  met: ({ median }) => median >= least,
})

export const atMost = (most: number): Wish => ({
  text: `<= ${most}`,
  met: ({ median }) => median <= most,
})

/** Three cells: the ratio, what is wanted of it, whether it is. */
export const judged = (found: Spread, wish: Wish): string[] => [
  factors(found),
  wish.text,
  wish.met(found) ? 'met' : '**missed**',
]

export const print = (title: string, head: readonly string[], rows: readonly string[][]): void =>
  console.log(`${title}\n\n${table(head, rows)}\n`)
