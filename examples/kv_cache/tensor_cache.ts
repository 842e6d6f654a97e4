/**
 * A cache of tensors in one file that many processes map: `get` and `put` are loads and stores,
 * with one copy and no call to anybody.
 *
 *     header | entries of all slots | slots of 4 KiB | 16 KiB | 64 KiB | 256 KiB | 1 MiB
 *
 * Each class of slots is set-associative: a key belongs to one set of WAYS slots in each class, and
 * takes the place of what was used longest ago there. An entry's `state` is a seqlock and a lock at
 * once: a positive number is the version of a value that can be read; -W says that process W
 * writes.
 *
 * What holds when a process dies in the middle of a put: its entry stays locked, and no other is
 * touched. Whoever comes across it asks the server whether W still has its file lock, which the
 * server ends with the process, and empties the entry if not. A server that ends takes the locks
 * with it: values are read meanwhile, and none is put until the next server has given us a lock.
 *
 * What it stands on: the mapping is direct (a seal), so that nobody can move or free the blocks
 * under it; truncate, punch and defragment are refused as long as one process has it.
 */
import { createHash } from 'node:crypto'
import { connect, type Client, type FileMapping, type HoldfastError } from 'holdfast/client'

type File = Awaited<ReturnType<Client['open']>>

export const SLOT_BYTES = [4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20] as const
const WAYS = 8
const HEADER_BYTES = 4096
const ENTRY_WORDS = 16
/** Words of an entry. */
const STATE = 0
const VERSION = 1
const LENGTH = 2
const USED = 3
const KEY = 4
const KEY_WORDS = 4
const VERSION_MAX = 0x7fff_fffe
/** Word of the header: a tick a use, by which the slot is found that was used longest ago. */
const TICK = 0

/** File locks say who is alive: byte LOCKS + W is locked by process W as long as it lives. */
const LOCKS = 2 ** 40
const WRITERS_MAX = 1024
/** No live process writes for so long. */
const STUCK_MS = 1000

interface Entry {
  /** Its first word in the index. */
  readonly at: number
  /** Where its value begins, in bytes of the file. */
  readonly value: number
  readonly capacity: number
}

export class TensorCache {
  readonly #client: Client
  readonly #path: string
  readonly #mapping: FileMapping
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  /** Sets of each class. */
  readonly #sets: number
  /** Who this is, in the states of entries that it writes; 0: nobody now, and it writes none. */
  #writer: number
  #locks: File
  readonly #stuck = new Map<number, { readonly state: number; readonly since: number }>()

