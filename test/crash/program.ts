/**
 * Runs programs of calls on a volume and on the model, with every crash state of each call
 * examined.
 */
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { native } from '../../src/native/native.js'
import type { Persistence } from '../../src/region/region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory, type WorkMemory } from '../../src/volume/mount.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { Volume } from '../../src/volume/volume.js'
import { CrashFailure, Explorer, type Tally } from './explorer.js'
import type { Undo } from './image.js'
import { applyCall, performCall } from './calls.js'
import { copyTree, describe, type Call, type Tree } from './model.js'
import { notAllowed } from './oracle.js'

export const REGION_BYTES = 640 * 1024
const CACHE_PAGES = 256
/** Calls that change bytes where they stand, which is no more atomic than a store is. */
const IN_PLACE: readonly string[] = ['write', 'punch', 'zero']

/** Inside recovery a window is sampled sooner: there are many recoveries. */
const NESTED_EXHAUSTIVE_MAX = 16

export interface Setting {
  readonly sync: SyncMode
  readonly persistence: Persistence
  readonly seed: number
  /** States of a window that has too many subsets. */
  readonly sample: number
  /** Subsets up to which all of them are tried. */
  readonly exhaustive?: number
  /** One in so many states has the states of its recovery examined too, and of that one's. */
  readonly nested?: number
  /** Makes every step of a long operation a transaction of its own. */
  readonly shortSteps?: boolean
  /** Plants a bug in a volume just mounted; what it returns takes it out of the region again. */
  readonly plant?: (volume: Volume, region: TracedRegion) => () => void
  /** Plants a bug in every mount that examines a crash state. */
  readonly plantRecovery?: (mount: () => Volume, region: TracedRegion) => Volume
}

/** Memory for as many volumes as are open at a time: the live one, and one a level of recovery. */
const memories: WorkMemory[] = []
const memoryOf = (level: number): WorkMemory =>
  (memories[level] ??= workMemory(CACHE_PAGES, 256 * 1024))
const probes: TracedRegion[] = []

function probeOf(level: number, persistence: Persistence): TracedRegion {
  const index = level * 2 + (persistence === 'sync' ? 1 : 0)
  return (probes[index] ??= new TracedRegion(REGION_BYTES, persistence))
}

export class Program {
  readonly tree: Tree = new Map()
  readonly explorer: Explorer
  readonly #setting: Setting
  readonly #live: TracedRegion
  readonly #checker = new Checker(native.crc32cOf)
  readonly #prng: Prng
  readonly #seen: Set<number>
  readonly #open: OpenFile[] = []
  /** Runs of region blocks that are held, as [inode, start, count]. */
  readonly #held: Array<readonly [number, number, number]> = []
  #volume: Volume
  /** States that a cut may leave: since the last moment that is durable for certain. */
  #states: Tree[] = []
  #mixed = false
  #emptyFree = 0
  #examined = 0
  #cleanUp: () => void = () => {}

