/**
 * Clients that map the region themselves: who may, and when their mappings are gone.
 *
 * Invariants:
 * - a slot is one session's, from its grant until the kernel says that nobody holds its lock;
 * - what a session holds ends after its slots are free, whatever its socket or process say.
 */
import { HoldfastError } from '../base/errors.js'
import { MemoryRegion } from '../region/memory_region.js'
import { grantDescriptor, heldSlots, isHeld, SURVIVOR_LOCKS } from '../region/survivor_locks.js'
import type { ClientSession } from './client_session.js'
import type { Server } from './server.js'

/** The first look after a socket has ended, and the longest time between two. */
const LOOK_MILLISECONDS_MIN = 5
const LOOK_MILLISECONDS_MAX = 1000

export interface MapGroup {
  readonly gid: number
  /** Its members get descriptors that cannot be written through. */
  readonly readOnly: boolean
}

export class Mapping {
  readonly #server: Server
  readonly #group: MapGroup | null
  readonly #slots = new Map<number, ClientSession>()
  /** Slots of processes that mapped the region for the last owner, and were not claimed. */
  readonly #survivors: Set<number>
  #next = 0

  constructor(server: Server, group: MapGroup | null) {
    this.#server = server
    this.#group = group
    const { region } = server.files.volume
    this.#survivors = new Set(
      region instanceof MemoryRegion && region.fd >= 0 ? heldSlots(region) : [],
    )
  }

  /** Slots that nobody has claimed and somebody still holds. */
  get unclaimed(): number {
    for (const slot of this.#survivors) {
      if (!isHeld(this.#region(), slot)) this.#survivors.delete(slot)
    }
    return this.#survivors.size
  }

  mayMap(session: ClientSession): boolean {
    return this.#refusal(session) === null
  }

  /** EPERM, or EOPNOTSUPP, with the reason. */
  demand(session: ClientSession): void {
    const refusal = this.#refusal(session)
    if (refusal !== null) throw refusal
  }

  #refusal(session: ClientSession): HoldfastError | null {
    const { region } = this.#server.files.volume
    if (session.remote)
      return new HoldfastError('EPERM', 'a remote client maps nothing: read and write')
    if (region.unmappable !== null) return new HoldfastError('EOPNOTSUPP', region.unmappable)
    const { privileged, uid, gid, groups } = session.principal
    if (privileged) return null
    const { gid: trusted } = this.#group ?? {}
    if (trusted !== undefined && (gid === trusted || groups.includes(trusted))) return null
    return new HoldfastError(
      'EPERM',
      `uid ${uid} is not trusted with a mapping: who maps the region sees all of it. read() and ` +
        'write() serve it; serve --map-group lets the members of a group map',
    )
  }

  /** A descriptor for a client to map with, which belongs to the caller, and its slot. */
  give(session: ClientSession): { fd: number; slot: number; readOnly: boolean } {
    const readOnly = !session.principal.privileged && this.#group?.readOnly === true
    const slot = this.#freeSlot()
    const fd = grantDescriptor(this.#region(), slot, { readOnly })
    this.#slots.set(slot, session)
    return { fd, slot, readOnly }
  }

  /**
   * A session is that of processes which mapped the region for the last owner. One that was cut off
   * after it had said so is followed by the next one of its process, which has taken the same
   * holds.
   */
  claim(session: ClientSession, slots: readonly number[]): void {
    for (const slot of slots) {
      const last = this.#slots.get(slot)
      if (last !== undefined && follows(session, last)) last.slots.delete(slot)
      else if (!this.#survivors.delete(slot)) continue
      this.#slots.set(slot, session)
      session.slots.add(slot)
    }
  }

  /**
   * Resolves with true when nobody maps anything any more that a session was given a descriptor
   * for; with false when the server has closed before.
   */
  async released(session: ClientSession): Promise<boolean> {
    const region = this.#region()
    for (let wait = LOOK_MILLISECONDS_MIN; ; wait = Math.min(2 * wait, LOOK_MILLISECONDS_MAX)) {
      for (const slot of session.slots) {
        if (this.#server.files.volume.closed || !isHeld(region, slot)) {
          session.slots.delete(slot)
          this.#slots.delete(slot)
        }
      }
      if (session.slots.size === 0) return true
      if (this.#server.closed) return false
      await new Promise<void>((resolve) => this.#server.timers.after(wait, resolve))
    }
  }

  /** Slots that are held, whoever holds them. */
  get held(): number {
    return [...this.#slots.keys()].filter((slot) => isHeld(this.#region(), slot)).length
  }

  #region(): MemoryRegion {
    const { region } = this.#server.files.volume
    if (region instanceof MemoryRegion) return region
    throw new HoldfastError('EOPNOTSUPP', `${region.path} has no descriptor to pass`)
  }

  #freeSlot(): number {
    for (let tried = 0; tried < SURVIVOR_LOCKS.slots; tried++) {
      const slot = this.#next
      this.#next = (this.#next + 1) % SURVIVOR_LOCKS.slots
      if (!this.#slots.has(slot) && !this.#survivors.has(slot)) return slot
    }
    throw new HoldfastError('ENFILE', `${SURVIVOR_LOCKS.slots} clients map the region`)
  }
}

/** Whether a session takes over what the mappings of one hold that has lost its connection. */
function follows(session: ClientSession, last: ClientSession): boolean {
  const { principal } = session
  if (session === last || !last.gone || !session.reclaiming) return false
  return last.principal.uid === principal.uid && last.principal.peer === principal.peer
}
