/**
 * A hold of this client: pin, seal or lease, as the server has granted it.
 *
 * Invariants:
 * - once it is not `held` any more nothing is reached through it: what stands on it was told so
 *   (`cut`) before anybody is told that it was given back;
 * - it ends once: given back, fenced, or gone with its session. A part of it may be given back
 *   before, in whole blocks: from then on it covers the rest.
 */
import { HoldfastError } from '../base/errors.js'
import { BLOCK_BYTES } from '../base/limits.js'
import type { ByteRange, HoldKind, Iomode, LayoutChange } from '../base/layout.js'
import type { Extent } from '../base/filesystem.js'
import type { CallOptions } from '../control/caller.js'
import type { Granted } from '../control/types.js'
import { VERBS } from '../control/verbs/index.js'
import { blocksOf, Covered } from './covered.js'
import type { Alive } from './link.js'

/** A lease is asked back. */
export interface RecallNotice extends ByteRange {
  readonly change: LayoutChange
  /** Milliseconds to give it back in. */
  readonly deadline: number
}

/**
 * Called when a lease is asked back, and again when more of it is wanted: ends the use of that
 * range. When it returns, or what it returns resolves, the lease is given back: all of it, unless
 * what is wanted has been given back by then (`release` of a range); then the rest stays. What it
 * throws, or never resolving, is no answer: then it is fenced when the time is over.
 */
export type OnRecall = (recall: RecallNotice) => void | Promise<void>

export interface HoldFacts {
  readonly kind: HoldKind
  readonly iomode: Iomode | null
  readonly ino: number
  readonly generation: number
  readonly reason: string
  readonly onRecall?: OnRecall | undefined
}

const FENCED =
  'it was not given back in time, and is fenced: what it gave access to is not reached any more'

export type HoldEnd = 'released' | 'fenced' | 'gone'

export class ClientHold implements AsyncDisposable {
  readonly facts: HoldFacts
  /**
   * Called once, before anything else, when it ends: nothing may use it any more. What it returns
   * resolves when nothing does: then it is given back.
   */
  cut: (why: string) => unknown = () => {}
  /**
   * The same for file blocks [from, to) that are given back; what it throws keeps them, before
   * anything has changed.
   */
  cutPart: (from: number, to: number) => unknown = () => {}
  /** Of the descriptor that it is mapped with; null: nothing is. */
  slot: number | null = null
  /** Resolves with how it ended. */
  readonly over: Promise<HoldEnd>
  /** What comes of it is not needed any more. */
  forget: () => void = () => {}
  #id: number
  #layout: Granted['layout']
  #alive: Alive | null
  /** Commits that are under way. */
  #committing: Promise<unknown> | null = null
  #covered: Covered
  #end: HoldEnd | null = null
  #why = ''
  #ended!: (end: HoldEnd) => void
  #unused: unknown = undefined

