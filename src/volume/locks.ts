/**
 * Advisory locks, in memory: byte ranges of a process (fcntl(2), F_SETLK) and of a handle
 * (F_OFD_SETLK), which conflict with each other, and whole files of a handle (flock(2)), which
 * conflict with none of those. Files are inode numbers; processes and handles are opaque.
 *
 * Invariants:
 * - Whoever waits for a lock waits because of one that is held, or, if their process holds nothing
 *   at all, because of somebody who has waited for longer and would be in their way.
 * - So nobody is kept waiting by those who came later: a stream of readers does not starve a
 *   writer. That only those wait in line who hold nothing is what keeps the line from closing a
 *   circle that is not one of held locks: nobody can wait for them but who stands behind them.
 *   What needs no waiting (`tryLock`, and who holds something) goes past the line.
 * - A circle of processes that wait for range locks held by the next is never made: the wait that
 *   would close it is EDEADLK. As on Linux handles and whole files are left out of this.
 */
import { checkChoice } from '../base/choice.js'
import { HoldfastError } from '../base/errors.js'
import { LOCKS_MAX } from '../base/limits.js'
import { FOREVER, RangeTable, type Change } from './range_table.js'

/** Who asks: a lock is the owner's or the handle's, by what is asked for. */
export interface Locker {
  /** The process, or what stands for one. */
  readonly owner: unknown
  readonly handle: unknown
}

export interface Range {
  readonly start: number
  /** 0: to the end of the file for ever. Negative: what stands before `start`. */
  readonly length: number
  /** An open file description's: the lock is the handle's and goes when that is closed. */
  readonly ofd?: boolean
}

export interface RangeLock extends Range {
  readonly type: 'read' | 'write'
}

/** A lock that is in the way. `owner`: the process, or of an OFD lock the handle. */
export interface Conflict extends RangeLock {
  readonly ofd: boolean
  readonly owner: unknown
}

/** A process or a handle, as long as it holds or waits. */
class Party {
  readonly key: unknown
  readonly isHandle: boolean
  /** The process that a handle belongs to; of a process it is itself. */
  readonly process: Party
  /** Locks of a process and of its handles. */
  held = 0
  /** Of a process and of its handles. */
  readonly waits = new Set<Waiter>()

  constructor(key: unknown, process: Party | null) {
    this.key = key
    this.isHandle = process !== null
    this.process = process ?? this
  }
}

/** The locks of one file, and those who wait for some, first come first. */
interface FileLocks {
  readonly inode: number
  /** Where it stands, as long as there is something in it. */
  readonly home: Map<number, FileLocks>
  readonly table: RangeTable<Party>
  readonly waiters: Set<Waiter>
}

interface Wish {
  readonly file: FileLocks
  readonly party: Party
  readonly handle: unknown
  readonly write: boolean
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

interface Waiter extends Wish {
  /** Ascends from wait to wait. */
  readonly arrival: number
  /** Ends the wait; with an error or, when it has the lock, without. */
  settle(error?: unknown): void
}

/** A part of a file in which waiters may have their turn now. */
interface Turn {
  readonly file: FileLocks
  readonly start: number
  /** Exclusive. */
  readonly end: number
}

export class Locks {
  readonly #ranges = new Map<number, FileLocks>()
  readonly #whole = new Map<number, FileLocks>()
  readonly #processes = new Map<unknown, Party>()
  readonly #handles = new Map<unknown, Party>()
  readonly #limit: number
  #held = 0
  #waiting = 0
  #arrivals = 0

  /** `limit`: locks held, and waits, at a time. */
  constructor(limit = LOCKS_MAX) {
    this.#limit = limit
  }

  /** Locks held now. */
  get held(): number {
    return this.#held
  }

  get waiting(): number {
    return this.#waiting
  }

  /** F_SETLK: takes, upgrades or downgrades; EAGAIN when somebody is in the way. */
  tryLock(inode: number, who: Locker, lock: RangeLock): void {
    this.#try(this.#rangeWish(inode, who, lock))
  }

  /**
   * F_SETLKW: waits until nobody is in the way. EDEADLK, EINTR when `signal` aborts the wait, EBADF
   * when the handle is closed meanwhile.
   */
  lock(inode: number, who: Locker, lock: RangeLock, signal?: AbortSignal): Promise<void> {
    return this.#wait(signal, () => this.#rangeWish(inode, who, lock))
  }