  constructor(setting: Setting, seen: Set<number>) {
    this.#setting = setting
    this.#seen = seen
    this.#prng = new Prng(setting.seed)
    this.#live = probeOf(0, setting.persistence)
    this.#live.listener = null
    this.#live.u8.fill(0)
    const entropy = seededEntropy(setting.seed)
    formatVolume(this.#live, { entropy, clock: new SteppedClock() })
    this.explorer = new Explorer(
      this.#live,
      probeOf(1, setting.persistence),
      this.#prng,
      setting.sample,
      seen,
      (region, undo) => this.#examine(region, undo, 1),
      setting.exhaustive,
    )
    this.#volume = this.#mountLive()
    this.#emptyFree = this.#volume.statfs().blocksFree
    this.#settled()
  }

  /** Calls whose crash states are not looked at: the tree that a test starts from. */
  prepare(calls: readonly Call[]): void {
    for (const call of calls) this.#do(call)
    this.#volume.sync()
    this.#settled()
  }

  /** Calls whose crash states are all examined. */
  run(calls: readonly Call[]): Tally {
    for (const call of calls) {
      const before = copyTree(this.tree)
      if (this.#setting.sync === 'always') this.#states = [before]
      this.#mixed = this.#setting.sync === 'group' || IN_PLACE.includes(call.op)
      applyCall(this.tree, call)
      this.#states.push(copyTree(this.tree))
      this.explorer.watch(true)
      try {
        this.#do(call, false)
        this.explorer.window()
        this.#checkHeld()
      } catch (error) {
        const failure = crashFailureOf(error)
        if (failure === null) throw error
        throw new CrashFailure(`seed ${this.#setting.seed}, ${describe(call)}: ${failure.message}`)
      } finally {
        this.explorer.watch(false)
      }
      this.explorer.assertTraceComplete()
      if (call.op === 'sync' || call.op === 'checkpoint' || call.op === 'remount') this.#settled()
    }
    const why = notAllowed(this.#volume, [this.tree], false)
    if (why !== null) throw new Error(`without any crash: ${why}`)
    return this.explorer.tally
  }

  /** Done, also after a failure: the volume is left as it is. */
  end(): void {
    this.explorer.watch(false)
    this.#cleanUp()
    this.#live.listener = null
  }

  #settled(): void {
    this.#states = [copyTree(this.tree)]
  }

  #mountLive(): Volume {
    const { sync, seed, plant, shortSteps } = this.#setting
    const volume = Volume.mount(this.#live, {
      sync,
      memory: memoryOf(0),
      entropy: seededEntropy(seed + 1),
      clock: new SteppedClock(),
    })
    if (shortSteps === true) Object.defineProperty(volume.core.transaction, 'full', { value: true })
    this.#cleanUp()
    if (plant !== undefined) this.#cleanUp = plant(volume, this.#live)
    return volume
  }

  // ---- one crash state -------------------------------------------------------------------------

  #mountState(region: TracedRegion, level: number): Volume {
    const mount = () =>
      Volume.mount(region, {
        sync: this.#setting.sync,
        memory: memoryOf(level),
        entropy: seededEntropy(this.#setting.seed + 1 + level),
        clock: new SteppedClock(),
      })
    return this.#setting.plantRecovery === undefined
      ? mount()
      : this.#setting.plantRecovery(mount, region)
  }

