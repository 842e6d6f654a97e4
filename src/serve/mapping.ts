/**
 * Clients that map the region themselves: who may, and when their mappings are gone.
 *
 * Invariants:
 * - a slot is a session's, from its grant until the kernel says that nobody holds its lock;
 * - who says of a slot that it is theirs has shown a descriptor that has its lock: knowing its
 *   number is nothing, as all of them are in /proc/locks;
 * - what a session holds ends after its slots are free, whatever its socket or process say.
 */
import { fstatSync } from 'node:fs'
import { HoldfastError } from '../base/errors.js'
import { SLOTS_MAX } from '../control/limits.js'
import { MemoryRegion } from '../region/memory_region.js'
import { grantDescriptor, heldSlots, isHeld, SURVIVOR_LOCKS } from '../region/survivor_locks.js'
import type { ClientSession } from './client_session.js'
import type { Server } from './server.js'

/** The first look after a socket has ended, and the longest time between two. */
const LOOK_MILLISECONDS_MIN = 5
const LOOK_MILLISECONDS_MAX = 1000

const WRITABLE_BY_OTHERS = 0o022

export interface MapGroup {
  readonly gid: number
  /** Its members get descriptors that cannot be written through. */
  readonly readOnly: boolean
}

export class Mapping {
  readonly #server: Server
  readonly #group: MapGroup | null
  readonly #slots = new Map<number, ClientSession>()
  /** Slots of processes that mapped the region for the last owner, and are waited for. */
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
      if (!isHeld(this.region, slot)) this.#survivors.delete(slot)
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
    const { gid: trusted, readOnly = false } = this.#group ?? {}
    if (trusted !== undefined && (gid === trusted || groups.includes(trusted))) {
      return readOnly ? this.#refusesReading(uid) : null
    }
    return new HoldfastError(
      'EPERM',
      `uid ${uid} is not trusted with a mapping: who maps the region sees all of it. read() and ` +
        'write() serve it; serve --map-group lets the members of a group map',
    )
  }

  /**
   * A descriptor that cannot be written through keeps nobody from writing who may open the region
   * for that, by its path or through /proc: the owner, who may change its mode, and all that
   * this lets in. With an ACL the bits of its group are the most that anybody named there has.
   */
  #refusesReading(uid: number): HoldfastError | null {
    const { fd, path } = this.region
    const { mode, uid: owner } = fstatSync(fd)
    if (owner !== uid && (mode & WRITABLE_BY_OTHERS) === 0) return null
    return new HoldfastError(
      'EPERM',
      owner === uid
        ? `${path} belongs to uid ${uid}, whom a descriptor for reading keeps from nothing`
        : `${path} may be opened for writing by more than its owner, so that a descriptor for ` +
            'reading keeps nobody from it: chmod go-w, or serve --map-group without :ro',
    )
  }

  /** A descriptor for a client to map with, which belongs to the caller, and its slot. */
  give(session: ClientSession): { fd: number; slot: number; readOnly: boolean } {
    this.#demandSlot(session)
    const readOnly = !session.principal.privileged && this.#group?.readOnly === true
    const slot = this.#freeSlot()
    const fd = grantDescriptor(this.region, slot, { readOnly })
    this.#slots.set(slot, session)
    return { fd, slot, readOnly }
  }

  /**
   * A session has shown a descriptor with the lock of a slot: mappings made with it are its own
   * from here on. Until it says that what they stand on is held again, they are waited for.
   */
  show(session: ClientSession, slot: number): void {
    const last = this.#slots.get(slot)
    if (last === undefined && !this.#survivors.has(slot)) {
      throw new HoldfastError('EPERM', `slot ${slot} was given to nobody`)
    }
    if (!session.slots.has(slot)) this.#demandSlot(session)
    if (last !== undefined && follows(session, last)) last.slots.delete(slot)
    this.#slots.set(slot, session)
    this.#survivors.add(slot)
    session.slots.add(slot)
  }

  /** What mappings of these slots stand on is held again. EPERM for slots it has not shown. */
  claim(session: ClientSession, slots: readonly number[]): void {
    for (const slot of slots) {
      if (session.slots.has(slot)) continue
      throw new HoldfastError('EPERM', `slot ${slot}: the session has shown no such descriptor`)
    }
    const { log } = this.#server
    const { name, principal } = session
    for (const slot of slots) {
      if (!this.#survivors.delete(slot)) continue
      log.info('mapping is claimed', { slot, session: session.id, name, peer: principal.peer })
    }
  }

  /**
   * Resolves with true when nobody maps anything any more that a session was given a descriptor
   * for; with false when the server has closed before.
   */
  async released(session: ClientSession): Promise<boolean> {
    const region = this.region
    for (let wait = LOOK_MILLISECONDS_MIN; ; wait = Math.min(2 * wait, LOOK_MILLISECONDS_MAX)) {
      for (const slot of session.slots) {
        if (this.#server.files.volume.closed || !isHeld(region, slot)) {
          this.#drop(session.slots, slot)
        }
      }
      if (session.slots.size === 0) return true
      if (this.#server.closed) return false
      await new Promise<void>((resolve) => this.#server.timers.after(wait, resolve))
    }
  }

  /** Slots that are held, whoever holds them. */
  get held(): number {
    return [...this.#slots.keys()].filter((slot) => isHeld(this.region, slot)).length
  }

  /** EOPNOTSUPP where it has no descriptor. */
  get region(): MemoryRegion {
    const { region } = this.#server.files.volume
    if (region instanceof MemoryRegion) return region
    throw new HoldfastError('EOPNOTSUPP', `${region.path} has no descriptor to pass`)
  }

  /** EMFILE when it has as many as it can show to the next server. */
  #demandSlot({ slots }: ClientSession): void {
    if (slots.size < SLOTS_MAX) return
    const region = this.region
    for (const slot of [...slots]) if (!isHeld(region, slot)) this.#drop(slots, slot)
    if (slots.size < SLOTS_MAX) return
    throw new HoldfastError(
      'EMFILE',
      `the session has ${SLOTS_MAX} descriptors of the region: use one of them, or close some`,
    )
  }

  #drop(slots: Set<number>, slot: number): void {
    slots.delete(slot)
    this.#slots.delete(slot)
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

/** Whether a session is the next one of a process that has lost its connection. */
function follows(session: ClientSession, last: ClientSession): boolean {
  const { principal } = session
  if (session === last || !last.gone) return false
  return last.principal.uid === principal.uid && last.principal.peer === principal.peer
}
