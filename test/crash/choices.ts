/**
 * Which of the pending units a power cut leaves new: all choices while they are few, else a sample.
 */
import type { Prng } from '../../src/base/prng.js'
import type { Pending } from './medium.js'

/** For each unit 0 (as durable) or the number of one of its versions. */
export type Choice = Uint8Array

/** Choices up to this many are all tried (fewer inside recovery). */
export const EXHAUSTIVE_MAX = 1024

export function countChoices(pending: readonly Pending[], most: number): number {
  let count = 1
  for (const { versions } of pending) {
    count *= versions.length + 1
    if (count > most) return Infinity
  }
  return count
}

/**
 * Calls `visit` with each choice when they are at most `most`, else with about `sample` of them.
 */
export function forEachChoice(
  pending: readonly Pending[],
  most: number,
  sample: number,
  prng: Prng,
  visit: (choice: Choice) => void,
): void {
  if (countChoices(pending, most) <= most) every(pending, visit)
  else sampled(pending, sample, prng, visit)
}

function every(pending: readonly Pending[], visit: (choice: Choice) => void): void {
  const choice = new Uint8Array(pending.length)
  for (;;) {
    visit(choice)
    let i = 0
    while (i < pending.length && choice[i] === pending[i]!.versions.length) choice[i++] = 0
    if (i === pending.length) return
    choice[i]!++
  }
}

function sampled(
  pending: readonly Pending[],
  sample: number,
  prng: Prng,
  visit: (choice: Choice) => void,
): void {
  const n = pending.length
  const newest = (i: number) => pending[i]!.versions.length
  const choice = new Uint8Array(n)
  visit(choice)
  visit(choice.map((_, i) => newest(i)))
  // Each alone, and all but each: the shapes in which one missing or early line shows.
  const singles = Math.min(n, Math.ceil(sample / 4))
  for (let s = 0; s < singles; s++) {
    const one = singles === n ? s : prng.below(n)
    visit(choice.map((_, i) => (i === one ? newest(i) : 0)))
    visit(choice.map((_, i) => (i === one ? 0 : newest(i))))
  }
  for (let s = 2 * singles; s < sample; s++) {
    const [numerator, denominator] = prng.pick([
      [1, 2],
      [1, 8],
      [7, 8],
    ] as const)
    visit(
      choice.map((_, i) => (prng.chance(numerator, denominator) ? 1 + prng.below(newest(i)) : 0)),
    )
  }
}
