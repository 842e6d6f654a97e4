/**
 * Builds the crash states of whatever runs on a region, and has each one examined.
 *
 * The live region is traced into a model of the medium. At each fence, and when told that a call
 * has ended, the states that a power cut could leave are built in a second region of the same size,
 * by changing lines and changing them back, and handed to `examine`, once for each distinct image.
 */
import assert from 'node:assert/strict'
import type { Prng } from '../../src/base/prng.js'
import type { TracedRegion } from '../../src/region/traced_region.js'
import { countChoices, EXHAUSTIVE_MAX, forEachChoice, type Choice } from './choices.js'
import { ImageHash, Undo } from './image.js'
import { LINE, Medium, type Pending } from './medium.js'

/** Looks at one crash state: why it is not as it should be, or null. It may change the region. */
export type Examine = (region: TracedRegion, undo: Undo) => string | null

export interface Tally {
  windows: number
  /** Windows of which every subset was tried, at the grain of lines. */
  exhaustive: number
  built: number
  distinct: number
}

/** A state that is not as it should be, with the least that shows it. */
export class CrashFailure extends Error {
  override readonly name = 'CrashFailure'
}

/** Odd, and large: images of one expectation are not taken for those of another. */
const SPREAD = 0x9e37_79b9_7f4b

export class Explorer {
  readonly tally: Tally = { windows: 0, exhaustive: 0, built: 0, distinct: 0 }
  readonly medium: Medium
  /** States of a window that has too many, at each grain. */
  readonly #sample: number
  readonly #most: number
  readonly #live: TracedRegion
  readonly #probe: TracedRegion
  readonly #undo: Undo
  readonly #hash: ImageHash
  readonly #seen: Set<number>
  readonly #prng: Prng
  readonly #examine: Examine
  #watching = false
  /**
   * What states are expected: an image that was one of them may be none of them later, so that it
   * is examined again once this has changed.
   */
  expectation = 0

  constructor(
    live: TracedRegion,
    probe: TracedRegion,
    prng: Prng,
    sample: number,
    seen: Set<number>,
    examine: Examine,
    most = EXHAUSTIVE_MAX,
  ) {
    this.#live = live
    this.#probe = probe
    this.#prng = prng
    this.#sample = sample
    this.#most = most
    this.#seen = seen
    this.#examine = examine
    probe.u8.set(live.u8)
    this.#undo = new Undo(probe)
    this.#hash = new ImageHash(probe)
    this.medium = new Medium(
      live,
      probe.u8,
      () => this.window(),
      (offset, length) => this.#hash.update(offset, length),
    )
    live.listener = this.medium
  }

  /** States are built from now on (or no longer): before, the medium is only followed. */
  watch(on: boolean): void {
    this.#watching = on
  }

  /** The trace so far, replayed on the image of the start, equals the live region byte for byte. */
  assertTraceComplete(): void {
    const same = Buffer.compare(this.medium.replayed, this.#live.u8) === 0
    assert.ok(same, 'every store to the region was traced')
  }

  /**
   * A power cut could come now: builds and examines what it could leave. With `even`, also when
   * nothing is pending.
   */
  window(even = false): void {
    if (!this.#watching) return
    const lines = this.medium.pending()
    if (lines.length === 0 && !even) return
    this.tally.windows++
    if (countChoices(lines, this.#most) < Infinity) this.tally.exhaustive++
    this.#explore(lines)
    this.#explore(this.medium.pendingWords())
  }

  #explore(pending: readonly Pending[]): void {
    forEachChoice(pending, this.#most, this.#sample, this.#prng, (choice) => {
      this.tally.built++
      const why = this.#try(pending, choice, true)
      if (why !== null) throw this.#failure(pending, choice, why)
    })
  }

  /** Builds one state, examines it and takes it back. With `once`, only if it is a new image. */
  #try(pending: readonly Pending[], choice: Choice, once: boolean): string | null {
    const { u8 } = this.#probe
    const changed = new Set<number>()
    for (let i = 0; i < pending.length; i++) {
      if (choice[i] === 0) continue
      const { offset, versions } = pending[i]!
      const bytes = versions[choice[i]! - 1]!
      this.#undo.save(offset, bytes.length)
      u8.set(bytes, offset)
      for (let at = offset; at < offset + bytes.length; at += LINE)
        changed.add(Math.floor(at / LINE))
    }
    try {
      if (once) {
        const hash = (this.#hash.with(changed) + this.expectation * SPREAD) % 2 ** 53
        if (this.#seen.has(hash)) return null
        this.#seen.add(hash)
        this.tally.distinct++
      }
      return this.#examine(this.#probe, this.#undo)
    } finally {
      this.#undo.revert()
    }
  }

  /** The fewest units that still fail, each tried without. */
  #failure(pending: readonly Pending[], choice: Choice, why: string): CrashFailure {
    const least = choice.slice()
    let reason = why
    for (let i = 0; i < least.length; i++) {
      if (least[i] === 0) continue
      const kept = least[i]!
      least[i] = 0
      const still = this.#try(pending, least, false)
      if (still === null) least[i] = kept
      else reason = still
    }
    const units = pending
      .filter((_, i) => least[i] !== 0)
      .map(({ offset, versions }) => `0x${offset.toString(16)}+${versions[0]!.length}`)
    return new CrashFailure(
      `of ${pending.length} pending units only [${units.join(', ')}] reached the medium: ${reason}`,
    )
  }
}
