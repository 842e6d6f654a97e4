/**
 * Runs programs of calls on a volume and on the model, with every crash state of each call
 * examined.
 */
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import { HoldfastError } from '../../src/base/errors.js'
import { BLOCK_BYTES } from '../../src/base/limits.js'
import { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { InodeFlag } from '../../src/media/inode.js'
import { native } from '../../src/native/native.js'
import type { Persistence } from '../../src/region/region.js'
import { TracedRegion } from '../../src/region/traced_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { workMemory, type WorkMemory } from '../../src/volume/mount.js'
import type { OpenFile } from '../../src/volume/open_file.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { Volume } from '../../src/volume/volume.js'
import { FakeTimers } from '../layout/timers.js'
import { CrashFailure, Explorer, type Tally } from './explorer.js'
import type { Undo } from './image.js'
import { applyCall, performCall } from './calls.js'
import { badBlock, Holders, performLayoutCall } from './holders.js'
import { fileOf, forget, isLayoutCall, land } from './layout_calls.js'
import { copyTree, describe, resized, type Call, type Tree } from './model.js'
import { notAllowed, type Leftover } from './oracle.js'

export const REGION_BYTES = 640 * 1024
const CACHE_PAGES = 256
/** Calls that change bytes where they stand, which is no more atomic than a store is. */
const IN_PLACE: readonly string[] = ['write', 'punch', 'zero', 'store', 'storeOnly']
/** Calls after which all is durable in every mode, and the places of blocks are promised. */
const CERTAIN: readonly string[] = ['fix', 'grant', 'commit']

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
  /** Who holds survives the crash: each state has its grace period, and all is reclaimed. */
  readonly survivors?: boolean
  /** Plants a bug in a volume just mounted; what it returns takes it out of the region again. */
  readonly plant?: (volume: LayoutVolume, region: TracedRegion) => () => void
  /** Plants a bug in every mount that examines a crash state. */
  readonly plantRecovery?: (mount: () => Volume, region: TracedRegion) => Volume
}

/** Memory for as many volumes as are open at a time: the live one, and one a level of recovery. */
const memories: WorkMemory[] = []
const memoryOf = (level: number): WorkMemory =>
  (memories[level] ??= workMemory(CACHE_PAGES, 256 * 1024))
