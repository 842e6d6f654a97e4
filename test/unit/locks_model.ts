/**
 * Advisory locks as plainly as can be: a table of bytes, each with who holds it how. What the
 * locks of a volume do is compared with it; the last byte stands for all that follow.
 */
export const BYTES = 13

export interface ModelParty {
  readonly name: string
  /** Of a handle the process that it belongs to, else itself. */
  readonly process: ModelParty
}

export interface ModelWish {
  /** A name: each file has one for its ranges and one for its whole. */
  readonly file: string
  readonly party: ModelParty
  readonly write: boolean
  /** [from, to) of the bytes. */
  readonly from: number
  readonly to: number
}

type Result = 'granted' | 'EAGAIN' | 'EBADF' | 'EDEADLK' | 'EINTR' | 'ENOLCK' | 'waits'
type Holders = Map<ModelParty, 'read' | 'write'>

export class ModelWaiter {
  readonly wish: ModelWish
  result: Result = 'waits'

  constructor(wish: ModelWish) {
    this.wish = wish
  }
}

const isHandle = (party: ModelParty): boolean => party.process !== party

export class LocksModel {
  readonly #files = new Map<string, Holders[]>()
  readonly #limit: number
  /** In the order in which they came. */
  waiters: ModelWaiter[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  #bytes(file: string): Holders[] {
    let bytes = this.#files.get(file)
    if (bytes === undefined) {
      bytes = Array.from({ length: BYTES }, () => new Map())
      this.#files.set(file, bytes)
    }
    return bytes
  }

  /** Runs of bytes that one party holds in one way. */
  count(): number {
    let runs = 0
    for (const bytes of this.#files.values()) {
      bytes.forEach((holders, i) => {
        for (const [party, type] of holders) if (bytes[i - 1]?.get(party) !== type) runs++
      })
    }
    return runs
  }

  /** Who else than `party` is in the way at each byte of the wish. */
  opponents({ file, party, write, from, to }: ModelWish): Set<ModelParty> {
    const found = new Set<ModelParty>()
    for (const holders of this.#bytes(file).slice(from, to)) {
      for (const [other, type] of holders) {
        if (other !== party && (write || type === 'write')) found.add(other)
      }
    }
    return found
  }

  #holdsAnything(process: ModelParty): boolean {
    return [...this.#files.values()].flat().some((holders) => {
      return [...holders.keys()].some((party) => party.process === process)
    })
  }

  #isBlocked(wish: ModelWish, before: readonly ModelWaiter[], holds: boolean): boolean {
    if (this.opponents(wish).size > 0) return true
    if (holds) return false
    return before.some(({ wish: other }) => {
      const overlaps = other.file === wish.file && other.from < wish.to && other.to > wish.from
      return overlaps && other.party !== wish.party && (other.write || wish.write)
    })
  }

  #closesCircle(wish: ModelWish, seen = new Set<ModelParty>(), first = wish.party): boolean {
    if (isHandle(wish.party)) return false
    for (const other of this.opponents(wish)) {
      if (other === first) return true
      if (isHandle(other) || seen.has(other)) continue
      seen.add(other)
      for (const { wish: next } of this.waiters) {
        if (next.party === other && this.#closesCircle(next, seen, first)) return true
      }
    }
    return false
  }

  #set({ file, party, from, to }: ModelWish, type: 'read' | 'write' | null): boolean {
    const before = this.count()
    const bytes = this.#bytes(file)
    const old = bytes.map((holders) => new Map(holders))
    for (const holders of bytes.slice(from, to)) {
      if (type === null) holders.delete(party)
      else holders.set(party, type)
    }
    const after = this.count()
    if (after <= this.#limit || after <= before) return true
    this.#files.set(file, old)
    return false
  }

  #convert(wish: ModelWish): void {
    if (!wish.file.startsWith('whole')) return
    const held = this.#bytes(wish.file)[0]!.get(wish.party)
    if (held !== undefined && held !== (wish.write ? 'write' : 'read')) this.#set(wish, null)
  }

  #take(wish: ModelWish): Result {
    return this.#set(wish, wish.write ? 'write' : 'read') ? 'granted' : 'ENOLCK'
  }

  try(wish: ModelWish): Result {
    this.#convert(wish)
    const result = this.opponents(wish).size > 0 ? 'EAGAIN' : this.#take(wish)
    this.#letIn()
    return result
  }

  wait(wish: ModelWish): ModelWaiter {
    const waiter = new ModelWaiter(wish)
    const holds = this.#holdsAnything(wish.party.process)
    this.#convert(wish)
    if (!this.#isBlocked(wish, this.waiters, holds)) waiter.result = this.#take(wish)
    else if (this.#closesCircle(wish)) waiter.result = 'EDEADLK'
    else if (this.waiters.length >= this.#limit) waiter.result = 'ENOLCK'
    else this.waiters.push(waiter)
    this.#letIn()
    return waiter
  }

  giveUp(waiters: readonly ModelWaiter[]): void {
    this.waiters = this.waiters.filter((other) => !waiters.includes(other))
    this.#letIn()
  }

  release(wish: ModelWish): Result {
    const done = this.#set(wish, null)
    this.#letIn()
    return done ? 'granted' : 'ENOLCK'
  }

  /** First come first, again and again, until nobody can have what they wait for. */
  #letIn(): void {
    for (;;) {
      const next = this.waiters.find(({ wish }, i) => {
        const holds = this.#holdsAnything(wish.party.process)
        return !this.#isBlocked(wish, this.waiters.slice(0, i), holds)
      })
      if (next === undefined) return
      this.waiters = this.waiters.filter((other) => other !== next)
      next.result = this.#take(next.wish)
    }
  }
}