  unlock(inode: number, who: Locker, range: Range): void {
    const [start, end] = bounds(range)
    const party = this.#find(range.ofd === true ? who.handle : who.owner, range.ofd === true)
    const file = this.#ranges.get(inode)
    if (party === undefined || file === undefined) return
    this.#drop(file, party, start, end)
  }

  /** F_GETLK: the first lock by start that is in the way of this one, or null. */
  test(inode: number, who: Locker, lock: RangeLock): Conflict | null {
    const [start, end] = bounds(lock)
    const wantsWrite = isWrite(lock)
    const ofd = lock.ofd === true
    const asks = this.#find(ofd ? who.handle : who.owner, ofd) ?? NOBODY
    const held = this.#ranges.get(inode)?.table.conflict(asks, wantsWrite, start, end)
    if (held === undefined) return null
    const length = held.end === FOREVER ? 0 : held.end - held.start
    const type = held.write ? 'write' : 'read'
    return { type, start: held.start, length, ofd: held.party.isHandle, owner: held.party.key }
  }

  /**
   * flock(2) with LOCK_NB: EAGAIN when somebody is in the way. As on Linux the lock that is to be
   * converted is given up first, and is lost when that fails.
   */
  tryLockWhole(inode: number, who: Locker, type: 'shared' | 'exclusive'): void {
    this.#try(this.#wholeWish(inode, who, type))
  }

  /** flock(2): as `lock`, without EDEADLK. */
  lockWhole(
    inode: number,
    who: Locker,
    type: 'shared' | 'exclusive',
    signal?: AbortSignal,
  ): Promise<void> {
    return this.#wait(signal, () => this.#wholeWish(inode, who, type))
  }

  /** LOCK_UN. */
  unlockWhole(inode: number, who: Locker): void {
    const file = this.#whole.get(inode)
    const party = this.#handles.get(who.handle)
    if (file !== undefined && party !== undefined) this.#drop(file, party, 0, FOREVER)
  }

  /** The whole-file lock that this handle holds, if any. */
  wholeLock(inode: number, who: Locker): 'shared' | 'exclusive' | null {
    const party = this.#handles.get(who.handle)
    if (party === undefined) return null
    const [held] = this.#whole.get(inode)?.table.own(party) ?? []
    return held === undefined ? null : held.write ? 'exclusive' : 'shared'
  }

  /**
   * A handle of `owner` on the file is closed: all the owner's range locks on it go, whichever
   * handle they were asked for through (fcntl(2)).
   */
  releaseOwner(inode: number, owner: unknown): void {
    const file = this.#ranges.get(inode)
    const party = this.#processes.get(owner)
    if (file !== undefined && party !== undefined) this.#drop(file, party, 0, FOREVER)
  }

