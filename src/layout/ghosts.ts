/**
 * What is left of holds that were fenced and could not be cut off: runs of blocks that somebody may
 * still use by address, wherever they are now, until the hold ends or gives them back.
 *
 * Invariant: each run is counted in the frame table once for its hold, as long as it is here.
 */
import { BySlot } from './by_slot.js'

/** Region block, count, and the file block that the first of them was: three numbers a run. */
const RUN = 3

export class Ghosts {
  readonly #runs = new BySlot<number[]>()

  /** Of how many holds there are any. */
  get size(): number {
    return this.#runs.size
  }

  has(slot: number): boolean {
    return this.#runs.get(slot) !== undefined
  }

  /** Visits the runs of a hold. */
  each(slot: number, visit: (block: number, count: number) => void): void {
    const runs = this.#runs.get(slot) ?? []
    for (let i = 0; i < runs.length; i += RUN) visit(runs[i]!, runs[i + 1]!)
  }

  /** Visits the holds that may use blocks of a run, each once a run of its own. */
  over(start: number, count: number, visit: (slot: number) => void): void {
    for (const [slot, runs] of this.#runs.entries()) {
      for (let i = 0; i < runs.length; i += RUN) {
        if (runs[i]! < start + count && start < runs[i]! + runs[i + 1]!) visit(slot)
      }
    }
  }

  add(slot: number, block: number, count: number, fileBlock: number): void {
    const runs = this.#runs.get(slot) ?? []
    runs.push(block, count, fileBlock)
    this.#runs.set(slot, runs)
  }

  /** Takes those of file blocks [from, to) away from a hold: block, count, block, count, ... */
  take(slot: number, from: number, to: number): number[] {
    const runs = this.#runs.get(slot)
    if (runs === undefined) return []
    const taken: number[] = []
    this.#runs.delete(slot)
    for (let i = 0; i < runs.length; i += RUN) {
      const [block, count, start] = [runs[i]!, runs[i + 1]!, runs[i + 2]!]
      const first = Math.min(Math.max(from, start), start + count)
      const end = Math.max(first, Math.min(to, start + count))
      if (first < end) taken.push(block + (first - start), end - first)
      if (start < first) this.add(slot, block, first - start, start)
      if (end < start + count) this.add(slot, block + (end - start), start + count - end, end)
    }
    return taken
  }

  /**
   * Whether one of the runs that `counts` lets pass uses region block `start`, and of how many
   * blocks from there on, at most `most`, that is so. `counts`: a hold, and the file block that
   * region block `start` was, or would have been.
   */
  runAt(
    start: number,
    most: number,
    counts: (slot: number, fileBlock: number) => boolean,
  ): { haunted: boolean; count: number } {
    let [haunted, count] = [false, most]
    for (const [slot, runs] of this.#runs.entries()) {
      for (let i = 0; i < runs.length; i += RUN) {
        const [first, end] = [runs[i]!, runs[i]! + runs[i + 1]!]
        if (!counts(slot, runs[i + 2]! + (start - first))) continue
        if (first <= start && start < end) {
          count = haunted ? Math.min(count, end - start) : Math.min(most, end - start)
          haunted = true
        } else if (!haunted && first > start) count = Math.min(count, first - start)
      }
    }
    return { haunted, count }
  }
}
