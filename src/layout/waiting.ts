/**
 * The promise form of every change and every hold: what is in the way is recalled, or waited for,
 * and then it is asked for again, path, permissions and conflicts.
 *
 * Invariants:
 * - a request waits behind those that came before it and want the same blocks, and behind no
 *   others: one order for all, so that nobody starves and no two wait for each other;
 * - a return never waits;
 * - before a deadline counts as missed, what has come in meanwhile is dealt with;
 * - what is fenced is cut off, and drained, before the change goes on.
 */
import { HoldfastError } from '../base/errors.js'
import type { Recall, WaitOptions } from '../base/layout.js'
import { Alone, BEHIND } from './alone.js'
import { blocksOf, type Arbiter, type Conflict } from './arbiter.js'
import { Asks, type Ask } from './asks.js'
import { unharmed } from './events.js'
import type { Timers } from '../base/timers.js'

/** Milliseconds. */
export const RECALL_MS = 5_000
export const RECALL_MS_MAX = 60_000
export const WAIT_MS = 10_000
export const WAIT_MS_MAX = 600_000

/** What is done in one turn of what takes several. */
const SLICE_MS = 2

interface Waiter {
  readonly ticket: number
  readonly conflict: Conflict
  /** It waits for this now. What it has waited for is kept for it until it is done. */
  active: boolean
  /** A lease that it asked back was cut off. */
  fenced: boolean
  /** A hold waits only behind others; what it asks for is in nobody's way. */
  readonly hold: boolean
}

type Tried<T> = { readonly value: T } | { readonly refusal: unknown; readonly conflict: Conflict }

export class Waiting {
  /** What is of one moment, and has several turns. */
  readonly alone: Alone
  readonly #arbiter: Arbiter
  readonly #timers: Timers
  readonly #waiters: Waiter[] = []
  #tickets = 0
  readonly #wakers = new Set<() => void>()
  readonly #asks: Asks
  /** Leases that have missed their deadline and cannot be cut off. */
  readonly #unreachable = new Set<number>()

  constructor(arbiter: Arbiter, timers: Timers) {
    this.#arbiter = arbiter
    this.#timers = timers
    this.alone = new Alone(timers, () => this.wake())
    this.#asks = new Asks(arbiter.holds)
    arbiter.holds.changed = (partOf) => {
      if (partOf !== undefined) this.#callOff([partOf])
      this.wake()
    }
  }

  /** Lets other work go on. */
  turn(): Promise<void> {
    return this.#timers.turn()
  }

