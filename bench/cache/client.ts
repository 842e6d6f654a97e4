/**
 * One of the four processes. Lines of its input are jobs; each is answered with how long it took.
 * Keys are taken in an order that follows from the process' number: the same with every store.
 * Every value begins with the number of its key, which is looked at; one in so many as a whole.
 */
import { createInterface } from 'node:readline'
import { Prng } from '../../src/base/prng.js'
import { answer, job } from '../child.js'
import { KEYS, PROCESSES, type CacheRound, type CacheTimes } from './rounds.js'
import { STORES, type CachePlace, type CacheStore, type StoreName } from './stores.js'

export interface CacheJob {
  readonly store: StoreName
  readonly place: CachePlace
  readonly process: number
}

/** Values that are compared as a whole: one in so many. */
const WHOLE = 64
const HEAD_BYTES = 4

const nameOf = (bytes: number, key: number) => `tensor.${bytes}.${key}`

class Caching {
  readonly #store: CacheStore
  readonly #random: Prng
  readonly #process: number
  readonly #values = new Map<number, Buffer[]>()

  constructor(store: CacheStore, process: number) {
    this.#store = store
    this.#process = process
    this.#random = new Prng(process + 1)
  }

  #valuesOf(bytes: number): Buffer[] {
    let values = this.#values.get(bytes)
    if (values === undefined) {
      values = Array.from({ length: KEYS }, (_, key) => {
        const value = Buffer.alloc(bytes)
        new Prng(key + 1).fill(value)
        value.writeUInt32LE(key, 0)
        return value
      })
      this.#values.set(bytes, values)
    }
    return values
  }

  async run({ operation, bytes, count, outstanding }: CacheRound): Promise<CacheTimes> {
    const values = this.#valuesOf(bytes)
    const keys = Array.from({ length: count }, (_, i) => this.#keyOf(operation, i))
    const names = values.map((_, key) => nameOf(bytes, key))
    const times = new Float64Array(count)
    const one =
      operation === 'get'
        ? (i: number) => this.#get(names[keys[i]!]!, values[keys[i]!]!, i)
        : (i: number) => this.#put(names[keys[i]!]!, values[keys[i]!]!)
    let next = 0
    const lane = async () => {
      while (next < count) {
        const i = next++
        const start = performance.now()
        const doing = one(i)
        if (doing !== undefined) await doing
        times[i] = (performance.now() - start) * 1e6
      }
    }
    const start = process.hrtime.bigint()
    await Promise.all(Array.from({ length: outstanding }, lane))
    const nanoseconds = Number(process.hrtime.bigint() - start)
    times.sort()
    return { nanoseconds, p50: times[count >> 1]!, p99: times[Math.floor(count * 0.99)]! }
  }

  #keyOf(operation: CacheRound['operation'], i: number): number {
    if (operation === 'fill') return i % KEYS
    const key = this.#random.below(KEYS)
    return operation === 'get' ? key : key - (key % PROCESSES) + this.#process
  }

  #get(name: string, expected: Buffer, i: number): Promise<void> | undefined {
    const found = this.#store.get(name)
    if (!(found instanceof Promise)) return this.#check(name, found, expected, i)
    return found.then((value) => this.#check(name, value, expected, i))
  }

  #check(name: string, value: Uint8Array | null, expected: Buffer, i: number): undefined {
    const end = i % WHOLE === 0 ? expected.length : HEAD_BYTES
    const same = value?.length === expected.length && expected.compare(value, 0, end, 0, end) === 0
    if (!same) throw new Error(`${name}: ${value === null ? 'it is not there' : 'other bytes'}`)
  }

  #put(name: string, value: Buffer): Promise<void> | undefined {
    const done = this.#store.put(name, value)
    if (done === false) throw new Error(`${name} was not put`)
    return done instanceof Promise ? done.then(() => {}) : undefined
  }
}

const { store: kind, place, process: number } = job() as CacheJob
const store = await STORES[kind](place)
const caching = new Caching(store, number)
answer({ connected: true })
for await (const line of createInterface({ input: process.stdin })) {
  answer(await caching.run(JSON.parse(line) as CacheRound))
}
await store.close()
process.exit(0)