const probes: TracedRegion[] = []
/** Expectations of all programs: none is taken for another's. */
let expectations = 0

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
  readonly #timers = new FakeTimers()
  readonly #holders: Holders
  #volume: LayoutVolume
  /** States that a cut may leave: since the last moment that is durable for certain. */
  #states: Tree[] = []
  #mixed = false
  /** Something was stored past the calls, and not made durable. */
  #loose = false
  #leftover: Leftover | null = null
  /** Lists of bad blocks that a cut may leave; the last is as it is. */
  #bad: number[][] = [[]]
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
    this.#holders = new Holders(this.#live, this.#timers)
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
    for (const call of calls) {
      if (call.op === 'markBad') this.#bad.push([badBlock(this.#volume, call)])
      noWait(this.#do(call))
    }
    this.#volume.sync()
    this.#settled()
  }

  /** Calls whose crash states are all examined. */
  run(calls: readonly Call[]): Tally {
    const steps = this.#steps(calls)
    for (;;) {
      const step = steps.next()
      if (step.done === true) return step.value
      noWait(step.value)
    }
  }

  /** The same, with calls that wait. */
  async runLate(calls: readonly Call[]): Promise<Tally> {
    const steps = this.#steps(calls)
    for (let step = steps.next(); ;) {
      if (step.done === true) return step.value
      let failure: { readonly error: unknown } | null = null
      try {
        await step.value
      } catch (error) {
        failure = { error }
      }
      step = failure === null ? steps.next() : steps.throw(failure.error)
    }
  }

  /** Each call, and what it waits for. */
  *#steps(calls: readonly Call[]): Generator<void | Promise<void>, Tally> {
    for (const call of calls) {
      this.#begin(call)
      try {
        yield this.#do(call, false)
        this.#done(call)
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

  #begin(call: Call): void {
    const before = copyTree(this.tree)
    const all = this.#setting.sync === 'group' || this.#loose
    if (!all) this.#states = [before]
    this.#mixed = all || IN_PLACE.includes(call.op)
    if (call.op === 'snapshot') {
      const beside = call.to.slice(0, call.to.lastIndexOf('/'))
      this.#leftover = { at: `${beside}/.snapshot-0`, from: call.path, to: call.to }
    }
    if (call.op === 'storeOnly') this.#loose = true
    if (call.op === 'markBad') {
      const bad = [...this.#bad.at(-1)!, badBlock(this.#volume, call)]
      this.#bad.push(bad.sort((a, b) => a - b))
    }
    applyCall(this.tree, call)
    // What is stored past the calls is also seen when a change before it is lost.
    if (call.op === 'store' || call.op === 'storeOnly') this.#states.push(...this.#landed(call))
    if (call.op === 'fenceClone') this.#states.push(...this.#movedAway(call.path))
    this.#states.push(copyTree(this.tree))
    this.explorer.watch(true)
  }

  /** A call has returned: what it has promised is to be found, whenever the power is cut. */
  #done(call: Call): void {
    this.explorer.window()
    this.#holders.check(this.#volume)
    if (CERTAIN.includes(call.op)) this.#settled()
    else if (call.op === 'store') this.#states = this.#landed(call)
    else return
    this.explorer.expectation = ++expectations
    this.explorer.window(true)
  }

  /** States in which a file has left the places that a fenced lease still uses. */
  #movedAway(path: string): Tree[] {
    return this.#states.map((state) => {
      const copy = copyTree(state)
      fileOf(copy, path).places.clear()
      return copy
    })
  }

  /** States in which what was stored past the calls has arrived, wherever that was the file's. */
  #landed({ path, offset, length }: Call & { op: 'store' | 'storeOnly' }): Tree[] {
    const bytes = resized(fileOf(this.tree, path).held.subarray(offset), length)
    return this.#states.map((state) => {
      const copy = copyTree(state)
      land(fileOf(copy, path), bytes, offset)
      return copy
    })
  }

  /** Done, also after a failure: the volume is left as it is. */
  end(): void {
    this.explorer.watch(false)
    this.#cleanUp()
    this.#live.listener = null
  }

  #settled(): void {
    this.#states = [copyTree(this.tree)]
    this.#bad = [this.#bad.at(-1)!]
    this.#leftover = null
    this.#loose = false
  }

  #mountLive(): LayoutVolume {
    const { sync, seed, plant, shortSteps } = this.#setting
    const volume = LayoutVolume.mount(this.#live, {
      sync,
      timers: this.#timers,
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

  /** Before the next owner finds nobody, there is one that finds all who hold. */
  #examineGrace(region: TracedRegion, level: number): string | null {
    const volume = LayoutVolume.mount(region, {
      sync: this.#setting.sync,
      memory: memoryOf(level),
      entropy: seededEntropy(this.#setting.seed + 9 + level),
      clock: new SteppedClock(),
      survivors: true,
    })
    const wrong = this.#holders.survive(volume, () => this.#damage(region))
    if (wrong !== null) return `with survivors, ${wrong}`
    volume.close()
    return this.#damage(region)
  }

  #examineVolume(region: TracedRegion, level: number): string | null {
    if (this.#setting.survivors === true) {
      const why = this.#examineGrace(region, level)
      if (why !== null) return why
    }
    const volume = this.#mountState(region, level)
    const wrong = notAllowed(volume, this.#states, this.#mixed, this.#leftover)
    if (wrong !== null) return wrong
    const bad = volume.badBlocks()
    if (!this.#bad.some((list) => list.join() === bad.join())) return `bad blocks are ${bad.join()}`
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
    explorer.expectation = this.explorer.expectation
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

  #do(call: Call, model = true): void | Promise<void> {
    if (model) applyCall(this.tree, call)
    const volume = this.#volume
    switch (call.op) {
      case 'openUnlink':
        this.#open.push(volume.open(call.path, 'r+'))
        return volume.unlink(call.path)
      case 'closeAll':
        return this.#closeAll()
      case 'hold':
        return this.#holders.count(volume, call.path, call.first, call.count)
      case 'letGo':
        return this.#holders.letGo(volume)
      case 'remount':
        return this.#remount()
      default:
        if (isLayoutCall(call)) return performLayoutCall(volume, this.#holders, this.tree, call)
        performCall(volume, this.tree, call)
    }
  }

  #remount(): void {
    this.#holders.letGo(this.#volume)
    this.#holders.endAll()
    this.#closeAll()
    this.#volume.close()
    for (const node of this.tree.values()) if (node !== 'directory') forget(node)
    this.#volume = this.#mountLive()
  }
}

function noWait(result: void | Promise<void>): void {
  if (result !== undefined) throw new Error('a call that waits: runLate waits for it')
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
  // Those that are kept out of use, and the list of them.
  const bad = volume.badBlocks().length
  const blocksFree = volume.statfs().blocksFree + bad + (bad > 0 ? 1 : 0)
  const free = emptyFree - (REGION_BYTES / BLOCK_BYTES - volume.core.geometry.blockCount)
  return blocksFree === free ? null : `${free - blocksFree} blocks are in use by nothing`
}

function removeAll(volume: Volume, directory: string): void {
  for (const { name, type } of volume.readdir(directory === '' ? '/' : directory)) {
    const path = `${directory}/${Buffer.from(name).toString('latin1')}`
    if (type === 'directory') {
      removeAll(volume, path)
      volume.rmdir(path)
    } else {
      if (type === 'file') setFree(volume, path)
      volume.unlink(path)
    }
  }
}

/** A fixed file stays. */
function setFree(volume: Volume, path: string): void {
  if (!volume.inodeFlags(path).fixed) return
  volume.call('unfix', path, undefined, () => {
    const { ino } = volume.stat(path)
    volume.attributes.setLayoutFlags(ino, InodeFlag.fixed | InodeFlag.writeSealed, 0)
  })
}