  /** The handle is closed: its own locks go, and what waits through it gets EBADF. */
  releaseHandle(inode: number, handle: unknown): void {
    for (const files of [this.#ranges, this.#whole]) {
      const file = files.get(inode)
      if (file === undefined) continue
      const gone = [...file.waiters].filter((waiter) => waiter.handle === handle)
      this.#giveUp(gone, () => new HoldfastError('EBADF', 'the handle was closed while it waited'))
      const party = this.#handles.get(handle)
      if (party !== undefined) this.#drop(file, party, 0, FOREVER)
    }
  }

  #rangeWish(inode: number, who: Locker, lock: RangeLock): Wish {
    const [start, end] = bounds(lock)
    const write = isWrite(lock)
    const process = this.#process(who)
    const party = lock.ofd === true ? this.#handle(who) : process
    const { handle } = who
    return { file: fileOf(this.#ranges, inode), party, handle, write, start, end }
  }

  #wholeWish(inode: number, who: Locker, type: 'shared' | 'exclusive'): Wish {
    checkChoice('lock type', type, ['shared', 'exclusive'])
    const file = fileOf(this.#whole, inode)
    const write = type === 'exclusive'
    return { file, party: this.#handle(who), handle: who.handle, write, start: 0, end: FOREVER }
  }

  /** Takes what nobody holds against it, whoever waits in line. */
  #try(wish: Wish): void {
    const turns = this.#convert(wish)
    try {
      const { file, party, write, start, end } = wish
      const held = file.table.conflict(party, write, start, end)
      if (held !== undefined) throw new HoldfastError('EAGAIN', inTheWay(held.start, held.end))
      turns.push(...this.#take(wish))
    } finally {
      this.#run(turns)
      this.#tidy(wish)
    }
  }

  #wait(signal: AbortSignal | undefined, ask: () => Wish): Promise<void> {
    return new Promise((resolve, reject) => {
      const wish = ask()
      // As it is before a conversion gives up what is held.
      const inLine = wish.party.process.held === 0
      const turns = this.#convert(wish)
      try {
        if (this.#isBlocked(wish, inLine)) {
          this.#checkWait(wish, signal)
          this.#enqueue(wish, signal, resolve, reject)
        } else {
          turns.push(...this.#take(wish))
          resolve()
        }
      } finally {
        this.#run(turns)
        this.#tidy(wish)
      }
    })
  }

  /** A whole-file lock of the other type is given up before it is asked for anew. */
  #convert({ file, party, write, start, end }: Wish): Turn[] {
    if (file.home !== this.#whole) return []
    const [held] = file.table.own(party)
    if (held === undefined || held.write === write) return []
    this.#commit(party, file, file.table.plan(party, null, start, end))
    return [{ file, start, end }]
  }

  #isBlocked(wish: Wish, inLine: boolean): boolean {
    const { file, party, write, start, end } = wish
    if (file.table.conflict(party, write, start, end) !== undefined) return true
    if (!inLine) return false
    for (const waiter of file.waiters) {
      if (waiter === wish) return false
      if (waiter.party === party || waiter.start >= end || waiter.end <= start) continue
      if (waiter.write || write) return true
    }
    return false
  }

  #checkWait(wish: Wish, signal: AbortSignal | undefined): void {
    if (this.#closesCircle(wish)) {
      throw new HoldfastError('EDEADLK', 'who holds the lock waits for a lock of who asks for it')
    }
    if (signal?.aborted === true) throw interrupted()
    if (this.#waiting >= this.#limit) {
      throw new HoldfastError('ENOLCK', `${this.#limit} wait for locks already`)
    }
  }

  /** Whether somebody who would be waited for waits, over any number of others, for who asks. */
  #closesCircle(wish: Wish): boolean {
    if (wish.party.isHandle) return false
    const seen = new Set<Party>()
    const agenda: Wish[] = [wish]
    for (const { file, party, write, start, end } of agenda) {
      for (const opponent of file.table.opponents(party, write, start, end)) {
        if (opponent === wish.party) return true
        if (opponent.isHandle || seen.has(opponent)) continue
        seen.add(opponent)
        for (const wait of opponent.waits) if (wait.party === opponent) agenda.push(wait)
      }
    }
    return false
  }

  #enqueue(
    wish: Wish,
    signal: AbortSignal | undefined,
    resolve: () => void,
    reject: (error: unknown) => void,
  ): void {
    const abort = () => this.#giveUp([waiter], interrupted)
    const waiter: Waiter = {
      ...wish,
      arrival: this.#arrivals++,
      settle(error) {
        signal?.removeEventListener('abort', abort)
        if (error === undefined) resolve()
        else reject(error)
      },
    }
    signal?.addEventListener('abort', abort)
    wish.file.waiters.add(waiter)
    wish.party.waits.add(waiter)
    wish.party.process.waits.add(waiter)
    this.#waiting++
  }