  #examine(region: TracedRegion, undo: Undo, level: number): string | null {
    const { nested } = this.#setting
    this.#examined++
    if (nested !== undefined && level <= 2 && this.#examined % nested === 0) {
      const why = this.#examineRecovery(region, level)
      if (why !== null) return why
    }
    region.listener = {
      beforeStore: (offset, length) => undo.save(offset, length),
      stored: () => {},
      flushed: () => {},
      fenced: () => {},
      synced: () => {},
    }
    try {
      return this.#examineVolume(region, level)
    } catch (error) {
      if (error instanceof HoldfastError) return `the volume refuses: ${error.message}`
      if (error instanceof Error) return `the volume breaks: ${error.message}`
      throw error
    } finally {
      region.listener = null
    }
  }

  #examineVolume(region: TracedRegion, level: number): string | null {
    const volume = this.#mountState(region, level)
    const wrong = notAllowed(volume, this.#states, this.#mixed)
    if (wrong !== null) return wrong
    volume.sync()
    const damaged = this.#damage(region)
    if (damaged !== null) return damaged
    const used = useIt(volume, this.#emptyFree)
    if (used !== null) return used
    volume.close()
    return this.#damage(region)
  }

  #damage(region: TracedRegion): string | null {
    const report = this.#checker.check(region)
    if (report.state === 'clean') return null
    const { code, place, message } = report.findings[0]!
    return `fsck: ${code}, ${place}: ${message}`
  }

  /** The power fails again while this state is being recovered. */
  #examineRecovery(state: TracedRegion, level: number): string | null {
    const next = probeOf(level + 1, state.persistence)
    const scratch = probeOf(level + 3, state.persistence)
    scratch.listener = null
    scratch.u8.set(state.u8)
    const explorer = new Explorer(
      scratch,
      next,
      this.#prng,
      4,
      this.#seen,
      (region, undo) => this.#examine(region, undo, level + 1),
      NESTED_EXHAUSTIVE_MAX,
    )
    explorer.watch(true)
    try {
      this.#mountState(scratch, level + 3)
      explorer.window()
      return null
    } catch (error) {
      if (error instanceof CrashFailure) return `in recovery, ${error.message}`
      return `recovery: ${(error as Error).message}`
    } finally {
      this.explorer.tally.built += explorer.tally.built
      this.explorer.tally.distinct += explorer.tally.distinct
      scratch.listener = null
    }
  }

  // ---- calls -----------------------------------------------------------------------------------

  #closeAll(): void {
    for (const file of this.#open.splice(0)) file.close()
  }

  /** Counts what holds file blocks of [first, first + count) as held. */
  #hold(path: string, first: number, count: number): void {
    const { frames, limbo } = this.#volume.core
    limbo.prepare()
    const { ino } = this.#volume.stat(path)
    for (const extent of this.#volume.extents(path).extents) {
      const from = Math.max(first, extent.fileBlock)
      const to = Math.min(first + count, extent.fileBlock + extent.count)
      if (from >= to) continue
      const start = extent.regionBlock + (from - extent.fileBlock)
      frames.add(start, to - from)
      this.#held.push([ino, start, to - from])
    }
  }

  /** Held blocks are their file's or nobody's, and in use. */
  #checkHeld(): void {
    const { allocator, reverseMap, limbo, pages, shares } = this.#volume.core
    for (const [ino, start, count] of this.#held) {
      pages.tick()
      if (allocator.freeIn(start, start + count) > 0) {
        throw new CrashFailure(`a held block of ${start} to ${start + count - 1} is free`)
      }
      for (let block = start; block < start + count; block++) {
        const owner = reverseMap.first(block, block + 1, (at) => shares.find(at))
        if (owner?.inode === ino || owner?.inode === limbo.number) continue
        throw new CrashFailure(`held block ${block} went to inode ${owner?.inode}`)
      }
    }
  }

  #letGo(): void {
    const { core, work } = this.#volume
    for (const [, start, count] of this.#held.splice(0)) {
      core.frames.drop(start, count)
      core.limbo.lift(work, start, count)
    }
  }

  #do(call: Call, model = true): void {
    if (model) applyCall(this.tree, call)
    switch (call.op) {
      case 'openUnlink':
        this.#open.push(this.#volume.open(call.path, 'r+'))
        return this.#volume.unlink(call.path)
      case 'closeAll':
        return this.#closeAll()
      case 'hold':
        return this.#hold(call.path, call.first, call.count)
      case 'letGo':
        return this.#letGo()
      case 'remount':
        this.#letGo()
        this.#closeAll()
        this.#volume.close()
        this.#volume = this.#mountLive()
        return
      default:
        performCall(this.#volume, this.tree, call)
    }
  }
}

/** The failure that an error carries: a volume in which it came up wraps it. */
function crashFailureOf(error: unknown): CrashFailure | null {
  for (let e = error; e instanceof Error; e = e.cause) if (e instanceof CrashFailure) return e
  return null
}

/** A recovered volume is one to work with: written to, and everything deleted. */
function useIt(volume: Volume, emptyFree: number): string | null {
  const content = new Uint8Array(5000).fill(0xee)
  volume.writeFile('/new', content)
  const file = volume.open('/new', 'a')
  file.write(content.subarray(0, 100))
  file.close()
  const back = volume.readFile('/new')
  if (back.length !== 5100 || back.some((byte) => byte !== 0xee))
    return `a new file reads otherwise`
  removeAll(volume, '')
  for (let i = 0; volume.core.orphans.from(1) !== 0 && i < 1000; i++) volume.statfs()
  const { blocksFree } = volume.statfs()
  return blocksFree === emptyFree ? null : `${emptyFree - blocksFree} blocks are in use by nothing`
}

function removeAll(volume: Volume, directory: string): void {
  for (const { name, type } of volume.readdir(directory === '' ? '/' : directory)) {
    const path = `${directory}/${Buffer.from(name).toString('latin1')}`
    if (type === 'directory') {
      removeAll(volume, path)
      volume.rmdir(path)
    } else volume.unlink(path)
  }
}
