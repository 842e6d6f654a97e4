/**
 * The holds of a client, from one session to the next.
 *
 * Invariants:
 * - ids are those of one session: a hold of the last one is never taken for another of this one;
 * - what a server says of a hold before its grant is known here finds it: the notice may come with
 *   the reply, or while the rest of its extents is asked for;
 * - a hold that was not taken up again in a new session has ended, and what stood on it was cut,
 *   before a call is made in that session.
 */
import { HoldfastError } from '../base/errors.js'
import type { Extent } from '../base/filesystem.js'
import type { ByteRange } from '../base/layout.js'
import { BLOCK_BYTES } from '../base/limits.js'
import { RECLAIM_EXTENTS_MAX } from '../control/limits.js'
import type { Notice, NoticeBody } from '../control/message.js'
import type { Granted } from '../control/types.js'
import type { ArgsOf, ResultOf } from '../control/verb.js'
import { VERBS } from '../control/verbs/index.js'
import type { Covered } from './covered.js'
import { ClientHold, type HoldFacts } from './hold.js'
import type { Alive } from './link.js'

type Reclaimed = ResultOf<typeof VERBS.reclaim>

export class ClientHolds {
  /** All that have not ended. */
  readonly #all = new Set<ClientHold>()
  /** Those of the session that there is. */
  readonly #byId = new Map<number, ClientHold>()
  /** What was said of holds that nobody knows yet, while some are being granted. */
  readonly #early = new Map<number, Notice[]>()
  #granting = 0

  /** Those that have not ended. */
  get all(): readonly ClientHold[] {
    return [...this.#all]
  }

  /** Asks for a hold. */
  async take(alive: Alive, facts: HoldFacts, ask: () => Promise<Granted>): Promise<ClientHold> {
    this.#granting++
    try {
      return await this.#adopt(alive, facts, await ask())
    } finally {
      if (--this.#granting === 0) this.#early.clear()
    }
  }

  async #adopt(alive: Alive, facts: HoldFacts, granted: Granted): Promise<ClientHold> {
    const extents = await this.#extentsOf(alive, granted)
    const hold = new ClientHold(alive, facts, granted, extents)
    this.#all.add(hold)
    hold.forget = () => {
      this.#all.delete(hold)
      if (this.#byId.get(hold.id) === hold) this.#byId.delete(hold.id)
    }
    if (alive.caller.ended) hold.finish('gone', 'the connection was lost as it was granted')
    else this.#known(hold)
    return hold
  }

  /** All of them; what cannot be told is given back. */
  async #extentsOf(alive: Alive, { id, extents: first, more: rest }: Granted): Promise<Extent[]> {
    const extents = [...first]
    try {
      for (let more = rest; more;) {
        const { fileBlock, count } = extents.at(-1)!
        const next = await alive.caller.call(VERBS.heldExtents, { id, from: fileBlock + count })
        extents.push(...next.extents)
        ;({ more } = next)
      }
      return extents
    } catch (error) {
      if (!alive.caller.ended) await alive.caller.call(VERBS.layoutReturn, { id }).catch(() => {})
      throw error
    }
  }

  #known(hold: ClientHold): void {
    this.#byId.set(hold.id, hold)
    const early = this.#early.get(hold.id) ?? []
    this.#early.delete(hold.id)
    for (const notice of early) this.notice(notice)
  }

  notice(notice: Notice): void {
    if (notice.name !== 'recall' && notice.name !== 'fence' && notice.name !== 'released') return
    const hold = this.#byId.get(notice.body.id)
    if (hold === undefined) this.#comesEarly(notice.body.id, notice)
    else if (notice.name === 'recall') this.#recall(hold, notice.body)
    else if (notice.name === 'fence') hold.fenced()
    else hold.finish('released', 'a change of ours took it back')
  }

  #comesEarly(id: number, notice: Notice): void {
    // Nobody waits for a hold: it has been given back meanwhile.
    if (this.#granting === 0) return
    const early = this.#early.get(id) ?? []
    this.#early.set(id, early)
    early.push(notice)
  }

