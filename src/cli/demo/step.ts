/** A step of the demo: what it is about, what it does, and how it tells what it found. */
import { Refused } from './talk.js'
import type { Stage } from './stage.js'

/** Something is not as the contract has it. */
export class Differs extends Error {
  override readonly name = 'Differs'
}

/** Takes what a step tells. */
export interface Told {
  /** Something was done. */
  did(text: string): void
  /** Something was found to be as it should. */
  verified(text: string): void
}

export interface Step {
  readonly name: string
  readonly title: string
  /** What Linux does, in a sentence or two. */
  readonly linux: string
  run(stage: Stage, told: Told): Promise<void>
}

/** Goes on when nothing differs. */
export function same(what: string, difference: string | null): void {
  if (difference !== null) throw new Differs(`${what}: ${difference}`)
}

export function demand(holds: boolean, what: string): void {
  if (!holds) throw new Differs(what)
}

/** The refusal of what must be refused, with this code. */
export async function refusal(
  code: string,
  what: string,
  run: () => Promise<unknown>,
): Promise<Refused> {
  try {
    await run()
  } catch (error) {
    if (error instanceof Refused && error.code === code) return error
    throw error instanceof Refused
      ? new Differs(`${what}: ${error.message}, and not ${code}`)
      : error
  }
  throw new Differs(`${what} was done, and was to be refused with ${code}`)
}

export const milliseconds = (value: number) =>
  value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`