  constructor(alive: Alive, facts: HoldFacts, granted: Granted, extents: readonly Extent[]) {
    this.facts = facts
    this.#covered = Covered.of(granted, extents)
    this.#id = granted.id
    this.#layout = granted.layout
    this.#alive = alive
    this.over = new Promise((resolve) => (this.#ended = resolve))
  }

  get id(): number {
    return this.#id
  }

  /** The layout that it was granted on: mount epoch and generation. */
  get layout(): Granted['layout'] {
    return this.#layout
  }

  /** What it covers now: another one once a part was given back. */
  get covered(): Covered {
    return this.#covered
  }

  /** Bytes of the file that it covers, in whole blocks: the first, and up to the last. */
  get offset(): number {
    return this.#covered.offset
  }

  get length(): number {
    return this.#covered.length
  }

  /** Where its blocks are, in file order; holes are left out. */
  get extents(): readonly Extent[] {
    return this.#covered.extents
  }

  /** Whether all these bytes of the file are covered. */
  covers(offset: number, length: number): boolean {
    return this.#covered.covers(offset, length)
  }

  get end(): HoldEnd | null {
    return this.#end
  }

  /** The session that it is of; null: that is over. */
  get session(): Alive | null {
    return this.#alive
  }

  get held(): boolean {
    return this.#end === null
  }

  /** ESTALE, with the reason, when it has ended. */
  demandHeld(): void {
    if (this.#end !== null) throw new HoldfastError('ESTALE', `hold ${this.#id}: ${this.#why}`)
  }

  /**
   * What was stored through it is durable when this resolves; with `size`, the file has at least
   * that many bytes (LAYOUTCOMMIT).
   */
  async commit(size?: number, options: CallOptions = {}): Promise<void> {
    this.demandHeld()
    const { caller } = this.#demandSession()
    const call = caller.call(VERBS.layoutCommit, { id: this.#id, size }, options)
    const all = Promise.allSettled([this.#committing, call])
    this.#committing = all
    void all.then(() => {
      if (this.#committing === all) this.#committing = null
    })
    await call
  }

  /**
   * Gives it back, or the blocks that a range of the file touches. Once is enough. EINVAL for a
   * part of a mapping whose pages have other blocks, too.
   */
  async release(range?: ByteRange): Promise<void> {
    if (this.#end !== null) return
    if (range !== undefined) {
      const [from, to] = blocksOf(range)
      const rest = this.#covered.without(from, to)
      if (rest === this.#covered) return
      if (!rest.empty) return this.#releasePart(from, to, rest)
    }
    const alive = this.#alive
    this.finish('released', 'it was released')
    // At once where nothing is under way: a call that is made next comes behind it.
    if (this.#unused instanceof Promise) await this.#unused
    // A return is dealt with before what came before it.
    if (this.#committing !== null) await this.#committing
    if (alive === null) return
    await this.#giveBack(alive)
  }

  async #releasePart(from: number, to: number, rest: Covered): Promise<void> {
    const alive = this.#alive
    const unused = this.cutPart(from, to)
    this.#covered = rest
    if (unused instanceof Promise) await unused
    if (this.#committing !== null) await this.#committing
    // It has ended meanwhile, or the next server was told of the rest alone.
    if (this.#end !== null || alive === null || this.#alive !== alive) return
    const range = { offset: from * BLOCK_BYTES, length: (to - from) * BLOCK_BYTES }
    await this.#giveBack(alive, range)
  }

  async #giveBack(alive: Alive, range?: ByteRange): Promise<void> {
    const args = { id: this.#id, range }
    await alive.caller.call(VERBS.layoutReturn, args).catch((error: unknown) => {
      // It may have been fenced meanwhile, or its session has ended: it is back either way.
      if ((error as HoldfastError).code !== 'ESTALE' && !alive.caller.ended) throw error
    })
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release()
  }

  #demandSession(): Alive {
    if (this.#alive !== null) return this.#alive
    throw new HoldfastError('ECONNRESET', `hold ${this.#id}: the server is gone, and looked for`)
  }

  // ---- what the client is told -----------------------------------------------------------------

  /** It is asked back. */
  async recalled(recall: RecallNotice): Promise<void> {
    try {
      await this.facts.onRecall?.(recall)
    } catch (error) {
      process.emitWarning(error instanceof Error ? error : String(error))
      return
    }
    const [from, to] = blocksOf(recall)
    // What is wanted was given back by then: the rest stays.
    if (this.#covered.partial && this.#covered.without(from, to) === this.#covered) return
    await this.release().catch(() => {})
  }

  /** It was not given back in time. What a server could not cut off itself it waits for. */
  fenced(): void {
    const alive = this.#alive
    this.finish('fenced', FENCED)
    alive?.caller.call(VERBS.layoutReturn, { id: this.#id }).catch(() => {})
  }

  /** It ends, and nobody gave it back. */
  finish(end: HoldEnd, why: string): void {
    if (this.#end !== null) return
    this.#end = end
    this.#why = why
    this.#unused = this.cut(why)
    this.forget()
    this.#ended(end)
  }

  /** Its session is over, and it may be taken up in the next one. */
  orphaned(): void {
    this.#alive = null
  }

  /** It was taken up again, under another id. */
  reclaimed(alive: Alive, { id, layout }: Pick<Granted, 'id' | 'layout'>): void {
    this.#id = id
    this.#layout = layout
    this.#alive = alive
  }
}