  #dequeue(waiter: Waiter): void {
    waiter.file.waiters.delete(waiter)
    waiter.party.waits.delete(waiter)
    waiter.party.process.waits.delete(waiter)
    this.#waiting--
  }

  /** All leave before anybody has their turn: none of them is to be let in at the last moment. */
  #giveUp(waiters: readonly Waiter[], why: () => HoldfastError): void {
    for (const waiter of waiters) {
      this.#dequeue(waiter)
      waiter.settle(why())
    }
    this.#run(waiters.map(({ file, start, end }) => ({ file, start, end })))
    for (const waiter of waiters) this.#tidy(waiter)
  }

  #drop(file: FileLocks, party: Party, start: number, end: number): void {
    const change = file.table.plan(party, null, start, end)
    this.#commit(party, file, change)
    if (change.frees) this.#run([{ file, start, end }])
    this.#tidy({ file, party })
  }

  /** Takes what nobody is in the way of; who may have their turn by that. */
  #take({ file, party, write, start, end }: Wish): Turn[] {
    const wasIdle = party.process.held === 0
    const change = file.table.plan(party, write, start, end)
    this.#commit(party, file, change)
    const turns: Turn[] = change.frees ? [{ file, start, end }] : []
    // Who holds something does not wait in line, neither with what they wait for already.
    if (wasIdle) {
      for (const wait of party.process.waits) {
        turns.push({ file: wait.file, start: wait.start, end: wait.end })
      }
    }
    return turns
  }

  #commit(party: Party, file: FileLocks, change: Change<Party>): void {
    const more = change.added.length - change.removed.length
    if (more > 0 && this.#held + more > this.#limit) {
      throw new HoldfastError('ENOLCK', `${this.#held} locks are held, at most ${this.#limit}`)
    }
    file.table.apply(change)
    this.#held += more
    party.held += more
    if (party.isHandle) party.process.held += more
  }

  /** Lets in, first come first, who waits in one of these places and can have it. */
  #run(turns: Turn[]): void {
    for (let left = turns; left.length > 0;) {
      let next: Waiter | undefined
      for (const turn of left) {
        const first = this.#firstOf(turn)
        if (first !== undefined && (next?.arrival ?? Infinity) > first.arrival) next = first
      }
      if (next === undefined) return
      const { file, party, write, start, end } = next
      const admitted = this.#admit(next, left)
      // Who is left then waits for this one, unless it is their own.
      if (!admitted || !write || party.process.waits.size > 0) continue
      left = left.filter((turn) => turn.file !== file || turn.start < start || turn.end > end)
    }
  }

  #firstOf({ file, start, end }: Turn): Waiter | undefined {
    for (const waiter of file.waiters) {
      if (waiter.start >= end || waiter.end <= start) continue
      if (!this.#isBlocked(waiter, waiter.party.process.held === 0)) return waiter
    }
    return undefined
  }

  /** Whether it has the lock; who may have their turn by that comes to `turns`. */
  #admit(waiter: Waiter, turns: Turn[]): boolean {
    this.#dequeue(waiter)
    try {
      turns.push(...this.#take(waiter))
    } catch (error) {
      waiter.settle(error)
      turns.push({ file: waiter.file, start: waiter.start, end: waiter.end })
      this.#tidy(waiter)
      return false
    }
    waiter.settle()
    return true
  }

  #process(who: Locker): Party {
    let party = this.#processes.get(who.owner)
    if (party === undefined) {
      this.#processes.set(who.owner, (party = new Party(who.owner, null)))
    }
    return party
  }

  #handle(who: Locker): Party {
    let party = this.#handles.get(who.handle)
    if (party === undefined) {
      this.#handles.set(who.handle, (party = new Party(who.handle, this.#process(who))))
    }
    return party
  }

  #find(key: unknown, isHandle: boolean): Party | undefined {
    return (isHandle ? this.#handles : this.#processes).get(key)
  }

  /** Forgets who and what has nothing left. */
  #tidy({ file, party }: Pick<Wish, 'file' | 'party'>): void {
    if (file.table.size === 0 && file.waiters.size === 0) file.home.delete(file.inode)
    for (const one of [party, party.process]) {
      if (one.held > 0 || one.waits.size > 0) continue
      ;(one.isHandle ? this.#handles : this.#processes).delete(one.key)
    }
  }
}

const NOBODY = new Party(undefined, null)

function fileOf(home: Map<number, FileLocks>, inode: number): FileLocks {
  let file = home.get(inode)
  if (file === undefined) {
    file = { inode, home, table: new RangeTable(), waiters: new Set() }
    home.set(inode, file)
  }
  return file
}

/** [start, end) of a range as fcntl(2) has it. */
function bounds({ start, length }: Range): [number, number] {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(length)) {
    throw new HoldfastError('EINVAL', `a lock of ${length} bytes at ${start}`)
  }
  if (start < 0 || start + length < 0) {
    throw new HoldfastError('EINVAL', `a lock that begins at ${Math.min(start, start + length)}`)
  }
  if (length > FOREVER - start) {
    throw new HoldfastError('EOVERFLOW', `a lock of ${length} bytes at ${start}`)
  }
  if (length < 0) return [start + length, start]
  return [start, length === 0 ? FOREVER : start + length]
}

function isWrite({ type }: RangeLock): boolean {
  checkChoice('lock type', type, ['read', 'write'])
  return type === 'write'
}

function inTheWay(start: number, end: number): string {
  return `locked from ${start} to ${end === FOREVER ? 'the end' : end}`
}

function interrupted(): HoldfastError {
  return new HoldfastError('EINTR', 'the wait for a lock was given up')
}
