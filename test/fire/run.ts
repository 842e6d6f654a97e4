/** Runs of the fire, and the shortest part of one that still goes wrong. */
import { Fire, type FireOptions } from './fire.js'
import { runStep } from './steps.js'

/** A run that went wrong. */
export interface Failure {
  readonly step: number
  readonly error: Error
  readonly story: readonly string[]
}

export interface Outcome {
  readonly failure: Failure | null
  readonly tally: ReadonlyMap<string, number>
}

/** Runs these steps, in order. `every`: everything is looked at after each. */
export async function burn(
  options: FireOptions,
  steps: Iterable<number>,
  every = false,
): Promise<Outcome> {
  const fire = new Fire(options)
  try {
    for (const step of steps) await runStep(fire, step, every)
    await fire.drain()
    fire.remount()
    fire.close()
    return { failure: null, tally: fire.tally }
  } catch (error) {
    const failure = { step: fire.number, error: error as Error, story: [...fire.story] }
    return { failure, tally: fire.tally }
  }
}

export function* upTo(count: number): Generator<number> {
  for (let i = 0; i < count; i++) yield i
}

/**
 * Of a run that went wrong within `count` steps, the fewest steps found that do, and how: first the
 * shortest prefix, everything looked at after each step; then parts of it are left out, in halves,
 * quarters and so on, as long as there is time.
 */
export async function shrink(options: FireOptions, failure: Failure, seconds = 20) {
  const until = performance.now() + seconds * 1000
  let steps = [...upTo(failure.step + 1)]
  let found = failure
  const tries = async (part: readonly number[]) => {
    const { failure: again } = await burn(options, part, true)
    if (again === null) return false
    steps = part.slice(0, part.indexOf(again.step) + 1)
    found = again
    return true
  }
  await tries(steps)
  for (let size = Math.ceil(steps.length / 2); size >= 1; size = size === 1 ? 0 : size >>> 1) {
    for (let from = 0; from < steps.length && performance.now() < until;) {
      const part = [...steps.slice(0, from), ...steps.slice(from + size)]
      if (part.length === 0 || !(await tries(part))) from += size
    }
  }
  return { steps, failure: found }
}

/** 0-3, 7, 9-12 */
function rangesOf(steps: readonly number[]): string {
  const ranges: string[] = []
  for (let i = 0; i < steps.length;) {
    let end = i
    while (steps[end + 1] === steps[end]! + 1) end++
    ranges.push(i === end ? `${steps[i]}` : `${steps[i]}-${steps[end]}`)
    i = end + 1
  }
  return ranges.join(', ')
}

/** What went wrong, for who is to mend it. */
export function tell(options: FireOptions, steps: readonly number[], failure: Failure): string {
  return [
    `seed ${options.seed}, sync ${options.sync}: ${failure.error.message}`,
    `with these ${steps.length} steps: ${rangesOf(steps)}`,
    ...failure.story.slice(-60),
    failure.error.stack ?? '',
  ].join('\n')
}
