/**
 * The locks that are held on one file: who holds which bytes how. Nobody waits here.
 *
 * Invariants:
 * - The ranges of one party are disjoint, and two of the same type do not touch: they are one.
 * - Where ranges of two parties overlap, both are read locks. So all write locks are disjoint.
 *
 * Read locks, write locks and those of each party stand in trees of their own: a reader need not
 * look at readers. With n locks of which k are replaced, a change is O((k + 1) log n); a conflict
 * is found in O(log n + k) with k of the asker's own ranges in the way.
 */
import { IntervalTree, type Interval } from './interval_tree.js'

/** The end of a lock that reaches to the end of the file for ever: past every offset there is. */
export const FOREVER = 2 ** 53

export interface Held<P> extends Interval {
  readonly write: boolean
  readonly party: P
}

/** What takes the place of what. */
export interface Change<P> {
  readonly removed: readonly Held<P>[]
  readonly added: readonly Held<P>[]
  /** Somebody else could have something now that they could not have before. */
  readonly frees: boolean
}

const NO_CHANGE = { removed: [], added: [], frees: false } as const

/** `P`: who holds locks, told apart by identity. */
export class RangeTable<P> {
  readonly #reads = new IntervalTree<Held<P>>()
  readonly #writes = new IntervalTree<Held<P>>()
  readonly #own = new Map<P, IntervalTree<Held<P>>>()
  #order = 0

  get size(): number {
    return this.#reads.size + this.#writes.size
  }

  /** The first lock by start that keeps `party` from [start, end). */
  conflict(party: P, write: boolean, start: number, end: number): Held<P> | undefined {
    const foreign = (held: Held<P>) => held.party !== party
    const writer = this.#writes.first(start, end, foreign)
    if (!write) return writer
    const reader = this.#reads.first(start, end, foreign)
    if (reader === undefined || writer === undefined) return reader ?? writer
    return reader.start < writer.start ? reader : writer
  }

  /** Everybody who keeps `party` from [start, end). */
  opponents(party: P, write: boolean, start: number, end: number): Set<P> {
    const found = new Set<P>()
    const collect = (held: Held<P>) => {
      if (held.party !== party) found.add(held.party)
      return false
    }
    this.#writes.first(start, end, collect)
    if (write) this.#reads.first(start, end, collect)
    return found
  }

  /** What `party` holds of [start, end). */
  own(party: P, start = 0, end = FOREVER): Held<P>[] {
    return this.#own.get(party)?.overlapping(start, end) ?? []
  }

  /** What it takes that `party` holds [start, end) to read or to write, or does not (null). */
  plan(party: P, write: boolean | null, start: number, end: number): Change<P> {
    const removed: Held<P>[] = []
    const added: Held<P>[] = []
    let frees = false
    let from = start
    let to = end
    // One byte more on both sides: what touches becomes one.
    for (const held of this.own(party, start - 1, end + 1)) {
      if (held.write === write) {
        if (held.start <= start && held.end >= end) return NO_CHANGE
        from = Math.min(from, held.start)
        to = Math.max(to, held.end)
      } else {
        if (held.start >= end || held.end <= start) continue
        if (held.start < start) added.push(this.#make(party, held.write, held.start, start))
        if (held.end > end) added.push(this.#make(party, held.write, end, held.end))
        frees ||= write === null || held.write
      }
      removed.push(held)
    }
    if (write !== null) added.push(this.#make(party, write, from, to))
    return { removed, added, frees }
  }

  #make(party: P, write: boolean, start: number, end: number): Held<P> {
    return { party, write, start, end, order: this.#order++ }
  }

  apply(change: Change<P>): void {
    for (const held of change.removed) {
      const own = this.#own.get(held.party)!
      own.remove(held)
      if (own.size === 0) this.#own.delete(held.party)
      this.#ofType(held.write).remove(held)
    }
    for (const held of change.added) {
      let own = this.#own.get(held.party)
      if (own === undefined) this.#own.set(held.party, (own = new IntervalTree()))
      own.insert(held)
      this.#ofType(held.write).insert(held)
    }
  }

  #ofType(write: boolean): IntervalTree<Held<P>> {
    return write ? this.#writes : this.#reads
  }
}
