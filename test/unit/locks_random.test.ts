/** Locks of every kind at random, against a table of bytes, and with very many of them. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { HoldfastError } from '../../src/base/errors.js'
import type { Prng } from '../../src/base/prng.js'
import { Locks, type Locker, type RangeLock } from '../../src/volume/locks.js'
import type { ModelWaiter } from './locks_model.js'
import { BYTES, LocksModel, type ModelParty, type ModelWish } from './locks_model.js'
import { LONG, seeded } from './support.js'

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const INODES = [1, 2]

/** A process with two handles, on both sides. */
interface Person {
  readonly who: Locker
  readonly process: ModelParty
  readonly handle: ModelParty
}

function people(processes: number): Person[] {
  const list: Person[] = []
  for (let i = 0; i < processes; i++) {
    const process = { name: `P${i}` } as { name: string; process: ModelParty }
    process.process = process
    for (const letter of ['a', 'b']) {
      const handle = { name: `P${i}${letter}`, process }
      list.push({ who: { owner: process.name, handle: handle.name }, process, handle })
    }
  }
  return list
}

interface Pending {
  readonly person: Person
  readonly inode: number
  readonly model: ModelWaiter
  readonly patience: AbortController
  outcome: string
}

/** What a call does: 'granted' or the code it fails with. */
function outcome(call: () => void): string {
  try {
    call()
    return 'granted'
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error
    return error.code
  }
}

class Compared {
  readonly #prng: Prng
  readonly #people: Person[]
  readonly #locks: Locks
  readonly #model: LocksModel
  #pending: Pending[] = []
  readonly counts = new Map<string, number>()

  constructor(prng: Prng, processes: number, limit: number) {
    this.#prng = prng
    this.#people = people(processes)
    this.#locks = new Locks(limit)
    this.#model = new LocksModel(limit)
  }