  #recall(hold: ClientHold, { wanted, change, deadline }: NoticeBody<'recall'>): void {
    void hold.recalled({ ...wanted, change, deadline })
  }

  // ---- sessions --------------------------------------------------------------------------------

  /** The session is over. Unless something is mapped, nothing is taken up in another one. */
  lost(mapped: boolean, why: string): void {
    this.#early.clear()
    this.#byId.clear()
    for (const hold of [...this.#all]) {
      hold.orphaned()
      if (!mapped) hold.finish('gone', why)
    }
  }

  /** A new one has begun. `show` shows its server what is mapped, and returns the slots of that. */
  async again(alive: Alive, show: () => Promise<readonly number[]>): Promise<void> {
    // One before it may have ended in the middle of this.
    this.#byId.clear()
    this.#early.clear()
    if (alive.hello.grace) await this.#reclaim(alive, await show())
    for (const hold of [...this.#all]) {
      if (this.#byId.get(hold.id) === hold) continue
      hold.finish('gone', 'the server has begun anew, without it')
    }
  }

  /**
   * What mappings stand on is taken up again, hold by hold. A descriptor of which one was lost is
   * not claimed: children may have copies of what was mapped with it, and the grace period goes on
   * until the last of these is gone.
   */
  async #reclaim(alive: Alive, slots: readonly number[]): Promise<void> {
    const lost = new Set<number | null>()
    for (const hold of [...this.#all]) {
      if (!hold.held) continue
      try {
        await this.#reclaimOne(alive, hold)
      } catch (error) {
        if (alive.caller.ended) throw error
        lost.add(hold.slot)
        hold.finish('gone', `the new server does not have it: ${(error as Error).message}`)
      }
    }
    const claimed = slots.filter((slot) => !lost.has(slot))
    await alive.caller.call(VERBS.reclaimDone, { slots: claimed })
  }

  async #reclaimOne(alive: Alive, hold: ClientHold): Promise<void> {
    const { covered } = hold
    const taken = await this.#reclaimParts(alive, hold, covered)
    // Its user may have given it back while it was taken again, or a part of it.
    if (!hold.held) return this.#giveBack(alive, taken)
    let over = covered
    for (const { offset, length } of hold.covered.ranges) {
      over = over.without(offset / BLOCK_BYTES, (offset + length) / BLOCK_BYTES)
    }
    hold.reclaimed(alive, taken)
    this.#known(hold)
    for (const range of over.ranges) await this.#giveBack(alive, taken, range)
    // It was fenced, and the word of that was lost with the last server.
    if (hold.facts.kind === 'lease' && taken.blocks < blocksOf(covered.extents)) hold.fenced()
  }

  async #giveBack(alive: Alive, { id }: Pick<Granted, 'id'>, range?: ByteRange): Promise<void> {
    await alive.caller.call(VERBS.layoutReturn, range === undefined ? { id } : { id, range })
  }

  /** So many extents at a time; the parts before one that is refused are given back. */
  async #reclaimParts(
    alive: Alive,
    { facts, layout }: ClientHold,
    covered: Covered,
  ): Promise<Reclaimed> {
    const { ino, generation, kind, iomode, reason } = facts
    const file = { ino, generation, layout, kind, iomode: iomode ?? undefined, reason }
    let taken = null as Reclaimed | null
    for (const part of covered.parts(RECLAIM_EXTENTS_MAX)) {
      const last = taken
      const into = last?.id
      const args: ArgsOf<typeof VERBS.reclaim> = { ...file, ...part, into }
      const more = await alive.caller.call(VERBS.reclaim, args).catch(async (error: unknown) => {
        const rest = last !== null && !alive.caller.ended
        if (rest) await this.#giveBack(alive, last).catch(() => {})
        throw error
      })
      taken = { ...more, blocks: more.blocks + (last?.blocks ?? 0) }
    }
    if (taken !== null) return taken
    throw new HoldfastError('EINVAL', 'it covers nothing')
  }

  /** No other session comes. */
  closed(why: string): void {
    for (const hold of [...this.#all]) hold.finish('gone', why)
  }
}

const blocksOf = (extents: Granted['extents']) =>
  extents.reduce((blocks, { count }) => blocks + count, 0)
