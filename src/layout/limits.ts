/**
 * How much may be pinned: distinct blocks under pins and seals, for each uid and for the volume.
 * It has RLIMIT_MEMLOCK's role: what cannot be moved cannot be given to anybody else.
 *
 * A block under many pins of one uid counts once for that uid, and once for the volume whoever
 * else pins it. Runs are flat lists, [start, count, start, count, ...], in blocks of the region.
 *
 * Invariants:
 * - a uid has a frame table of its own while it has blocks pinned, and no longer;
 * - what has no limit is not counted: most volumes have none, and a pin is to cost nothing there.
 */
import { assert, HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { Frames } from '../volume/frames.js'

/** All in blocks; what is left out has no limit. */
export interface PinLimitOptions {
  /** For each uid but 0. */
  readonly perUid?: number
  /** For uid 0. */
  readonly root?: number
  /** For all together. */
  readonly volume?: number
}

/** Runs of blocks: [start, count, start, count, ...]. */
export type BlockRuns = ArrayLike<number>

export class PinLimits {
  readonly #blockCount: number
  readonly #perUid: number
  readonly #root: number
  readonly #volumeLimit: number
  readonly #uids = new Map<number, Frames>()
  readonly #volume: Frames

  constructor(blockCount: number, options: PinLimitOptions = {}) {
    this.#blockCount = blockCount
    this.#perUid = options.perUid ?? Infinity
    this.#root = options.root ?? Infinity
    this.#volumeLimit = options.volume ?? Infinity
    this.#volume = new Frames(blockCount)
  }

  /** The limit of a uid in blocks; Infinity when it has none. */
  limitOf(uid: number): number {
    return uid === 0 ? this.#root : this.#perUid
  }

  /** Blocks that a uid has pinned; 0 where it has no limit. */
  usedBy(uid: number): number {
    return this.#uids.get(uid)?.distinct ?? 0
  }

  /** Blocks pinned by anybody; 0 where the volume has no limit. */
  get used(): number {
    return this.#volume.distinct
  }

  /**
   * ENOMEM unless a uid may pin these runs, and beside them `fresh` blocks that are still to be
   * allocated for it. Comes before `charge`.
   */
  check(uid: number, runs: BlockRuns, fresh = 0, count = runs.length / 2): void {
    const limit = this.limitOf(uid)
    if (limit === Infinity && this.#volumeLimit === Infinity) return
    const list = count === runs.length / 2 ? runs : Array.from(runs).slice(0, 2 * count)
    const used = this.usedBy(uid)
    const whose = `uid ${uid}`
    if (limit !== Infinity) demand(this.#uids.get(uid), used, limit, list, fresh, whose)
    const all = this.#volumeLimit
    if (all !== Infinity) demand(this.#volume, this.used, all, list, fresh, 'this volume')
  }

  /**
   * Counts the first `count` runs of the list: they were checked, or were pinned before the volume
   * was mounted, which no limit refuses.
   */
  charge(uid: number, runs: BlockRuns, count = runs.length / 2): void {
    if (this.limitOf(uid) !== Infinity) {
      const frames = this.#uids.get(uid) ?? new Frames(this.#blockCount)
      addAll(frames, runs, count)
      // Last, so that a uid without blocks has no table.
      if (frames.distinct > 0) this.#uids.set(uid, frames)
    }
    if (this.#volumeLimit !== Infinity) addAll(this.#volume, runs, count)
  }

  /** Takes back what was charged; its runs may be cut elsewhere than they were then. */
  uncharge(uid: number, runs: BlockRuns, count = runs.length / 2): void {
    if (this.limitOf(uid) !== Infinity && count > 0) {
      const frames = this.#uids.get(uid)
      assert(frames !== undefined, 'only what was charged is taken back')
      dropAll(frames, runs, count)
      if (frames.distinct === 0) this.#uids.delete(uid)
    }
    if (this.#volumeLimit !== Infinity) dropAll(this.#volume, runs, count)
  }
}

function addAll(frames: Frames, runs: BlockRuns, count: number): void {
  for (let i = 0; i < 2 * count; i += 2) frames.add(runs[i]!, runs[i + 1]!)
}

function dropAll(frames: Frames, runs: BlockRuns, count: number): void {
  for (let i = 0; i < 2 * count; i += 2) frames.drop(runs[i]!, runs[i + 1]!)
}

/** ENOMEM when the runs and `fresh` blocks more would go past a limit. */
function demand(
  frames: Frames | undefined,
  used: number,
  limit: number,
  runs: BlockRuns,
  fresh: number,
  whose: string,
): void {
  let wanted = fresh
  for (let i = 0; i < runs.length; i += 2) wanted += runs[i + 1]!
  // Far from the limit it does not matter which of them are pinned already.
  if (used + wanted <= limit) return
  const more = fresh + uncounted(frames, runs)
  if (more === 0 || used + more <= limit) return
  const bytes = `${limit * BLOCK_BYTES} bytes`
  throw new HoldfastError(
    'ENOMEM',
    `the pin limit of ${whose} is ${limit} blocks (${bytes}): ${used} are pinned or sealed, ` +
      `and this takes ${more} more; release some, or raise the limit`,
  )
}

/** How many distinct blocks of the runs have no count. */
function uncounted(frames: Frames | undefined, runs: BlockRuns): number {
  // The runs may overlap each other: each counts what those before it have left.
  const order = Array.from({ length: runs.length / 2 }, (_, i) => 2 * i)
  order.sort((a, b) => runs[a]! - runs[b]!)
  let count = 0
  let at = 0
  for (const i of order) {
    const end = runs[i]! + runs[i + 1]!
    at = Math.max(at, runs[i]!)
    while (at < end) {
      const held = frames?.runAt(at, end - at) ?? false
      const n = frames?.count ?? end - at
      if (!held) count += n
      at += n
    }
  }
  return count
}
