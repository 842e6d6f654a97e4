/**
 * The invariant under fire: a volume with a dozen files, sessions that hold parts of them, the
 * model of what the files contain, and the engine that does DMA through the holds. steps.ts says
 * what happens to it; witness.ts what has to be true.
 *
 * A step depends on the seed and its number alone, and on what the steps before have left: any part
 * of a run is a run.
 */
import { seededEntropy, SteppedClock } from '../../src/base/clock.js'
import type { HoldfastError } from '../../src/base/errors.js'
import type { LayoutPolicy } from '../../src/base/layout.js'
import type { Prng } from '../../src/base/prng.js'
import { Checker } from '../../src/check/checker.js'
import { formatReport } from '../../src/check/report.js'
import type { HoldEvent } from '../../src/layout/events.js'
import type { Session } from '../../src/layout/session.js'
import { LayoutVolume } from '../../src/layout/volume.js'
import { native } from '../../src/native/native.js'
import { memfdRegion } from '../../src/region/file_region.js'
import type { MemoryRegion } from '../../src/region/memory_region.js'
import { formatVolume } from '../../src/volume/format.js'
import { growSuperblock } from '../../src/volume/resize.js'
import { releaseMemory, stagingBytes, workMemory } from '../../src/volume/mount.js'
import type { SyncMode } from '../../src/volume/transaction.js'
import { Content, type Leaving, type Page } from './contents.js'
import { DmaEngine, Violation, type Transfer } from './dma.js'
import { FakeTimers } from './fake_timers.js'
import { Witness } from './witness.js'

const REGION_BYTES = 16 << 20
const PENDING_MAX = 3
const SESSIONS = 4

export interface FireOptions {
  readonly seed: number
  readonly sync: SyncMode
  /** Breaks the volume, after each mount. */
  readonly plant?: (volume: LayoutVolume) => void
}

/** What a call on a file is about: what may happen to a page that is held. */
export interface Asked {
  readonly session: Session
  readonly policy?: LayoutPolicy | undefined
  /** It takes blocks out: with policy 'defer', from under pins as well. */
  readonly takes?: boolean
}

/** What a call may say, and has then changed nothing. */
const REFUSALS = new Set([
  'EBUSY',
  'ETXTBSY',
  'EPERM',
  'EAGAIN',
  'ENOSPC',
  'ENOENT',
  'ESTALE',
  'ENOMEM',
])

export class Fire {
  volume!: LayoutVolume
  timers!: FakeTimers
  engine!: DmaEngine
  region: MemoryRegion
  witness!: Witness
  readonly options: FireOptions
  /** Files by path. */
  readonly files = new Map<string, Content>()
  /** Files without a name that are still held. */
  readonly nameless = new Set<Content>()
  readonly sessions: Session[] = []
  /** Calls in the promise form that are not done yet, by what they are. */
  readonly pending = new Set<string>()
  /** The step that runs, and what it is. */
  number = 0
  label = ''
  /** What happened so far, for whoever reads of a violation. */
  readonly story: string[] = []
  /** How often each thing was done, or refused with what. */
  readonly tally = new Map<string, number>()
  /** The last hold that was granted. */
  granted = 0
  bad = 0
  snapshots = 0
  #spare: MemoryRegion
  #contents = 0
  readonly #memory = workMemory(1024, stagingBytes(1 << 20))
  readonly #checker = new Checker(native.crc32cOf)
  /** A violation seen where nobody could be told. */
  #seen: unknown = null

  constructor(options: FireOptions) {
    this.options = options
    this.region = memfdRegion(REGION_BYTES)
    this.#spare = memfdRegion(REGION_BYTES)
    formatVolume(this.region, { clock: new SteppedClock(), entropy: seededEntropy(options.seed) })
    this.#mount()
    this.volume.mkdir('/d')
  }