  /** What waits looks again: something may be gone that was in its way. */
  wake(): void {
    if (this.#wakers.size > 0) for (const wake of [...this.#wakers]) wake()
  }

  /** Does steps for a while; true: all are done. */
  slice(steps: Iterator<void>): boolean {
    const end = this.#timers.now() + SLICE_MS
    do {
      if (steps.next().done === true) return true
    } while (this.#timers.now() < end)
    return false
  }

  // ---- waiting ---------------------------------------------------------------------------------

  /** Whether somebody who came before `ticket` waits for blocks of that range to change. */
  #behind(ticket: number, inode: number, from: number, to: number): boolean {
    return this.#waiters.some(({ ticket: other, conflict, hold }) => {
      if (hold || other >= ticket || conflict.inode !== inode) return false
      return conflict.from < to && from < conflict.to
    })
  }

  /** EAGAIN for a new hold of a range that is under recall, or that a change waits for. */
  demandFree(inode: number, from: number, to: number, ticket = Infinity): void {
    const { table } = this.#arbiter.holds
    let recalled = false
    if (table.recalled > 0) {
      table.pieces.overlapping(inode, from, to, (slot) => {
        if (table.stateOf(slot) === 'recalled') recalled = true
      })
    }
    if (recalled) throw new HoldfastError('EAGAIN', 'the range is under recall; ask again later')
    if (!this.#behind(ticket, inode, from, to)) return
    this.#arbiter.conflict = {
      change: 'move',
      inode,
      from,
      to,
      recalls: [],
      waits: [],
      force: false,
    }
    throw new HoldfastError('EAGAIN', 'a change waits for the range; ask again later')
  }

  /** Runs a synchronous call in this turn; null: it has to wait, and nothing was done. */
  now<T>(run: () => T): { readonly value: T } | null {
    if (this.alone.keeps(BEHIND)) return null
    const tried = this.#try(run, this.#tickets++)
    return 'value' in tried ? tried : null
  }

  /**
   * Runs a synchronous call until nothing is in its way, or its time is over: then with the error
   * of the last try. `hold`: it asks for a hold.
   */
  async settle<T>(
    run: (ticket: number) => T,
    options: WaitOptions = {},
    hold = false,
    standing = BEHIND,
  ): Promise<T> {
    const ticket = this.#tickets++
    const timeout = limited(options.timeout ?? WAIT_MS, WAIT_MS_MAX, 'timeout')
    const patience = limited(options.deadline ?? RECALL_MS, RECALL_MS_MAX, 'deadline')
    let end = this.#timers.now() + timeout
    // Draining, too, comes to an end for who waits.
    const drained = patience + (options.timeout ?? WAIT_MS_MAX)
    const mine: Waiter[] = []
    try {
      for (;;) {
        if (options.signal?.aborted === true) throw interrupted()
        // However long that takes: it is done, and waits for nobody.
        while (this.alone.keeps(standing)) {
          const since = this.#timers.now()
          await this.alone.pass(standing, (done) => this.#until(done, Infinity, options.signal))
          end += this.#timers.now() - since
        }
        const tried = this.#try(run, ticket)
        if ('value' in tried) return tried.value
        const { conflict, refusal } = tried
        const waiter: Waiter = { ticket, conflict, hold, active: true, fenced: false }
        mine.push(waiter)
        this.#waiters.push(waiter)
        try {
          if (!(await this.#clear(waiter, end, patience, drained, options.signal))) {
            const { holds } = refusal as HoldfastError
            if (holds !== undefined) this.#arbiter.tellRefusal(conflict.change, holds)
            throw refusal
          }
        } finally {
          waiter.active = false
          this.#callOff(conflict.recalls)
          this.wake()
        }
      }
    } finally {
      for (const waiter of mine) this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
      if (mine.length > 0) this.wake()
    }
  }

  /**
   * Asks a lease back for nobody's sake. Resolves with how it ended; EINVAL what is no lease,
   * ESTALE one that covers nothing of its file any more, EBUSY when it was not given back, this
   * time or another, and cannot be cut off.
   */
  async recall(id: number, options: WaitOptions = {}): Promise<'returned' | 'fenced'> {
    const { holds } = this.#arbiter
    const patience = limited(options.deadline ?? RECALL_MS, RECALL_MS_MAX, 'deadline')
    const slot = holds.table.slotOf(id)
    if (holds.table.kindOf(slot) !== 'lease') {
      const kind = holds.table.kindOf(slot)
      const detail = `a ${kind} is not asked back: its owner releases it, or its session is evicted`
      throw new HoldfastError('EINVAL', detail, { holds: [holds.info(slot)] })
    }
    const [from, to] = holds.span(slot)
    if (from >= to) {
      if (holds.ghosts.has(slot)) throw this.#reachable(slot)
      throw new HoldfastError('ESTALE', `hold ${id}: what it was lent has left the file`)
    }
    const inode = holds.table.inodeOf(slot)
    const conflict: Conflict = {
      change: 'move',
      inode,
      from,
      to,
      recalls: [id],
      waits: [],
      force: false,
    }
    const waiter = { ticket: this.#tickets++, conflict, hold: true, active: true, fenced: false }
    this.#waiters.push(waiter)
    try {
      const end = this.#timers.now() + WAIT_MS_MAX
      const gone = await this.#clear(waiter, end, patience, patience + WAIT_MS_MAX, options.signal)
      const left = holds.table.find(id)
      if (!gone || (left >= 0 && holds.ghosts.has(left))) throw this.#reachable(left)
      return waiter.fenced ? 'fenced' : 'returned'
    } finally {
      waiter.active = false
      this.#waiters.splice(this.#waiters.indexOf(waiter), 1)
      this.#callOff([id])
      this.wake()
    }
  }

  /** Of a lease that was not given back, and whose holder cannot be cut off. */
  #reachable(slot: number): HoldfastError {
    const { holds } = this.#arbiter
    const info = holds.info(slot)
    const who = `session ${info.owner.session} (${info.owner.name})`
    const detail = `it was not given back, and ${who} cannot be cut off from its addresses`
    return new HoldfastError('EBUSY', detail, { holds: [info] })
  }

  /** Throws what waiting does not help against. */
  #try<T>(run: (ticket: number) => T, ticket: number): Tried<T> {
    const arbiter = this.#arbiter
    arbiter.beginTry()
    try {
      return { value: run(ticket) }
    } catch (refusal) {
      const { conflict } = arbiter
      // The last thing in the way was another one.
      const { code } = refusal as Partial<HoldfastError>
      if (conflict === null || (code !== 'EBUSY' && code !== 'EAGAIN')) throw refusal
      return { refusal, conflict }
    } finally {
      arbiter.trying = false
    }
  }

  /** Waits until what is in the way is gone; false: that is not to be. */
  async #clear(
    waiter: Waiter,
    end: number,
    patience: number,
    drained: number,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { conflict, ticket } = waiter
    const { recalls, waits, inode, from, to } = conflict
    if (conflict.gone !== undefined) return this.#until(conflict.gone, end, signal)
    const gone = (id: number) => this.#gone(id, conflict)
    // Recalls wait: nothing is asked back for a change that may give up.
    if (waits.length > 0) return this.#until(() => waits.every(gone), end, signal)
    if (recalls.length > 0) {
      this.#recall(waiter, patience)
      const stuck = () => recalls.some((id) => this.#unreachable.has(id))
      const last = this.#timers.now() + drained
      await this.#until(() => recalls.every(gone) || stuck(), last, signal)
      return recalls.every(gone)
    }
    return this.#until(() => !this.#behind(ticket, inode, from, to), end, signal)
  }

  /** Whether a hold covers nothing of the range any more. */
  #gone(id: number, { inode, from, to }: Conflict): boolean {
    const { table } = this.#arbiter.holds
    const slot = table.find(id)
    return slot < 0 || !table.covers(slot, inode, from, to)
  }

  /** Resolves with true once `done` says so after a change, with false at the end of the time. */
  #until(done: () => boolean, end: number, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      let cancel = () => {}
      const finish = (settle: () => void) => {
        cancel()
        this.#wakers.delete(wake)
        signal?.removeEventListener('abort', abort)
        settle()
      }
      const wake = () => {
        if (done()) finish(() => resolve(true))
      }
      const abort = () => finish(() => reject(interrupted()))
      this.#wakers.add(wake)
      signal?.addEventListener('abort', abort, { once: true })
      if (end !== Infinity) {
        cancel = this.#timers.after(Math.max(0, end - this.#timers.now()), () =>
          finish(() => resolve(false)),
        )
      }
      wake()
    })
  }

  // ---- recall and fence ------------------------------------------------------------------------

  /**
   * Asks leases back; those that are not given back by the deadline are fenced. The holder of one
   * that was asked back before is told what is wanted besides, and has time for that, too.
   */
  #recall(waiter: Waiter, patience: number): void {
    const { holds } = this.#arbiter
    const { conflict } = waiter
    for (const id of conflict.recalls) {
      const slot = holds.table.find(id)
      if (slot < 0) continue
      const recalled = holds.table.stateOf(slot) === 'recalled'
      // One that is being cut off ends as a whole.
      if (recalled && (holds.draining.has(id) || this.#asks.join(id, slot, waiter))) continue
      const due = this.#timers.now() + patience
      const stands = { alone: this.alone.total, until: due + patience }
      const wanted = holds.wanted(slot, conflict.from, conflict.to)
      const [from, to] = blocksOf(wanted.offset, wanted.length)
      const ask: Ask = { from, to, due, askers: [waiter], cancel: () => {} }
      this.#asks.add(id, slot, ask)
      this.#unreachable.delete(id)
      const { change } = conflict
      if (holds.events.watched) {
        holds.events.tell({ kind: 'recall', holds: [holds.info(slot)], change, wanted })
      }
      ask.cancel = this.#timers.after(patience, () => void this.#expire(id, ask, stands))
      // What a holder throws is no answer: its time goes on.
      const recall: Recall = { ...wanted, ino: conflict.inode, change, deadline: patience }
      unharmed(() => holds.users.get(slot)?.onRecall?.(id, recall))
    }
  }

  /**
   * A request is done, a hold has drained, or a part of one was given back: what nobody wants back
   * is no longer asked for.
   */
  #callOff(recalls: readonly number[]): void {
    const { holds } = this.#arbiter
    for (const id of recalls) {
      if (this.#asks.of(id).length > 0) continue
      this.#unreachable.delete(id)
      const slot = holds.table.find(id)
      if (slot < 0 || holds.draining.has(id)) continue
      if (holds.table.stateOf(slot) === 'recalled') holds.callOff(slot)
    }
  }

  /**
   * The deadline of a recall has come, unless it was called off and another one has its own. The
   * time in which one was alone (more than `alone` in all) does not count, as what the holder was
   * to commit had to wait; but not beyond `until`, however many were.
   */
  async #expire(
    id: number,
    ask: Ask,
    { alone, until }: { alone: number; until: number },
  ): Promise<void> {
    const { table, users } = this.#arbiter.holds
    if (this.alone.total > alone && this.#timers.now() < until && this.#isDue(id, ask)) {
      await this.#until(() => !this.alone.taken || !this.#isDue(id, ask), until, undefined)
      if (!this.#isDue(id, ask)) return
      const now = this.alone.total
      const more = Math.max(0, Math.min(now - alone, until - this.#timers.now()))
      const expire = () => void this.#expire(id, ask, { alone: now, until })
      ask.cancel = this.#timers.after(more, expire)
      return
    }
    // What the holder has sent and nobody has looked at yet counts.
    const holder = users.get(table.find(id))
    await (holder?.caughtUp === undefined ? this.#timers.turn() : holder.caughtUp())
    if (this.#isDue(id, ask)) await this.#fence(id, table.find(id))
  }

  /** Whether that is still asked for. */
  #isDue(id: number, ask: Ask): boolean {
    const { table, draining } = this.#arbiter.holds
    const slot = table.find(id)
    if (slot < 0 || table.stateOf(slot) !== 'recalled' || draining.has(id)) return false
    return this.#asks.of(id).includes(ask)
  }

  /** Cuts a holder off that has not answered, for all who wait for it. */
  async #fence(id: number, slot: number): Promise<void> {
    const { holds } = this.#arbiter
    holds.tell('fence', [slot])
    for (const waiter of this.#waiters) waiter.fenced ||= waiter.conflict.recalls.includes(id)
    if (await holds.cutOff(slot)) return
    // Also for those who have come since.
    for (const { conflict, active } of [...this.#waiters]) {
      const now = holds.table.find(id)
      const waits = active && conflict.recalls.includes(id)
      if (waits && now >= 0) this.#leaveBehind(id, now, conflict)
    }
    // Who wanted it may have given up before it had drained.
    this.#callOff([id])
  }

  /**
   * Nobody can cut its addresses off. What is cut off the file goes to limbo and stays as it is for
   * them; what is to gain an owner moves away first (the arbiter sees to it); maintenance gives up
   * unless forced.
   */
  #leaveBehind(id: number, slot: number, { change, from, to, force }: Conflict): void {
    const { holds } = this.#arbiter
    const leaves = change === 'shrink' || change === 'punch' || change === 'shareInto'
    if (!leaves && change !== 'share' && change !== 'grow' && !force) {
      this.#unreachable.add(id)
      this.wake()
      return
    }
    holds.haunt(slot, from, to)
  }
}

const interrupted = () => new HoldfastError('EINTR', 'the wait was given up')

function limited(value: number, most: number, name: string): number {
  if (Number.isFinite(value) && value >= 0 && value <= most) return value
  throw new HoldfastError('EINVAL', `${name} of ${value} ms: 0 to ${most}`)
}