  /** A lock that somebody wishes for, as each side has it. */
  #wish(person: Person, inode: number, whole: boolean): [RangeLock, ModelWish] {
    const prng = this.#prng
    const isWrite = prng.chance(1, 2)
    const ofd = !whole && prng.chance(1, 3)
    const party = whole || ofd ? person.handle : person.process
    if (whole) {
      const wish = { file: `whole ${inode}`, party, write: isWrite, from: 0, to: 1 }
      return [{ type: isWrite ? 'write' : 'read', start: 0, length: 0 }, wish]
    }
    const from = prng.below(BYTES)
    const forever = from === BYTES - 1 || prng.chance(1, 8)
    const length = forever ? 0 : 1 + prng.below(Math.min(5, BYTES - 1 - from))
    const to = forever ? BYTES : from + length
    const wish = { file: `ranges ${inode}`, party, write: isWrite, from, to }
    return [{ type: isWrite ? 'write' : 'read', start: from, length, ofd }, wish]
  }

  async step(): Promise<void> {
    const prng = this.#prng
    const person = prng.pick(this.#people)
    const inode = prng.pick(INODES)
    const whole = prng.chance(1, 4)
    const kind = prng.below(20)
    if (kind < 6) this.#try(person, inode, whole)
    else if (kind < 12) this.#wait(person, inode, whole)
    else if (kind < 16) this.#unlock(person, inode, whole)
    else if (kind < 17) this.#abort()
    else if (kind < 18) this.#releaseOwner(person, inode)
    else if (kind < 19) this.#releaseHandle(person, inode)
    await this.#compare()
  }

  #count(result: string): void {
    this.counts.set(result, (this.counts.get(result) ?? 0) + 1)
  }

  #try(person: Person, inode: number, whole: boolean): void {
    const [lock, wish] = this.#wish(person, inode, whole)
    const found = outcome(() => {
      if (!whole) this.#locks.tryLock(inode, person.who, lock)
      else
        this.#locks.tryLockWhole(inode, person.who, lock.type === 'read' ? 'shared' : 'exclusive')
    })
    assert.equal(found, this.#model.try(wish), `try ${show(wish)}`)
    this.#count(`try ${found}`)
  }

  #wait(person: Person, inode: number, whole: boolean): void {
    const [lock, wish] = this.#wish(person, inode, whole)
    const patience = new AbortController()
    const type = lock.type === 'read' ? 'shared' : 'exclusive'
    const promise = whole
      ? this.#locks.lockWhole(inode, person.who, type, patience.signal)
      : this.#locks.lock(inode, person.who, lock, patience.signal)
    const model = this.#model.wait(wish)
    const pending: Pending = { person, inode, model, patience, outcome: 'waits' }
    promise.then(
      () => (pending.outcome = 'granted'),
      (error: HoldfastError) => (pending.outcome = error.code),
    )
    this.#pending.push(pending)
    this.#count(`wait ${model.result}`)
  }

  #unlock(person: Person, inode: number, whole: boolean): void {
    const [lock, wish] = this.#wish(person, inode, whole)
    const found = outcome(() => {
      if (whole) this.#locks.unlockWhole(inode, person.who)
      else this.#locks.unlock(inode, person.who, lock)
    })
    assert.equal(found, this.#model.release(wish), `unlock ${show(wish)}`)
  }

  #releaseOwner(person: Person, inode: number): void {
    this.#locks.releaseOwner(inode, person.who.owner)
    const { process: party } = person
    this.#model.release({ file: `ranges ${inode}`, party, write: false, from: 0, to: BYTES })
  }

  #abort(): void {
    const waiting = this.#pending.filter(({ model }) => model.result === 'waits')
    if (waiting.length === 0) return
    const one = this.#prng.pick(waiting)
    one.patience.abort()
    one.model.result = 'EINTR'
    this.#model.giveUp([one.model])
  }

  #releaseHandle(person: Person, inode: number): void {
    this.#locks.releaseHandle(inode, person.who.handle)
    for (const kind of ['ranges', 'whole']) {
      const file = `${kind} ${inode}`
      const gone = this.#pending
        .filter((one) => one.person === person && one.model.wish.file === file)
        .map(({ model }) => model)
        .filter(({ result }) => result === 'waits')
      for (const one of gone) one.result = 'EBADF'
      this.#model.giveUp(gone)
      this.#model.release({ file, party: person.handle, write: false, from: 0, to: BYTES })
    }
  }

  async #compare(): Promise<void> {
    await soon()
    const waits = this.#pending.map(({ model }) => `${show(model.wish)} ${model.result}`)
    const found = this.#pending.map((one) => `${show(one.model.wish)} ${one.outcome}`)
    assert.deepEqual(found, waits)
    this.#pending = this.#pending.filter((one) => one.outcome === 'waits')
    assert.equal(this.#locks.waiting, this.#pending.length)
    assert.equal(this.#locks.held, this.#model.count())
    for (const inode of INODES) for (let at = 0; at < BYTES; at++) this.#compareByte(inode, at)
  }

  /** Who is kept from a byte, and that what keeps them is there. */
  #compareByte(inode: number, at: number): void {
    for (const { who, process, handle } of this.#people) {
      for (const ofd of [false, true]) {
        const length = at === BYTES - 1 ? 0 : 1
        const party = ofd ? handle : process
        const write = (at + (ofd ? 1 : 0)) % 2 === 0
        const wish = { file: `ranges ${inode}`, party, write, from: at, to: at + 1 }
        const type = write ? 'write' : 'read'
        const found = this.#locks.test(inode, who, { type, start: at, length, ofd })
        const opponents = this.#model.opponents(wish)
        assert.equal(found !== null, opponents.size > 0, show(wish))
        if (found === null) continue
        assert.ok([...opponents].some(({ name }) => name === found.owner))
        assert.ok(found.start <= at && (found.length === 0 || found.start + found.length > at))
      }
    }
  }

  /** Everybody goes: nothing may be left. */
  async finish(): Promise<void> {
    for (const inode of INODES) {
      for (const person of this.#people) {
        this.#releaseHandle(person, inode)
        this.#releaseOwner(person, inode)
      }
    }
    await this.#compare()
    assert.deepEqual([this.#locks.held, this.#locks.waiting], [0, 0])
  }
}

function show({ file, party, write, from, to }: ModelWish): string {
  return `${file} ${party.name} ${write ? 'write' : 'read'} ${from}-${to}`
}

async function compare(t: TestContext, processes: number, limit: number, wanted: string[]) {
  const prng = seeded(t)
  const counts = new Map<string, number>()
  for (let run = 0; run < 40 * LONG; run++) {
    const compared = new Compared(prng, processes, limit)
    for (let i = 0; i < 100; i++) await compared.step()
    await compared.finish()
    for (const [key, n] of compared.counts) counts.set(key, (counts.get(key) ?? 0) + n)
  }
  t.diagnostic([...counts].map(([key, n]) => `${key}: ${n}`).join(', '))
  for (const one of wanted) assert.ok((counts.get(one) ?? 0) > 0, `none was ${one}`)
}

const ALWAYS = ['try granted', 'try EAGAIN', 'wait granted', 'wait waits']

test('two processes and their handles lock as in a table of bytes', async (t) => {
  await compare(t, 2, 1e6, [...ALWAYS, 'wait EDEADLK'])
})

test('six processes and their handles lock as in a table of bytes', async (t) => {
  await compare(t, 6, 1e6, [...ALWAYS, 'wait EDEADLK'])
})

test('a limit of five locks is kept as in a table of bytes', async (t) => {
  await compare(t, 3, 5, [...ALWAYS, 'try ENOLCK'])
})

test('a hundred thousand locks on a file are taken, found and given back one by one', (t) => {
  const locks = new Locks()
  const n = 100_000
  const owners = Array.from({ length: 1000 }, (_, i) => ({ owner: i, handle: `h${i}` }))
  const prng = seeded(t)
  const order = Array.from({ length: n }, (_, i) => i)
  for (let i = n - 1; i > 0; i--) {
    const j = prng.below(i + 1)
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  const lockOf = (i: number): RangeLock => ({
    type: i % 3 === 0 ? 'read' : 'write',
    start: 10 * i,
    length: 9,
  })
  for (const i of order) locks.tryLock(1, owners[i % 1000]!, lockOf(i))
  assert.equal(locks.held, n)
  const stranger = { owner: 'stranger', handle: 'stranger' }
  for (let k = 0; k < n; k++) {
    const i = order[k]!
    const found = locks.test(1, stranger, { type: 'write', start: 10 * i + 3, length: 7 })
    assert.deepEqual([found?.start, found?.owner], [10 * i, i % 1000])
    assert.equal(locks.test(1, stranger, { type: 'write', start: 10 * i + 9, length: 1 }), null)
  }
  for (const i of order.slice(n / 2)) locks.unlock(1, owners[i % 1000]!, lockOf(i))
  assert.equal(locks.held, n / 2)
  for (const { owner } of owners) locks.releaseOwner(1, owner)
  assert.equal(locks.held, 0)
})