  #mount(): void {
    growSuperblock(this.region)
    this.timers = new FakeTimers()
    this.timers.onTurn = () => this.guarded(() => this.#lastMoment())
    this.volume = LayoutVolume.mount(this.region, {
      sync: this.options.sync,
      clock: new SteppedClock(),
      entropy: seededEntropy(this.options.seed + this.number),
      memory: this.#memory,
      timers: this.timers,
      limits: { root: 400, volume: 500 },
    })
    this.engine = new DmaEngine(this.region)
    this.witness = new Witness(this)
    this.volume.watchHolds((event) => this.guarded(() => this.#hear(event)))
    this.sessions.length = 0
    for (let i = 0; i < SESSIONS; i++) this.sessions.push(this.newSession())
    this.options.plant?.(this.volume)
  }

  newContent(): Content {
    return new Content(++this.#contents)
  }

  newSession(): Session {
    return this.volume.session({ name: `holder of step ${this.number}` })
  }

  /** Whether it has shrunk since it was mounted. */
  get small(): boolean {
    return this.volume.core.geometry.blockCount * 4096 < REGION_BYTES
  }

  /** Every file that there is. */
  *contents(): Generator<Content> {
    yield* this.files.values()
    yield* this.nameless
  }

  close(): void {
    this.engine.clear()
    this.volume.close()
    releaseMemory(this.#memory)
    this.region.close()
    this.#spare.close()
  }

  // ---- what is heard ---------------------------------------------------------------------------

  /** Runs what the volume calls, which must not throw there. */
  guarded(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#seen ??= error
    }
  }

  rethrow(): void {
    const seen = this.#seen
    this.#seen = null
    if (seen !== null) throw seen
  }

  #hear(event: HoldEvent): void {
    if (event.kind === 'grant') this.granted = event.holds[0]!.id
    if (event.kind !== 'fence') return
    for (const { id } of event.holds) {
      const transfer = this.engine.transfers.get(id)
      if (transfer === undefined) throw new Violation(`hold ${id} was fenced and had ended`)
      if (transfer.manner === 'at once' || transfer.manner === 'at the last moment') {
        throw new Violation(`${transfer} was fenced and would have answered`)
      }
      transfer.phase = 'fenced'
    }
  }

  /** What comes in just before a deadline is over. */
  #lastMoment(): void {
    for (const transfer of [...this.engine.transfers.values()]) {
      if (transfer.recalled && transfer.manner === 'at the last moment') this.endTransfer(transfer)
    }
  }

  /** The engine stops, and says so. */
  endTransfer(transfer: Transfer): void {
    const { drained } = transfer
    this.engine.stop(transfer)
    this.sweep()
    if (drained !== null) drained()
    else transfer.end()
  }

  /** Files without a name go with their last hold. */
  sweep(): void {
    for (const file of this.nameless) {
      const held = [...this.engine.transfers.values()].some((transfer) => transfer.file === file)
      if (!held) this.nameless.delete(file)
    }
  }

  // ---- calls -----------------------------------------------------------------------------------

  /** After a call has been done: what it says of the files, which gives the engine's own back. */
  apply(asked: Asked, file: Content, model: (leaving: Leaving) => void): void {
    this.returned(asked.session)
    // What the file has moved away from is not what the call has changed.
    this.witness.reconcile()
    const policy = asked.policy ?? file.policy ?? 'busy'
    const defers = asked.takes === true && policy === 'defer'
    model((page) => this.#demandLeave(page, defers))
  }

  /** Leases of who asked count as given back. */
  returned(session: Session): void {
    for (const transfer of [...this.engine.transfers.values()]) {
      const lease = transfer.access === 'read' || transfer.access === 'rw'
      if (!lease || transfer.session !== session.id) continue
      const left = this.witness.blocksOf(transfer)
      if (left === null) {
        this.engine.stop(transfer)
        transfer.drained?.()
      } else {
        this.engine.drop(transfer, (piece) => !left.has(piece) && !left.ghosts.has(piece.at))
      }
    }
    this.sweep()
  }

  #demandLeave(page: Page, defers: boolean): void {
    for (const transfer of this.engine.transfers.values()) {
      if (!transfer.pieces.some((piece) => piece.page === page)) continue
      if (transfer.phase === 'fenced' || (transfer.access === 'pin' && defers)) continue
      throw new Violation(`${transfer}: file block ${page.block} was taken from under it`)
    }
  }

  /** The synchronous form: done, or refused, and then nothing has changed. */
  now(label: string, run: () => void): boolean {
    try {
      run()
      this.#count(label, 'done')
      return true
    } catch (error) {
      this.#refused(label, error)
      this.#demandReason(label, error)
      return false
    } finally {
      this.rethrow()
    }
  }

  #refused(label: string, error: unknown): void {
    const { code } = error as HoldfastError
    if (error instanceof Violation || !REFUSALS.has(code)) throw error
    this.#count(label, code)
  }

