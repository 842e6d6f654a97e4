/**
 * What is asked back of leases: of each the ranges that its holder was told, each with the deadline
 * that it was told with.
 *
 * Invariants:
 * - each block that somebody waits for is in a range that its holder was told: for that one, or for
 *   others, and not given back since;
 * - a range is asked for while somebody waits for blocks of it, and the lease covers one of those;
 * - the deadline of a recalled lease is the earliest of the ranges that are asked for.
 */
import type { Conflict } from './arbiter.js'
import type { Holds } from './holds.js'

/** Somebody who waits for leases to be given back. */
interface Asker {
  readonly conflict: Conflict
  readonly active: boolean
}

/** File blocks [from, to) of a lease. */
export interface Ask {
  readonly from: number
  readonly to: number
  /** On the monotonic clock. */
  readonly due: number
  /** For whom: who came first, and those who found their blocks asked for. */
  readonly askers: Asker[]
  /** Ends the wait for the answer. */
  cancel: () => void
}

const NONE: readonly Ask[] = []

export class Asks {
  readonly #holds: Holds
  readonly #asks = new Map<number, readonly Ask[]>()

  constructor(holds: Holds) {
    this.#holds = holds
  }

  /** What is asked for of a hold; what nobody waits for any more is so no longer. */
  of(id: number): readonly Ask[] {
    const { table } = this.#holds
    const asks = this.#asks.get(id) ?? NONE
    const slot = table.find(id)
    const left = asks.filter((ask) => {
      const wanted = slot >= 0 && ask.askers.some((asker) => this.#isWanted(slot, ask, asker))
      if (!wanted) ask.cancel()
      return wanted
    })
    if (left.length < asks.length) this.#keep(id, slot, left)
    return left
  }

  #isWanted(slot: number, ask: Ask, { active, conflict }: Asker): boolean {
    const [from, to] = [Math.max(ask.from, conflict.from), Math.min(ask.to, conflict.to)]
    return active && from < to && this.#holds.table.covers(slot, conflict.inode, from, to)
  }

  #keep(id: number, slot: number, asks: readonly Ask[]): void {
    if (asks.length === 0) return void this.#asks.delete(id)
    this.#asks.set(id, asks)
    const { table } = this.#holds
    const due = asks.reduce((least, ask) => Math.min(least, ask.due), Infinity)
    if (table.stateOf(slot) === 'recalled') table.recall(slot, due)
  }

  /** The holder is told one more. */
  add(id: number, slot: number, ask: Ask): void {
    this.#holds.table.recall(slot, ask.due)
    this.#keep(id, slot, [...this.of(id), ask])
  }

  /**
   * Whether all that somebody wants back of a hold is asked for already; then it is asked for in
   * that one's name, too.
   */
  join(id: number, slot: number, asker: Asker): boolean {
    const { inode, from, to } = asker.conflict
    const over = this.of(id).filter((ask) => ask.from < to && from < ask.to)
    over.sort((a, b) => a.from - b.from)
    let named = true
    this.#holds.table.pieces.overlapping(inode, from, to, (found, start, end) => {
      if (found === slot && !haveAll(over, Math.max(from, start), Math.min(to, end))) named = false
    })
    if (named) for (const ask of over) ask.askers.push(asker)
    return named
  }
}

/** Whether ranges, by where they begin, have all of [from, to). */
function haveAll(asks: readonly Ask[], from: number, to: number): boolean {
  let at = from
  for (const ask of asks) if (ask.from <= at) at = Math.max(at, ask.to)
  return at >= to
}
