/**
 * What every side of `bench -- rdma` and `rdma-peers` does: objects of one size, in order, over a
 * working set, got into a buffer of the client's own or put from one; some at a time.
 *
 * The server has two areas: one whose content is that of the file all processes are given, which
 * is got; one that is put to. What came is compared byte by byte after each round, outside the
 * time: a got object with the file, a put one by getting it back. The destination is zeroed before
 * and the source gets the round's number before each round, so that nothing old can pass.
 */
import { setImmediate } from 'node:timers/promises'

export const AREA_BYTES = 64 * 1024 * 1024
const SLOTS_MAX = 4096

export type Operation = 'get' | 'put'
export type Area = 'fixed' | 'changing'

export interface Round {
  readonly operation: Operation
  /** Of an object. */
  readonly bytes: number
  readonly outstanding: number
  readonly count: number
  /** Of a client that has several, which; the first unless given. */
  readonly form?: number
}

export interface Timed {
  readonly nanoseconds: number
  /** Of one operation, nanoseconds; 0 where they are not timed one by one. */
  readonly p50: number
  readonly p99: number
}

/** Objects of a size that there are. */
export const slotsOf = (bytes: number): number => Math.min(SLOTS_MAX, AREA_BYTES / bytes)

export type Done = (error: Error | null) => void

/** How a client reaches objects; `offset` is the object's place in its area. */
export interface Store {
  get(area: Area, offset: number, into: Buffer, done: Done): void
  /** To the area that changes. */
  put(offset: number, from: Buffer, done: Done): void
  /** After the last put of a round, in its time: when it is done all of them have arrived. */
  settle?(done: Done): void
  close(): Promise<void>
}

/** The store of a client whose calls give promises. */
export interface Promised {
  get(area: Area, offset: number, into: Buffer): Promise<unknown>
  put(offset: number, from: Buffer): Promise<unknown>
  close(): Promise<void>
}

export const promised = (store: Promised): Store => ({
  get: (area, offset, into, done) =>
    void store.get(area, offset, into).then(() => done(null), done),
  put: (offset, from, done) => void store.put(offset, from).then(() => done(null), done),
  close: () => store.close(),
})

/** A process that a round is run in. */
export interface Worker {
  prepare(round: Round): Promise<void>
  /** Latencies, nanoseconds, go into `each` where there is one for each operation. */
  run(round: Round, each: Float64Array): Promise<boolean>
  verify(round: Round): Promise<void>
  close(): Promise<void>
}

export class Objects implements Worker {
  readonly #store: Store
  readonly #fixed: Buffer
  readonly #source: Buffer
  readonly #destination = Buffer.alloc(AREA_BYTES)
  #rounds = 0
  #pieces: Buffer[] = []

  constructor(store: Store, content: Buffer) {
    this.#store = store
    this.#fixed = content
    this.#source = Buffer.from(content)
  }

  async prepare({ operation, bytes }: Round): Promise<void> {
    const slots = slotsOf(bytes)
    const memory = operation === 'get' ? this.#destination : this.#source
    if (operation === 'get') memory.fill(0)
    else stamp(memory, bytes, ++this.#rounds)
    this.#pieces = Array.from({ length: slots }, (_, i) =>
      memory.subarray(i * bytes, (i + 1) * bytes),
    )
  }

  async run(round: Round, each: Float64Array): Promise<boolean> {
    const { operation, bytes, outstanding, count } = round
    const store = this.#store
    const pieces = this.#pieces
    const one =
      operation === 'get'
        ? (slot: number, done: Done) => store.get('fixed', slot * bytes, pieces[slot]!, done)
        : (slot: number, done: Done) => store.put(slot * bytes, pieces[slot]!, done)
    await inTurn(count, outstanding, slotsOf(bytes), one, each)
    if (operation === 'put' && store.settle !== undefined) {
      await new Promise<void>((resolve, reject) => {
        store.settle!((error) => (error === null ? resolve() : reject(error)))
      })
    }
    return true
  }

  async verify({ operation, bytes, count }: Round): Promise<void> {
    const slots = Math.min(count, slotsOf(bytes))
    const expected = operation === 'get' ? this.#fixed : this.#source
    if (operation === 'put') {
      this.#destination.fill(0)
      const back = (slot: number, done: Done) => {
        const into = this.#destination.subarray(slot * bytes, (slot + 1) * bytes)
        this.#store.get('changing', slot * bytes, into, done)
      }
      await inTurn(slots, 4, slots, back, new Float64Array(slots))
    }
    same(this.#destination, expected, bytes, slots)
  }

  async close(): Promise<void> {
    await this.#store.close()
  }
}

/**
 * `count` operations on the slots in order, `outstanding` of them at a time: the next one is begun
 * when one is done. One that is done at once is followed by a loop, not by a call in a call.
 */
function inTurn(
  count: number,
  outstanding: number,
  slots: number,
  one: (slot: number, done: Done) => void,
  each: Float64Array,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let next = 0
    let ended = 0
    const lane = () => {
      let index = 0
      let start = 0
      let within = false
      let again = false
      const begin = () => {
        within = true
        do {
          again = false
          if (next >= count) break
          index = next++
          start = performance.now()
          one(index % slots, done)
        } while (again)
        within = false
      }
      const done: Done = (error) => {
        if (error !== null) return reject(error)
        each[index] = (performance.now() - start) * 1e6
        if (++ended === count) return resolve()
        if (within) again = true
        else begin()
      }
      begin()
    }
    for (let i = 0; i < outstanding; i++) lane()
  })
}

/** Every 4 KiB of the objects begins with the number of the round. */
export function stamp(bytes: Buffer, object: number, round: number): void {
  const end = slotsOf(object) * object
  for (let at = 0; at < end; at += Math.min(object, 4096)) bytes.writeUInt32LE(round, at)
}

export function same(found: Buffer, expected: Buffer, bytes: number, slots: number): void {
  if (found.compare(expected, 0, bytes * slots, 0, bytes * slots) === 0) return
  for (let at = 0; at < bytes * slots; at++) {
    if (found[at] === expected[at]) continue
    throw new Error(
      `object ${Math.floor(at / bytes)} differs at byte ${at % bytes}: ` +
        `${found[at]} instead of ${expected[at]}`,
    )
  }
}

/** One round, timed; after a turn of the event loop, so that nothing of before is in it. */
export async function timeRound(worker: Worker, round: Round): Promise<Timed> {
  const each = new Float64Array(round.count)
  await setImmediate()
  const start = process.hrtime.bigint()
  const timed = await worker.run(round, each)
  const nanoseconds = Number(process.hrtime.bigint() - start)
  if (!timed) return { nanoseconds, p50: 0, p99: 0 }
  each.sort()
  const at = (share: number) => each[Math.min(each.length - 1, Math.floor(each.length * share))]!
  return { nanoseconds, p50: at(0.5), p99: at(0.99) }
}