  private constructor(
    client: Client,
    path: string,
    locks: File,
    mapping: FileMapping,
    writer: number,
  ) {
    this.#client = client
    this.#path = path
    this.#locks = locks
    this.#mapping = mapping
    this.#bytes = new Uint8Array(mapping.buffer)
    this.#words = new Int32Array(mapping.buffer)
    this.#sets = setsOf(mapping.byteLength)
    this.#writer = writer
    this.#sweep()
    client.onLost = () => (this.#writer = 0)
    // A new server knows nothing of the locks that the last one had given.
    client.onConnected = () => {
      // When that is gone, too, there will be another, or none, and nothing is put.
      this.#lockAgain(writer).catch(() => {})
    }
  }

  /** Opens a cache in a volume that is served, and makes it, with `bytes`, where there is none. */
  static async open(where: string, path: string, bytes: number): Promise<TensorCache> {
    const client = await connect(where, { name: `tensor cache, process ${process.pid}` })
    const file = await client.open(path, 0o102, 0o600) // O_RDWR | O_CREAT
    await file.flock('exclusive', { wait: true })
    if ((await file.stat()).size === 0) {
      // Zeros are an empty cache. In one run, for large pages, if there is one.
      const size = HEADER_BYTES + setsOf(bytes) * SET_BYTES
      await file.allocate(0, size, { contiguous: true }).catch(() => file.allocate(0, size))
    }
    await file.flock('unlock')
    const mapping = await file.map({ write: true, direct: true, reason: 'a cache of tensors' })
    return new TensorCache(client, path, file, mapping, await firstFree(file))
  }

  /** A copy of the value of a key; null when it is not there, or is being written. */
  get(key: string): Uint8Array | null {
    const hash = hashOf(key)
    for (const entry of this.#places(hash)) {
      const version = Atomics.load(this.#words, entry.at + STATE)
      if (version < 0) this.#suspect(entry, version)
      if (version <= 0 || !this.#has(entry, hash)) continue
      const length = this.#words[entry.at + LENGTH]!
      if (length > entry.capacity) continue // it changes just now
      const value = this.#bytes.slice(entry.value, entry.value + length)
      // Not a load, but an exchange: on arm64 only that waits for the loads of the copy above.
      const same = Atomics.compareExchange(this.#words, entry.at + STATE, version, version)
      if (same !== version) return null
      Atomics.store(this.#words, entry.at + USED, this.#tick())
      return value
    }
    return null
  }

  /**
   * Puts a value, by one copy; what was used longest ago makes room. False when somebody else
   * writes the same key, or all its places, or while there is no server.
   */
  put(key: string, value: Uint8Array): boolean {
    const capacity = SLOT_BYTES.find((bytes) => bytes >= value.length)
    if (capacity === undefined) {
      throw new RangeError(`${value.length} bytes: at most ${SLOT_BYTES.at(-1)} are kept`)
    }
    const hash = hashOf(key)
    const places = this.#places(hash)
    const fit = places.filter((entry) => entry.capacity === capacity)
    const there = fit.find((entry) => this.#has(entry, hash))
    // One key has one value: others go first, and until the new one is there it is a miss.
    for (const entry of places) if (entry !== there && this.#has(entry, hash)) this.#drop(entry)
    const free = fit.toSorted((a, b) => this.#age(b) - this.#age(a))
    for (const entry of there === undefined ? free : [there]) {
      if (!this.#lock(entry)) continue
      this.#bytes.set(value, entry.value)
      this.#words[entry.at + LENGTH] = value.length
      this.#words.set(hash, entry.at + KEY)
      this.#unlock(entry)
      Atomics.store(this.#words, entry.at + USED, this.#tick())
      return true
    }
    return false
  }

  /** False when it is there still: somebody writes it, or there is no server. */
  delete(key: string): boolean {
    const hash = hashOf(key)
    for (const entry of this.#places(hash)) if (this.#has(entry, hash)) this.#drop(entry)
    return !this.#places(hash).some((entry) => this.#has(entry, hash))
  }

  /** Empties what processes that are dead had begun to write; how many entries. */
  async repair(): Promise<number> {
    let repaired = 0
    for (const [at, { state, since }] of this.#stuck) {
      if (performance.now() - since < STUCK_MS) continue
      this.#stuck.delete(at)
      if (Atomics.load(this.#words, at + STATE) !== state) continue
      if (this.#writer === 0 || (await this.#lives(-state)) || this.#writer === 0) continue
      if (Atomics.compareExchange(this.#words, at + STATE, state, -this.#writer) !== state) continue
      this.#empty(at)
      repaired++
    }
    return repaired
  }

  async close(): Promise<void> {
    this.#mapping.unmap()
    await this.#client.close()
  }

  // ---- entries ---------------------------------------------------------------------------------

  /** Where a key may be: WAYS entries in each class. */
  #places(hash: Int32Array): Entry[] {
    const set = (hash[0]! >>> 0) % this.#sets
    const places: Entry[] = []
    let index = HEADER_BYTES / 4
    let data = HEADER_BYTES + this.#sets * ENTRIES_BYTES
    for (const capacity of SLOT_BYTES) {
      for (let way = 0; way < WAYS; way++) {
        const slot = set * WAYS + way
        places.push({ at: index + slot * ENTRY_WORDS, value: data + slot * capacity, capacity })
      }
      index += this.#sets * WAYS * ENTRY_WORDS
      data += this.#sets * WAYS * capacity
    }
    return places
  }

  #has({ at }: Entry, hash: Int32Array): boolean {
    return (
      this.#words[at + STATE] !== 0 &&
      hash.every((word, i) => Atomics.load(this.#words, at + KEY + i) === word)
    )
  }

  /** Ticks since it was used, which wrap; an empty one is the oldest of all. */
  #age({ at }: Entry): number {
    if (Atomics.load(this.#words, at + STATE) === 0) return Infinity
    return (Atomics.load(this.#words, TICK) - Atomics.load(this.#words, at + USED)) >>> 0
  }

  #tick(): number {
    return Atomics.add(this.#words, TICK, 1) + 1
  }

  #lock(entry: Entry): boolean {
    if (this.#writer === 0) return false
    const state = Atomics.load(this.#words, entry.at + STATE)
    if (state < 0) {
      this.#suspect(entry, state)
      return false
    }
    const mine = -this.#writer
    return Atomics.compareExchange(this.#words, entry.at + STATE, state, mine) === state
  }

  #unlock({ at }: Entry): void {
    const version = (this.#words[at + VERSION]! % VERSION_MAX) + 1
    this.#words[at + VERSION] = version
    Atomics.store(this.#words, at + STATE, version)
  }

  #drop(entry: Entry): void {
    if (this.#lock(entry)) this.#empty(entry.at)
  }

  /** Of an entry that is locked by this process: it has no value any more. */
  #empty(at: number): void {
    this.#words.fill(0, at + KEY, at + KEY + KEY_WORDS)
    // The version stays: who reads the old value at this moment must not take it for the next one.
    this.#words[at + VERSION] = (this.#words[at + VERSION]! % VERSION_MAX) + 1
    Atomics.store(this.#words, at + STATE, 0)
  }

  // ---- who is alive ----------------------------------------------------------------------------

  /** Somebody writes, or has died: `repair` finds out when that goes on. */
  #suspect({ at }: Entry, state: number): void {
    const known = this.#stuck.get(at)
    if (known?.state !== state) this.#stuck.set(at, { state, since: performance.now() })
  }

  /** What a process with our number had begun and died of, before the number was ours. */
  #sweep(): void {
    const end = (HEADER_BYTES + this.#sets * ENTRIES_BYTES) / 4
    for (let at = HEADER_BYTES / 4; at < end; at += ENTRY_WORDS) {
      if (Atomics.load(this.#words, at + STATE) === -this.#writer) this.#empty(at)
    }
  }

  /** Whether a process has this number; where nobody can say so, it has. */
  async #lives(writer: number): Promise<boolean> {
    try {
      const lock = { type: 'write', start: LOCKS + writer, length: 1 } as const
      return (await this.#locks.testLock(lock)) !== null
    } catch {
      return true
    }
  }

  /** The number of before, or another where a new process has taken it meanwhile. */
  async #lockAgain(before: number): Promise<void> {
    const file = await this.#client.open(this.#path, 'r+')
    const writer = (await isFree(file, before)) ? before : await firstFree(file)
    await this.#locks.close()
    this.#locks = file
    this.#writer = writer
    if (writer !== before) this.#sweep()
  }
}

const ENTRIES_BYTES = SLOT_BYTES.length * WAYS * ENTRY_WORDS * 4
const SET_BYTES = ENTRIES_BYTES + WAYS * SLOT_BYTES.reduce((sum, bytes) => sum + bytes, 0)

function setsOf(bytes: number): number {
  const sets = Math.floor((bytes - HEADER_BYTES) / SET_BYTES)
  if (sets > 0) return sets
  throw new RangeError(`a cache has at least ${HEADER_BYTES + SET_BYTES} bytes`)
}

/** 128 bits of a digest stand for the key: that two keys have the same one does not happen. */
function hashOf(key: string): Int32Array {
  const digest = createHash('sha1').update(key).digest()
  return Int32Array.from({ length: KEY_WORDS }, (_, i) => digest.readInt32LE(4 * i))
}

/** Takes the first number that no living process has. */
async function firstFree(file: File): Promise<number> {
  for (let writer = 1; writer <= WRITERS_MAX; writer++) {
    if (await isFree(file, writer)) return writer
  }
  throw new RangeError(`${WRITERS_MAX} processes have the cache open`)
}

/** Takes a number, unless a living process has it. */
async function isFree(file: File, writer: number): Promise<boolean> {
  try {
    await file.lock({ type: 'write', start: LOCKS + writer, length: 1 })
    return true
  } catch (error) {
    if ((error as HoldfastError).code !== 'EAGAIN') throw error
    return false
  }
}