  /** A refusal names what is in the way, and nothing else. */
  #demandReason(label: string, error: unknown): void {
    const { code, holds } = error as HoldfastError
    for (const { id, kind, owner, iomode } of holds ?? []) {
      const transfer = this.engine.transfers.get(id)
      if (transfer === undefined)
        throw new Violation(
          `${label}: ${kind} ${iomode} ${id} of ${owner.session} has ended, and is named`,
        )
      // What left its file is in the way of nothing but the end of the volume, and takes up room.
      if (label.startsWith('shrink') || code === 'ENOSPC') continue
      if (kind === 'lease' || transfer.pieces.some(({ page }) => page.file !== null)) continue
      throw new Violation(`${label}: ${transfer} is named, and has nothing of a file any more`)
    }
    const holding = code === 'ETXTBSY' || (code === 'EBUSY' && !label.startsWith('seal'))
    if (holding && (holds ?? []).length === 0) {
      throw new Violation(`${label}: ${code} and no hold is named: ${(error as Error).message}`)
    }
  }

  #count(label: string, result: string): void {
    const key = `${label.split(' ')[0]} ${result}`
    this.tally.set(key, (this.tally.get(key) ?? 0) + 1)
    this.story.push(`${this.number}: ${label}: ${result}`)
    if (this.story.length > 400) this.story.splice(0, 200)
  }

  /** The promise form: it is done some time, or refused. */
  later(label: string, start: () => Promise<unknown>): void {
    if (this.pending.size >= PENDING_MAX) return
    const name = `${label} since step ${this.number}`
    const { volume } = this
    this.pending.add(name)
    start().then(
      () => {
        this.#count(`${label} (later)`, 'done')
        this.pending.delete(name)
      },
      (error: unknown) => {
        this.pending.delete(name)
        if (volume === this.volume) this.guarded(() => this.#refused(`${label} (later)`, error))
      },
    )
  }

  /** Lets what waits go on as far as it can. */
  async settle(): Promise<void> {
    // Each await of a chain takes a turn of its own; none takes a timer.
    if (this.pending.size > 0) await new Promise((resolve) => setImmediate(resolve))
    this.rethrow()
    this.witness.reconcile()
  }

  /** Nothing waits any more; what never comes to its end is a violation. */
  async drain(): Promise<void> {
    for (let round = 0; this.pending.size > 0; round++) {
      if (round === 100) throw new Violation(`never done: ${[...this.pending].join(', ')}`)
      this.timers.advance(1000)
      await this.settle()
      this.doDue(true)
      await this.settle()
    }
  }

  /** Holders do what they have put off. `all`: whatever the step. */
  doDue(all: boolean): void {
    for (const transfer of [...this.engine.transfers.values()]) {
      if (transfer.due > this.number && !(all && transfer.due !== Infinity)) continue
      transfer.due = Infinity
      if (
        transfer.drained === null &&
        transfer.manner === 'in parts' &&
        transfer.pieces.length > 1
      ) {
        this.giveHalf(transfer)
        transfer.due = this.number + 2
      } else this.endTransfer(transfer)
    }
    this.rethrow()
  }

  /** The engine gives the first half of what it has of the file back. */
  giveHalf(transfer: Transfer): void {
    // What was fenced is given back as a whole: the volume no longer knows where of the file it
    // was.
    if (transfer.phase === 'fenced') return this.endTransfer(transfer)
    const own = transfer.pieces.filter(({ page }) => page.file !== null)
    own.sort((a, b) => a.page.block - b.page.block)
    const half = own.slice(0, Math.ceil(own.length / 2))
    if (half.length === 0) return
    const [from, to] = [half[0]!.page.block, half.at(-1)!.page.block + 1]
    this.engine.drop(transfer, ({ page }) => {
      return page.file !== null && page.block >= from && page.block < to
    })
    transfer.giveBack(from * 4096, (to - from) * 4096)
    if (transfer.pieces.length === 0 && this.witness.blocksOf(transfer) === null) {
      this.engine.stop(transfer)
    }
    this.sweep()
  }

  // ---- the end of a mount ----------------------------------------------------------------------

  /** The machine goes down: what is on the medium is all there is. */
  crash(): void {
    if (this.options.sync === 'group') this.volume.sync()
    const bytes = new Uint8Array(REGION_BYTES)
    this.region.read(0, bytes, 0, REGION_BYTES)
    this.#leave()
    this.#spare.stream(0, bytes, 0, REGION_BYTES)
    ;[this.region, this.#spare] = [this.#spare, this.region]
    this.#mount()
  }

  remount(): void {
    this.#leave()
    this.#mount()
  }

  #leave(): void {
    this.pending.clear()
    const before = this.volume
    this.volume = null as unknown as LayoutVolume
    this.engine.clear()
    this.nameless.clear()
    before.close()
    this.fsck()
  }

  fsck(): void {
    const report = this.#checker.check(this.region)
    if (report.state !== 'clean') throw new Violation(formatReport(report))
  }

  // ---- what a step chooses from ----------------------------------------------------------------

  path(prng: Prng): string | null {
    const paths = [...this.files.keys()]
    return paths.length === 0 ? null : prng.pick(paths)
  }
}
